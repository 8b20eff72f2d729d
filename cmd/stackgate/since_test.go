package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// A stand-in of cdk synth, as slow as two that begin together need.
const cdk = `#!/bin/sh
[ "$1 $2 $3" = "synth --quiet --output" ] && [ -f app ] || { echo "cdk: not here" >&2; exit 1; }
mkdir -p "$4" && [ ! -e "$4/manifest.json" ] || { echo "cdk: $4 is in use" >&2; exit 1; }
echo begun >>"$BARRIER"; while [ "$(wc -l <"$BARRIER")" -lt "${TOGETHER:-1}" ]; do :; done
echo '{"artifacts": {"s": {"type": "aws:cloudformation:stack", "properties": {"templateFile": "s.json"}}}}' >"$4/manifest.json"
echo "{\"Resources\": {\"$(cat app)\": {\"Type\": \"AWS::SQS::Queue\"}}}" >"$4/s.json"
`

// checkout is a repository with a commit on main, and one on a branch that is checked out.
func checkout(t *testing.T) string {
	t.Helper()
	dir, programs := t.TempDir(), t.TempDir()
	t.Setenv("PATH", programs+":"+os.Getenv("PATH"))
	t.Setenv("BARRIER", filepath.Join(programs, "barrier"))
	if err := os.WriteFile(filepath.Join(programs, "cdk"), []byte(cdk), 0o700); err != nil {
		t.Fatal(err)
	}
	git := func(args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "git", append([]string{"-c", "user.name=Dev", "-c", "user.email=dev@example.com"}, args...)...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %q: %v\n%s", args, err, out)
		}
	}
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	git("init", "--quiet", "--initial-branch", "main")
	write("app", "Old")
	write("a folder/app", "OldInFolder")
	git("add", ".")
	git("commit", "--quiet", "--message", "old")
	git("update-ref", "refs/heads/-dash", "HEAD")
	git("checkout", "--quiet", "-b", "change")
	write("app", "New")
	git("commit", "--quiet", "--all", "--message", "new")
	write("app", "NotCommitted")
	return dir
}

func TestSince(t *testing.T) {
	dir := checkout(t)
	for name, c := range map[string]struct{ folder, ref, resource string }{
		"a branch":                  {"", "main", "Old"},
		"a name that is an option":  {"", "-dash", "Old"},
		"in a folder of repository": {"a folder", "main", "OldInFolder"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(filepath.Join(dir, c.folder))
			var stderr bytes.Buffer
			got, err := since(t.Context(), c.ref, &stderr)
			if err != nil {
				t.Fatal(err)
			}
			if resources, ok := got["s"].Template["Resources"].(map[string]any); !ok || resources[c.resource] == nil {
				t.Errorf("%+v", got)
			}
			// A commit is synthesized once.
			stderr.Reset()
			if _, err := since(t.Context(), c.ref, &stderr); err != nil || stderr.Len() > 0 {
				t.Errorf("again: %v, %s", err, &stderr)
			}
		})
	}
}

// Two at once, in two terminals, are not in each other's way.
func TestSinceTwice(t *testing.T) {
	t.Setenv("TOGETHER", "2")
	t.Chdir(checkout(t))
	var wait sync.WaitGroup
	for range 2 {
		wait.Go(func() {
			var stderr bytes.Buffer
			if got, err := since(t.Context(), "main", &stderr); err != nil || got["s"].Template == nil {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
	wait.Wait()
	left, err := filepath.Glob(filepath.Join(kept, "*"))
	if err != nil || len(left) != 1 || strings.Contains(left[0], "part") {
		t.Errorf("%v, %v", left, err)
	}
}
