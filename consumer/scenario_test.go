package consumer

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
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

// result is what a scenario measured.
type measured struct {
	share float64 // of the ideal; 1 is all
	dead  int     // dead letters that the system would have taken
	note  string
}

// scenario is one row of the table.
type scenario struct {
	name, ideal string
	run         func(w *world) measured // in a bubble
	least       float64                 // share that a test asks for; the table says what is reached
}

func everyNth(n int, typ string) func(int, *notification.Notification) {
	return func(i int, one *notification.Notification) {
		if n > 0 && i%n == n/2 {
			one.Type = typ
		}
	}
}

func inSeconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

// timed is the share of a scenario whose ideal is a time.
func timed(w *world, taken int, ideal, limit time.Duration) measured {
	took := w.until(taken, limit)
	if w.system.count() < taken {
		return measured{share: 0, dead: w.deadGood(), note: fmt.Sprintf("%d of %d after %s", w.system.count(), taken, limit)}
	}
	return measured{share: ideal.Seconds() / took.Seconds(), dead: w.deadGood(), note: inSeconds(took)}
}

func backlogWithBad(percent int) scenario {
	const messages, latency = 5000, 50 * time.Millisecond
	return scenario{
		name: fmt.Sprintf("backlog of 5,000, %d %% always refused", percent), ideal: "one try each: 25 s", least: 0.7,
		run: func(w *world) measured {
			w.system.latency, w.system.rules = latency, []rule{never}
			every := 100 / percent
			w.backlog(messages, everyNth(every, bad))
			w.run(Config{})
			return timed(w, messages-messages/every, messages*latency/10, time.Hour)
		},
	}
}

// refusedFirst is a burst of bad messages in front of good ones, of which more come, one
// a second.
func refusedFirst(n int) scenario {
	return scenario{
		name: fmt.Sprintf("%d always refused, then 200 good", n), ideal: "the good in 1 s; the bad in 5 receives", least: 0.01,
		run: func(w *world) measured {
			w.system.latency, w.system.rules = 50*time.Millisecond, []rule{never}
			w.backlog(n, everyNth(1, bad))
			w.run(Config{})
			w.backlog(200, nil)
			m := timed(w, 200, time.Second, time.Hour)
			begin := time.Now()
			for w.queue.deadLetters() < n && time.Since(begin) < 2*time.Hour {
				w.steady(1, time.Minute, nil)
			}
			m.note += fmt.Sprintf("; %d of the bad dead letters after %s", w.queue.deadLetters(), time.Since(begin).Round(time.Minute))
			return m
		},
	}
}

// firstTryFails is a backlog of which so many of each thousand fail at their first try.
func firstTryFails(perMille int) scenario {
	const messages, latency = 5000, 50 * time.Millisecond
	return scenario{
		name: fmt.Sprintf("%d of each 1,000 fail once, in one burst", perMille), ideal: "200 tries a second", least: 0.2,
		run: func(w *world) measured {
			failed := map[string]bool{}
			w.system.latency = latency
			w.system.rules = []rule{func(n notification.Notification, _ int) (error, bool) {
				first := n.Type == bad && !failed[n.ID]
				failed[n.ID] = true
				return Unavailable(errUnavailable, 0), first
			}}
			w.backlog(messages, func(i int, n *notification.Notification) {
				if i%1000 < perMille {
					n.Type = bad
				}
			})
			w.run(Config{})
			m := timed(w, messages, messages*latency/10, time.Hour)
			m.dead = w.queue.deadLetters()
			return m
		},
	}
}

func hiccups(percent, messages int) scenario {
	const latency = 50 * time.Millisecond
	least := 0.7
	if percent >= 20 {
		least = 0.25 // one that fails six times in a row, in every fifth run, is hidden for 10 s and 20 s
	}
	return scenario{
		name: fmt.Sprintf("%d %% random 503", percent), ideal: "200 tries a second", least: least,
		run: func(w *world) measured {
			p := float64(percent) / 100
			w.system.latency, w.system.rules = latency, []rule{byChance(p)}
			w.backlog(messages, nil)
			w.run(Config{})
			return timed(w, messages, time.Duration(float64(messages)/(1-p))*latency/10, time.Hour)
		},
	}
}

