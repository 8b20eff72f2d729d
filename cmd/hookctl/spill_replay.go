package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/deployment"
	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/spilled"
)

type replayOptions struct {
	target
	consent
	since  sinceFlag
	types  []string
	max    int
	rate   int
	dryRun bool
}

func newSpillReplay(s streams) *cobra.Command {
	var o replayOptions
	cmd := &cobra.Command{
		Use:        "replay",
		SuggestFor: []string{"redrive"},
		Short:      "Put spilled notifications onto the queue",
		Long: `replay sends spilled notifications to the queue as the receiver would have: body,
attributes and group as they are. It may be interrupted and started again.

Nothing leaves the bucket before the queue has it. A crash in between leaves a
duplicate (consumers drop it by the notification's id), never a loss.

What --since and --type leave out stays in the bucket and is counted. --type also means
what Nylas makes of a type by suffixes, as the consumer's router has it: message.created
also is message.created.truncated, and message is every message. --dry-run lists what would
be sent, and changes nothing.

At a protected stage it asks first; --yes answers for a script. It needs the policy of
output OperatorPolicyArn.`,
		Example: `  hookctl spill replay --stage prod --dry-run
  hookctl spill replay --stage prod --max 1
  hookctl spill replay --stage prod --since 2h --type message.created --type grant
  hookctl spill replay --stage prod --since 2026-01-05T10:00:00Z
  hookctl spill replay --stage prod --rate 100 --yes`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.rate < 0 || o.rate == 0 && cmd.Flags().Changed("rate") {
				return usagef("--rate is a number from 1")
			}
			if len(o.types) == 0 && cmd.Flags().Changed("type") { // a script's variable that is empty
				return usagef("--type is empty. Give a notification type, or leave the flag out to replay all types")
			}
			return runSpillReplay(cmd.Context(), s, o)
		},
	}
	o.target.flags(cmd)
	o.consent.flag(cmd)
	flags := cmd.Flags()
	flags.Var(&o.since, "since", "only what was spilled since then: 90m, 12h, 3d, or 2026-01-05T10:00:00Z")
	flags.StringSliceVar(&o.types, "type", nil, typeFlagHelp)
	flags.IntVar(&o.max, "max", 0, "replay no more than this many (default: all)")
	flags.IntVar(&o.rate, "rate", 0, "replay no more than this many a second")
	flags.BoolVar(&o.dryRun, "dry-run", false, "only list what would be sent")
	// The error is for a flag that is not there.
	_ = cmd.RegisterFlagCompletionFunc("type", completeTriggers)
	return cmd
}

// sinceFlag is a flag's value: a time, or how long ago it was.
type sinceFlag struct{ time.Time }

func (f *sinceFlag) Type() string { return "time" }

// String is "" without a time: the help names no default then.
func (f *sinceFlag) String() string {
	if f.IsZero() {
		return ""
	}
	return f.Format(time.RFC3339)
}

func (f *sinceFlag) Set(text string) error {
	var ago ageFlag
	if ago.Set(text) == nil {
		f.Time = time.Now().Add(-time.Duration(ago))
		return nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return errors.New("give how long ago (90m, 12h, 3d), or a time as in RFC 3339 (2026-01-05T10:00:00Z)")
	}
	if at.After(time.Now()) {
		return errors.New("that time is still to come")
	}
	f.Time = at
	return nil
}

// typeForm is what a notification type looks like. Which ones there are is Nylas's.
var typeForm = regexp.MustCompile(`^[a-z0-9_]+(\.[a-z0-9_]+)*$`)

// typeFlagHelp is the help of a flag --type that may be repeated.
const typeFlagHelp = "only this notification type and its suffixed forms: message.created, message; repeat it for more"

// checkTypes refuses what no notification type begins with.
func checkTypes(types []string) error {
	for _, typ := range types {
		if !typeForm.MatchString(typ) {
			return usagef("--type takes a notification type or its beginning, whole words between dots, and %q is none. Give message.created, or message for all of them", typ)
		}
	}
	return nil
}

