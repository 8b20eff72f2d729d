//go:build linux

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestInitAsks(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	term := atTerminal(t, t.Context(), "The new module's path", "init", dir, "--replace", "../..")
	for _, one := range []struct{ prompt, answer string }{
		{"The new module's path", "github.com/acme/webhooks"},
		{"region of stage dev", "111122223333/eu-west-1"},
		{"region of stage prod", "444455556666/eu-central-1"},
		{"Whom to wake at night", "on-call@acme.com"},
		{"Whom to write tickets to", "team@acme.com"},
	} {
		for !strings.Contains(term.shown.String(), one.prompt) {
			term.read(t)
		}
		term.enter(t, one.answer)
	}
	if code := <-term.code; code != exitOK {
		t.Fatalf("exit code %d\n%s", code, term.shown.String())
	}
	main, err := os.ReadFile(filepath.Join(dir, "main.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`prod.Account, prod.Region = "444455556666", "eu-central-1"`, "on-call@acme.com", "team@acme.com"} {
		if !strings.Contains(string(main), want) {
			t.Errorf("main.go lacks %s", want)
		}
	}
}
