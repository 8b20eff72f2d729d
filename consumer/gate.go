package consumer

import (
	"context"
	"maps"
	"sync"
	"time"
)

// gate decides when a message may be received and when a handler may be called. It
// holds what is known of the system behind ([domain] all, one domain for each grant in
// which something failed lately) and the lines in which messages wait.
//
// New messages go first. What failed before (again) gets every fifth turn and at most
// half of the handlers while there are new ones, so that bad messages, whose number
// nobody knows, cannot take the place of good ones.
type gate struct {
	concurrency        int
	pauseMin, pauseMax time.Duration

	mu           sync.Mutex
	all          *domain
	grants       map[string]*domain
	tries        tries
	fresh, again []*waiter
	retrying     int     // handlers at work on what failed before
	credit       int     // turns of new messages since the last turn of one that failed
	mended       float64 // the share of these that got through, lately
	average      time.Duration
	failures     int           // attempts that failed, ever
	slow         time.Duration // how long the last of them took
	growing      bool          // a timer is set to raise the limit
	ok           [2]okAt       // the last success, and the last of another domain
	repeats      repeats

	// Receiving.
	poller    *poller // waits to receive
	polls     int     // underway
	mostPolls int     // 1, and more while each brings as many as it asked for
	asked     int     // messages that they can bring
	supply    bool    // the queue has new messages
	empty     bool    // the last poll brought nothing
	reserved  bool    // the probe is for what the poll underway brings
	finishing int     // handled, not deleted yet

	held, heldBytes, suspected int
}

const (
	// maxGrants bounds how many grants are watched. More do not fail at once, or it is
	// everybody's outage.
	maxGrants = 10_000
	// idleAfter is when nothing is expected of a grant any more: every message that failed
	// with it has been tried again by then, see [Config.RetryMax].
	idleAfter = time.Hour
	// leastMost is for few handlers: ten failures in a row, not one, are a pause.
	leastMost = 10
	// spareHurry is how many probes more than handlers hurry: so many bad messages in front
	// of the queue cost seconds, not a long pause each. In an outage so many wait here.
	spareHurry = 100
)

// domainS3 is the domain of bodies fetched from S3. No grant id begins with a zero byte.
const domainS3 = "\x00s3"

type waiter struct {
	m     *message
	turn  turn
	since time.Time
	ready chan struct{} // closed when turn is given
	given bool
}

// turn is the right to call the handler once, given back with [gate.done].
type turn struct {
	id, grant           string
	domain              *domain // counts it as running; nil: it was not watched
	fresh, again, blank bool
	probe, domainProbe  bool
	epoch, domainEpoch  int
	began               time.Time
}

// outcome is what an attempt says about the system behind.
type outcome int

const (
	outcomeNone   outcome = iota // the handler was not called, or was broken off
	outcomeOK                    // it got through, whatever came of it
	outcomeFailed                // it failed
	outcomeBusy                  // the system asked for a pause
)

func newGate(c Config) *gate {
	g := &gate{concurrency: c.Concurrency, pauseMin: c.PauseMin, pauseMax: c.PauseMax, grants: map[string]*domain{}, mostPolls: 1}
	g.all = g.domain()
	// A process begins with a probe: in an outage it takes one message from the queue,
	// not as many as it has handlers.
	g.all.limit = 0
	return g
}

func (g *gate) domain() *domain {
	most := max(g.concurrency, leastMost)
	return &domain{most: most, limit: float64(most), hurry: g.concurrency + spareHurry, pauseMin: g.pauseMin, pauseMax: g.pauseMax}
}

// join puts the message into its line. With errFull, nothing was done.
func (g *gate) join(m *message) (*waiter, error) {
	w := &waiter{m: m, since: time.Now(), ready: make(chan struct{})}
	g.mu.Lock()
	defer g.mu.Unlock()
	defer g.dispatch()
	w.turn = turn{
		id: m.id, grant: m.grant,
		fresh: m.tries == 0 && m.receives == 1,
		again: m.tries > 0 || m.receives > 1,
		blank: m.suspicion < outrun && g.repeats.of(m.id).evidence == 0,
	}
	p := g.grants[m.grant]
	switch {
	case g.reserved && m.tries == 0:
		g.reserved = false
		g.give(w, true)
	case p != nil && p.paused() && !p.open(w.since, w.turn.fresh):
		if !g.hold(m) {
			return nil, errFull
		}
		p.line = append(p.line, w)
	default:
		g.queue(w)
	}
	return w, nil
}