// quickHandlers are as quick as SQS lets them be.
func quickHandlers(deletesTake time.Duration, rate int, because string) scenario {
	const messages = 20_000
	return scenario{
		name:  fmt.Sprintf("20,000, handlers of 1 ms, concurrency 200, deletes of %s", deletesTake+10*time.Millisecond),
		ideal: fmt.Sprintf("%d a second: %s", rate, because), least: 0.2,
		run: func(w *world) measured {
			w.system.latency, w.queue.slow = time.Millisecond, deletesTake
			w.backlog(messages, nil)
			w.run(Config{Concurrency: 200})
			m := timed(w, messages, time.Duration(messages/rate)*time.Second, time.Hour)
			w.gone(time.Minute)
			m.note += fmt.Sprintf(", %d in flight at most", w.queue.MostInFlight())
			return m
		},
	}
}

func capacity(most int) scenario {
	const messages, latency = 1000, 50 * time.Millisecond
	return scenario{
		name: fmt.Sprintf("takes %d at once, concurrency 10", most), ideal: "always so many at once", least: 0.6,
		run: func(w *world) measured {
			w.system.latency, w.system.rules = latency, []rule{atOnce(most)}
			w.backlog(messages, nil)
			w.run(Config{})
			return timed(w, messages, time.Duration(messages)*latency/time.Duration(most), time.Hour)
		},
	}
}

func rateLimit(rate float64) scenario {
	const messages = 600
	return scenario{
		name: fmt.Sprintf("three workers, the system allows %g a second and says Retry-After: 1", rate), ideal: "all that it allows", least: 0.8,
		run: func(w *world) measured {
			w.system.latency, w.system.rules = 50*time.Millisecond, []rule{perSecond(rate, time.Second)}
			w.backlog(messages, nil)
			for range 3 {
				w.run(Config{})
			}
			return timed(w, messages, time.Duration(messages/rate*float64(time.Second)), 3*time.Hour)
		},
	}
}

// steadyBad is steady traffic of which some is always refused, for d.
func steadyBad(rate, percent int, d time.Duration) scenario {
	return scenario{
		name: fmt.Sprintf("%d a second, %d %% always refused, for %s", rate, percent, d), ideal: "every good one at once", least: 0.99,
		run: func(w *world) measured {
			w.system.latency, w.system.rules = 50*time.Millisecond, []rule{never}
			w.run(Config{})
			every := 100 / percent
			w.steady(rate, d, everyNth(every, bad))
			sent := int(d.Seconds()) * rate
			good := sent - sent/every
			time.Sleep(time.Second)
			return measured{share: float64(w.system.count()) / float64(good), dead: w.deadGood(),
				note: fmt.Sprintf("%d of %d good, the slowest after %s; %d bad waiting", w.system.count(), good, w.system.lag(), w.queue.Left())}
		},
	}
}

// shard is an outage of three of ten grants for an hour.
func shard(d time.Duration) scenario {
	return scenario{
		name: fmt.Sprintf("three of ten grants down for %s", d), ideal: "the healthy at full rate", least: 0.99,
		run: func(w *world) measured {
			sick := func(n notification.Notification) bool { return n.GrantID < "grant-3" }
			w.system.latency = 20 * time.Millisecond
			w.system.rules = []rule{down(w.begin, w.begin.Add(d), sick)}
			w.run(Config{})
			sent := 0
			w.steady(2, d, func(i int, n *notification.Notification) {
				if n.GrantID = fmt.Sprintf("grant-%d", i%10); !sick(*n) {
					sent++
				}
			})
			healthy := w.system.count()
			empty := w.gone(2 * time.Hour)
			return measured{share: float64(healthy) / float64(sent), dead: w.queue.deadLetters(),
				note: fmt.Sprintf("%d of %d; the rest %s after the end", healthy, sent, empty.Round(time.Second))}
		},
	}
}

