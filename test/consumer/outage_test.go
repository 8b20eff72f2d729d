package consumer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/onepagecrm/nylas-webhooks/consumer"
	"github.com/onepagecrm/nylas-webhooks/notification"
	"github.com/onepagecrm/nylas-webhooks/notification/samples"
)

// begin runs a consumer in this process, and returns how to stop it.
func begin(t *testing.T, c consumer.Config) (stop func()) {
	t.Helper()
	c.SQS, c.Logger = sqs.NewFromConfig(worker(t).AWS), slog.New(slog.DiscardHandler)
	instance, err := consumer.New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- instance.Run(ctx) }()
	return sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// TestTwoHoursOfOutage compresses two hours 360 times: the CRM is down for 20 s, and
// probes come every 60 s / 360, so that about as many are sent as in two hours. In
// the middle, the consumer is restarted, as a deployment does.
func TestTwoHoursOfOutage(t *testing.T) {
	const (
		messages = 10_000
		faster   = 360
		outage   = 2 * time.Hour / faster
	)
	q := newQueues(t)
	var notes []notification.Notification
	for i := range messages {
		notes = append(notes, note(fmt.Sprint(i)))
	}
	sent := send(t, q.url, notes...)

	var mu sync.Mutex
	got := map[string]int{}
	var up atomic.Bool
	var probes, handled atomic.Int32
	config := consumer.Config{
		QueueURL: q.url, Concurrency: 32,
		Visibility: 4 * time.Second, // the shortest: what is held must be extended, again and again
		PauseMin:   time.Second / faster, PauseMax: time.Minute / faster,
		RetryMin: time.Second, RetryMax: time.Second,
		Handler: func(_ context.Context, n notification.Notification) error {
			if !up.Load() {
				probes.Add(1)
				return consumer.Unavailable(errors.New("503"), 0)
			}
			handled.Add(1)
			mu.Lock()
			defer mu.Unlock()
			got[n.ID]++
			return nil
		},
	}
	stop := begin(t, config)
	defer func() { stop() }()
	time.Sleep(outage / 2)
	stop()
	stop = begin(t, config)
	time.Sleep(outage / 2)
	if n := probes.Load(); n < 100 {
		t.Errorf("%d probes: not an outage of two hours", n)
	}
	if left := depth(t, q.url); left != sent {
		t.Errorf("%d messages are on the queue during the outage", left)
	}
	up.Store(true)
	await(t, "the queue is empty", 5*time.Minute, func() bool { return depth(t, q.url) == 0 })
	stop()

	if n := depth(t, q.dead); n != 0 {
		t.Errorf("%d dead letters", n)
	}
	if len(got) != messages {
		t.Errorf("%d of %d were handled", len(got), messages)
	}
	if n := int(handled.Load()); n != sent {
		t.Errorf("%d handlings of %d messages", n, sent)
	}
	t.Logf("%d messages waited out %s with %d probes; %d dead letters", messages, outage, probes.Load(), depth(t, q.dead))
}

// TestSamplesInEveryEncoding sends the samples, and two bodies that SQS refuses as
// they are, through a real queue: the handler gets what was signed.
func TestSamplesInEveryEncoding(t *testing.T) {
	q := newQueues(t)
	want := map[string][]byte{"binary": {0, 1, 2, 0xff}, "empty": {}}
	for _, s := range append(samples.All(), samples.Compressed()) {
		want[s.Name] = s.Body
	}
	var notes []notification.Notification
	for name, body := range want {
		n := note(name)
		n.Body, n.Signature = body, notification.Sign(secret, body)
		notes = append(notes, n)
	}
	send(t, q.url, notes...)
	var mu sync.Mutex
	got := map[string][]byte{}
	stop := begin(t, consumer.Config{QueueURL: q.url,
		Secrets: func(context.Context) ([]string, error) { return []string{secret}, nil },
		Handler: func(_ context.Context, n notification.Notification) error {
			mu.Lock()
			defer mu.Unlock()
			got[n.ID] = n.Body
			return nil
		}})
	await(t, "the queue is empty", 20*time.Second, func() bool { return depth(t, q.url) == 0 })
	stop()
	if !maps.EqualFunc(got, want, func(a, b []byte) bool { return string(a) == string(b) }) {
		t.Errorf("%d of %d arrived as they were signed", len(got), len(want))
	}
}

// TestRejectedAndPoison: what is rejected is in the dead-letter queue at once and as
// it was, what fails five times by the redrive policy.
func TestRejectedAndPoison(t *testing.T) {
	q := newQueues(t)
	rejected, poison := note("rejected"), note("poison")
	send(t, q.url, rejected, poison)
	var tries atomic.Int32
	stop := begin(t, consumer.Config{QueueURL: q.url, DeadLetterQueueURL: q.dead, RetryMin: time.Second, RetryMax: time.Second,
		Handler: func(_ context.Context, n notification.Notification) error {
			if n.ID == "rejected" {
				return consumer.Reject(errors.New("422"))
			}
			tries.Add(1)
			panic("no such field")
		}})
	await(t, "both are dead letters", 30*time.Second, func() bool { return depth(t, q.dead) == 2 })
	stop()
	if n := tries.Load(); n != 5 {
		t.Errorf("poison was tried %d times", n)
	}
	if n := depth(t, q.url); n != 0 {
		t.Errorf("%d are left", n)
	}
	out, err := queues.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &q.dead, MaxNumberOfMessages: 10,
		MessageAttributeNames: []string{"All"}, MessageSystemAttributeNames: []sqstypes.MessageSystemAttributeName{"All"}})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]notification.Notification{"rejected": rejected, "poison": poison}
	for _, m := range out.Messages {
		attributes := map[string]string{}
		for name, a := range m.MessageAttributes {
			attributes[name] = aws.ToString(a.StringValue)
		}
		n, err := notification.Decode(*m.Body, attributes)
		if err != nil {
			t.Fatal(err)
		}
		w := want[n.ID]
		delete(want, n.ID)
		if string(n.Body) != string(w.Body) || n.Signature != w.Signature || n.RequestID != w.RequestID || m.Attributes["MessageGroupId"] != w.GrantID {
			t.Errorf("dead letter %+v, %v", n, m.Attributes)
		}
	}
	if len(want) != 0 {
		t.Errorf("not among the dead letters: %v", want)
	}
}