func (o replayOptions) order() (spilled.Order, error) {
	if o.max < 0 {
		return spilled.Order{}, usagef("--max is a number from 1; 0 is no limit")
	}
	if err := checkTypes(o.types); err != nil {
		return spilled.Order{}, err
	}
	return spilled.Order{Since: o.since.Time, Types: o.types, Max: o.max, PerSecond: o.rate}, nil
}

func runSpillReplay(ctx context.Context, s streams, o replayOptions) error {
	order, err := o.order()
	if err != nil {
		return err
	}
	f, err := o.find(ctx)
	if err != nil {
		return err
	}
	store := f.spilled()
	if o.dryRun {
		return o.dry(ctx, s, store, order)
	}
	question := fmt.Sprintf("This puts spilled notifications of stage %s onto the queue, from which its consumer gets them. To see them first: --dry-run", o.stage)
	if err := o.ask(ctx, s, f, question); err != nil {
		return err
	}
	told := newProgress(s)
	result, err := store.Replay(ctx, order, func(r spilled.Result) { told.tellf("replayed %d%s", r.Replayed, besides(r)) })
	if err != nil {
		s.stderrf("Before it ended, %d were replayed, and %d more are on the queue and still in the bucket. The rest is where it was.", result.Replayed, result.Duplicated)
		return deployment.Explain(err)
	}
	if o.json {
		if err := s.json(map[string]any{"stage": o.stage, "result": result}); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(s.out, "%d replayed%s\n", result.Replayed, besides(result))
	}
	if err := o.settle(ctx, s, store, told); err != nil {
		return err
	}
	return s.tellRefused(result)
}

// besides counts what the filters left out, for the end of a sentence.
func besides(r spilled.Result) string {
	if r.LeftOut == 0 {
		return ""
	}
	return fmt.Sprintf(", %d left out by --since or --type", r.LeftOut)
}

// settle removes the notices of what was replayed, and says whether something waits still:
// left out, refused, beyond --max, or spilled meanwhile.
func (o replayOptions) settle(ctx context.Context, s streams, store spilled.Store, told *progress) error {
	settled, err := store.Settle(ctx, func(n int) { told.tellf("removed %d notices of what was replayed", n) })
	if err != nil {
		s.stderrf("What was replayed is on the queue. Its notices could not be removed, so the alarm SpillWaiting may stay. Run the command again.")
		return deployment.Explain(err)
	}
	if settled.Waits {
		s.stderrf("More is waiting in the bucket. The alarm SpillWaiting stays until all of it is replayed: hookctl spill ls --stage %s", o.stage)
	}
	return nil
}

// tellRefused says what could not be read or was not taken, and makes the command end
// with the exit code for that.
func (s streams) tellRefused(r spilled.Result) error {
	if r.Refused == 0 {
		return nil
	}
	s.stderrf("%d could not be replayed and stay in the bucket. The first: %s", r.Refused, r.Why)
	return errNotSo
}

// dry lists what would be sent.
func (o replayOptions) dry(ctx context.Context, s streams, store spilled.Store, order spilled.Order) error {
	told := newProgress(s)
	entries, result, err := store.Preview(ctx, order, func(looked int) { told.tellf("looked at %d", looked) })
	if err != nil {
		return deployment.Explain(err)
	}
	if o.json {
		err = s.json(map[string]any{
			"stage": o.stage, "dry_run": true, "would_replay": len(entries), "left_out": result.LeftOut, "refused": result.Refused, "objects": entries,
		})
	} else if err = printEntries(s, entries); err == nil {
		_, err = fmt.Fprintf(s.out, "would replay %d%s; nothing was changed\n", len(entries), besides(result))
	}
	if err != nil {
		return fmt.Errorf("print the list: %w", err)
	}
	return s.tellRefused(result)
}

func printEntries(s streams, entries []spilled.Entry) error {
	table := newTable(s.out)
	if len(entries) > 0 {
		table.row("REQUEST", "TYPE", "NOTIFICATION", "SPILLED", "BYTES")
	}
	for _, e := range entries {
		table.row(e.RequestID, e.Type, e.NotificationID, short(time.Since(e.SpilledAt))+" ago", strconv.FormatInt(e.Bytes, 10))
	}
	return table.end()
}
