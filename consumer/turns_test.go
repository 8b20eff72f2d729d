package consumer

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// triedAt makes a message one that failed then.
func triedAt(m *message, at time.Time) *message {
	m.tries, m.failing = 1, &failing{at: at}
	return m
}

// atWork are handlers that are at work from now on.
func (g *gate) atWork(n int) { g.all.running += n }

func TestNewMessagesBeginFirst(t *testing.T) {
	g := aGate()
	g.atWork(10)
	old, first, second := g.waits(t, oldMessage("a")), g.waits(t, newMessage("a")), g.waits(t, newMessage("a"))
	g.atWork(-2)
	g.dispatch()
	first.must(t, true, "the first new one")
	second.must(t, true, "the second new one")
	old.must(t, false, "the old one, before them")
	g.atWork(-1)
	g.dispatch()
	old.must(t, true, "the old one, after them")
}

func TestNoMoreBeginThanTheLimitOrTheHandlers(t *testing.T) {
	for _, c := range []struct {
		limit                float64
		handlers, want, asks int
	}{{3.9, 10, 3, 0}, {10, 4, 4, 0}, {1, 10, 1, 0}} {
		for _, age := range []func(string) *message{newMessage, oldMessage} {
			g := aGate()
			g.all.limit, g.concurrency = 0, c.handlers
			g.all.pauses, g.all.until = 1, time.Now().Add(time.Hour)
			g.all.soon = g.all.until
			var all []*waiter
			for range 6 {
				all = append(all, g.waits(t, age("a")))
			}
			g.all.limit = c.limit
			g.dispatch()
			began := 0
			for _, w := range all {
				if w.given {
					began++
				}
			}
			if began != c.want || g.all.running != c.want {
				t.Errorf("%d of %g and %d handlers began, want %d", began, c.limit, c.handlers, c.want)
			}
		}
	}
}

func TestWhenAnOldMessageMayBegin(t *testing.T) {
	for name, c := range map[string]struct {
		supply           bool
		mended           float64
		credit, retrying int
		waited           time.Duration
		want             bool
	}{
		"no new ones come":                     {want: true},
		"new ones come":                        {supply: true},
		"most get through, three new ones":     {supply: true, mended: 0.51, credit: 3, want: true},
		"most get through, two new ones":       {supply: true, mended: 0.51, credit: 2},
		"half get through, 58 new ones":        {supply: true, mended: 0.5, credit: 58},
		"half get through, 59 new ones":        {supply: true, mended: 0.5, credit: 59, want: true},
		"four are at work, of ten":             {supply: true, credit: 99, retrying: 4, want: true},
		"five are":                             {supply: true, credit: 99, retrying: 5},
		"it has waited for 30 s":               {supply: true, retrying: 5, waited: 30 * time.Second, want: true},
		"not quite":                            {supply: true, retrying: 5, waited: 30*time.Second - 1},
		"few new ones, and few old ones begin": {supply: true, credit: 2, retrying: 0},
	} {
		g := aGate()
		g.supply, g.mended, g.credit, g.retrying = c.supply, c.mended, c.credit, c.retrying
		now := time.Now()
		if got := g.mayAgain(&waiter{since: now.Add(-c.waited)}, now); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// While new messages may come, an old one waits for what the receive brings.
func TestOldMessagesWaitForTheReceive(t *testing.T) {
	for name, c := range map[string]struct {
		polls int
		asks  bool // somebody wants to receive
		want  bool
	}{
		"a receive is underway":     {polls: 1},
		"one begins":                {asks: true},
		"nobody wants to receive":   {want: true},
		"one more may not be begun": {polls: 1, asks: true},
	} {
		g := aGate()
		g.supply, g.polls = true, c.polls
		var p *poller
		if c.asks {
			p = g.wantsToReceive()
		}
		g.waits(t, oldMessage("a")).must(t, c.want, name)
		if p != nil && p.given != (c.polls == 0) {
			t.Errorf("%s: it receives: %v", name, p.given)
		}
	}
	// Quick handlers are received for before they are free.
	g := aGate()
	g.atWork(10)
	g.average = time.Millisecond
	p := g.wantsToReceive()
	if g.dispatch(); p.limit != 5 {
		t.Errorf("%d are asked for, want 5", p.limit)
	}
}

func TestWhoIsTheProbe(t *testing.T) {
	for name, c := range map[string]struct {
		given   func(g *gate)
		fresh   bool // one that is new waits
		want    string
		receive int
	}{
		"a new message":                            {func(*gate) {}, true, "new-a", 0},
		"what has waited longest":                  {func(*gate) {}, false, "2", 0},
		"not while another is out":                 {func(g *gate) { g.all.probing = true }, true, "", 0},
		"not before it is time":                    {func(g *gate) { g.all.until, g.all.soon = time.Now().Add(1), time.Now().Add(1) }, true, "", 0},
		"a new one, when it is time for that":      {func(g *gate) { g.all.until = time.Now().Add(1) }, true, "new-a", 0},
		"not an old one then":                      {func(g *gate) { g.all.until = time.Now().Add(1) }, false, "", 0},
		"not while all handlers are at work":       {func(g *gate) { g.atWork(10) }, true, "", 0},
		"with one free":                            {func(g *gate) { g.atWork(9) }, true, "new-a", 0},
		"what a receive brings":                    {func(g *gate) { g.wantsToReceive() }, false, "", 1},
		"a new one is here, nothing is received":   {func(g *gate) { g.wantsToReceive() }, true, "new-a", 0},
		"the queue was empty the last time":        {func(g *gate) { g.wantsToReceive(); g.empty = true }, false, "2", 1},
		"a receive is underway":                    {func(g *gate) { g.wantsToReceive(); g.polls = 1 }, false, "2", 0},
		"so many are held, nothing is received":    {func(g *gate) { g.wantsToReceive(); g.held = maxHeld }, false, "2", 0},
		"one more has room":                        {func(g *gate) { g.wantsToReceive(); g.held = maxHeld - 1 }, false, "", 1},
		"of a grant that is paused":                {func(g *gate) { g.again = nil }, false, "3", 0},
		"there is none":                            {func(g *gate) { g.again, g.grants = nil, nil }, false, "", 0},
		"of a line, where the grant's are younger": {func(g *gate) { g.grants["b"].line[0].m.failing.at = time.Now() }, false, "2", 0},
		"the grant's, where it waits longer":       {func(g *gate) { g.grants["b"].line[0].m.failing.at = time.Time{}.Add(1) }, false, "3", 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := aGate()
				now := time.Now()
				g.all.pause(false, 1)
				g.all.until, g.all.soon = now, now
				g.all.probing = true
				old := func(id string, ago int) *message {
					return triedAt(&message{id: id, receives: 1}, now.Add(-time.Duration(ago)*time.Second))
				}
				g.waits(t, old("1", 1))
				g.waits(t, old("2", 9))
				g.waits(t, old("4", 5))
				g.watch("b").line = []*waiter{{m: old("3", 8), ready: make(chan struct{})}}
				if c.fresh {
					g.waits(t, newMessage("a"))
				}
				all := slices.Concat(g.fresh, g.again, g.grants["b"].line)
				g.all.probing = false
				poller := g.poller
				c.given(g)
				if poller == nil {
					poller = g.poller
				}
				g.dispatch()
				g.dispatch()
				got := ""
				for _, w := range all {
					if w.given {
						got += w.m.id
						if !w.turn.probe || w.turn.epoch != 1 {
							t.Errorf("%s got %+v", w.m.id, w.turn)
						}
					}
				}
				if got != c.want {
					t.Errorf("it is %q, want %q", got, c.want)
				}
				if asked := poller != nil && poller.given; asked != (c.receive > 0) || asked && poller.limit != 1 {
					t.Errorf("received: %v, %+v", asked, poller)
				}
				if reserved := c.receive > 0 && c.want == ""; g.reserved != reserved {
					t.Errorf("the turn is kept for what comes: %v", g.reserved)
				}
				if g.all.probing != (c.want != "" || c.receive > 0 || name == "not while another is out") {
					t.Errorf("a probe is out: %v", g.all.probing)
				}
			})
		})
	}
}

