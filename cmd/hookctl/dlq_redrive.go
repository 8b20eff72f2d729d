package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/deadletters"
	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/deployment"
)

type redriveOptions struct {
	target
	selection
	consent
	rate             int
	dryRun, oneByOne bool
}

func newDLQRedrive(s streams) *cobra.Command {
	var o redriveOptions
	cmd := &cobra.Command{
		Use:        "redrive",
		SuggestFor: []string{"replay"},
		Short:      "Send dead letters to the queue again",
		Long: `redrive sends dead letters back to the queue that the consumer reads: all, or those
that the flags select. Body, attributes and group stay as they are; SQS gives each a
new message id and a new date.

Nothing leaves the dead-letter queue before the queue has it. A crash in between
leaves a duplicate (consumers drop it by the notification's id), never a loss.

Without a selection SQS moves them itself (StartMessageMoveTask), where it can. With
one, or with --one-by-one, hookctl sends and deletes them; that needs sqs:ReceiveMessage,
DeleteMessage and ChangeMessageVisibility on the dead-letter queue, SendMessage on the
queue, and with a key of the stage kms:Decrypt and kms:GenerateDataKey.

Without a selection it asks first at a protected stage; --yes answers for a script.

--older-than and --newer-than count from when a notification was first sent. What this
redrive sends and the consumer fails on again stays where it is.`,
		Example: `  hookctl dlq redrive --stage prod --dry-run
  hookctl dlq redrive --stage prod --max 10
  hookctl dlq redrive --stage prod --type message --rate 50
  hookctl dlq redrive --stage prod --yes`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.rate < 0 || o.rate == 0 && cmd.Flags().Changed("rate") {
				return usagef("--rate is a number from 1")
			}
			return runDLQRedrive(cmd.Context(), s, o)
		},
	}
	o.target.flags(cmd)
	o.selection.flags(cmd, 0, "move no more than this many (default: all)")
	o.consent.flag(cmd)
	cmd.Flags().IntVar(&o.rate, "rate", 0, "move no more than this many a second")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "only list what would be moved")
	cmd.Flags().BoolVar(&o.oneByOne, "one-by-one", false, "send and delete here, instead of having SQS move them")
	return cmd
}

// redriveResult is what --json prints.
type redriveResult struct {
	Stage string `json:"stage"`
	// Way is sqs (a move task) or hookctl.
	Way string `json:"way"`
	deadletters.Result
	// Unseen is about how many were not moved because somebody else has received them.
	Unseen int `json:"approximately_not_seen"`
}

func runDLQRedrive(ctx context.Context, s streams, o redriveOptions) error {
	filter, err := o.filter()
	if err != nil {
		return err
	}
	f, err := o.find(ctx)
	if err != nil {
		return err
	}
	q, state, err := f.deadLetters(ctx)
	if err != nil {
		return err
	}
	if o.dryRun {
		return o.dry(ctx, s, q, state, filter)
	}
	result := redriveResult{Stage: o.stage, Way: "hookctl"}
	unfiltered := filter == deadletters.Filter{} && o.max == 0
	if unfiltered {
		question := fmt.Sprintf("This sends all dead letters of stage %s, about %d, to its consumer again. To try a few first: --max 10", o.stage, state.Total())
		if err := o.ask(ctx, s, f, question); err != nil {
			return err
		}
	}
	if unfiltered && !o.oneByOne && o.rate <= deadletters.MaxMoveRate {
		told := newProgress(s)
		moved, err := q.Move(ctx, o.rate, func(moved, total int64) { told.tellf("SQS has moved %d of about %d", moved, total) })
		if err == nil {
			result.Way, result.Moved = "sqs", int(moved)
			after, err := q.State(ctx)
			if err != nil {
				return deployment.Explain(err)
			}
			// Of what it moved SQS's counts may know nothing yet; what was held before and is
			// held still it cannot have moved.
			result.Unseen = min(state.Held, after.Held)
			return result.print(s, o)
		}
		if !errors.Is(err, deadletters.ErrNoMoveTask) {
			return explainMove(ctx, s, err, int(moved))
		}
		s.stderrf("SQS cannot move them here (%v), so this program sends and deletes them itself.", err)
	}
	told := newProgress(s)
	result.Result, err = q.Redrive(ctx, deadletters.Order{Filter: filter, Max: o.max, Rate: o.rate}, func(r deadletters.Result) {
		told.tellf("moved %d; the dead-letter queue held about %d", r.Moved, state.Visible)
	})
	if r := result.Result; o.max == 0 || r.Moved+r.Refused+r.Duplicated < o.max {
		// What came back was not there before.
		result.Unseen = max(state.Total()-(result.Looked-result.CameBack), 0)
	}
	if err != nil {
		s.stderrf("Before it ended, %d were moved, and %d more may be on both queues. The rest is where it was.", result.Moved, result.Duplicated)
		return deployment.Explain(err)
	}
	return result.print(s, o)
}

func explainMove(ctx context.Context, s streams, err error, moved int) error {
	if ctx.Err() != nil {
		s.stderrf("The move task was cancelled after about %d. The rest is where it was.", moved)
		return err
	}
	return fmt.Errorf("%w. To have hookctl send and delete them: --one-by-one", deployment.Explain(err))
}

func (o redriveOptions) dry(ctx context.Context, s streams, q deadletters.Queue, state deadletters.State, filter deadletters.Filter) error {
	l, err := list(ctx, s, q, state, filter, o.max)
	if err != nil {
		return deployment.Explain(err)
	}
	if o.json {
		err = s.json(map[string]any{
			"stage": o.stage, "dry_run": true, "would_move": len(l.entries), "letters": l.entries, "approximately_not_seen": l.unseen,
		})
	} else if err = l.print(s, q, state); err == nil {
		_, err = fmt.Fprintf(s.out, "would move %d; nothing was moved\n", len(l.entries))
	}
	if err != nil {
		return fmt.Errorf("print the list: %w", err)
	}
	return s.tellUnseen(l.unseen, o.stage)
}

func (r redriveResult) print(s streams, o redriveOptions) error {
	if o.json {
		if err := s.json(r); err != nil {
			return fmt.Errorf("print the result: %w", err)
		}
	} else {
		fmt.Fprintf(s.out, "moved %d to the queue\n", r.Moved)
	}
	if r.CameBack > 0 {
		s.stderrf("%d came back while this ran: the consumer still fails on them. They stay on the dead-letter queue. See: hookctl dlq ls --stage %s --newer-than 1h", r.CameBack, o.stage)
	}
	if r.Duplicated > 0 {
		s.stderrf("%d were sent and could not be deleted from the dead-letter queue, because somebody else has received them. The next redrive sends them again, as duplicates.", r.Duplicated)
	}
	if r.Refused > 0 {
		s.stderrf("%d were not taken by the queue and stay where they were. SQS says of the first: %s", r.Refused, r.Why)
	}
	if err := s.tellUnseen(r.Unseen, o.stage); err != nil {
		return err
	}
	if r.Refused > 0 {
		return errNotSo
	}
	return nil
}
