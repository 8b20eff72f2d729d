package consumer

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

// works takes the message through work as a poll does.
func (p *parts) works(m *message) {
	w, err := p.gate.join(m)
	p.work(m, w, err)
}

func TestWhatBecomesOfAMessage(t *testing.T) {
	gone := errors.New("gone")
	for name, c := range map[string]struct {
		answers []error // of the handler, the last again and again
		change  func(*parts, *message)
		events  []Kind
		deleted bool
		hidden  []time.Duration // half of it to all of it, by the jitter; nil: not by us
		calls   int
	}{
		"handled":            {answers: []error{nil}, events: []Kind{Handled}, deleted: true, calls: 1},
		"failed":             {answers: []error{gone}, events: []Kind{Held, Failed}, hidden: []time.Duration{10 * time.Second}, calls: 1},
		"failed, once more":  {answers: []error{gone}, change: func(_ *parts, m *message) { m.receives = 3 }, events: []Kind{Held, Failed}, hidden: []time.Duration{40 * time.Second}, calls: 1},
		"at the second try":  {answers: []error{Unavailable(gone, 0), nil}, events: []Kind{Held, Handled}, deleted: true, calls: 2},
		"rejected":           {answers: []error{Reject(gone)}, events: []Kind{Failed}, hidden: []time.Duration{10 * time.Second}, calls: 1},
		"unreadable":         {change: func(_ *parts, m *message) { clear(m.strings) }, events: []Kind{Unreadable}, hidden: []time.Duration{10 * time.Second}},
		"a smoke test":       {change: func(_ *parts, m *message) { m.strings[notification.AttrType] = notification.SmokeTestType }, events: []Kind{SmokeTest}, deleted: true},
		"no room to wait":    {answers: []error{gone}, change: func(p *parts, _ *message) { p.gate.held = maxHeld }, events: []Kind{Released}, hidden: []time.Duration{15 * time.Minute}, calls: 1},
		"no room, again":     {answers: []error{gone}, change: func(p *parts, m *message) { p.gate.held, m.receives = maxHeld, 3 }, events: []Kind{Released}, hidden: []time.Duration{time.Hour}, calls: 1},
		"the stop before it": {change: func(p *parts, _ *message) { p.stop(nil) }, events: []Kind{Released}, hidden: []time.Duration{0}},
		"kept long enough":   {change: func(_ *parts, m *message) { m.keepUntil = time.Now() }, events: []Kind{Released}, hidden: []time.Duration{0}},
		"broken off": {answers: []error{gone}, change: func(p *parts, _ *message) {
			p.config.Handler = func(context.Context, notification.Notification) error { p.abort(); return gone }
		}, events: []Kind{Released}, hidden: []time.Duration{0}},
		"broken off, and unavailable": {change: func(p *parts, _ *message) {
			p.config.Handler = func(context.Context, notification.Notification) error { p.abort(); return Unavailable(gone, 0) }
		}, events: []Kind{Released}, hidden: []time.Duration{0}},
		"broken off, and done all the same": {change: func(p *parts, _ *message) {
			p.config.Handler = func(context.Context, notification.Notification) error { p.abort(); return nil }
		}, events: []Kind{Handled}, deleted: true},
		"a second time, and the stop": {change: func(p *parts, m *message) {
			m.tries = 1
			p.stop(nil)
		}, events: []Kind{Released}, hidden: []time.Duration{10 * time.Second}},
		"blamed before its next attempt": {change: func(_ *parts, m *message) {
			m.tries, m.failing = 1, &failing{plain: true, event: Event{Err: gone}}
		}, events: []Kind{Failed}, hidden: []time.Duration{10 * time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				p := newParts(t, Config{Handler: func(context.Context, notification.Notification) error {
					calls++
					return c.answers[min(calls, len(c.answers))-1]
				}})
				var hidden []int32
				p.sqs.hide = func(ctx context.Context, in *sqs.ChangeMessageVisibilityInput) error {
					if !within(ctx, 10*time.Second) || *in.ReceiptHandle != "n" || *in.QueueUrl != p.config.QueueURL {
						t.Errorf("hidden with %+v", in)
					}
					hidden = append(hidden, in.VisibilityTimeout)
					return nil
				}
				m := p.got(t, "n")
				held := 0
				if c.change != nil {
					c.change(p, m)
					held = p.gate.held
				}
				p.works(m)
				if kinds := p.told(); !slices.Equal(kinds, c.events) || calls != c.calls {
					t.Errorf("told of %v after %d calls", kinds, calls)
				}
				if deleted := len(p.deletes) == 1; deleted != c.deleted || m.finished != c.deleted || p.gate.finishing != len(p.deletes) {
					t.Errorf("to be deleted: %v; finished: %v, %d", deleted, m.finished, p.gate.finishing)
				}
				if c.deleted {
					p.drop(<-p.deletes)
				}
				p.ended(t, m)
				if p.gate.held != held || p.running.Load() != 0 {
					t.Errorf("%d held, %d at work", p.gate.held, p.running.Load())
				}
				if len(hidden) != len(c.hidden) {
					t.Fatalf("hidden for %v", hidden)
				}
				for i, d := range c.hidden {
					if got := time.Duration(hidden[i]) * time.Second; got < d/2 || got > d {
						t.Errorf("hidden for %s, want %s to %s", got, d/2, d)
					}
				}
			})
		})
	}
}

