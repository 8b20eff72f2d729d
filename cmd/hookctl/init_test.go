package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func initArgs(dir string, more ...string) []string {
	return append([]string{"init", dir, "--module", "github.com/acme/webhooks", "--replace", "../..",
		"--development", "dev=111122223333/eu-west-1", "--production", "prod=444455556666/eu-central-1",
		"--pages", "https://events.example.com/x", "--tickets", "team@acme.com"}, more...)
}

func TestInit(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "acme hooks")
	code, stdout, stderr := hookctl(t, "", initArgs(dir)...)
	if code != exitOK || stdout != "cd '"+dir+"' && git init && make test\n" {
		t.Fatalf("exit code %d, %q\n%s", code, stdout, stderr)
	}
	main, err := os.ReadFile(filepath.Join(dir, "main.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`dev.Account, dev.Region = "111122223333", "eu-west-1"`, `stages.Production("prod")`, "team@acme.com"} {
		if !strings.Contains(string(main), want) {
			t.Errorf("main.go lacks %s", want)
		}
	}
	// In a repository that is there it only looks.
	if code, stdout, stderr := hookctl(t, "", "init", dir); code != exitOK || stdout != "" || !strings.Contains(stderr, "as hookctl") {
		t.Errorf("exit code %d, %q, %q", code, stdout, stderr)
	}
	makefile := filepath.Join(dir, "Makefile")
	for _, path := range []string{makefile, filepath.Join(dir, "main.go")} {
		if err := os.WriteFile(path, []byte("ours\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(filepath.Join(dir, "cdk.json")); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr = hookctl(t, "", "init", dir)
	if code != exitNotSo || stdout != "Makefile differs from this version's\ncdk.json is missing\n" || !strings.Contains(stderr, "hookctl init --update '"+dir+"'") {
		t.Errorf("exit code %d, %q, %q", code, stdout, stderr)
	}
	if text, _ := os.ReadFile(makefile); string(text) != "ours\n" {
		t.Error("it has changed the Makefile unasked")
	}
	code, stdout, _ = hookctl(t, "", "init", "--update", dir)
	if code != exitOK || stdout != "Makefile differs from this version's, and was written\ncdk.json is missing, and was written\n" {
		t.Errorf("exit code %d, %q", code, stdout)
	}
	if text, _ := os.ReadFile(filepath.Join(dir, "main.go")); string(text) != "ours\n" {
		t.Error("it has changed main.go, which is the company's")
	}
	if code, _, _ := hookctl(t, "", "init", dir); code != exitOK {
		t.Errorf("after the update: exit code %d", code)
	}
}

func TestInitRefuses(t *testing.T) {
	occupied := t.TempDir()
	if err := os.WriteFile(filepath.Join(occupied, "README.md"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	fresh := filepath.Join(t.TempDir(), "new")
	for want, args := range map[string][]string{
		"README.md is there already":                         initArgs(occupied),
		"no repository in " + fresh + " to update":           initArgs(fresh, "--update"),
		`--production "crm" is not of the form`:              initArgs(fresh, "--production", "crm"),
		`account "1" is not twelve digits`:                   initArgs(fresh, "--development", "two=1/eu-west-1"),
		"a stage named func would be in the way":             initArgs(fresh, "--development", "func=111122223333/eu-west-1"),
		"two stages are named dev":                           initArgs(fresh, "--production", "dev=111122223333/eu-west-1"),
		`"nobody" is neither a mail address nor an https`:    initArgs(fresh, "--pages", "nobody"),
		`"Acme Hooks" is no path of a Go module`:             initArgs(fresh, "--module", "Acme Hooks"),
		"this asks first and standard input is no terminal":  {"init", fresh, "--replace", "."},
		"this asks first and --no-input is given":            {"init", fresh, "--replace", ".", "--module", "x", "--no-input"},
		"this hookctl was built from a checkout, not from a": {"init", fresh},
		"accepts 1 arg": {"init"},
	} {
		code, stdout, stderr := hookctl(t, "", args...)
		if code != exitUsage || stdout != "" || !strings.Contains(stderr, want) {
			t.Errorf("hookctl %s: exit code %d, %q, want %q", strings.Join(args, " "), code, stderr, want)
		}
		if _, err := os.Stat(fresh); err == nil {
			t.Fatalf("hookctl %s has written something", strings.Join(args, " "))
		}
	}
}
