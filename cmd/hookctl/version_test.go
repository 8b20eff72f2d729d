package main

import (
	"encoding/json"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
)

func TestVersion(t *testing.T) {
	code, stdout, stderr := hookctl(t, "", "version")
	if code != exitOK || stderr != "" || !strings.HasPrefix(stdout, "hookctl ") || !strings.Contains(stdout, runtime.Version()) || strings.Count(stdout, "\n") != 1 {
		t.Errorf("exit code %d, %q, %q", code, stdout, stderr)
	}
	if code, flag, _ := hookctl(t, "", "--version"); code != exitOK || flag != stdout {
		t.Errorf("--version: exit code %d, %q, want %q", code, flag, stdout)
	}
	var b build
	_, asJSON, _ := hookctl(t, "", "version", "--json")
	if err := json.Unmarshal([]byte(asJSON), &b); err != nil || b.Go != runtime.Version() {
		t.Errorf("%v: %s", err, asJSON)
	}
}

func TestReadBuild(t *testing.T) {
	info := &debug.BuildInfo{GoVersion: "go1.99", Main: debug.Module{Version: "v1.2.3"}, Settings: []debug.BuildSetting{
		{Key: "GOOS", Value: "linux"}, {Key: "vcs.revision", Value: "abc123"}, {Key: "vcs.modified", Value: "false"},
	}}
	if got, want := readBuild(info).String(), "v1.2.3, revision abc123, go1.99"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	info.Settings[2].Value = "true"
	if got, want := readBuild(info).String(), "v1.2.3, revision abc123 and changes to it, go1.99"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := (build{}).String(), "of an unknown version"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