// Where the stop comes with the turn, the message is given back, not tried.
func TestNothingBeginsAfterTheStop(t *testing.T) {
	for range 100 {
		p := newParts(t, Config{Handler: func(context.Context, notification.Notification) error {
			t.Error("handled after the stop")
			return nil
		}})
		m := p.got(t, "n")
		w := p.gate.waits(t, m)
		p.stop(context.Canceled)
		p.work(m, w, nil)
		if e := p.only(t, Released); !errors.Is(e.Err, context.Canceled) || e.MessageID != "n" || e.Receives != 1 {
			t.Fatalf("%+v", e)
		}
		p.ended(t, m)
	}
}

// While another attempt at the same notification goes on, the wait for it doubles, and is
// never longer than its lease.
func TestWaitsForTheOtherAttempt(t *testing.T) {
	for name, c := range map[string]struct {
		lease time.Duration
		waits []time.Duration // each, at most; half of it at least
	}{
		"long":  {time.Hour, []time.Duration{1, 2, 4, 8, 10, 10}},
		"short": {1500 * time.Millisecond, []time.Duration{1, 1, 1}},
		"over":  {0, []time.Duration{1, 1, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &seenStore{claim: Claim{State: InProgress}}
				if name == "long" {
					store.claim.Until = time.Now().Add(c.lease)
				}
				p := newParts(t, Config{Store: &claiming{store, c.lease, len(c.waits)}})
				p.works(p.got(t, "n"))
				if kinds := p.told(); !slices.Equal(kinds, []Kind{Handled}) {
					t.Errorf("told of %v", kinds)
				}
				for i, d := range c.waits {
					got, most := store.times[i+1].Sub(store.times[i]), d*time.Second
					if name == "short" {
						most = min(c.lease, doubled(busyMin, busyMax, i))
					}
					if got < most/2 || got > most {
						t.Errorf("the wait %d took %s, want %s at most", i+1, got, most)
					}
				}
			})
		})
	}
}

// claiming says that another attempt is in progress for lease more, so many times.
type claiming struct {
	*seenStore
	lease time.Duration
	times int
}

func (s *claiming) Begin(ctx context.Context, id, owner string, until time.Time) (Claim, error) {
	claim, err := s.seenStore.Begin(ctx, id, owner, until)
	if s.times--; s.times < 0 {
		return Claim{State: Claimed}, err
	}
	claim.Until = time.Now().Add(s.lease)
	return claim, err
}

