package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/spf13/cobra"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/deadletters"
	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/deployment"
)

func newDLQPurge(s streams) *cobra.Command {
	var t target
	var sure typedName
	cmd := &cobra.Command{
		Use:   "purge",
		Short: "Delete all dead letters for good",
		Long: `purge deletes every dead letter of the stage, also one that came since you exported
them. It cannot be undone, so it asks you to type the queue's name; scripts give it by
--yes-purge. SQS needs up to a minute for it.

While somebody has received dead letters (another hookctl that looks), no export has
them, and purge refuses (exit code 1).`,
		Example: `  hookctl dlq export --stage dev --file dead.jsonl && hookctl dlq purge --stage dev`,
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runDLQPurge(cmd.Context(), s, t, sure) },
	}
	t.flags(cmd)
	sure.flag(cmd, "purge", "the dead-letter queue's name, instead of typing it")
	return cmd
}

func runDLQPurge(ctx context.Context, s streams, t target, sure typedName) error {
	q, state, err := t.deadLetters(ctx)
	if err != nil {
		return err
	}
	if state.Held > 0 {
		s.stderrf("Nothing was purged. Somebody has received about %d of the dead letters (they are in flight), so no export has them, and a purge would delete them. That ends when they are given back, or with their visibility timeout (%s for hookctl). Then export and purge. SQS's counts are approximate and may be a minute old.", state.Held, deadletters.Hold)
		return errNotSo
	}
	question := fmt.Sprintf("This deletes about %d dead letters of stage %s for good.", state.Visible, t.stage)
	if err := sure.ask(ctx, s, q.Name(), question); err != nil {
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
		return s.json(map[string]any{"stage": t.stage, "queue": q.Name(), "purged_about": state.Visible})
	}
	fmt.Fprintf(s.out, "purged %s\n", q.Name())
	return nil
}
