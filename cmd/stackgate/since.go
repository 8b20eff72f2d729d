package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/onepagecrm/nylas-webhooks/internal/review"
)

// kept holds the assemblies of commits, each in a folder of the commit's name.
const kept = ".local/review"

// since returns the assembly of the commit at which the current one left the branch or the commit
// ref. It is synthesized by the app of that commit, with the CDK CLI that is on the PATH, and
// kept, because a commit does not change.
func since(ctx context.Context, ref string, stderr io.Writer) (map[string]review.Stack, error) {
	commit, err := output(ctx, "", "git", "merge-base", "--end-of-options", ref, "HEAD")
	if err != nil {
		return nil, fmt.Errorf("there is no commit that %s and this one have in common: %w. Fetch the history (git fetch --unshallow origin), or name a commit", ref, err)
	}
	commit = strings.TrimSpace(commit)
	dir := filepath.Join(kept, commit)
	if !whole(dir) {
		if err := synthesize(ctx, commit, dir, stderr); err != nil {
			return nil, fmt.Errorf("synthesize the base, %s: %w", commit, err)
		}
	}
	return review.ReadAssembly(dir)
}

func synthesize(ctx context.Context, commit, dir string, stderr io.Writer) error {
	title, err := output(ctx, "", "git", "log", "-1", "--format=%h %s", commit)
	if err != nil {
		return err
	}
	fmt.Fprintf(stderr, "stackgate: synthesizing the base, %s", title)
	source, err := os.MkdirTemp("", "stackgate-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(source) //nolint:errcheck // what is left of a temporary folder harms nobody
	packed := filepath.Join(source, "source.tar")
	if _, err := output(ctx, "", "git", "archive", "--output", packed, commit); err != nil {
		return err
	}
	unpacked := filepath.Join(source, "source")
	if err := os.Mkdir(unpacked, 0o700); err != nil {
		return err
	}
	if _, err := output(ctx, "", "tar", "-xf", packed, "-C", unpacked); err != nil {
		return err
	}
	// In a folder of its own until it is whole.
	if err := os.MkdirAll(kept, 0o750); err != nil {
		return err
	}
	part, err := os.MkdirTemp(kept, "part-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(part) //nolint:errcheck // what is left of it is never read
	if part, err = filepath.Abs(part); err != nil {
		return err
	}
	made := filepath.Join(part, "cdk.out")
	if _, err := output(ctx, unpacked, "cdk", "synth", "--quiet", "--output", made); err != nil {
		return err
	}
	if err := os.Rename(made, dir); err != nil && !whole(dir) { // where another run was quicker, its assembly is as good
		return err
	}
	return nil
}

// whole tells whether an assembly is in the folder.
func whole(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "manifest.json"))
	return err == nil
}

// output runs a program and returns its standard output; the error has all that it said.
func output(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	var stdout, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &said
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", name, args[0], err, strings.TrimSpace(stdout.String()+said.String()))
	}
	return stdout.String(), nil
}
