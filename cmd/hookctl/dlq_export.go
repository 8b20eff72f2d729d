package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
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
and the body as Nylas signed it (body, or body_base64 where it is not UTF-8). They
stay on the queue.

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
	q, state, err := o.deadLetters(ctx)
	if err != nil {
		return err
	}
	exported, err := o.write(ctx, s, q, state, filter)
	if err != nil {
		return deployment.Explain(err)
	}
	if o.json {
		return s.json(map[string]any{"stage": o.stage, "file": o.file, "exported": exported})
	}
	fmt.Fprintf(s.out, "exported %d to %s\n", exported, o.file)
	return nil
}

// write makes the file whole or not at all.
func (o exportOptions) write(ctx context.Context, s streams, q deadletters.Queue, state deadletters.State, filter deadletters.Filter) (exported int, err error) {
	file, err := os.CreateTemp(filepath.Dir(o.file), ".hookctl-export-*") // mode 0600
	if err != nil {
		return 0, fmt.Errorf("make the file: %w", err)
	}
	defer func() {
		if gone := os.Remove(file.Name()); gone != nil && !errors.Is(gone, fs.ErrNotExist) && err == nil {
			err = fmt.Errorf("remove the unfinished file: %w", gone)
		}
	}()
	out := bufio.NewWriter(file)
	told := newProgress(s)
	var writeErr error
	err = q.Look(ctx, func(l deadletters.Letter) bool {
		if !filter.Match(l) {
			return true
		}
		line, err := newRecord(l, state).line()
		if err == nil {
			_, err = out.Write(line)
		}
		if err != nil {
			writeErr = err
			return false
		}
		exported++
		told.tellf("exported %d of about %d", exported, state.Visible)
		return o.max == 0 || exported < o.max
	})
	if err := errors.Join(err, writeErr, out.Flush(), file.Sync(), file.Close()); err != nil {
		return 0, fmt.Errorf("export: %w", err)
	}
	// Link, because a rename would replace a file that came to be meanwhile.
	if err := os.Link(file.Name(), o.file); err != nil {
		return 0, fmt.Errorf("name the file: %w", err)
	}
	return exported, nil
}

func newDLQPurge(s streams) *cobra.Command {
	var t target
	var confirmed string
	cmd := &cobra.Command{
		Use:   "purge",
		Short: "Delete all dead letters for good",
		Long: `purge deletes every dead letter of the stage, also those that somebody holds. It cannot
be undone: export them first. It asks for the queue's name to be typed; scripts give it
by --yes-purge or on standard input. SQS needs up to a minute for it.`,
		Example: `  hookctl dlq export --stage dev --file dead.jsonl && hookctl dlq purge --stage dev`,
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runDLQPurge(cmd.Context(), s, t, confirmed) },
	}
	t.flags(cmd)
	cmd.Flags().StringVar(&confirmed, "yes-purge", "", "the dead-letter queue's name, instead of typing it")
	return cmd
}

func runDLQPurge(ctx context.Context, s streams, t target, confirmed string) error {
	q, state, err := t.deadLetters(ctx)
	if err != nil {
		return err
	}
	question := fmt.Sprintf("This deletes about %d dead letters of stage %s for good.", state.Visible+state.Hidden, t.stage)
	if err := confirm(ctx, s, q.Name(), confirmed, "--yes-purge", question); err != nil {
		return err
	}
	err = q.Purge(ctx)
	var again *types.PurgeQueueInProgress
	if errors.As(err, &again) {
		return fmt.Errorf("SQS purges a queue at most once a minute, and one is under way. Wait %s and look: hookctl dlq ls --stage %s", time.Minute, t.stage)
	}
	if err != nil {
		return deployment.Explain(err)
	}
	if t.json {
		return s.json(map[string]any{"stage": t.stage, "queue": q.Name(), "purged_about": state.Visible + state.Hidden})
	}
	fmt.Fprintf(s.out, "purged %s\n", q.Name())
	return nil
}
