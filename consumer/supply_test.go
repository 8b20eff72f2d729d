package consumer

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// wantsToReceive is what turnToReceive does before it waits.
func (g *gate) wantsToReceive() *poller {
	g.poller = &poller{ready: make(chan struct{})}
	return g.poller
}

func TestAskedForAsManyAsThereWillBeHandlersFor(t *testing.T) {
	many := func(n int, grant string, tries int) (line []*waiter) {
		for range n {
			line = append(line, &waiter{m: &message{grant: grant, tries: tries}})
		}
		return line
	}
	for name, c := range map[string]struct {
		free  int
		given func(g *gate)
		want  int // 0: no turn
	}{
		"six are free":                             {6, nil, 6},
		"more than one receive brings":             {25, nil, 10},
		"none is":                                  {0, nil, 0},
		"nobody wants to":                          {6, func(g *gate) { g.poller = nil }, 0},
		"one receive is underway":                  {6, func(g *gate) { g.polls = 1 }, 0},
		"and it may be two":                        {6, func(g *gate) { g.polls, g.mostPolls, g.asked = 1, 2, 4 }, 2},
		"which bring all":                          {6, func(g *gate) { g.polls, g.mostPolls, g.asked = 1, 2, 6 }, 0},
		"so many are held":                         {6, func(g *gate) { g.held = maxHeld }, 0},
		"one more has room":                        {6, func(g *gate) { g.held = maxHeld - 1 }, 6},
		"too many wait to be deleted":              {6, func(g *gate) { g.finishing = 111 }, 0},
		"as many as may":                           {6, func(g *gate) { g.finishing = 110 }, 6},
		"four new ones are here":                   {6, func(g *gate) { g.fresh = many(4, "", 0) }, 2},
		"of a grant that failed":                   {6, func(g *gate) { g.watch("a"); g.fresh = many(4, "a", 0) }, 2},
		"of a sick one, which holds no handler":    {6, func(g *gate) { g.watch("a").failed = sickAt; g.fresh = many(4, "a", 0) }, 6},
		"more are here than handlers":              {6, func(g *gate) { g.fresh = many(9, "", 0) }, 1}, // for a grant of which nothing is here
		"and one is free":                          {1, func(g *gate) { g.fresh = many(9, "", 0) }, 1},
		"and one receive is underway":              {6, func(g *gate) { g.fresh = many(9, "", 0); g.polls, g.mostPolls = 1, 2 }, 0},
		"handlers are quick":                       {2, func(g *gate) { g.average = quick - 1 }, 7}, // half of the limit are done by then
		"handlers are quick, none is free":         {0, func(g *gate) { g.average = 1 }, 5},
		"handlers take their time":                 {2, func(g *gate) { g.average = quick }, 2},
		"paused grants of a system that fails":     {6, func(g *gate) { g.all.failed = 1; g.watch("a").line = many(2, "", 0) }, 4},
		"tried ones say nothing of what will come": {6, func(g *gate) { g.all.failed = 1; g.watch("a").line = many(2, "", 1) }, 6},
		"grants that are unwell alone":             {6, func(g *gate) { g.watch("a").line = many(2, "", 0) }, 6},
	} {
		t.Run(name, func(t *testing.T) {
			g := aGate()
			p := g.wantsToReceive()
			if c.given != nil {
				c.given(g)
			}
			polls, asked := g.polls, g.asked
			if g.poll(c.free); p.limit != c.want || p.given != (c.want > 0) {
				t.Errorf("%d are asked for, want %d", p.limit, c.want)
			}
			if c.want == 0 {
				return
			}
			if g.poller != nil || g.polls != polls+1 || g.asked != asked+c.want {
				t.Errorf("%d receives underway, of %d messages", g.polls, g.asked)
			}
			<-p.ready
		})
	}
}

func TestTurnToReceive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := aGate()
		if limit, err := g.turnToReceive(t.Context()); limit != 10 || err != nil {
			t.Fatalf("%d, %v", limit, err)
		}
		// A second one waits for the first, or for the stop.
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if limit, err := g.turnToReceive(ctx); limit != 0 || err == nil || g.poller != nil || g.polls != 1 {
			t.Errorf("%d, %v; %+v waits, %d underway", limit, err, g.poller, g.polls)
		}
		g.received(10, nil)
		// The stop comes with the turn, and it is one or the other.
		for range 100 {
			limit, err := g.turnToReceive(ctx)
			if g.poller != nil || g.polls != limit/10 || g.asked != limit || (err == nil) != (limit == 10) {
				t.Fatalf("%d, %v: %+v waits, %d underway, for %d messages", limit, err, g.poller, g.polls, g.asked)
			}
			if limit > 0 {
				g.received(limit, nil)
			}
		}
	})
}

func TestWhatAReceiveTells(t *testing.T) {
	news, old := &message{receives: 1}, &message{receives: 2}
	for name, c := range map[string]struct {
		messages      []*message
		supply, empty bool
		mostPolls     int
	}{
		"nothing":          {nil, false, true, 1},
		"less than asked":  {[]*message{news}, false, false, 1},
		"as many":          {[]*message{old, news}, true, false, 4},
		"none of them new": {[]*message{old, old}, false, false, 4},
	} {
		t.Run(name, func(t *testing.T) {
			g := aGate()
			g.polls, g.asked, g.mostPolls, g.supply, g.empty = 3, 9, 2, !c.supply, !c.empty
			g.reserved, g.all.probing = true, true
			g.received(2, c.messages)
			if g.polls != 2 || g.asked != 7 || g.supply != c.supply || g.empty != c.empty || g.mostPolls != c.mostPolls || g.reserved || g.all.probing {
				t.Errorf("%+v", g)
			}
			g.received(2, c.messages)
			g.received(2, c.messages)
			if full := c.mostPolls > 1; full != (g.mostPolls == mostReceives) {
				t.Errorf("%d at once", g.mostPolls)
			}
		})
	}
	// The probe that is out is no probe of a receive.
	g := aGate()
	g.all.probing = true
	g.unreserve()
	if !g.all.probing {
		t.Error("it is as if the probe had ended")
	}
}

// What failed before waits while new ones may come, and no longer.
func TestOldMessagesBeginWhenNoNewOnesCome(t *testing.T) {
	for name, ends := range map[string]func(*gate){
		"the queue takes long to answer": func(g *gate) { g.noAnswer() },
		"it has answered":                func(g *gate) { g.received(10, []*message{{}}) },
	} {
		t.Run(name, func(t *testing.T) {
			g := aGate()
			g.supply, g.reserved, g.all.probing = true, true, true
			g.wantsToReceive()
			g.poll(10)
			w := g.waits(t, &message{receives: 2, tries: 1})
			w.must(t, false, "new ones may come")
			ends(g)
			w.must(t, true, "none come")
			if g.supply || g.reserved || g.all.probing {
				t.Errorf("supply %v, reserved %v, probing %v", g.supply, g.reserved, g.all.probing)
			}
			if silent := name == "the queue takes long to answer"; g.empty != silent {
				t.Errorf("empty: %v", g.empty)
			}
		})
	}
}

func TestDeletionsThatAreBehindHoldUpTheReceive(t *testing.T) {
	g := aGate()
	g.finished(111)
	p := g.wantsToReceive()
	if g.dispatch(); p.given {
		t.Error("so many wait to be deleted, and more are received")
	}
	if g.finished(-1); !p.given || g.finishing != 110 {
		t.Errorf("%d wait to be deleted, and nothing is received", g.finishing)
	}
}
