package consumer

import (
	"slices"
	"time"
)

const (
	// While there are new messages, what failed before gets one turn in againGood as
	// long as most of it gets through then, else one in againBad; and any turn once it
	// has waited for againPatience.
	againGood     = 4
	againBad      = 60
	againPatience = 30 * time.Second
	// growAfter is for how long nothing may fail before the limit is doubled without an
	// answer: a refusal takes milliseconds.
	growAfter = 500 * time.Millisecond
)

func (g *gate) leaveLines(w *waiter) {
	g.remove(w)
	if p := g.grants[w.m.grant]; p != nil && w.turn.domainProbe {
		p.probing = false
		g.release(p)
	}
}

// remove takes the waiter out of whatever line it is in.
func (g *gate) remove(w *waiter) {
	without := func(line []*waiter) []*waiter {
		if i := slices.Index(line, w); i >= 0 {
			return slices.Delete(line, i, i+1)
		}
		return line
	}
	g.fresh, g.again = without(g.fresh), without(g.again)
	if p := g.grants[w.m.grant]; p != nil {
		p.line = without(p.line)
	}
}

// queue puts the message into its line.
func (g *gate) queue(w *waiter) {
	if w.turn.again {
		g.again = append(g.again, w)
	} else {
		g.fresh = append(g.fresh, w)
	}
}

// release moves what waits for the grant into the lines: all of it when the pause has
// ended, one as the probe when it is time for that.
func (g *gate) release(p *domain) {
	if len(p.line) == 0 {
		return
	}
	if !p.paused() {
		for _, w := range p.line {
			g.queue(w)
		}
		p.line = nil
		return
	}
	// A message that was not tried yet, if there is one.
	w := p.line[longest(p.line)]
	if p.open(time.Now(), w.turn.fresh) {
		g.remove(w)
		w.turn.domainProbe, p.probing = true, true
		if w.turn.again {
			g.again = append([]*waiter{w}, g.again...)
		} else {
			g.fresh = append([]*waiter{w}, g.fresh...)
		}
	}
}

// first is the first in the line whose grant lets it pass. What waits for a grant that
// is paused goes to the grant's line.
func (g *gate) first(line *[]*waiter, now time.Time) *waiter {
	for i := 0; i < len(*line); {
		w := (*line)[i]
		p := g.grants[w.m.grant]
		switch {
		case p == nil || w.turn.domainProbe || p.open(now, w.turn.fresh):
			return w
		case p.paused():
			*line = slices.Delete(*line, i, i+1)
			g.hold(w.m)
			p.line = append(p.line, w)
		default:
			g.hold(w.m)
			i++
		}
	}
	return nil
}

// longest is the index of the message whose last attempt is the longest ago; one that was
// not tried yet comes first.
func longest(line []*waiter) int {
	best := 0
	for i, w := range line {
		if w.lastTry().Before(line[best].lastTry()) {
			best = i
		}
	}
	return best
}

func (w *waiter) lastTry() time.Time {
	if w.m.failing == nil {
		return time.Time{}
	}
	return w.m.failing.at
}

// dispatch gives turns to whoever may have one. It is called with the lock held, after
// everything that changes what may be.
func (g *gate) dispatch() {
	for now := time.Now(); g.next(now); {
	}
}

// next gives one turn, and tells whether there may be another.
func (g *gate) next(now time.Time) bool {
	if g.all.paused() {
		if g.all.pauses == 0 {
			g.growLater()
		}
		g.nextProbe(now)
		return false // one at a time
	}
	free := min(int(g.all.limit), g.concurrency) - g.all.running
	if free <= 0 {
		g.growLater()
		g.poll(free)
		return false
	}
	if w := g.first(&g.fresh, now); w != nil {
		g.give(w, false)
		return true
	}
	again := g.first(&g.again, now)
	if again == nil || !g.mayAgain(again, now) {
		g.poll(free)
		if again == nil || g.polls > 0 { // something else may come
			return false
		}
	}
	g.give(again, false)
	return true
}

// nextProbe gives the one turn after a pause: to a new message where there is one, or
// a message that the system can never take would hold up all the others. Else to the
// one that has waited longest.
func (g *gate) nextProbe(now time.Time) {
	if !g.all.open(now, true) || g.all.running >= g.concurrency {
		return
	}
	if len(g.fresh) > 0 {
		g.give(g.fresh[0], true)
		return
	}
	if g.poller != nil && g.polls == 0 && g.held < maxHeld {
		g.receive(1)
		if !g.empty {
			g.reserved, g.all.probing = true, true
			return
		}
	}
	if !g.all.open(now, false) {
		return
	}
	var best *waiter
	better := func(line []*waiter) {
		if len(line) > 0 {
			if w := line[longest(line)]; best == nil || w.lastTry().Before(best.lastTry()) {
				best = w
			}
		}
	}
	better(g.again)
	for _, p := range g.grants {
		better(p.line)
	}
	if best != nil {
		g.give(best, true)
	}
}

// mayAgain: new messages go first, where there are any.
func (g *gate) mayAgain(w *waiter, now time.Time) bool {
	share := againBad
	if g.mended > 0.5 {
		share = againGood
	}
	return !g.supply || g.credit >= share-1 && 2*(g.retrying+1) <= int(g.all.limit) ||
		now.Sub(w.since) >= againPatience
}

// give gives the turn.
func (g *gate) give(w *waiter, probe bool) {
	g.remove(w)
	if p := g.grants[w.m.grant]; p != nil {
		w.turn.domain, w.turn.domainEpoch = p, p.epoch
		p.running++
		if p.paused() {
			w.turn.domainProbe, p.probing = true, true
		}
	}
	g.unhold(w.m)
	w.turn.probe, w.turn.epoch, w.turn.began = probe, g.all.epoch, time.Now()
	g.all.probing = g.all.probing || probe
	g.all.running++
	if w.turn.again {
		g.retrying++
		g.credit = 0
	} else {
		g.credit++
	}
	w.given = true
	close(w.ready)
}

// growLater doubles the limit when nothing fails for a while: no answer is no refusal
// either, where handlers take their time.
func (g *gate) growLater() {
	if g.growing || g.all.limit >= float64(g.all.most) {
		return
	}
	g.growing = true
	epoch, failures := g.all.epoch, g.failures
	time.AfterFunc(max(growAfter, 2*g.slow), func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.growing = false
		if epoch == g.all.epoch && failures == g.failures && g.all.running > 0 && g.all.running >= min(int(g.all.limit), g.concurrency) {
			g.all.limit = min(2*max(g.all.limit, 1), float64(g.all.most))
		}
		g.dispatch()
	})
}

// later looks again after the pause.
func (g *gate) later(pause time.Duration, grant string) {
	time.AfterFunc(pause, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if p := g.grants[grant]; p != nil {
			g.release(p)
		}
		g.dispatch()
	})
}
