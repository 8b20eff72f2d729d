package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/spf13/cobra"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/deadletters"
	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/deployment"
)

const lookingSays = `SQS shows a message only to who receives it. So every message that hookctl looks at is
hidden from others until hookctl ends, for 5 minutes at most, and its receive count goes
up by one. That moves nothing: the dead-letter queue has no dead-letter queue of its own.
Messages that somebody else has received (SQS calls them in flight) are not shown:
what lists, exports or redrives says about how many, and ends with exit code 1.`

func newDLQ(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dlq",
		Short: "Look at the dead letters, send them back, export or purge them",
		Long: `dlq works on the stage's dead-letter queue: notifications that the consumer received
five times and never deleted. SQS keeps them for 14 days from when they were first
sent, or rejected by the consumer.

` + lookingSays,
		Args: commandsOnly,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newDLQList(s), newDLQShow(s), newDLQRedrive(s), newDLQExport(s), newDLQPurge(s))
	return cmd
}

// selection are the flags that choose among the dead letters.
type selection struct {
	typ, grant   string
	older, newer ageFlag
	max          int
}

func (o *selection) flags(cmd *cobra.Command, most int, what string) {
	flags := cmd.Flags()
	flags.StringVar(&o.typ, "type", "", "only this notification type and its suffixed forms: message.created, message")
	flags.StringVar(&o.grant, "grant", "", "only this grant's")
	flags.Var(&o.older, "older-than", "only what was first sent longer ago: 90m, 12h, 3d")
	flags.Var(&o.newer, "newer-than", "only what was first sent since then: 90m, 12h, 3d")
	flags.IntVar(&o.max, "max", most, what)
}

func (o *selection) filter() (deadletters.Filter, error) {
	if o.max < 0 {
		return deadletters.Filter{}, usagef("--max is a number from 1; 0 is no limit")
	}
	f := deadletters.Filter{Type: o.typ, GrantID: o.grant}
	now := time.Now()
	if o.older > 0 {
		f.SentBefore = now.Add(-time.Duration(o.older))
	}
	if o.newer > 0 {
		f.SentAfter = now.Add(-time.Duration(o.newer))
	}
	return f, nil
}

// ageFlag is a flag's value: a duration that may also be in days.
type ageFlag time.Duration

func (a *ageFlag) Type() string { return "age" }

// String is "" without an age: the help names no default then.
func (a *ageFlag) String() string {
	if *a == 0 {
		return ""
	}
	return short(time.Duration(*a))
}

func (a *ageFlag) Set(text string) error {
	d, err := time.ParseDuration(text)
	if days, ok := strings.CutSuffix(text, "d"); ok {
		var n float64
		n, err = strconv.ParseFloat(days, 64)
		d = time.Duration(n * float64(24*time.Hour))
	}
	if err != nil || d <= 0 {
		return errors.New("give a time like 90m, 12h or 3d")
	}
	*a = ageFlag(d)
	return nil
}

// short writes a duration for people: one unit, the largest that fits twice.
func short(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	case d >= 2*time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d >= 2*time.Minute:
		return fmt.Sprintf("%dm", d/time.Minute)
	default:
		return fmt.Sprintf("%ds", d/time.Second)
	}
}

// deadLetters finds the stage's dead-letter queue and what SQS says about it.
func (t *target) deadLetters(ctx context.Context) (deadletters.Queue, deadletters.State, error) {
	f, err := t.find(ctx)
	if err != nil {
		return deadletters.Queue{}, deadletters.State{}, err
	}
	return f.deadLetters(ctx)
}

func (f found) deadLetters(ctx context.Context) (deadletters.Queue, deadletters.State, error) {
	q := deadletters.Queue{API: sqs.NewFromConfig(f.aws), URL: f.DeadLetterQueueURL, MainURL: f.QueueURL, MainARN: f.QueueARN}
	state, err := q.State(ctx)
	return q, state, deployment.Explain(err)
}

// bucket is where the bodies are that are too large for a message.
func (f found) bucket() deadletters.Bucket {
	return deadletters.Bucket{API: f.s3(), Name: f.BucketName}
}

// tellUnseen says that a look was not complete, and makes the command end with the exit
// code for that.
func (s streams) tellUnseen(unseen int, stage string) error {
	if unseen == 0 {
		return nil
	}
	s.stderrf("About %d dead letters are missing here: somebody else has received them (they are in flight), and SQS shows them to nobody else. That ends when they are given back, or with their visibility timeout (%s for hookctl). Then run this again. SQS's counts are approximate and may be a minute old: hookctl dlq ls --stage %s", unseen, deadletters.Hold, stage)
	return errNotSo
}

