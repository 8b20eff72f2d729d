package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// askSecret reads a secret from standard input; at a terminal it asks and does not
// show what is typed.
func askSecret(ctx context.Context, s streams, what string) (string, error) {
	if fd, ok := terminal(s); ok {
		if s.askNobody() {
			return "", usagef("nothing was done, because --no-input is given and standard input is a terminal: write %s to standard input", what)
		}
		fmt.Fprintf(s.err, "Type or paste %s (it is not shown): ", what)
		typed, err := untilCtrlC(ctx, s, func() ([]byte, error) { return term.ReadPassword(fd) })
		fmt.Fprintln(s.err)
		if err != nil {
			return "", fmt.Errorf("read %s: %w", what, err)
		}
		return strings.TrimSpace(string(typed)), nil
	}
	// All of it: the first of several lines may be a user name, or the secret's beginning.
	text, err := untilCtrlC(ctx, s, func() ([]byte, error) { return io.ReadAll(io.LimitReader(s.in, mostOfSecret)) })
	if err != nil {
		return "", fmt.Errorf("read %s from standard input: %w", what, err)
	}
	value := strings.TrimSpace(string(text))
	if value == "" {
		return "", usagef("standard input is empty; write %s to it", what)
	}
	return value, nil
}

// mostOfSecret is what Secrets Manager takes, in bytes.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html
const mostOfSecret = 65_536

// readLine returns the first line without its end and the blanks around it.
func readLine(ctx context.Context, s streams) (string, error) {
	line, err := untilCtrlC(ctx, s, func() (string, error) { return bufio.NewReader(s.in).ReadString('\n') })
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return strings.TrimSpace(line), nil
}

// untilCtrlC reads until ctx ends: the program catches the signal, and nothing else
// would end the reading, or let the terminal show again what is typed afterwards.
func untilCtrlC[T any](ctx context.Context, s streams, read func() (T, error)) (T, error) {
	restore := func() error { return nil }
	if fd, ok := terminal(s); ok {
		state, err := term.GetState(fd)
		if err != nil {
			var none T
			return none, err
		}
		restore = func() error { return term.Restore(fd, state) }
	}
	type answer struct {
		value T
		err   error
	}
	got := make(chan answer, 1) // the reader is left behind when ctx ends first
	go func() {
		value, err := read()
		got <- answer{value, err}
	}()
	select {
	case a := <-got:
		return a.value, a.err
	case <-ctx.Done():
		var none T
		return none, errors.Join(ctx.Err(), restore())
	}
}

// terminal is the descriptor of standard input, where that is a terminal.
func terminal(s streams) (fd int, ok bool) {
	file, ok := s.in.(*os.File)
	if !ok {
		return 0, false
	}
	fd = int(file.Fd())
	return fd, term.IsTerminal(fd)
}

// joined lists names in a sentence.
func joined(names []string) string { return strings.Join(names, ", ") }