func scenarios(long bool) []scenario {
	hours, hour, hiccup, outage := 5*time.Minute, 10*time.Minute, 3000, 2000
	if long {
		hours, hour, hiccup, outage = 3*time.Hour, time.Hour, 20_000, 10_000
	}
	all := []scenario{
		refusedFirst(20), refusedFirst(100),
		backlogWithBad(1), backlogWithBad(5), backlogWithBad(10), backlogWithBad(20),
		steadyBad(2, 10, hours), steadyBad(10, 5, hours),
		hiccups(1, hiccup), hiccups(5, hiccup), hiccups(20, hiccup), firstTryFails(65),
		quickHandlers(0, 8000, "80 received in 10 ms"), quickHandlers(990*time.Millisecond, 160, "160 deleted in 1 s"),
		capacity(9), capacity(3),
		rateLimit(1), rateLimit(2),
		shard(hour),
		{name: "ten jobs of 5 minutes, cold start", ideal: "5 minutes", least: 0.95, run: func(w *world) measured {
			w.system.latency = 5 * time.Minute
			w.backlog(10, nil)
			w.run(Config{HandlerTimeout: time.Hour})
			return timed(w, 10, 5*time.Minute, 2*time.Hour)
		}},
		{name: "S3 away for 3 minutes, 20 bodies there", ideal: "all, in 3 minutes", least: 0.5, run: func(w *world) measured {
			w.system.latency = 50 * time.Millisecond
			end := w.begin.Add(3 * time.Minute)
			for i := range 20 {
				n := note(fmt.Sprint(i))
				n.Body = append(n.Body, 0) // travels encoded, as what overflows does
				wire, err := n.Encode()
				if err == nil {
					wire, err = wire.Overflow(notification.Pointer{Bucket: "b", Key: "overflow/" + n.ID})
				}
				if err != nil {
					w.t.Fatal(err)
				}
				w.queue.SendWire(wire)
			}
			w.run(Config{Bucket: "b", S3: awayUntil{end, w}})
			return timed(w, 20, 3*time.Minute, time.Hour)
		}},
		{name: "1,000 handlers of 10 minutes, 20 ms for each call of the store", ideal: "each once", least: 0.95, run: func(w *world) measured {
			w.system.latency = 10 * time.Minute
			w.backlog(1000, nil)
			w.run(Config{Concurrency: 1000, HandlerTimeout: time.Hour, Store: slowStore{NewMemoryStore()}})
			m := timed(w, 1000, 10*time.Minute, 3*time.Hour)
			m.note += fmt.Sprintf(", %d calls of the handler", w.system.tried())
			if w.system.tried() > 1000 {
				m.share = 0 // some were cancelled
			}
			return m
		}},
		{name: "total outage of 2 hours", ideal: "no receive used", least: 0.5, run: func(w *world) measured {
			w.system.latency = 50 * time.Millisecond
			end := w.begin.Add(2 * time.Hour)
			w.system.rules = []rule{down(w.begin.Add(10*time.Second), end, nil)}
			w.backlog(outage, nil)
			w.run(Config{})
			m := timed(w, outage, 2*time.Hour+time.Duration(outage-2000)*5*time.Millisecond, 5*time.Hour)
			m.note += fmt.Sprintf(", received at most %d times", w.queue.mostReceives())
			return m
		}},
		{name: "a release that fails for an hour with plain errors", ideal: "no dead letter", least: 0.5, run: func(w *world) measured {
			w.system.latency = 50 * time.Millisecond
			end := w.begin.Add(time.Hour)
			w.system.rules = []rule{func(notification.Notification, int) (error, bool) {
				return errors.New("column does not exist"), time.Now().Before(end)
			}}
			w.backlog(1000, nil)
			w.run(Config{})
			m := timed(w, 1000, time.Hour, 3*time.Hour)
			m.note += fmt.Sprintf(", received at most %d times", w.queue.mostReceives())
			return m
		}},
		{name: "one of 50 grants answers after 20 s, with a timeout", ideal: "the others at once", least: 0.95, run: func(w *world) measured {
			w.system.latency = 50 * time.Millisecond
			w.system.rules = []rule{func(n notification.Notification, _ int) (error, bool) {
				return &slowError{20 * time.Second, Unavailable(errors.New("timeout"), 0)}, n.GrantID == "grant-0"
			}}
			w.run(Config{})
			w.steady(10, hour/6, func(i int, n *notification.Notification) { n.GrantID = fmt.Sprintf("grant-%d", i%50) })
			time.Sleep(time.Second)
			return measured{share: float64(w.system.count()) / (hour.Seconds() / 6 * 10 * 49 / 50), dead: w.queue.deadLetters(), note: fmt.Sprintf("the slowest after %s", w.system.lag())}
		}},
		{name: "one of 50 grants is limited to one in 10 s, Retry-After: 10", ideal: "the others at once", least: 0.95, run: func(w *world) measured {
			w.system.latency = 50 * time.Millisecond
			last := time.Time{}
			w.system.rules = []rule{func(n notification.Notification, busy int) (error, bool) {
				if n.GrantID != "grant-0" {
					return nil, false
				}
				if time.Since(last) < 10*time.Second {
					return Unavailable(errors.New("429"), 10*time.Second), true
				}
				last = time.Now()
				return nil, true
			}}
			w.run(Config{})
			others := 0
			w.steady(10, hour/6, func(i int, n *notification.Notification) {
				if n.GrantID = fmt.Sprintf("grant-%d", i%50); i%50 != 0 {
					others++
				}
			})
			time.Sleep(time.Second)
			w.system.mu.Lock()
			defer w.system.mu.Unlock()
			got := 0
			for i := range int(hour.Seconds() / 6 * 10) {
				if i%50 != 0 && w.system.taken[fmt.Sprint(i)] > 0 {
					got++
				}
			}
			return measured{share: float64(got) / float64(others), dead: w.queue.deadLetters(), note: fmt.Sprintf("%d of %d others", got, others)}
		}},
	}
	return all
}