func TestLongest(t *testing.T) {
	now := time.Now()
	at := func(second int) *waiter {
		return &waiter{m: triedAt(&message{}, now.Add(time.Duration(second)*time.Second))}
	}
	never := &waiter{m: &message{}}
	for want, line := range [][]*waiter{{at(1)}, {at(2), at(1), at(3)}, {at(2), at(1), never}, {at(3), at(2), at(2), at(1)}} {
		if got := longest(line); got != want {
			t.Errorf("line %d: number %d", want, got)
		}
	}
}

// A grant that may not have one more turn does not hold up those behind it.
func TestFirstOfALine(t *testing.T) {
	g := aGate()
	g.atWork(10)
	g.watch("paused").pause(false, time.Hour)
	sick := g.watch("sick")
	sick.failed, sick.running = sickAt, 9
	g.watch("fails")
	for _, grant := range []string{"sick", "fails", "sick", "fails"} {
		g.waits(t, newMessage(grant))
	}
	for range 2 { // they joined before the pause began
		g.fresh = append([]*waiter{{m: newMessage("paused")}}, g.fresh...)
	}
	fails := g.fresh[3]
	if w := g.first(&g.fresh, time.Now()); w != fails {
		t.Errorf("it is %+v", w)
	}
	var left []string
	for _, w := range g.fresh {
		left = append(left, fmt.Sprint(w.m.grant, " ", w.m.held))
	}
	if !slices.Equal(left, []string{"sick true", "fails false", "sick false", "fails false"}) {
		t.Errorf("in the line are %q, with what is held", left)
	}
	if line := g.grants["paused"].line; len(line) != 2 || !line[0].m.held || !line[1].m.held || g.held != 3 {
		t.Errorf("%d wait for the paused grant; %d are held", len(line), g.held)
	}
	// The grant's probe passes, though no other may.
	probe := &waiter{m: newMessage("paused"), turn: turn{domainProbe: true}}
	g.grants["paused"].probing = true
	if w := g.first(&[]*waiter{g.fresh[0], probe}, time.Now()); w != probe {
		t.Errorf("it is %+v, not the probe", w)
	}
	if w := g.first(&[]*waiter{g.fresh[0]}, time.Now()); w != nil {
		t.Errorf("%+v of a sick grant", w)
	}
}

