package consumer

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/onepagecrm/nylas-webhooks/consumer/consumertest"
	"github.com/onepagecrm/nylas-webhooks/notification"
	"github.com/onepagecrm/nylas-webhooks/test/canary"
)

// bench is a consumer on a fake queue, and what happened.
type bench struct {
	t        *testing.T
	queue    *fakeQueue
	consumer *Consumer

	mu     sync.Mutex
	events []Event
	logged bytes.Buffer
	cancel context.CancelFunc
	ended  chan error
}

var secret = canary.New("secret")

// note is a signed notification with that id.
func note(id string) notification.Notification {
	body := fmt.Appendf(nil, `{"id":%q,"type":"message.created","data":{"object":{"subject":%q,"from":[{"email":"%s@example.com"}],"body":%q}}}`,
		id, canary.New("subject"), canary.New("address"), canary.New("body"))
	return notification.Notification{
		Body: body, ID: id, Type: "message.created", GrantID: "grant-1", Attempt: 1,
		ReceivedAt: time.Now(), Signature: notification.Sign(secret, body), RequestID: "request-1",
	}
}

// start runs a consumer in the current bubble.
func start(t *testing.T, q *fakeQueue, config Config) *bench {
	t.Helper()
	b := &bench{t: t, queue: q, ended: make(chan error, 1)}
	if config.SQS == nil {
		config.SQS = q
	}
	config.QueueURL = consumertest.URL
	config.Logger = slog.New(slog.NewJSONHandler(&lockedWriter{mu: &b.mu, to: &b.logged}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	config.Observe = func(e Event) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.events = append(b.events, e)
	}
	c, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	b.consumer = c
	var ctx context.Context
	ctx, b.cancel = context.WithCancel(t.Context())
	go func() { b.ended <- c.Run(ctx) }()
	return b
}

type lockedWriter struct {
	mu *sync.Mutex
	to *bytes.Buffer
}

func (w *lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(p)
}

// drained waits until the queue is empty, at most for d.
func (b *bench) drained(d time.Duration) {
	b.t.Helper()
	for end := time.Now().Add(d); b.queue.Left() > 0; time.Sleep(500 * time.Millisecond) {
		if time.Now().After(end) {
			b.t.Fatalf("%d messages are left after %s", b.queue.Left(), d)
		}
	}
}

// stop stops the consumer and returns Run's answer.
func (b *bench) stop() error {
	b.cancel()
	err := <-b.ended
	b.mu.Lock() // a stuck handler may still log
	defer b.mu.Unlock()
	if found := canary.Find(b.logged.Bytes()); len(found) > 0 {
		b.t.Errorf("the log holds %v", found)
	}
	return err
}

func (b *bench) count(kind Kind) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, e := range b.events {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

func (b *bench) first(kind Kind) Event {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.IndexFunc(b.events, func(e Event) bool { return e.Kind == kind })
	if i < 0 {
		b.t.Fatalf("no event %s in %v", kind, b.events)
	}
	return b.events[i]
}

func (b *bench) mustStop() {
	b.t.Helper()
	if err := b.stop(); err != nil {
		b.t.Errorf("Run: %v", err)
	}
}