func TestWhatAnAttemptSaysOfTheSystem(t *testing.T) {
	failed := errors.New("failed")
	for name, c := range map[string]struct {
		answer       error
		change       func(*parts, *message)
		ok, bad, ask bool
	}{
		"handled":           {answer: nil, ok: true},
		"rejected":          {answer: Reject(failed), ok: true},
		"unavailable":       {answer: Unavailable(failed, 0), bad: true},
		"unavailable again": {answer: Unavailable(failed, 0), change: func(_ *parts, m *message) { m.tries = 1 }, bad: true},
		"busy":              {answer: Unavailable(failed, 1), ask: true},
		"failed":            {answer: failed, bad: true},
		"failed again":      {answer: failed, change: func(_ *parts, m *message) { m.tries = 1 }},
		"failed, as at its last receive, perhaps": {answer: failed, change: func(_ *parts, m *message) { m.receives = 2 }},
		"broken off":                 {answer: failed, change: func(p *parts, _ *message) { p.abort() }},
		"handled, though broken off": {answer: nil, change: func(p *parts, _ *message) { p.abort() }},
		"unreadable":                 {change: func(_ *parts, m *message) { clear(m.strings) }},
		"S3 does not answer":         {change: func(p *parts, m *message) { p.overflowed(m) }},
	} {
		t.Run(name, func(t *testing.T) {
			p := newParts(t, Config{Handler: answers(c.answer), S3: &fakeBucket{failures: 9}, Bucket: "b"})
			m := p.got(t, "n")
			if c.change != nil {
				c.change(p, m)
			}
			one := p.gate.begins(t, m)
			p.try(m, one)
			if ok, bad, ask := !p.gate.othersOK("").IsZero(), p.gate.failures == 1, p.gate.all.paused(); ok != c.ok || bad != c.bad || ask != c.ask {
				t.Errorf("the system has answered: %v, failed: %v, asked for a pause: %v", ok, bad, ask)
			}
			if p.running.Load() != 0 || p.gate.all.running != 0 {
				t.Errorf("%d and %d at work", p.running.Load(), p.gate.all.running)
			}
			_, fetches := p.gate.tries.between(time.Time{}, time.Now().Add(1), domainS3)
			if want := map[bool]int{true: 1}[name == "S3 does not answer"]; fetches.failed != want || fetches.ok != 0 {
				t.Errorf("fetches from S3: %+v", fetches)
			}
		})
	}
}

// overflowed makes the message one whose body is in S3.
func (p *parts) overflowed(m *message) {
	n := notification.Notification{Body: []byte("{\x00}"), ID: "n", ReceivedAt: time.Now()}
	wire, err := n.Encode()
	if err == nil {
		wire, err = wire.Overflow(notification.Pointer{Bucket: "b", Key: "overflow/k"})
	}
	if err != nil {
		panic(err)
	}
	m.body = wire.Body
	clear(m.strings)
	for name, a := range wire.Attributes {
		m.strings[name] = a.Value
	}
}

func TestPausesAreToldOf(t *testing.T) {
	p := newParts(t, Config{})
	why := errors.New("503")
	p.tell([]change{{Paused, "", 1}, {GrantPaused, "a", time.Minute}, {kind: GrantResumed, grant: "a"}, {kind: Resumed}}, why)
	want := []Event{{Kind: Paused, Delay: 1, Err: why}, {Kind: GrantPaused, GrantID: "a", Delay: time.Minute, Err: why}, {Kind: GrantResumed, GrantID: "a"}, {Kind: Resumed}}
	if !slices.Equal(p.events, want) {
		t.Errorf("%+v", p.events)
	}
}

func TestAMessageThatFailedWaitsHere(t *testing.T) {
	plain, unavailable := errors.New("gone"), Unavailable(errors.New("503"), 0)
	for name, c := range map[string]struct {
		err    error
		kind   Kind
		alone  int
		change func(*parts, *message)
		took   time.Duration // half of it to all of it
		asked  time.Duration // exactly
		over   bool
		events []Kind
		says   string // of the last
	}{
		"a quarter of the first pause": {err: unavailable, kind: Held, took: 2 * time.Second, events: []Kind{Held}},
		"longer, with none beside":     {err: unavailable, kind: Held, alone: 2, took: 8 * time.Second, events: []Kind{Held}},
		"up to the longest pause":      {err: unavailable, kind: Held, alone: 99, took: time.Minute, events: []Kind{Held}},
		"as long as it was asked to":   {err: Unavailable(plain, 3*time.Minute), kind: Held, asked: 3 * time.Minute, events: []Kind{Held}},
		"of a moment, too":             {err: Unavailable(plain, 1), kind: Held, took: 2 * time.Second, events: []Kind{Held}},
		"a plain failure":              {err: plain, kind: Failed, took: 2 * time.Second, events: []Kind{Held}},
		"it is another's":              {err: unavailable, kind: Held, change: func(_ *parts, m *message) { m.lost = true }, took: 2 * time.Second, over: true, events: []Kind{Held}},
		"until it must be given back":  {err: unavailable, kind: Held, alone: 99, change: func(_ *parts, m *message) { m.keepUntil = time.Now().Add(time.Second) }, asked: time.Second, over: true, events: []Kind{Held, Released}, says: errKept.Error()},
		"a plain failure, and the end": {err: plain, kind: Failed, alone: 99, change: func(_ *parts, m *message) { m.keepUntil = time.Now().Add(time.Second) }, asked: time.Second, over: true, events: []Kind{Held, Failed}, says: "gone"},
		"no room":                      {err: unavailable, kind: Held, change: func(p *parts, _ *message) { p.gate.held = maxHeld }, over: true, events: []Kind{Released}, says: errFull.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newParts(t, Config{PauseMin: 8 * time.Second})
				m := p.got(t, "n")
				m.alone = c.alone
				if c.change != nil {
					c.change(p, m)
				}
				keep, cancel := context.WithDeadlineCause(t.Context(), m.keepUntil, errKept)
				defer cancel()
				began, at := time.Now().Add(-time.Second), time.Now()
				e := Event{Kind: c.kind, MessageID: "n", Err: c.err}
				over := p.wait(keep, m, turn{began: began}, e)
				took := time.Since(at)
				if over != c.over || c.asked > 0 && took != c.asked || c.asked == 0 && (took < c.took/2 || took > c.took) {
					t.Errorf("over: %v, after %s", over, took)
				}
				if f := m.failing; m.tries != 1 || !f.began.Equal(began) || !f.at.Equal(at) || f.domain != "grant-1" || f.plain != (c.kind == Failed) || f.busy != (retryAfter(c.err) > 0) || f.event.Kind != c.kind {
					t.Errorf("%d tries, the last %+v", m.tries, f)
				}
				if here := p.inflight.count() == 1; here == c.over || m.held == c.over {
					t.Errorf("it is here: %v, held: %v", here, m.held)
				}
				last := p.events[len(p.events)-1]
				if kinds := p.told(); !slices.Equal(kinds, c.events) || !strings.Contains(last.Err.Error(), c.says) || last.MessageID != "n" {
					t.Errorf("told of %v, the last is %+v", kinds, last)
				}
			})
		})
	}
}

