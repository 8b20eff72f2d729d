//go:build linux

package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// screen is hookctl at a terminal of its own.
type screen struct {
	keyboard *os.File // what is written to it is typed
	tty      *os.File
	code     chan int
	out      bytes.Buffer // standard output; read it after the code
	shown    bytes.Buffer // on the screen: echo of what is typed, and standard error
}

// atTerminal runs hookctl with a terminal as its standard input and standard error and
// waits until the screen shows prompt.
func atTerminal(t *testing.T, ctx context.Context, prompt string, args ...string) *screen {
	t.Helper()
	keyboard, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = keyboard.Close(); _ = tty.Close() }) // the test is over
	term := &screen{keyboard: keyboard, tty: tty, code: make(chan int, 1)}
	go func() { term.code <- run(ctx, args, tty, &term.out, tty) }()
	for !strings.Contains(term.shown.String(), prompt) {
		term.read(t)
	}
	return term
}

// silent waits until the screen no longer shows what is typed, which comes after the
// prompt.
func (term *screen) silent(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		mode, err := unix.IoctlGetTermios(int(term.tty.Fd()), unix.TCGETS)
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("echo stays on: %v", err)
		}
		if mode.Lflag&unix.ECHO == 0 {
			return
		}
	}
}

func (term *screen) enter(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(term.keyboard, text+"\r"); err != nil {
		t.Fatal(err)
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
