//go:build linux

package main

import (
	"strings"
	"testing"
)

func TestAskedAtTheTerminal(t *testing.T) {
	for _, test := range asking {
		name := strings.TrimPrefix(strings.ReplaceAll(test.flag, "STAGE", "prod"), "--yes")
		prompt, answers := "Go on? [y/N] ", map[string]bool{"y": true, "Yes": true, "": false, "n": false, "prod": false}
		if _, typed, ok := strings.Cut(name, " "); ok {
			prompt, answers = "Type "+typed+" to go on: ", map[string]bool{typed: true, "": false, "y": false, "yes": false, strings.ToUpper(typed): false}
		}
		for answer, goesOn := range answers {
			stage, api := everything(t)
			before := state(stage, api)
			term := atTerminal(t, t.Context(), prompt, words(test.line, "", "prod")...)
			if state(stage, api) != before {
				t.Errorf("%s changes something before it asks", test.line)
			}
			term.enter(t, answer)
			code, changed := <-term.code, state(stage, api) != before
			if want := map[bool]int{true: exitOK, false: exitUsage}[goesOn]; code != want || changed != goesOn {
				t.Errorf("%s, answered %q: exit code %d, want %d; changed: %t\n%s", test.line, answer, code, want, changed, term.shown.String())
			}
			for !goesOn && !strings.Contains(term.shown.String(), "not confirmed, nothing was done") {
				term.read(t)
			}
		}
	}
}

// --no-input does not ask at a terminal either, for a confirmation or for a secret.
func TestNoInputAtTheTerminal(t *testing.T) {
	for line, want := range map[string]string{
		"webhook pause --stage prod --no-input":            "this asks first and --no-input is given: give --yes to confirm it",
		"dlq purge --no-input --stage prod":                "give --yes-purge dead to confirm it",
		"--no-input secret set --stage prod":               "write the webhook secret of stage prod to standard input",
		"verify x --signature 0 --secret-stdin --no-input": "write the webhook secret to standard input",
	} {
		if strings.HasPrefix(line, "verify") {
			line = strings.Replace(line, "verify x", "verify go.mod", 1)
			t.Chdir("../..")
		}
		stage, api := everything(t)
		before := state(stage, api)
		term := atTerminal(t, t.Context(), want, strings.Fields(line)...)
		if code := <-term.code; code != exitUsage || state(stage, api) != before {
			t.Errorf("%s: exit code %d, changed: %t", line, code, state(stage, api) != before)
		}
	}
}

func TestCtrlDIsNoAnswer(t *testing.T) {
	stage, api := everything(t)
	before := state(stage, api)
	term := atTerminal(t, t.Context(), "[y/N]", "webhook", "pause", "--stage", "prod")
	if _, err := term.keyboard.WriteString("\x04"); err != nil {
		t.Fatal(err)
	}
	if code := <-term.code; code != exitUsage || state(stage, api) != before {
		t.Errorf("exit code %d, changed: %t", code, state(stage, api) != before)
	}
}
