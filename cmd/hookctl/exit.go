package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/onepagecrm/nylas-webhooks/internal/awserror"
)

// The exit codes, for scripts. They are part of the help text and do not change.
const (
	exitOK          = 0   // done, and everything is as it should be
	exitNotSo       = 1   // done, and the answer is no, or not complete: not verified, not accepted, not all arrived
	exitUsage       = 2   // the command was given wrongly; nothing was done
	exitFailed      = 3   // it could not be done: no credentials, no permission, not deployed, no network
	exitInterrupted = 130 // ended by Ctrl-C, as shells have it (128 + SIGINT)
)

// errNotSo ends a command whose answer is no. The command has already said it.
var errNotSo = errors.New("not so")

// usageError is a command that was given wrongly.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// report prints what there is to say about err and returns the exit code. It is the
// one place where errors end. Of what AWS says it prints the code and, where it is known
// to name only identities and resources, the message (package awserror): what is between
// may answer with the request, and so with mail or a secret.
func report(ctx context.Context, err error, stderr io.Writer) int {
	var usage usageError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errNotSo):
		return exitNotSo
	case ctx.Err() != nil:
		fmt.Fprintln(stderr, "hookctl: interrupted")
		return exitInterrupted
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "hookctl: %s\n", awserror.Text(err))
		return exitUsage
	default:
		fmt.Fprintf(stderr, "hookctl: %s\n", awserror.Text(err))
		return exitFailed
	}
}
