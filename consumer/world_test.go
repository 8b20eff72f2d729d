package consumer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/onepagecrm/nylas-webhooks/consumer/consumertest"
	"github.com/onepagecrm/nylas-webhooks/notification"
)

// world is a queue, a system behind, and consumers between, on the clock of a synctest
// bubble.
type world struct {
	t       *testing.T
	queue   *fakeQueue
	system  *system
	benches []*bench
	begin   time.Time
	sent    int
}

// system is what notifications are delivered to. It answers by rules, the first that
// has an opinion decides; none: it takes the notification.
type system struct {
	latency time.Duration
	rules   []rule

	mu     sync.Mutex
	busy   int // calls at once
	calls  int
	taken  map[string]int
	last   time.Time // when the last good one was taken
	lagged time.Duration
}

// rule is one opinion of the system about a call. Busy is how many run, it included.
type rule func(n notification.Notification, busy int) (err error, known bool)

var errUnavailable = errors.New("503 Service Unavailable")

func (s *system) handle(ctx context.Context, n notification.Notification) error {
	s.mu.Lock()
	s.busy++
	s.calls++
	var err error
	for _, rule := range s.rules {
		if opinion, known := rule(n, s.busy); known {
			err = opinion
			break
		}
	}
	s.mu.Unlock()
	var slow *slowError
	switch {
	case errors.As(err, &slow):
		pause(ctx, slow.d)
		err = slow.err
	default:
		time.Sleep(s.latency)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy--
	if err == nil {
		s.taken[n.ID]++
		if s.taken[n.ID] == 1 {
			s.last = time.Now()
			s.lagged = max(s.lagged, time.Since(n.ReceivedAt))
		}
	}
	return err
}

// slowError is an answer that takes its time.
type slowError struct {
	d   time.Duration
	err error
}

func (e *slowError) Error() string { return "slow" }

func (s *system) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.taken)
}

// lag is the age of the oldest notification when it was taken.
func (s *system) lag() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lagged.Round(time.Millisecond)
}

// lastTaken is when the last good one was taken.
func (s *system) lastTaken() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// tried is how often a handler was called.
func (s *system) tried() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

func newWorld(t *testing.T, latency time.Duration, rules ...rule) *world {
	return &world{t: t, queue: newFakeQueue(t), begin: time.Now(),
		system: &system{latency: latency, rules: rules, taken: map[string]int{}}}
}

// bad is what a system never takes, with any answer.
const bad = "bad"

// never refuses the notifications of type bad.
func never(n notification.Notification, _ int) (error, bool) {
	return Unavailable(errors.New("500 Internal Server Error"), 0), n.Type == bad
}

// byChance fails with that probability.
func byChance(p float64) rule {
	return func(notification.Notification, int) (error, bool) {
		return Unavailable(errUnavailable, 0), rand.Float64() < p //nolint:gosec // a scenario, no secret
	}
}

// atOnce takes so many at once and refuses more, immediately.
func atOnce(most int) rule {
	return func(_ notification.Notification, busy int) (error, bool) {
		return &slowError{0, Unavailable(errUnavailable, 0)}, busy > most
	}
}

// perSecond is a token bucket of one second.
func perSecond(rate float64, retryAfter time.Duration) rule {
	tokens, last := rate, time.Now()
	return func(notification.Notification, int) (error, bool) {
		now := time.Now()
		tokens, last = min(rate, tokens+now.Sub(last).Seconds()*rate), now
		if tokens < 1 {
			return Unavailable(errors.New("429 Too Many Requests"), retryAfter), true
		}
		tokens--
		return nil, true
	}
}

// down is an outage of those for whom it is down.
func down(from, until time.Time, whom func(notification.Notification) bool) rule {
	return func(n notification.Notification, _ int) (error, bool) {
		now := time.Now()
		return Unavailable(errUnavailable, 0), !now.Before(from) && now.Before(until) && (whom == nil || whom(n))
	}
}

