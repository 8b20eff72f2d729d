//go:build linux

package main

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/standin"
)

func TestSecretSetPromptShowsNothing(t *testing.T) {
	stage := standin.New(t)
	term := atTerminal(t, t.Context(), "it is not shown", "secret", "set", "--stage", "local")
	term.silent(t)
	term.enter(t, "typed-secret")
	if code := <-term.code; code != exitOK {
		t.Errorf("exit code %d", code)
	}
	term.read(t) // the line's end, which comes after whatever is echoed
	if strings.Contains(term.shown.String(), "typed") {
		t.Errorf("the screen shows %q", term.shown.String())
	}
	if got := stage.Secrets(); !slices.Equal(got, []string{"typed-secret"}) {
		t.Errorf("stored %d values, want the typed one", len(got))
	}
}

func TestSecretSetPromptEndsByCtrlC(t *testing.T) {
	stage := standin.New(t)
	ctx, cancel := context.WithCancel(t.Context()) // what the signal does
	term := atTerminal(t, ctx, "it is not shown", "secret", "set", "--stage", "local")
	term.silent(t)
	cancel()
	if code := <-term.code; code != exitInterrupted {
		t.Errorf("exit code %d, want %d", code, exitInterrupted)
	}
	// The terminal shows again what is typed: echo is on in its state.
	if _, err := term.keyboard.WriteString("x"); err != nil {
		t.Fatal(err)
	}
	for !strings.Contains(term.shown.String(), "x") {
		term.read(t)
	}
	if len(stage.Secrets()) != 0 {
		t.Error("a secret was stored")
	}
}
