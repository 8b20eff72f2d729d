package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/deployment"
	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/secret"
	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/sender"
	"github.com/onepagecrm/nylas-webhooks/internal/awserror"
	"github.com/onepagecrm/nylas-webhooks/notification"
	"github.com/onepagecrm/nylas-webhooks/notification/samples"
)

const (
	// prod is the stage whose consumer is the real CRM.
	prod = "prod"
	// listed is up to how many notifications get a line each; of more there is the
	// summary alone.
	listed = 20
	// underWay is how many requests wait for an answer at once at most: enough for 600
	// a second at the 100 ms that an answer takes.
	underWay = 64
)

type sendOptions struct {
	target
	file                          string
	count, rate, grants           int
	tamper, unsigned, wrongSecret bool
	sure                          typedName
	names                         []string
	countGiven, rateGiven         bool
}

func newSend(s streams) *cobra.Command {
	var o sendOptions
	cmd := &cobra.Command{
		Use:   "send [sample ...]",
		Short: "Send signed notifications to a stage, as Nylas would",
		Long: `send plays Nylas: it signs notifications with the stage's stored secret, sends them
to the deployed webhook, and says what was answered. Samples get a new id each
time, so that no consumer drops them as duplicates; a file goes as it is, byte for
byte, unless --count makes more than one of it.

--tamper, --unsigned and --wrong-secret send what must be refused, and expect 503,
401 and 503. What is sent properly reaches the stage's consumer: on prod, send asks
you to type the stage's name.

The exit code is 0 when every answer was the expected one, else 1.`,
		Example: `  hookctl send --stage dev message_created
  hookctl send --stage dev message_created grant_expired --json | jq -r .notifications[].id
  hookctl send --stage dev --file notification.json
  hookctl send --stage dev --count 5000 --rate 200 --grants 50
  hookctl send --stage dev message_created --tamper`,
		ValidArgs: sampleNames(),
		RunE: func(cmd *cobra.Command, names []string) error {
			o.names, o.countGiven, o.rateGiven = names, cmd.Flags().Changed("count"), cmd.Flags().Changed("rate")
			return runSend(cmd.Context(), s, o)
		},
	}
	o.flags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&o.file, "file", "", "send this file's bytes (- is standard input)")
	flags.IntVar(&o.count, "count", 1, "how many to send, the samples in turn")
	flags.IntVar(&o.rate, "rate", 0, "how many a second (default: as fast as they are answered)")
	flags.IntVar(&o.grants, "grants", 0, "spread them over this many made-up grants")
	flags.BoolVar(&o.tamper, "tamper", false, "add a byte after signing")
	flags.BoolVar(&o.unsigned, "unsigned", false, "leave the signature out")
	flags.BoolVar(&o.wrongSecret, "wrong-secret", false, "sign with another secret")
	o.sure.flag(cmd, "send", "the stage's name, instead of typing it (prod only)")
	return cmd
}

func sampleNames() []string {
	var names []string
	for _, sample := range samples.All() {
		names = append(names, sample.Name)
	}
	return names
}

// expected is the status that the status contract has for what is sent.
func (o sendOptions) expected() int {
	switch {
	case o.unsigned:
		return http.StatusUnauthorized
	case o.tamper, o.wrongSecret:
		return http.StatusServiceUnavailable
	default:
		return http.StatusOK
	}
}

func runSend(ctx context.Context, s streams, o sendOptions) error {
	bodies, err := o.read(s)
	if err != nil {
		return err
	}
	if !o.countGiven {
		o.count = len(bodies)
	}
	f, err := o.find(ctx)
	if err != nil {
		return err
	}
	if o.stage == prod && o.expected() == http.StatusOK {
		question := fmt.Sprintf("This sends %d made-up notifications to prod's consumer, the real CRM. To check prod without that: hookctl doctor --stage prod", o.count)
		if err := o.sure.ask(ctx, s, prod, question); err != nil {
			return err
		}
	}
	key, err := o.key(ctx, f)
	if err != nil {
		return err
	}
	return o.deliver(ctx, s, f, func(i int) (sender.Delivery, error) { return o.make(bodies, key, i) })
}

