package consumer

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// breaker decides when a handler may be called and when a message may be received.
//
// Closed, everybody may. It opens with the first attempt that meets an unavailable
// system; then nobody may until the pause is over, and after it one at a time: the
// probe. A probe that gets through closes it; one that does not starts a longer
// pause. It is open at the start, with no pause: a process that starts during an
// outage takes one message from the queue, not as many as it has handlers.
//
// Messages that have met the unavailable system wait in line here and are not given
// back: receiving them again would use up their receives. The receive loop stands
// at the head of the line, so that the probe is a new message where there is one:
// if the same message were tried over and over, a message that the system can never
// take would hold up all the others.
type breaker struct {
	pauseMin, pauseMax time.Duration

	mu      sync.Mutex
	open    bool
	until   time.Time // end of the pause
	probing bool      // somebody has the probe
	failed  int       // probes that failed in a row
	opened  bool      // open because of a failure, not because it is the start
	proofs  int       // attempts that got through while closed or as the probe
	skipped bool      // the receive loop had its turn and found nothing
	line    []*waiter
	changed chan struct{} // closed when any of the above changes
}

type waiter struct{ receiver bool }

// leave is what the breaker hands out. A probe's leave is handed back by exactly
// one of available, unavailable, undecided and unused.
type leave struct{ probe bool }

func newBreaker(pauseMin, pauseMax time.Duration) *breaker {
	return &breaker{pauseMin: pauseMin, pauseMax: pauseMax, open: true, changed: make(chan struct{})}
}

// wait returns when its caller may go on, or with the context's error.
func (b *breaker) wait(ctx context.Context, receiver bool) (leave, error) {
	w := &waiter{receiver}
	b.mu.Lock()
	if !b.open {
		b.mu.Unlock()
		return leave{}, nil
	}
	b.line = append(b.line, w)
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		b.line = slices.DeleteFunc(b.line, func(other *waiter) bool { return other == w })
		b.broadcast()
		b.mu.Unlock()
	}()
	for {
		b.mu.Lock()
		l, ok := b.admit(w)
		pause, changed := time.Until(b.until), b.changed
		b.mu.Unlock()
		if ok {
			return l, nil
		}
		var over <-chan time.Time // nil, never, where it is not the pause we wait for
		if pause > 0 {
			over = time.After(pause)
		}
		select {
		case <-ctx.Done():
			return leave{}, context.Cause(ctx)
		case <-changed:
		case <-over:
		}
	}
}

// admit is called with the lock held.
func (b *breaker) admit(w *waiter) (leave, bool) {
	if !b.open {
		return leave{}, true
	}
	if b.probing || time.Now().Before(b.until) || b.next() != w {
		return leave{}, false
	}
	b.probing = true
	return leave{probe: true}, true
}

// next is who is first in line: the receive loop, unless it had its turn since the
// last probe and others wait; else who has waited longest.
func (b *breaker) next() *waiter {
	receiver := slices.IndexFunc(b.line, func(w *waiter) bool { return w.receiver })
	if receiver >= 0 && !b.skipped {
		return b.line[receiver]
	}
	for _, w := range b.line {
		if !w.receiver {
			return w
		}
	}
	return b.line[receiver]
}

// holds tells whether a leave still stands: the breaker may have opened since.
func (b *breaker) holds(l leave) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return l.probe || !b.open
}

// available: the attempt got through to the system, whatever came of it. It tells
// whether this ended an outage.
func (b *breaker) available(l leave) (resumed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open && !l.probe {
		return false // began before the outage: says nothing about now
	}
	resumed = b.open && b.opened
	b.open, b.opened, b.probing, b.failed = false, false, false, 0
	b.proofs++
	b.skipped = false
	b.broadcast()
	return resumed
}

// unavailable: the attempt met an unavailable system. It returns the length of the
// pause that this began, or 0 where one was on already.
func (b *breaker) unavailable(l leave, retryAfter time.Duration) (pause time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.broadcast()
	now := time.Now()
	if b.open && !l.probe {
		// Began before the outage. It can make the pause longer, not begin another.
		if asked := now.Add(retryAfter); asked.After(b.until) {
			b.until = asked
		}
		return 0
	}
	pause = max(jitter(doubled(b.pauseMin, b.pauseMax, b.failed)), retryAfter)
	b.until = now.Add(pause)
	b.failed++
	b.open, b.opened, b.probing, b.skipped = true, true, false, false
	return pause
}

// undecided: the attempt ended in a way that may have nothing to do with the system.
// At the start, that is good enough; in an outage, the next probe follows at once.
func (b *breaker) undecided(l leave) {
	if b.paused() {
		b.unused(l, false)
		return
	}
	b.available(l)
}

// unused: the probe's leave led to no attempt, so somebody else gets it at once.
func (b *breaker) unused(l leave, receiver bool) {
	if !l.probe {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probing = false
	b.skipped = b.skipped || receiver
	b.broadcast()
}

// proven counts the attempts that got through: whether it grew between two failures
// of one message tells whether the system was there in between.
func (b *breaker) proven() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.proofs
}

// paused tells whether an outage is on.
func (b *breaker) paused() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.opened
}

func (b *breaker) broadcast() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// maxSuspicion is how often a message may meet an unavailable system although
// others got through in between, before it is taken to be its own fault: once can
// be an outage that flickers, three times hardly.
const maxSuspicion = 3

// suspicion tells the message that the system cannot take from one that met an
// outage. The first would else be tried for ever.
type suspicion struct {
	met    bool // met an unavailable system
	proven int  // the breaker's proofs at that time
	count  int
}

// grows is called when the message met an unavailable system, with the breaker's
// proofs. It tells whether it is the message's own fault.
func (s *suspicion) grows(proven int) bool {
	if s.met && proven > s.proven {
		s.count++
	}
	s.met, s.proven = true, proven
	return s.count >= maxSuspicion
}

// doubled is base, twice for each time, and at most limit.
func doubled(base, limit time.Duration, times int) time.Duration {
	for range times {
		if base >= limit/2 {
			return limit
		}
		base *= 2
	}
	return min(base, limit)
}

// jitter returns between half of d and d, so that messages and processes that
// failed together do not come back together.
func jitter(d time.Duration) time.Duration {
	return d/2 + rand.N(d/2+1) //nolint:gosec // nobody gains by guessing it
}