// A body that cannot be fetched is compared with those of other messages in S3.
func TestWhatAFailedFetchIsComparedWith(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newParts(t, Config{})
		for _, kind := range []Kind{Held, Failed} {
			m := p.got(t, "n")
			p.wait(t.Context(), m, turn{}, Event{Kind: kind, Err: errFetch})
			if f := m.failing; f.domain != domainS3 || f.plain || f.busy {
				t.Errorf("%+v", f)
			}
		}
	})
}

func TestWhomAMessageIsBlamedBy(t *testing.T) {
	for plain, says := range map[bool]string{true: "gone", false: "others get through, this notification does not: gone"} {
		p := newParts(t, Config{})
		m := p.got(t, "n")
		p.blame(m, &failing{plain: plain, event: Event{Kind: Held, MessageID: "n", Err: errors.New("gone")}})
		if e := p.only(t, Failed); e.Err.Error() != says || e.Delay < 5*time.Second || e.Delay > 10*time.Second || e.MessageID != "n" {
			t.Errorf("%+v", e)
		}
		p.ended(t, m)
	}
}

func TestAHandlerThatDoesNotReturn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newParts(t, Config{Concurrency: 2})
		for i := range 2 {
			m := p.got(t, "n")
			m.receives = 2
			one := p.gate.begins(t, m)
			p.running.Add(1)
			returned := make(chan error, 1)
			time.AfterFunc(time.Minute, func() { returned <- errors.New("late") })
			p.abandon(m, one, Event{Kind: Stuck, Err: &stuckError{time.Second, returned}})
			if e := p.only(t, Stuck); e.Delay < 10*time.Second || e.Delay > 20*time.Second {
				t.Errorf("hidden for %s", e.Delay)
			}
			if s := p.Status(); s.Stuck != i+1 || s.Running != i+1 || s.InFlight != 0 || p.gate.all.running != i+1 {
				t.Errorf("%+v, %d have a turn", s, p.gate.all.running)
			}
			if stopped := errors.Is(context.Cause(p.stopping), ErrStuck); stopped != (i == 1) {
				t.Errorf("%d of 2 handlers are stuck; it stops: %v", i+1, stopped)
			}
		}
		p.gate.sleep(time.Minute)
		if s := p.Status(); s.Stuck != 0 || s.Running != 0 || p.gate.all.running != 0 {
			t.Errorf("%+v, %d have a turn, and all have returned", s, p.gate.all.running)
		}
	})
}

// equivalent mutant: work: 0 -> 1
// equivalent mutant: abandon: 0 -> 1
// An attempt that says nothing asks for no pause; done does not read for how long.