// read returns what to send: the file's bytes, or those of the samples named.
func (o sendOptions) read(s streams) ([][]byte, error) {
	switch {
	case o.count < 1 || o.rate < 0 || o.grants < 0 || o.rateGiven && o.rate == 0:
		return nil, usagef("--count, --rate and --grants are numbers from 1")
	case o.tamper && o.unsigned || o.tamper && o.wrongSecret || o.unsigned && o.wrongSecret:
		return nil, usagef("give one of --tamper, --unsigned and --wrong-secret")
	case o.file != "" && len(o.names) > 0:
		return nil, usagef("give samples or --file, not both")
	case o.file != "":
		body, err := readFile(s, o.file)
		if err != nil {
			return nil, err
		}
		if o.changes() {
			if _, _, err := sender.Fresh(body, o.grant(0)); err != nil {
				return nil, usagef("--count and --grants make other notifications of %s, which does not work: %w. Send it alone, as it is", o.file, err)
			}
		}
		return [][]byte{body}, nil
	case len(o.names) == 0 && !o.countGiven:
		return nil, usagef("name samples, or give --file or --count. The samples are %s", joined(sampleNames()))
	}
	names := o.names
	if len(names) == 0 {
		names = sampleNames()
	}
	var bodies [][]byte
	for _, name := range names {
		sample, err := samples.Get(name)
		if err != nil {
			return nil, usagef("%w", err)
		}
		bodies = append(bodies, sample.Body)
	}
	return bodies, nil
}

// key returns the secret to sign with.
func (o sendOptions) key(ctx context.Context, f found) (string, error) {
	if o.unsigned || o.wrongSecret {
		return secret.Random(), nil
	}
	stored, err := f.secrets().Read(ctx)
	if err != nil {
		return "", deployment.Explain(err)
	}
	if stored.Current.Value == "" {
		return "", fmt.Errorf("stage %s has no webhook secret stored, so nothing can be signed. Store the one that Nylas gave: hookctl secret set --stage %s", o.stage, o.stage)
	}
	if err := notification.CheckSecret(stored.Current.Value); err != nil {
		return "", fmt.Errorf("the stored value of stage %s is %w. The stage would accept what is signed with it, and refuse all that Nylas sends. Store the right one: hookctl secret set --correct --stage %s", o.stage, err, o.stage)
	}
	return stored.Current.Value, nil
}

// changes tells whether what is sent is made anew: all but a file that goes once, as it is.
func (o sendOptions) changes() bool { return o.file == "" || o.count > 1 || o.grants > 0 }

// grant is the made-up one of the i-th notification, "" for its own.
func (o sendOptions) grant(i int) string {
	if o.grants == 0 {
		return ""
	}
	return fmt.Sprintf("00000000-0000-4000-8000-%012d", i%o.grants)
}

// make returns the i-th notification to send.
func (o sendOptions) make(bodies [][]byte, key string, i int) (sender.Delivery, error) {
	body := bodies[i%len(bodies)]
	if o.changes() {
		fresh, _, err := sender.Fresh(body, o.grant(i))
		if err != nil {
			return sender.Delivery{}, fmt.Errorf("make another one of it: %w", err)
		}
		body = fresh
	}
	d := sender.Delivery{Envelope: sender.ReadEnvelope(body), Body: body}
	if !o.unsigned {
		d.Signature = notification.Sign(key, body).String()
	}
	if o.tamper {
		d.Body = append(slices.Clone(body), ' ') // still the same JSON, and not what was signed
	}
	return d, nil
}

// sent is one notification and what came of it.
type sent struct {
	ID           string `json:"id"`
	Type         string `json:"type"`
	GrantID      string `json:"grant_id"`
	Bytes        int    `json:"bytes"`
	Status       int    `json:"status"` // 0: no answer
	Milliseconds int64  `json:"milliseconds"`
	Problem      string `json:"problem,omitempty"` // why there was no answer of the receiver
}

