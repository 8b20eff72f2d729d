package demo

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/secret"
	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/sender"
	"github.com/onepagecrm/nylas-webhooks/notification"
	"github.com/onepagecrm/nylas-webhooks/notification/samples"
)

// What [Story] waits at most, where nothing is wrong.
const (
	// Patience: the receiver looks for a secret at most every 10 s; twice that, and
	// room for a busy machine.
	Patience = 30 * time.Second
	// Arrival: what was answered 200 is on the local engine's queue at once; this is
	// for a busy machine.
	Arrival = 20 * time.Second
)

// again is the time between two tries while a new secret is not known yet.
const again = 500 * time.Millisecond

// Story is one run of the demo. All fields but CRM are required.
type Story struct {
	Stage   string
	URL     string // for the result; Webhook sends
	Webhook Webhook
	Secrets Secrets
	Queue   Queue
	// CRM, if there is one, gets at the end what is on the queue.
	CRM CRM
	// Samples are the bodies to send, each under a new id.
	Samples []samples.Sample
	// Patience is how long a 503 to a signed notification is taken for "the new
	// secret is not known yet", Arrival how long the queue is looked at.
	Patience, Arrival time.Duration
	// Done is called after every step, Wait with a sentence when something takes
	// time.
	Done func(Step)
	Wait func(sentence string)
}

// delivery is one notification of this run.
type delivery struct {
	name      string
	body      []byte
	envelope  sender.Envelope
	signature notification.Signature
}

// run is the state of a Story while it is told.
type run struct {
	Story
	result  Result
	secret  string
	stored  bool // a secret was there before the run
	hurried bool // Patience was used up once; it will not help again
	sent    []delivery
	refused []delivery
}

// Run tells the story. The error is for what kept it from being told; what was told
// and went wrong is in the result.
func (s Story) Run(ctx context.Context) (Result, error) {
	r := run{Story: s, result: Result{Stage: s.Stage, Webhook: s.URL}}
	if err := r.prepare(ctx); err != nil {
		return r.result, err
	}
	for _, part := range []func(context.Context) error{
		r.challenge, r.beforeSecret, r.storeSecret, r.deliver, r.refusals, r.look, r.toCRM,
	} {
		if err := part(ctx); err != nil {
			return r.result, err
		}
	}
	return r.result, nil
}

func (r *run) prepare(ctx context.Context) error {
	stored, err := r.Secrets.Read(ctx)
	if err != nil {
		return err
	}
	r.secret, r.stored = stored.Current.Value, stored.Current.Value != ""
	if !r.stored {
		r.secret = secret.Random()
	}
	if err := notification.CheckSecret(r.secret); err != nil {
		return fmt.Errorf("the stored value of stage %s is %w. hookctl secret set --correct --stage %s", r.Stage, err, r.Stage)
	}
	for _, sample := range r.Samples {
		d, err := r.fresh(sample, r.secret)
		if err != nil {
			return err
		}
		r.sent = append(r.sent, d)
	}
	r.result.Sent = len(r.sent)
	return nil
}

func (r *run) fresh(sample samples.Sample, key string) (delivery, error) {
	body, _, err := sender.Fresh(sample.Body, "")
	if err != nil {
		return delivery{}, fmt.Errorf("sample %s: %w", sample.Name, err)
	}
	return delivery{sample.Name, body, sender.ReadEnvelope(body), notification.Sign(key, body)}, nil
}

func (r *run) step(step Step) {
	r.result.Steps = append(r.result.Steps, step)
	r.Done(step)
}

func (r *run) challenge(ctx context.Context) error {
	value := "hookctl-" + secret.Random()
	answer, err := r.Webhook.Challenge(ctx, value)
	if err != nil {
		return err
	}
	const echoed = "200, echoed"
	got := echoed
	if answer.Status != http.StatusOK || string(answer.Body) != value {
		got = fmt.Sprintf("%d, %d other bytes", answer.Status, len(answer.Body))
	}
	r.step(Step{Name: "challenge, as when a webhook is created", Expected: echoed, Got: got, OK: got == echoed})
	return nil
}