func TestWhatWaitsForAGrantIsReleased(t *testing.T) {
	line := func() []*waiter {
		old := triedAt(oldMessage("a"), time.Now())
		return []*waiter{{m: old, turn: turn{again: true}}, {m: newMessage("a"), turn: turn{fresh: true}}}
	}
	others := func(g *gate) (fresh, again *waiter) {
		fresh, again = &waiter{m: newMessage("b")}, &waiter{m: oldMessage("b")}
		g.fresh, g.again = []*waiter{fresh}, []*waiter{again}
		return fresh, again
	}
	// All of it, when the pause has ended.
	g := aGate()
	fresh, again := others(g)
	p := g.watch("a")
	p.line = line()
	all := p.line
	g.release(p)
	if p.line != nil || !slices.Equal(g.fresh, []*waiter{fresh, all[1]}) || !slices.Equal(g.again, []*waiter{again, all[0]}) || p.probing {
		t.Errorf("in the lines are %d and %d, %d wait", len(g.fresh), len(g.again), len(p.line))
	}
	p.line = all[:1]
	if g.release(p); p.line != nil {
		t.Error("one alone waits still")
	}
	// Nothing before it has; then one as the probe, before all others, a new one if there is one.
	for _, c := range []struct {
		name string
		line []*waiter
	}{{"new", line()}, {"old", line()[:1]}} {
		g := aGate()
		fresh, again := others(g)
		p := g.watch("a")
		p.pause(false, time.Hour)
		p.line = slices.Clone(c.line)
		if g.release(p); len(p.line) != len(c.line) || p.probing {
			t.Errorf("%s: released before it is time", c.name)
		}
		p.until, p.soon = time.Time{}, time.Time{}
		g.release(p)
		g.release(p)
		probe := c.line[len(c.line)-1]
		wantFresh, wantAgain := []*waiter{fresh}, []*waiter{probe, again}
		if c.name == "new" {
			wantFresh, wantAgain = []*waiter{probe, fresh}, []*waiter{again}
		}
		if !slices.Equal(g.fresh, wantFresh) || !slices.Equal(g.again, wantAgain) || !probe.turn.domainProbe || !p.probing || len(p.line) != len(c.line)-1 {
			t.Errorf("%s: %d and %d in the lines, %d wait; probe %v, %v", c.name, len(g.fresh), len(g.again), len(p.line), probe.turn.domainProbe, p.probing)
		}
	}
}

// A stop takes a message out of its line, and what it was to be is another's.
func TestProbeThatLeavesIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := aGate()
		p := g.watch("a")
		p.pause(false, time.Second)
		first, second, third := g.waits(t, newMessage("a")), g.waits(t, newMessage("a")), g.waits(t, newMessage("a"))
		g.all.limit, g.growing = 1, true
		busy := g.begins(t, newMessage("b"))
		g.later(time.Second, "a")
		g.sleep(time.Second)
		first.must(t, false, "the one handler is at work")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := g.await(ctx, third); err == nil || !p.probing || second.turn.domainProbe {
			t.Errorf("%v; another that leaves has changed who is the probe", err)
		}
		if _, err := g.await(ctx, first); err == nil || !p.probing || !second.turn.domainProbe {
			t.Errorf("%v; the second is the probe: %v", err, second.turn.domainProbe)
		}
		g.done(busy, outcomeOK, 0)
		second.must(t, true, "the handler is free")
		if len(g.fresh)+len(p.line) != 0 {
			t.Error("somebody waits still")
		}
	})
}

func TestWhatATurnCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := aGate()
		p := g.watch("a")
		p.epoch, g.all.epoch = 3, 5
		m := newMessage("a")
		g.hold(m)
		time.Sleep(time.Second)
		one := g.begins(t, m)
		if one.domain != p || one.domainEpoch != 3 || one.epoch != 5 || one.probe || one.domainProbe || !one.began.Equal(time.Now()) {
			t.Errorf("%+v", one)
		}
		if p.running != 1 || g.all.running != 1 || g.retrying != 0 || g.credit != 1 || g.held != 0 || g.all.probing {
			t.Errorf("%d of the grant at work, %d of all, %d old ones; credit %d; %d held", p.running, g.all.running, g.retrying, g.credit, g.held)
		}
		old := g.begins(t, oldMessage("a"))
		if p.running != 2 || g.all.running != 2 || g.retrying != 1 || g.credit != 0 {
			t.Errorf("%d of the grant at work, %d of all, %d old ones; credit %d", p.running, g.all.running, g.retrying, g.credit)
		}
		g.done(one, outcomeNone, 0)
		g.done(old, outcomeNone, 0)
		if p.running != 0 || g.all.running != 0 || g.retrying != 0 {
			t.Errorf("%d of the grant at work, %d of all, %d old ones, after the end", p.running, g.all.running, g.retrying)
		}
	})
}