// sendResult is what --json prints.
type sendResult struct {
	Stage      string         `json:"stage"`
	WebhookURL string         `json:"webhook_url"`
	Expected   int            `json:"expected_status"`
	Sent       int            `json:"sent"`
	Answers    map[string]int `json:"answers"` // by status, "none" and "not the receiver's 200" among them
	Seconds    float64        `json:"seconds"`
	// Latency is in milliseconds, of what was answered.
	Latency       map[string]int64 `json:"latency_ms,omitempty"`
	Notifications []sent           `json:"notifications"`
}

func (o sendOptions) deliver(ctx context.Context, s streams, f found, next func(int) (sender.Delivery, error)) error {
	result := sendResult{Stage: o.stage, WebhookURL: f.WebhookURL, Expected: o.expected(), Answers: map[string]int{}}
	parallel := underWay
	if o.count <= listed {
		parallel = 1 // the lines come in the order in which they were asked for
	}
	told, start := newProgress(s), time.Now()
	var last error
	err := sender.New(f.WebhookURL, parallel).Many(ctx, o.count, o.rate, parallel, next, func(d sender.Delivery, a sender.Answer, err error) {
		line := sent{ID: d.ID, Type: d.Type, GrantID: d.GrantID, Bytes: len(d.Body), Status: a.Status, Milliseconds: a.Took.Milliseconds()}
		answer := strconv.Itoa(a.Status)
		switch {
		case err != nil:
			last, answer, line.Problem = err, "none", awserror.Text(err)
		case a.Status == http.StatusOK && len(a.Body) > 0:
			// The receiver accepts without a word. A proxy's page is no yes, nor is what an
			// engine says that has lost the function's code.
			answer, line.Problem = "not the receiver's 200", fmt.Sprintf("%d bytes came with the 200", len(a.Body))
		}
		result.Answers[answer]++
		result.Notifications = append(result.Notifications, line)
		if o.count <= listed && !o.json {
			fmt.Fprintf(s.out, "%-4s  %-24s  %s  %d bytes  %d ms\n", answer, printable(d.Type), printable(d.ID), len(d.Body), line.Milliseconds)
		}
		told.tellf("%d of %d sent", len(result.Notifications), o.count)
	})
	result.Sent, result.Seconds = len(result.Notifications), time.Since(start).Seconds()
	result.Latency = latency(result.Notifications)
	if err != nil {
		if result.Sent > 0 {
			s.stderrf("Before it ended, %d of %d were sent.", result.Sent, o.count)
		}
		return err
	}
	if result.Answers["none"] == result.Sent && !errors.Is(last, sender.ErrTimeout) {
		return deployment.Explain(last)
	}
	return result.print(s, o.json)
}

func (r sendResult) print(s streams, asJSON bool) error {
	if asJSON {
		if err := s.json(r); err != nil {
			return fmt.Errorf("print the result: %w", err)
		}
	} else {
		if r.Sent > listed {
			fmt.Fprintf(s.out, "%d sent in %.1f s, %.0f a second; answered in %d ms (median), %d ms (99 %%), %d ms (slowest)\n",
				r.Sent, r.Seconds, float64(r.Sent)/r.Seconds, r.Latency["p50"], r.Latency["p99"], r.Latency["max"])
			for _, answer := range slices.Sorted(maps.Keys(r.Answers)) {
				fmt.Fprintf(s.out, "%-4s  %d\n", answer, r.Answers[answer])
			}
		}
		fmt.Fprintf(s.out, "Answered %d, as expected: %d of %d\n", r.Expected, r.Answers[strconv.Itoa(r.Expected)], r.Sent)
	}
	if r.Answers[strconv.Itoa(r.Expected)] != r.Sent {
		s.stderrf("To see why: hookctl tail --stage %s --since 5m", r.Stage)
		return errNotSo
	}
	return nil
}

// latency returns the 50th and 99th percentile and the largest of the answered.
func latency(all []sent) map[string]int64 {
	var took []int64
	for _, n := range all {
		if n.Status != 0 {
			took = append(took, n.Milliseconds)
		}
	}
	if len(took) == 0 {
		return nil
	}
	slices.Sort(took)
	at := func(percent int) int64 { return took[(len(took)-1)*percent/100] }
	return map[string]int64{"p50": at(50), "p99": at(99), "max": at(100)}
}