func (r *run) beforeSecret(ctx context.Context) error {
	const name = "a notification before a secret is stored"
	expected := status(http.StatusServiceUnavailable)
	if r.stored {
		r.step(Step{Name: name, Expected: expected, Got: "not shown: a secret is stored, from an earlier run", OK: true, Skipped: true})
		return nil
	}
	return r.post(ctx, name, r.sent[0], r.sent[0].signature.String(), http.StatusServiceUnavailable)
}

func (r *run) storeSecret(ctx context.Context) error {
	const name = "the webhook secret, as Nylas gives it"
	if r.stored {
		r.step(Step{Name: name, Expected: "stored", Got: "kept: one is stored", OK: true, Skipped: true})
		return nil
	}
	if err := r.Secrets.Put(ctx, r.secret); err != nil {
		return err
	}
	r.step(Step{Name: name, Expected: "stored", Got: "stored", OK: true})
	return nil
}

// deliver sends every sample until it is accepted, as Nylas would for a 503.
func (r *run) deliver(ctx context.Context) error {
	for _, d := range r.sent {
		answer, err := r.untilAccepted(ctx, d)
		if err != nil {
			return err
		}
		got := status(answer.Status)
		// The receiver accepts with an empty body. An engine that has lost the
		// function's code answers 200 for it, but not so.
		empty := len(answer.Body) == 0
		if !empty {
			got += fmt.Sprintf(", %d unexpected bytes", len(answer.Body))
		}
		r.step(Step{
			Name: d.name + ", signed", Expected: status(http.StatusOK), Got: got,
			OK: answer.Status == http.StatusOK && empty,
		})
	}
	return nil
}

func (r *run) untilAccepted(ctx context.Context, d delivery) (sender.Answer, error) {
	deadline := time.Now().Add(r.Patience)
	told := false
	for {
		answer, err := r.Webhook.Post(ctx, d.body, d.signature.String())
		if err != nil || answer.Status != http.StatusServiceUnavailable || r.hurried {
			return answer, err
		}
		if time.Now().After(deadline) {
			r.hurried = true
			return answer, nil
		}
		if !told {
			r.Wait("answered 503. The function looks for a new secret at most every 10 s, so it is sent again until then")
			told = true
		}
		select {
		case <-ctx.Done():
			return sender.Answer{}, ctx.Err()
		case <-time.After(again):
		}
	}
}

func (r *run) refusals(ctx context.Context) error {
	for _, refusal := range []struct {
		name     string
		key      string
		unsigned bool
		status   int
	}{
		// 503, not 401: it could be Nylas with a secret rotated a moment ago.
		{name: "a forged one, signed with a wrong secret", key: secret.Random(), status: http.StatusServiceUnavailable},
		{name: "an unsigned one", unsigned: true, status: http.StatusUnauthorized},
		{name: "one signed with Nylas's public mock key", key: notification.MockSecret, status: http.StatusUnauthorized},
	} {
		d, err := r.fresh(r.Samples[0], refusal.key)
		if err != nil {
			return err
		}
		r.refused = append(r.refused, d)
		signature := d.signature.String()
		if refusal.unsigned {
			signature = ""
		}
		if err := r.post(ctx, refusal.name, d, signature, refusal.status); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) post(ctx context.Context, name string, d delivery, signature string, expected int) error {
	answer, err := r.Webhook.Post(ctx, d.body, signature)
	if err != nil {
		return err
	}
	r.step(Step{Name: name, Expected: status(expected), Got: status(answer.Status), OK: answer.Status == expected})
	return nil
}

// toCRM shows the last part of the way: the queue's messages reach the CRM.
func (r *run) toCRM(ctx context.Context) error {
	if r.CRM == nil {
		return nil
	}
	want := make(map[string][]byte)
	for _, d := range r.sent {
		want[d.envelope.ID] = d.body
	}
	arrived, others, err := r.CRM.Deliver(ctx, want)
	if err != nil {
		return err
	}
	r.result.Others, r.result.CRM = max(r.result.Others, others), true
	form := fmt.Sprintf("%%d of %d, verified", len(want))
	r.step(Step{Name: "a stand-in CRM gets them from hookworker", Expected: fmt.Sprintf(form, len(want)), Got: fmt.Sprintf(form, arrived), OK: arrived == len(want)})
	return nil
}

func status(code int) string { return strconv.Itoa(code) }
