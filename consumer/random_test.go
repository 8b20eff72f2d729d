package consumer

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

var (
	randomScenarios = flag.Int("scenarios", 100, "how many random scenarios TestRandomScenarios runs")
	firstSeed       = flag.Uint64("seed", 1, "the seed of its first")
)

// mortal is the queue of a process that can die: from then on it reaches nobody.
type mortal struct {
	*fakeQueue
	dead atomic.Bool
}

var errDied = errors.New("the process has died")

func (m *mortal) ReceiveMessage(ctx context.Context, in *sqs.ReceiveMessageInput, o ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	if m.dead.Load() {
		return nil, errDied
	}
	return m.fakeQueue.ReceiveMessage(ctx, in, o...)
}

func (m *mortal) DeleteMessageBatch(ctx context.Context, in *sqs.DeleteMessageBatchInput, o ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error) {
	if m.dead.Load() {
		return nil, errDied
	}
	return m.fakeQueue.DeleteMessageBatch(ctx, in, o...)
}

func (m *mortal) ChangeMessageVisibility(ctx context.Context, in *sqs.ChangeMessageVisibilityInput, o ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityOutput, error) {
	if m.dead.Load() {
		return nil, errDied
	}
	return m.fakeQueue.ChangeMessageVisibility(ctx, in, o...)
}

func (m *mortal) ChangeMessageVisibilityBatch(ctx context.Context, in *sqs.ChangeMessageVisibilityBatchInput, o ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityBatchOutput, error) {
	if m.dead.Load() {
		return nil, errDied
	}
	return m.fakeQueue.ChangeMessageVisibilityBatch(ctx, in, o...)
}

// plan is one random scenario.
type plan struct {
	messages, grants, replicas, concurrency int
	spread                                  time.Duration // over which they arrive
	latency                                 time.Duration
	badShare                                float64
	badPlain                                bool // the bad fail with plain errors
	rules                                   []rule
	calm                                    bool      // nothing but bad ones disturbs
	end                                     time.Time // of all that disturbs
	restarts                                []time.Duration
	says                                    []string
}

func randomPlan(r *rand.Rand, now time.Time) plan {
	between := func(low, high time.Duration) time.Duration { return low + time.Duration(r.Int64N(int64(high-low)+1)) }
	chance := func(p float64) bool { return r.Float64() < p }
	p := plan{
		messages: 20 + r.IntN(300), grants: 1 + r.IntN(10), replicas: 1 + r.IntN(3), concurrency: 1 + r.IntN(20),
		latency: between(time.Millisecond, 500*time.Millisecond), calm: true, end: now,
	}
	disturb := func(until time.Time, format string, args ...any) {
		p.says = append(p.says, fmt.Sprintf(format, args...))
		p.calm = false
		if until.After(p.end) {
			p.end = until
		}
	}
	if chance(0.5) {
		p.spread = between(0, 15*time.Minute)
	}
	if chance(0.5) {
		p.badShare, p.badPlain = 0.2*r.Float64(), chance(0.3)
	}
	for range r.IntN(3) {
		from := now.Add(between(0, 10*time.Minute))
		until := from.Add(between(time.Second, 40*time.Minute))
		if chance(0.5) {
			disturb(until, "down from %s to %s", from.Sub(now), until.Sub(now))
			p.rules = append(p.rules, down(from, until, nil))
			continue
		}
		sick := fmt.Sprintf("grant-%d", r.IntN(p.grants))
		disturb(until, "%s down from %s to %s", sick, from.Sub(now), until.Sub(now))
		p.rules = append(p.rules, down(from, until, func(n notification.Notification) bool { return n.GrantID == sick }))
	}
	if chance(0.3) {
		share, until := 0.3*r.Float64(), now.Add(30*time.Minute)
		chance := rand.New(rand.NewPCG(r.Uint64(), 0)) //nolint:gosec // the system's own, which it uses under its lock
		disturb(until, "%.0f %% fail by chance", 100*share)
		p.rules = append(p.rules, func(notification.Notification, int) (error, bool) {
			return Unavailable(errUnavailable, 0), time.Now().Before(until) && chance.Float64() < share
		})
	}
	if chance(0.2) {
		most := 1 + r.IntN(10)
		disturb(now, "takes %d at once", most)
		p.rules = append(p.rules, atOnce(most))
	}
	if chance(0.2) {
		rate := 1 + 9*r.Float64()
		disturb(now.Add(p.spread+time.Duration(float64(p.messages)/rate*float64(time.Second))), "%.1f a second", rate)
		p.rules = append(p.rules, perSecond(rate, time.Second))
	}
	for range r.IntN(3) {
		if chance(0.4) {
			at := between(0, 20*time.Minute)
			disturb(now.Add(at+time.Minute), "restart at %s", at)
			p.restarts = append(p.restarts, at)
		}
	}
	return p
}

