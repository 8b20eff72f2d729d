// Command hookctl is the operator's tool of the webhook front door: it plays Nylas
// against a deployed stage, checks signatures, and looks after the webhook secret.
//
// It finds a stage by the outputs of its stack (--stage, the usual AWS settings,
// AWS_ENDPOINT_URL for the local engine). Data goes to standard output, everything
// else to standard error; exit.go lists the exit codes.
//
// This package holds the commands, one file each: what they take and how they print.
// What they do is in internal/.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the whole program but for the process around it. It returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRoot(streams{in: stdin, out: stdout, err: stderr})
	root.SetArgs(args)
	return report(ctx, root.ExecuteContext(ctx), stderr)
}