// listEntry is a dead letter without what people wrote.
type listEntry struct {
	MessageID      string    `json:"message_id"`
	NotificationID string    `json:"notification_id"`
	Type           string    `json:"type"`
	GrantID        string    `json:"grant_id"`
	SentAt         time.Time `json:"sent_at"`
	ExpiresAt      time.Time `json:"expires_at"`
	Receives       int       `json:"receives"`
	Bytes          int       `json:"bytes"` // as it is on the queue
}

func newEntry(l deadletters.Letter, state deadletters.State) listEntry {
	return listEntry{
		MessageID: l.MessageID, NotificationID: l.ID(), Type: l.Type(), GrantID: l.GrantID(),
		SentAt: l.SentAt, ExpiresAt: l.SentAt.Add(state.Retention), Receives: l.Receives, Bytes: len(l.Body),
	}
}

func newDLQList(s streams) *cobra.Command {
	var t target
	var o selection
	cmd := &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List dead letters, without their contents",
		Long: `ls lists the dead letters: ids, type, grant, when they were first
sent and when SQS deletes them, never what is in them.

` + lookingSays,
		Example: `  hookctl dlq ls --stage prod
  hookctl dlq ls --stage prod --type message --older-than 3d
  hookctl dlq ls --stage prod --json | jq -r '.letters[].grant_id' | sort | uniq -c`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runDLQList(cmd.Context(), s, t, o) },
	}
	t.flags(cmd)
	o.flags(cmd, 1000, "list no more than this many (0: all)")
	return cmd
}

func runDLQList(ctx context.Context, s streams, t target, o selection) error {
	filter, err := o.filter()
	if err != nil {
		return err
	}
	q, state, err := t.deadLetters(ctx)
	if err != nil {
		return err
	}
	l, err := list(ctx, s, q, state, filter, o.max)
	if err != nil {
		return deployment.Explain(err)
	}
	if t.json {
		err = s.json(map[string]any{
			"stage": t.stage, "queue": q.Name(), "approximately_visible": state.Visible, "approximately_held_by_others": state.Held,
			"letters": l.entries, "more": l.more, "approximately_not_seen": l.unseen,
		})
	} else {
		err = l.print(s, q, state)
	}
	if err != nil {
		return fmt.Errorf("print the list: %w", err)
	}
	return s.tellUnseen(l.unseen, t.stage)
}

// listing is what a look came to.
type listing struct {
	entries []listEntry
	more    bool // there are more than were asked for
	unseen  int  // about how many somebody else has received
}

// list looks at the queue and returns what the filter selects.
func list(ctx context.Context, s streams, q deadletters.Queue, state deadletters.State, filter deadletters.Filter, most int) (listing, error) {
	s.stderrf("While hookctl looks, the messages are hidden from others. The receive count of each goes up by one.")
	told, looked := newProgress(s), 0
	l := listing{entries: []listEntry{}} // not null in JSON
	var err error
	l.unseen, err = q.Look(ctx, state, func(letter deadletters.Letter) bool {
		looked++
		told.tellf("looked at %d of about %d", looked, state.Visible)
		if !filter.Match(letter) {
			return true
		}
		if l.more = most > 0 && len(l.entries) == most; l.more {
			return false
		}
		l.entries = append(l.entries, newEntry(letter, state))
		return true
	})
	return l, err
}

func (l listing) print(s streams, q deadletters.Queue, state deadletters.State) error {
	table := newTable(s.out)
	if len(l.entries) > 0 {
		table.row("MESSAGE", "TYPE", "NOTIFICATION", "GRANT", "SENT", "EXPIRES", "RECEIVED", "BYTES")
	}
	now := time.Now()
	for _, e := range l.entries {
		table.row(e.MessageID, e.Type, e.NotificationID, e.GrantID,
			short(now.Sub(e.SentAt))+" ago", "in "+short(e.ExpiresAt.Sub(now)), times(e.Receives), strconv.Itoa(e.Bytes))
	}
	if err := table.end(); err != nil {
		return err
	}
	shown := fmt.Sprintf("%d shown", len(l.entries))
	if l.more {
		shown += ", there are more (--max)"
	}
	s.stderrf("%s. SQS counts about %d visible and %d in flight in %s.", shown, state.Visible, state.Held, q.Name())
	return nil
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}
