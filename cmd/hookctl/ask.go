package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// confirm asks for name to be typed, unless given (the value of flag) already is it.
// A script can also write the name to standard input.
func confirm(s streams, name, given, flag, question string) error {
	if given == "" {
		fmt.Fprintf(s.err, "%s\nType %s to go on: ", question, name)
		line, err := readLine(s.in)
		if err != nil {
			return fmt.Errorf("read the confirmation: %w", err)
		}
		given = line
	}
	if given != name {
		return usagef("not confirmed, nothing was done. Type %s when asked, or give %s %s", name, flag, name)
	}
	return nil
}

// askSecret reads a secret from standard input; at a terminal it asks and does not
// show what is typed.
func askSecret(s streams, what string) (string, error) {
	if file, ok := s.in.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		fmt.Fprintf(s.err, "Type or paste %s (it is not shown): ", what)
		typed, err := term.ReadPassword(int(file.Fd()))
		fmt.Fprintln(s.err)
		if err != nil {
			return "", fmt.Errorf("read %s: %w", what, err)
		}
		return strings.TrimSpace(string(typed)), nil
	}
	line, err := readLine(s.in)
	if err != nil {
		return "", fmt.Errorf("read %s from standard input: %w", what, err)
	}
	if line == "" {
		return "", usagef("standard input is empty; write %s to it", what)
	}
	return line, nil
}

// readLine returns the first line without its end and the blanks around it.
func readLine(r io.Reader) (string, error) {
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return strings.TrimSpace(line), nil
}

// joined lists names in a sentence.
func joined(names []string) string { return strings.Join(names, ", ") }