// awayUntil is an S3 that answers 503 until then.
type awayUntil struct {
	until time.Time
	w     *world
}

func (s awayUntil) GetObject(_ context.Context, in *s3.GetObjectInput, _ ...func(*s3.Options)) (*s3.GetObjectOutput, error) {
	if time.Now().Before(s.until) {
		return nil, errors.New("slow down")
	}
	n := note(strings.TrimPrefix(*in.Key, "overflow/"))
	n.Body = append(n.Body, 0)
	wire, err := n.Encode()
	return &s3.GetObjectOutput{Body: io.NopCloser(strings.NewReader(wire.Body))}, err
}

// slowStore takes 20 ms for each call.
type slowStore struct{ Store }

func (s slowStore) Begin(ctx context.Context, id, owner string, until time.Time) (Claim, error) {
	time.Sleep(20 * time.Millisecond)
	return s.Store.Begin(ctx, id, owner, until)
}

func (s slowStore) Extend(ctx context.Context, id, owner string, until time.Time) error {
	time.Sleep(20 * time.Millisecond)
	return s.Store.Extend(ctx, id, owner, until)
}

// run starts a consumer. Each call is one more replica.
func (w *world) run(c Config) *bench { return w.runOn(w.queue, c) }

func (w *world) runOn(client SQSAPI, c Config) *bench {
	b := &bench{t: w.t, queue: w.queue, ended: make(chan error, 1)}
	c.SQS, c.QueueURL, c.Logger = client, consumertest.URL, slog.New(slog.DiscardHandler)
	if c.Handler == nil {
		c.Handler = w.system.handle
	}
	c.Observe = func(e Event) {
		b.mu.Lock()
		defer b.mu.Unlock()
		if e.Kind != Held && e.Kind != Handled { // there are many
			b.events = append(b.events, e)
		}
	}
	consumer, err := New(c)
	if err != nil {
		w.t.Fatal(err)
	}
	b.consumer = consumer
	var ctx context.Context
	ctx, b.cancel = context.WithCancel(w.t.Context())
	go func() { b.ended <- consumer.Run(ctx) }()
	w.benches = append(w.benches, b)
	return b
}

// stop stops all consumers that run.
func (w *world) stop() {
	for _, b := range w.benches {
		b.cancel()
	}
	for _, b := range w.benches {
		if err := <-b.ended; err != nil {
			w.t.Errorf("Run: %v", err)
		}
	}
	w.benches = nil
}

// backlog puts n notifications on the queue, changed by change.
func (w *world) backlog(n int, change func(i int, n *notification.Notification)) {
	for i := range n {
		one := note(fmt.Sprint(w.sent))
		w.sent++
		if change != nil {
			change(i, &one)
		}
		w.queue.send(one)
	}
}

// steady sends rate notifications a second for d.
func (w *world) steady(rate int, d time.Duration, change func(i int, n *notification.Notification)) {
	for i := range int(d.Seconds()) * rate {
		w.backlog(1, func(_ int, n *notification.Notification) {
			if change != nil {
				change(i, n)
			}
		})
		time.Sleep(time.Second / time.Duration(rate))
	}
}

// until waits until so many were taken, at most for d, and returns the time since the
// beginning.
func (w *world) until(taken int, d time.Duration) time.Duration {
	for end := time.Now().Add(d); w.system.count() < taken && time.Now().Before(end); {
		time.Sleep(50 * time.Millisecond)
	}
	return w.system.lastTaken().Sub(w.begin)
}

// gone waits until the queue is empty, at most for d.
func (w *world) gone(d time.Duration) time.Duration {
	begin := time.Now()
	for time.Since(begin) < d && w.queue.Left() > 0 {
		time.Sleep(time.Second)
	}
	return time.Since(begin)
}

// deadGood is how many dead letters the system would have taken.
func (w *world) deadGood() (n int) {
	for _, m := range w.queue.Messages() {
		if m.Dead && m.Wire.Attributes[notification.AttrType].Value != bad {
			n++
		}
	}
	return n
}
