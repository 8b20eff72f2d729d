package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/spf13/cobra"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/archived"
	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/deployment"
)

type againOptions struct {
	target
	copies
	consent
	since, until sinceFlag
	id           string
	perSecond    int
	dryRun       bool
}

func newReplay(s streams) *cobra.Command {
	var o againOptions
	cmd := &cobra.Command{
		Use:   "replay",
		Short: "Send what the CRM already had to the queue again, from the archive",
		Long: `replay sends copies of what arrived in a time to the queue again, for a CRM that has
lost it or did the wrong thing with it. It needs a stage that keeps an archive
(the stage's ArchiveDays).

Each message has the attribute replay_id. Package consumer and hookworker handle it
again, although they know the notification, and once for each replay: what is sent
twice with the same id is handled once. So an interrupted replay is done again with the
same --id. A consumer of your own has to know the attribute, or it drops the messages
as duplicates.

Messages come in the order of arrival, nearly. What is replayed is older than what the
CRM has meanwhile: use it where the CRM can tell.

--since and --until are times of arrival, or how long ago: 2026-11-24T22:30:00Z, 90m, 12h,
3d. At a protected stage it asks first; --yes answers for a script.`,
		Example: `  hookctl replay --stage prod --since 2026-11-24T22:00:00Z --until 2026-11-24T23:30:00Z --dry-run
  hookctl replay --stage prod --since 2d --grant 3f1e… --type message.created --rate 50 --yes`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.perSecond < 0 || o.perSecond == 0 && cmd.Flags().Changed("rate") {
				return usagef("--rate is a number from 1")
			}
			return runReplay(cmd.Context(), s, o)
		},
	}
	o.target.flags(cmd)
	o.copies.flags(cmd)
	o.consent.flag(cmd)
	cmd.Flags().Var(&o.since, "since", "what arrived since then")
	cmd.Flags().Var(&o.until, "until", "and before then (default: now)")
	cmd.Flags().StringVar(&o.id, "id", "", "the replay's id, to go on with one that was interrupted (default: a new one)")
	cmd.Flags().IntVar(&o.perSecond, "rate", 0, "send no more than this many a second")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "count what would be sent, by type, and send nothing")
	return cmd
}

// replayIDs are what a replay's id may be: it becomes an attribute, a part of the key of
// the consumer's store, and of a header.
var replayIDs = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)

// newReplayID returns an id of eight characters: short enough to type, and no message
// gets longer by it than it was with its delivery attempt.
func newReplayID() string { return strings.ToLower(rand.Text()[:8]) }

func (o *againOptions) order() (archived.Order, error) {
	filter, err := o.filter()
	if err != nil {
		return archived.Order{}, err
	}
	// Whole milliseconds, as a copy's name has them and as [againOptions.again] writes them.
	filter.Since, filter.Until = o.since.Time.UTC().Truncate(time.Millisecond), o.until.Time.UTC().Truncate(time.Millisecond)
	if filter.Since.IsZero() {
		return archived.Order{}, usagef("--since is missing: from when on is it to be sent again?")
	}
	if filter.Until.IsZero() {
		filter.Until = time.Now().UTC().Truncate(time.Millisecond).Add(time.Millisecond) // with this one
	}
	if !filter.Since.Before(filter.Until) {
		return archived.Order{}, usagef("--since %s is not before --until %s", moment(filter.Since), moment(filter.Until))
	}
	id := cmp.Or(o.id, newReplayID())
	if !replayIDs.MatchString(id) {
		return archived.Order{}, usagef("--id takes up to 64 small letters, digits and dashes")
	}
	return archived.Order{Filter: filter, ID: id, Rate: o.perSecond}, nil
}

