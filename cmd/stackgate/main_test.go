package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// assembly writes one with one stack, and one inside of it.
func assembly(t *testing.T, retention string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"manifest.json": `{"artifacts": {
			"s": {"type": "aws:cloudformation:stack", "environment": "aws://1/x", "properties": {"templateFile": "s.json"}, "displayName": "Stack"},
			"inside": {"type": "cdk:cloud-assembly", "properties": {"directoryName": "inside"}}}}`,
		"s.json":               `{"Resources": {"Queue": {"Type": "AWS::SQS::Queue", "Properties": {"MessageRetentionPeriod": ` + retention + `}}}}`,
		"inside/manifest.json": `{"artifacts": {"t": {"type": "aws:cloudformation:stack", "environment": "aws://1/x", "properties": {"templateFile": "t.json"}}}}`,
		"inside/t.json":        `{"Resources": {"Queue": {"Type": "AWS::SQS::Queue", "Properties": {"MessageRetentionPeriod": ` + retention + `}}}}`,
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestExitCodes(t *testing.T) {
	const tools = "../.."
	if _, err := os.Stat(filepath.Join(tools, "tools", "node_modules", "@aws-cdk", "cloudformation-diff")); err != nil {
		t.Fatal("the CDK's diff engine is not installed: make tools/node_modules/.package-lock.json")
	}
	week, hour := assembly(t, "604800"), assembly(t, "3600")
	accepted := filepath.Join(t.TempDir(), "accepted.json")
	if err := os.WriteFile(accepted, []byte(`[{"code": "retention", "stack": "*", "resource": "Queue", "reason": "agreed", "until": "2999-12-31"}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		code int
		says string // on standard output or standard error
	}{
		{[]string{week, week}, 0, "NOTHING."},
		{[]string{week, hour}, 10, "2 loosened"},
		{[]string{"-format", "markdown", week, hour}, 10, "### Templates: loosened"},
		{[]string{"-format", "json", week, hour}, 10, `"verdict": "loosened"`},
		{[]string{hour, week}, 0, "CHANGED."},
		{[]string{"-fail-at", "changed", hour, week}, 10, "CHANGED."},
		{[]string{"-fail-at", "widened", week, hour}, 0, "LOOSENED."},
		{[]string{"-fail-at", "nothing", week, week}, 0, "NOTHING."},
		{[]string{"-accept", accepted, week, hour}, 0, "accepted: agreed"},
		{[]string{"-format", "xml", week, hour}, 2, "not text, markdown or json"},
		{[]string{"-fail-at", "bad", week, hour}, 2, `"bad" is no class`},
		{[]string{week}, 2, "two cloud assemblies are needed"},
		{[]string{"-deployed", "Stack", week, hour}, 2, "take the place of the base"},
		{[]string{"-deployed", "Stack", "-since", "main", week}, 2, "each name a base"},
		{[]string{"-since", "no-such-branch", week}, 1, "Fetch the history"},
		{[]string{"-deployed", "Other", week}, 1, "there is no stack Other"},
		{[]string{"-nonsense"}, 2, "flag provided but not defined"},
		{[]string{week, t.TempDir()}, 1, "is no cloud assembly"},
		{[]string{"-tools", t.TempDir(), week, hour}, 1, "is not installed"},
	} {
		var stdout, stderr bytes.Buffer
		args := c.args
		if args[0] != "-tools" {
			args = append([]string{"-tools", tools}, args...)
		}
		code, err := run(t.Context(), args, &stdout, &stderr)
		said := stdout.String() + stderr.String()
		if err != nil {
			said += err.Error()
		}
		if code != c.code || !strings.Contains(said, c.says) {
			t.Errorf("%q: exit code %d, want %d; %s", c.args, code, c.code, said)
		}
	}
}

// The comment shows so many findings as somebody reads; the rest is in the artifact.
func TestArtifactHasAllFindings(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "artifact")
	var stdout, stderr bytes.Buffer
	if code, err := run(t.Context(), []string{"-tools", "../..", "-artifact", dir, assembly(t, "604800"), assembly(t, "3600")}, &stdout, &stderr); code != 10 || err != nil {
		t.Fatal(code, err)
	}
	for name, says := range map[string]string{"verdict.md": "### Templates: loosened", "verdict.json": `"verdict": "loosened"`} {
		if text, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !strings.Contains(string(text), says) {
			t.Errorf("%s: %v, %s", name, err, text)
		}
	}
}
