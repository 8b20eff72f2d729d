package main

import (
	"context"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/spf13/cobra"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/deployment"
	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/objects"
	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/spilled"
)

func newSpill(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "spill",
		Short: "List what SQS did not take, and put it onto the queue",
		Long: `spill works on the notifications that the receiver keeps in the stage's bucket when SQS
does not take them in time. Nylas was told 200 for each, so nobody sends them again:
they reach the consumer when they are replayed. S3 keeps them for 30 days.`,
		Args: commandsOnly,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newSpillList(s), newSpillReplay(s))
	return cmd
}

// spilled finds the stage's bucket and queues.
func (t *target) spilled(ctx context.Context) (spilled.Store, error) {
	f, err := t.find(ctx)
	if err != nil {
		return spilled.Store{}, err
	}
	return f.spilled(), nil
}

func (f found) spilled() spilled.Store {
	return spilled.Store{
		Objects: f.s3(), Queues: sqs.NewFromConfig(f.aws),
		Bucket: f.BucketName, QueueURL: f.QueueURL, NoticesURL: f.SpillNoticesQueueURL,
	}
}

func newSpillList(s streams) *cobra.Command {
	var t target
	var most int
	cmd := &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List spilled notifications, the oldest first, without their contents",
		Example: `  hookctl spill ls --stage prod
  hookctl spill ls --stage prod --json | jq '.objects | length'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if most < 0 {
				return usagef("--max is a number from 1; 0 is no limit")
			}
			return runSpillList(cmd.Context(), s, t, most)
		},
	}
	t.flags(cmd)
	cmd.Flags().IntVar(&most, "max", 1000, "list no more than this many (0: all)")
	return cmd
}

func runSpillList(ctx context.Context, s streams, t target, most int) error {
	store, err := t.spilled(ctx)
	if err != nil {
		return err
	}
	told := newProgress(s)
	objects, more := []spilled.Object{}, false // not null in JSON
	err = store.List(ctx, func(o spilled.Object) bool {
		if more = most > 0 && len(objects) == most; more {
			return false
		}
		objects = append(objects, o)
		told.tellf("listed %d", len(objects))
		return true
	})
	if err != nil {
		return deployment.Explain(err)
	}
	if t.json {
		return s.json(map[string]any{"stage": t.stage, "bucket": store.Bucket, "objects": objects, "more": more})
	}
	table := newTable(s.out)
	if len(objects) > 0 {
		table.row("REQUEST", "SPILLED", "BYTES", "KEY")
	}
	for _, o := range objects {
		table.row(o.RequestID, short(time.Since(o.SpilledAt))+" ago", strconv.FormatInt(o.Bytes, 10), o.Key)
	}
	if err := table.end(); err != nil {
		return err
	}
	switch {
	case more:
		s.stderrf("%d shown, there are more (--max).", len(objects))
	case len(objects) == 0:
		s.stderrf("Nothing was spilled, or all of it was replayed.")
	default:
		s.stderrf("Waiting: %d. When SQS takes notifications again: hookctl spill replay --stage %s", len(objects), t.stage)
	}
	return nil
}

var _ objects.API = (*s3.Client)(nil)
