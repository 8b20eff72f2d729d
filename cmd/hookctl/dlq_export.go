package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/deadletters"
	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/deployment"
)

type exportOptions struct {
	target
	selection
	file string
}

func newDLQExport(s streams) *cobra.Command {
	var o exportOptions
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write dead letters with their bodies to a file",
		Long: `export writes dead letters to a file of JSON Lines, one object a line: what show tells,
and the body as Nylas signed it (body, or body_base64 where it is not UTF-8), fetched from
S3 where it was too large for SQS. They stay on the queue.

The exit code is 1 when the file lacks something: a body that could not be fetched, or
letters that somebody else has received. Standard error says how many.

The file holds people's mail: it is made for its owner alone (mode 0600), and one that
is there already is not touched.

` + lookingSays,
		Example: `  hookctl dlq export --stage prod --file dead.jsonl
  hookctl dlq export --stage prod --file one.jsonl --grant c3b0a6de-52c7-4f7e-8f1d-0b9a7de41c20
  jq -j .body dead.jsonl`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runDLQExport(cmd.Context(), s, o) },
	}
	o.target.flags(cmd)
	o.selection.flags(cmd, 0, "export no more than this many (default: all)")
	cmd.Flags().StringVar(&o.file, "file", "", "the file to make (required)")
	return cmd
}

func runDLQExport(ctx context.Context, s streams, o exportOptions) error {
	if o.file == "" {
		return usagef("--file is missing. It names the file to make")
	}
	filter, err := o.filter()
	if err != nil {
		return err
	}
	if _, err := os.Lstat(o.file); err == nil {
		return usagef("%s is there already. Name another file, or move it away", o.file)
	}
	f, err := o.find(ctx)
	if err != nil {
		return err
	}
	q, state, err := f.deadLetters(ctx)
	if err != nil {
		return err
	}
	r, err := o.write(ctx, s, q, f.bucket(), state, filter)
	if err != nil {
		return deployment.Explain(err)
	}
	r.Stage, r.File = o.stage, o.file
	if o.json {
		err = s.json(r)
	} else {
		_, err = fmt.Fprintf(s.out, "exported %d to %s\n", r.Exported, o.file)
	}
	if err != nil {
		return fmt.Errorf("print the result: %w", err)
	}
	if r.Missing > 0 {
		s.stderrf("The bodies of %d of them are not in the file, because they are in S3 and could not be fetched. The letters are still on the queue. The first: %s", r.Missing, r.Why)
	}
	if r.More {
		s.stderrf("There are more than --max %d, and they are not in the file.", o.max)
	}
	if err := s.tellUnseen(r.Unseen, o.stage); err != nil {
		return err
	}
	if r.Missing > 0 || r.More {
		return errNotSo
	}
	return nil
}

// exportResult is what --json prints.
type exportResult struct {
	Stage    string `json:"stage"`
	File     string `json:"file"`
	Exported int    `json:"exported"`
	// Missing of them are without their body; Why is said of the first.
	Missing int    `json:"bodies_missing"`
	Why     string `json:"bodies_missing_why,omitempty"`
	// More says that there are more than --max. A script that purges what it has exported
	// must not purge these.
	More bool `json:"more"`
	// Unseen is about how many somebody else has received.
	Unseen int `json:"approximately_not_seen"`
}

// write makes the file whole or not at all.
func (o exportOptions) write(ctx context.Context, s streams, q deadletters.Queue, bucket deadletters.Bucket, state deadletters.State, filter deadletters.Filter) (r exportResult, err error) {
	file, err := os.CreateTemp(filepath.Dir(o.file), ".hookctl-export-*") // mode 0600
	if err != nil {
		return r, fmt.Errorf("make the file: %w", err)
	}
	defer func() {
		if gone := os.Remove(file.Name()); gone != nil && !errors.Is(gone, fs.ErrNotExist) && err == nil {
			err = fmt.Errorf("remove the unfinished file: %w", gone)
		}
	}()
	out := bufio.NewWriter(file)
	told := newProgress(s)
	var writeErr error
	r.Unseen, err = q.Look(ctx, state, func(l deadletters.Letter) bool {
		if !filter.Match(l) {
			return true
		}
		if r.More = o.max > 0 && r.Exported == o.max; r.More {
			return false
		}
		record := newRecord(l, state)
		if writeErr = record.read(ctx, bucket, l); writeErr != nil {
			return false
		}
		line, err := record.line()
		if err == nil {
			_, err = out.Write(line)
		}
		if err != nil {
			writeErr = err
			return false
		}
		r.Exported++
		if record.missing {
			r.Missing++
			if r.Why == "" {
				r.Why = record.Problem
			}
		}
		told.tellf("exported %d of about %d", r.Exported, state.Visible)
		return true
	})
	if err := errors.Join(err, writeErr, out.Flush(), file.Sync(), file.Close()); err != nil {
		return r, fmt.Errorf("export: %w", err)
	}
	// Link, because a rename would replace a file that came to be meanwhile.
	if err := os.Link(file.Name(), o.file); err != nil {
		return r, fmt.Errorf("name the file: %w", err)
	}
	return r, nil
}