var (
	repeat = flag.Int("repeat", 1, "how often TestScenarios runs each scenario, in its long version from 2 on")
	table  = flag.String("table", "", "the `file` between whose marks TestScenarios writes what was reached")
)

// TestScenarios is the short version of the table in docs/consumer.md, with wide margins;
// make bench-consumer runs the long one.
func TestScenarios(t *testing.T) {
	var rows strings.Builder
	for _, s := range scenarios(*repeat > 1) {
		t.Run(s.name, func(t *testing.T) {
			low, high, last := math.Inf(1), 0.0, measured{}
			for range *repeat {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, 0)
					last = s.run(w)
					w.stop()
				})
				low, high = min(low, last.share), max(high, last.share)
				if last.share < s.least || last.dead > 0 {
					t.Errorf("%.0f %% of the ideal, want %.0f at least; %s; %d dead letters that would have been taken", 100*last.share, 100*s.least, last.note, last.dead)
				}
			}
			t.Logf("%.0f to %.0f %% of the ideal; %s", 100*low, 100*high, last.note)
			fmt.Fprintf(&rows, "| %s | %s | %.0f to %.0f %% | %s |\n", s.name, s.ideal, math.Floor(100*low), math.Floor(100*high), last.note)
		})
	}
	if *table == "" || t.Failed() {
		return
	}
	text, err := os.ReadFile(*table)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- computed: make bench-consumer -->\n", "<!-- end -->"
	before, rest, found := strings.Cut(string(text), begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("%s has no lines %q and %q", *table, begin, end)
	}
	head := fmt.Sprintf("| scenario | ideal | reached, %d runs | the last run |\n| --- | --- | --- | --- |\n", *repeat)
	if err := os.WriteFile(*table, []byte(before+begin+head+rows.String()+end+after), 0o600); err != nil { //nolint:gosec // the file that the flag names
		t.Fatal(err)
	}
}
