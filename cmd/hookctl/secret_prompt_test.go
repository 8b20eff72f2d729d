//go:build linux

package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/standin"
)

// screen is hookctl at a terminal of its own.
type screen struct {
	keyboard *os.File // what is written to it is typed
	code     chan int
	shown    bytes.Buffer // on the screen: echo of what is typed, and standard error
}

// atTerminal runs hookctl with a terminal as its standard input and standard error and
// waits until the screen shows prompt
// and no longer shows what is typed.
func atTerminal(t *testing.T, ctx context.Context, prompt string, args ...string) *screen {
	t.Helper()
	keyboard, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = keyboard.Close(); _ = tty.Close() }) // the test is over
	term := &screen{keyboard: keyboard, code: make(chan int, 1)}
	go func() { term.code <- run(ctx, args, tty, io.Discard, tty) }()
	for !strings.Contains(term.shown.String(), prompt) {
		term.read(t)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) { // echo goes off after the prompt
		mode, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("echo stays on: %v", err)
		}
		if mode.Lflag&unix.ECHO == 0 {
			return term
		}
	}
}

// read adds what the screen got to shown.
func (term *screen) read(t *testing.T) {
	t.Helper()
	some := make(chan []byte, 1) // a terminal takes no deadline
	go func() {
		text := make([]byte, 1000)
		n, _ := term.keyboard.Read(text) // an error is nothing to read
		some <- text[:n]
	}()
	select {
	case text := <-some:
		term.shown.Write(text)
	case <-time.After(10 * time.Second):
		t.Fatalf("the screen shows %q and nothing more", term.shown.String())
	}
}

func TestSecretSetPromptShowsNothing(t *testing.T) {
	stage := standin.New(t)
	term := atTerminal(t, t.Context(), "it is not shown", "secret", "set", "--stage", "local")
	if _, err := term.keyboard.WriteString("typed-secret\r"); err != nil {
		t.Fatal(err)
	}
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