// await returns when the message may be tried, or with the context's error.
func (g *gate) await(ctx context.Context, w *waiter) (turn, error) {
	select {
	case <-w.ready:
		return w.turn, nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	defer g.dispatch()
	if w.given {
		g.finish(w.turn, outcomeNone, 0, 0)
	} else {
		g.leaveLines(w)
	}
	return turn{}, context.Cause(ctx)
}

// change is what [gate.done] tells of: a pause that began, or ended.
type change struct {
	kind  Kind
	grant string
	pause time.Duration
}

// done gives the turn back and says what came of it.
func (g *gate) done(t turn, r outcome, retryAfter time.Duration) []change {
	g.mu.Lock()
	defer g.mu.Unlock()
	changes := g.finish(t, r, retryAfter, time.Since(t.began))
	g.dispatch()
	return changes
}

func (g *gate) finish(t turn, r outcome, retryAfter, took time.Duration) (changes []change) {
	g.all.running--
	if t.again {
		g.retrying--
		switch r {
		case outcomeOK:
			g.mended += (1 - g.mended) / 16
		case outcomeFailed:
			g.mended -= g.mended / 16
		}
	}
	if t.domain != nil {
		t.domain.running--
	}
	p := g.grants[t.grant]
	if r != outcomeNone {
		if g.average == 0 {
			g.average = took
		}
		g.average += (took - g.average) / 8
	}
	switch r {
	case outcomeNone:
		g.all.probing = g.all.probing && !t.probe
		if p != nil {
			p.probing = p.probing && !t.domainProbe
		}
	case outcomeOK:
		g.noteOK(t.grant)
		if t.fresh {
			g.tries.add(t.began, t.grant, true)
		}
		starting := g.all.pauses == 0
		if g.all.succeeded(t.epoch, t.probe) && !starting {
			changes = append(changes, change{kind: Resumed})
		}
		if p != nil {
			if p.succeeded(t.domainEpoch, t.domainProbe) {
				changes = append(changes, change{kind: GrantResumed, grant: t.grant})
			}
			g.unwatch(t.grant, p)
		}
	case outcomeFailed:
		g.failures++
		g.slow = took
		if t.fresh {
			g.tries.add(t.began, t.grant, false)
		}
		p = g.watch(t.grant)
		known := p != nil && p.paused() && g.all.failed == 0 && !t.probe // a grant's own pause is not everybody's
		if p != nil {
			if pause := p.failure(t.domainEpoch, t.domainProbe, t.fresh, t.blank, t.id); pause > 0 {
				changes = append(changes, change{GrantPaused, t.grant, pause})
				g.later(pause, t.grant)
				g.later(time.Until(p.soon), t.grant)
			}
		}
		if !known {
			if pause := g.all.failure(t.epoch, t.probe, t.fresh, t.blank, t.id); pause > 0 {
				changes = append(changes, change{Paused, "", pause})
				g.later(pause, "")
				g.later(time.Until(g.all.soon), "")
			}
		}
	case outcomeBusy:
		changes = g.ask(t, retryAfter)
	}
	if p != nil {
		g.release(p)
	}
	return changes
}

// watch returns the grant's domain, which exists from its first failure on, for another
// failure. Nil: so many are watched already.
func (g *gate) watch(grant string) *domain {
	if grant == "" {
		return nil
	}
	p := g.grants[grant]
	if p == nil {
		if len(g.grants) >= maxGrants && !g.forgetIdle() {
			return nil
		}
		p = g.domain()
		g.grants[grant] = p
	}
	p.failedAt = time.Now()
	return p
}

// forgetIdle makes room: it forgets the grants of which nothing is here and nothing
// failed lately, such as those that were removed at Nylas.
func (g *gate) forgetIdle() bool {
	before := len(g.grants)
	maps.DeleteFunc(g.grants, func(_ string, p *domain) bool {
		return p.running == 0 && len(p.line) == 0 && time.Since(p.failedAt) >= idleAfter
	})
	return len(g.grants) < before
}

// unwatch ends that, for a grant that is well and was not asked for a pause lately.
func (g *gate) unwatch(grant string, p *domain) {
	if p.limit >= float64(p.most) {
		p.bounded = false
		if time.Since(p.askedAt) >= askedMemory && len(p.line) == 0 {
			delete(g.grants, grant)
		}
	}
}

func (g *gate) status() (paused bool, held, suspected, grants int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range g.grants {
		if p.paused() {
			grants++
		}
	}
	// A pause that is over, and nothing to try, is none.
	paused = g.all.paused() && g.all.pauses > 0 && (g.held > 0 || time.Now().Before(g.all.until))
	return paused, g.held, g.suspected, grants
}
