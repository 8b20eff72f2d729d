package consumer

import (
	"context"
	"slices"
	"time"
)

const (
	// mostReceives bounds the receives side by side: 8 bring 80 messages in the 10 to
	// 20 ms of a request, some thousand a second.
	mostReceives = 8
	// quick is how long handlers take, on the average, that a next message is waiting
	// for when they are done. A slow one's would wait here, where another process may
	// have a handler free.
	quick = 500 * time.Millisecond
)

type poller struct {
	ready chan struct{}
	limit int
	given bool
}

func untried(line []*waiter) (n int) {
	for _, w := range line {
		if w.m.tries == 0 {
			n++
		}
	}
	return n
}

// poll lets the receive loop ask for as many messages as there will be handlers for.
func (g *gate) poll(free int) {
	if g.poller == nil || g.polls >= g.mostPolls || g.held >= maxHeld || g.finishing > g.concurrency+10*batchSize {
		return
	}
	n := free - g.asked
	for _, w := range g.fresh {
		if p := g.grants[w.m.grant]; p == nil || !p.sick() {
			n--
		}
	}
	if g.average > 0 && g.average < quick {
		n += int(g.all.limit) / 2
	}
	for _, p := range g.grants {
		// Not those of a grant that is unwell alone. But where nothing got through since,
		// it may be everybody's outage that begins.
		if g.all.failed > 0 {
			n -= untried(p.line)
		}
	}
	if free > 0 && g.polls == 0 {
		n = max(n, 1) // or nobody would find what can be taken
	}
	if n > 0 {
		g.receive(min(n, batchSize))
	}
}

func (g *gate) receive(n int) {
	p := g.poller
	p.limit, p.given = n, true
	g.poller = nil
	g.polls++
	g.asked += n
	close(p.ready)
}

// turnToReceive returns how many messages may be asked for, once it is at least one.
func (g *gate) turnToReceive(ctx context.Context) (limit int, err error) {
	p := &poller{ready: make(chan struct{})}
	g.mu.Lock()
	g.poller = p
	g.dispatch()
	g.mu.Unlock()
	select {
	case <-p.ready:
		return p.limit, nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.poller = nil
	if p.given {
		g.answered(p.limit, nil)
	}
	return 0, context.Cause(ctx)
}

// noAnswer: a poll has brought nothing for a while, so the queue has nothing, and what
// waits here can have the turns.
func (g *gate) noAnswer() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.unreserve()
	g.supply, g.empty = false, true
	g.dispatch()
}

func (g *gate) unreserve() {
	if g.reserved {
		g.reserved, g.all.probing = false, false
	}
}

// received ends what turnToReceive began. The messages have joined before.
func (g *gate) received(limit int, messages []*message) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.answered(limit, messages)
	g.dispatch()
}

func (g *gate) answered(limit int, messages []*message) {
	g.unreserve()
	g.polls--
	g.asked -= limit
	g.empty = len(messages) == 0
	full := len(messages) == limit
	g.supply = full && slices.ContainsFunc(messages, func(m *message) bool { return m.receives == 1 })
	if full {
		g.mostPolls = min(2*g.mostPolls, mostReceives)
	} else {
		g.mostPolls = 1
	}
}

// finished counts the messages that are handled and not deleted yet.
func (g *gate) finished(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.finishing += n
	g.dispatch()
}