func runReplay(ctx context.Context, s streams, o againOptions) error {
	order, err := o.order()
	if err != nil {
		return err
	}
	f, err := o.find(ctx)
	if err != nil {
		return err
	}
	archive, err := f.archive()
	if err != nil {
		return err
	}
	told := newProgress(s)
	chosen := chosenCopies{ByType: map[string]int{}}
	err = archive.List(ctx, order.Filter, func(c archived.Copy) bool {
		chosen.add(c)
		told.tellf("found %d, up to %s", chosen.Copies, moment(c.ReceivedAt))
		return true
	})
	if err != nil {
		return deployment.Explain(err)
	}
	if o.dryRun {
		return o.tellChosen(s, order, chosen)
	}
	if chosen.Copies > 0 {
		question := fmt.Sprintf("This sends %d notifications to the queue of stage %s again, as replay %s. The CRM handles them once more.", chosen.Copies, o.stage, order.ID)
		if err := o.ask(ctx, s, f, question); err != nil {
			return err
		}
		// Said before it begins, as nobody can say it after a crash.
		s.stderrf("Sending %d as replay %s. If this ends early, go on with\n  %s", chosen.Copies, order.ID, o.again(order))
	}
	result, err := archive.Replay(ctx, sqs.NewFromConfig(f.aws), f.QueueURL, order, func(r archived.Result) {
		told.tellf("sent %d of %d", r.Sent, chosen.Copies)
	})
	if err != nil {
		s.stderrf("Before it ended, %d of %d were sent. Go on with this; what was sent is handled once all the same:\n  %s", result.Sent, chosen.Copies, o.again(order))
		return deployment.Explain(err)
	}
	if o.json {
		err = s.json(map[string]any{"stage": o.stage, "replay_id": order.ID, "since": order.Since, "until": order.Until, "result": result})
	} else {
		_, err = fmt.Fprintf(s.out, "%d sent as replay %s\n", result.Sent, order.ID)
	}
	if err != nil {
		return err
	}
	if result.Gone > 0 {
		s.stderrf("%d were found and had expired before they were read.", result.Gone)
	}
	if result.Refused > 0 {
		s.stderrf("%d could not be sent. The first: %s", result.Refused, result.Why)
		return errNotSo
	}
	return nil
}

// again is the command that goes on with a replay, with the times as they were.
func (o *againOptions) again(order archived.Order) string {
	line := fmt.Sprintf("hookctl replay --stage %s --since %s --until %s --id %s", o.stage, moment(order.Since), moment(order.Until), order.ID)
	if o.grant != "" {
		line += " --grant " + shellQuoted(o.grant)
	}
	for _, typ := range o.types {
		line += " --type " + typ
	}
	if o.perSecond > 0 {
		line += " --rate " + strconv.Itoa(o.perSecond)
	}
	return line
}

// moment writes a time as --since and --until read it, to the millisecond.
func moment(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000Z") }

// chosenCopies is what a replay would send.
type chosenCopies struct {
	Copies int            `json:"copies"`
	ByType map[string]int `json:"by_type"`
	First  time.Time      `json:"first,omitzero"`
	Last   time.Time      `json:"last,omitzero"`
}

func (c *chosenCopies) add(one archived.Copy) {
	if c.Copies == 0 {
		c.First = one.ReceivedAt
	}
	c.Copies++
	c.ByType[one.Type]++
	c.Last = one.ReceivedAt
}

func (o *againOptions) tellChosen(s streams, order archived.Order, c chosenCopies) error {
	if o.json {
		return s.json(map[string]any{"stage": o.stage, "since": order.Since, "until": order.Until, "would_send": c})
	}
	table := newTable(s.out)
	if c.Copies > 0 {
		table.row("TYPE", "NOTIFICATIONS")
	}
	for _, typ := range slices.Sorted(maps.Keys(c.ByType)) {
		table.row(typ, strconv.Itoa(c.ByType[typ]))
	}
	if err := table.end(); err != nil {
		return err
	}
	if c.Copies == 0 {
		s.stderrf("The archive has nothing of this time and choice.")
		return nil
	}
	s.stderrf("%d would be sent, received from %s to %s. Nothing was sent.", c.Copies, moment(c.First), moment(c.Last))
	return nil
}