// settle is how long after the last disturbance the last good notification may be
// taken: the longest pause twice, the longest hide of a receive, and what a dead process
// had (Visibility). Each bad one may add a minute: where all fails, one is tried at a time.
const settle = 10 * time.Minute

func TestRandomScenarios(t *testing.T) {
	for i := range *randomScenarios {
		seed := *firstSeed + uint64(i)
		synctest.Test(t, func(t *testing.T) { runPlan(t, seed) })
		if t.Failed() {
			return
		}
	}
}

func runPlan(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // a scenario that can be repeated
	p := randomPlan(r, time.Now())
	w := newWorld(t, p.latency, p.rules...)
	w.system.rules = append([]rule{func(n notification.Notification, _ int) (error, bool) {
		if p.badPlain {
			return errors.New("cannot be read"), n.Type == bad
		}
		return Unavailable(errors.New("500"), 0), n.Type == bad
	}}, w.system.rules...)
	store := NewMemoryStore()
	config := Config{Concurrency: p.concurrency, Store: store, Handler: w.system.handle}
	queues := make([]*mortal, p.replicas)
	for i := range queues {
		queues[i] = &mortal{fakeQueue: w.queue}
		w.runOn(queues[i], config)
	}
	good := 0
	over, stop := context.WithCancel(t.Context())
	var restarting sync.WaitGroup
	which := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a scenario that can be repeated
	restarting.Go(func() {
		slices.Sort(p.restarts)
		for _, at := range p.restarts {
			pause(over, time.Until(w.begin.Add(at)))
			if over.Err() != nil {
				return
			}
			i := which.IntN(len(queues))
			queues[i].dead.Store(true)
			queues[i] = &mortal{fakeQueue: w.queue}
			w.runOn(queues[i], config)
		}
	})
	for range p.messages {
		w.backlog(1, func(_ int, n *notification.Notification) {
			n.GrantID = fmt.Sprintf("grant-%d", r.IntN(p.grants))
			if r.Float64() < p.badShare {
				n.Type = bad
			} else {
				good++
			}
		})
		if p.spread > 0 {
			time.Sleep(p.spread / time.Duration(p.messages))
		}
	}
	problem := func(format string, args ...any) {
		t.Errorf("seed %d: %s; %d messages of %d grants over %s, %d × %d handlers, %s each, %.0f %% bad (plain: %v), %s",
			seed, fmt.Sprintf(format, args...), p.messages, p.grants, p.spread, p.replicas, p.concurrency, p.latency, 100*p.badShare, p.badPlain, strings.Join(p.says, ", "))
	}
	begin := time.Now() // all have arrived
	if p.end.After(begin) {
		begin = p.end
	}
	work := time.Duration(p.messages) * p.latency // by one handler, each once
	for w.system.count() < good && time.Since(begin) < settle+2*work+time.Duration(p.messages-good)*time.Minute {
		time.Sleep(time.Second)
	}
	if n := w.system.count(); n < good {
		if testing.Verbose() {
			panic(fmt.Sprint("stalled seed ", seed, " ", w.missing(), p.says, p.badPlain, p.replicas, p.concurrency, p.latency))
		}
		problem("%d of %d good taken %s after the last disturbance: %s", n, good, time.Since(begin), w.missing())
	}
	if n := w.deadGood(); n > 0 {
		problem("%d dead letters that would have been taken", n)
	}
	// A free handler is never idle while a message waits: twice the work of each message
	// tried once, and some seconds to begin, to grow and for the retries at the end.
	ideal := work/time.Duration(p.replicas*p.concurrency) + p.latency
	if took := w.system.lastTaken().Sub(w.begin); p.calm && p.badShare == 0 && p.spread == 0 && took > 2*ideal+5*time.Second {
		problem("took %s, ideal is %s", took, ideal)
	}
	stop()
	restarting.Wait()
	w.stop()
	for id, n := range w.system.taken {
		if n > 1 && len(p.restarts) == 0 {
			problem("%s was handled %d times", id, n)
		}
	}
}

// missing says where the good are that were not taken.
func (w *world) missing() string {
	var says []string
	for _, m := range w.queue.Messages() {
		id := m.Wire.Attributes[notification.AttrNotificationID].Value
		if m.Wire.Attributes[notification.AttrType].Value != bad && w.system.taken[id] == 0 {
			says = append(says, fmt.Sprintf("%s received %d times, hidden for %s", m.ID, len(m.Received), time.Until(m.Visible)))
		}
	}
	for _, b := range w.benches {
		says = append(says, fmt.Sprintf("%+v", b.consumer.Status()))
	}
	return strings.Join(says, "; ")
}
