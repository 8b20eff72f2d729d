package consumer

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestWhomAnAskedPauseIsFor(t *testing.T) {
	for name, c := range map[string]struct {
		grant      string
		askedAgo   time.Duration // 0: never
		ok         string        // a grant that got through since
		askers     int           // others that were asked lately
		probe      bool
		grantAlone bool
	}{
		"no grant":                                {},
		"asked for the first time":                {grant: "a", ok: "b"},
		"again, and others get through":           {grant: "a", ok: "b", askedAgo: 5*time.Minute - 1, grantAlone: true},
		"again, after five minutes":               {grant: "a", ok: "b", askedAgo: 5 * time.Minute},
		"again, and nobody gets through":          {grant: "a", askedAgo: time.Minute},
		"again, and it alone got through between": {grant: "a", ok: "a", askedAgo: time.Minute},
		"ten are asked":                           {grant: "a", ok: "b", askedAgo: time.Minute, askers: 9, grantAlone: true},
		"eleven are":                              {grant: "a", ok: "b", askedAgo: time.Minute, askers: 10},
		"the probe is for all":                    {grant: "a", ok: "b", askedAgo: time.Minute, probe: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := aGate()
				if c.askedAgo > 0 {
					g.watch(c.grant).askedAt = time.Now()
				}
				for i := range 20 { // asked too long ago to count
					g.watch(fmt.Sprint("long ago ", i)).askedAt = time.Now().Add(c.askedAgo - 5*time.Minute)
				}
				for i := range c.askers {
					g.watch(fmt.Sprint(i)).askedAt = time.Now().Add(c.askedAgo - 5*time.Minute + 1)
				}
				g.sleep(c.askedAgo)
				if c.ok != "" {
					g.ok = [2]okAt{{c.ok, time.Now()}, {"a", time.Now().Add(-time.Hour)}}
				}
				got := g.ask(turn{grant: c.grant, probe: c.probe}, 7*time.Second)
				want := change{Paused, "", 7 * time.Second}
				if c.grantAlone {
					want = change{GrantPaused, "a", 7 * time.Second}
				}
				if !slices.Equal(got, []change{want}) {
					t.Errorf("%+v, want %+v", got, want)
				}
				if p := g.grants[c.grant]; g.all.paused() == c.grantAlone || p != nil && (p.paused() != c.grantAlone || !p.askedAt.Equal(time.Now())) {
					t.Errorf("all %+v, grant %+v", g.all, p)
				}
				// Nothing but the pause's end lets the next begin.
				next := newMessage("b")
				if c.grantAlone {
					next = newMessage("a")
				}
				w := g.waits(t, next)
				g.sleep(7*time.Second - 1)
				w.must(t, false, "before the pause is over")
				g.sleep(1)
				w.must(t, true, "after it")
			})
		})
	}
}

func TestPauseAskedByWhatBeganBeforeAnother(t *testing.T) {
	for name, ofGrant := range map[string]bool{"of the grant": true, "of all": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := aGate()
				late, short := g.begins(t, newMessage("a")), g.begins(t, newMessage("a"))
				p := g.all
				if ofGrant {
					p = g.watch("a")
				}
				p.pause(false, 10*time.Second)
				w := g.waits(t, newMessage("a"))
				g.sleep(time.Second)
				if got := g.done(late, outcomeBusy, 20*time.Second); got != nil {
					t.Errorf("told of as another pause: %+v", got)
				}
				if got := g.done(short, outcomeBusy, 2*time.Second); got != nil {
					t.Errorf("told of as another pause: %+v", got)
				}
				if left := time.Until(p.until); left != 20*time.Second || !p.soon.Equal(p.until) || p.epoch != 1 || p.probing || g.all.paused() == ofGrant {
					t.Errorf("paused for %s: %+v", left, p)
				}
				g.sleep(20*time.Second - 1)
				w.must(t, false, "before the longer pause is over")
				g.sleep(1)
				w.must(t, true, "after it")
			})
		})
	}
}

// The one attempt after a grant's pause decides anew, whatever it meets.
func TestProbeOfAGrantIsAskedForAPause(t *testing.T) {
	for name, c := range map[string]struct {
		others bool // get through
		all    bool // everything is paused, too
	}{"others get through": {others: true}, "nobody does": {}, "everything is paused": {all: true}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := aGate()
				p := g.watch("a")
				p.askedAt = time.Now()
				p.pause(false, time.Second)
				g.sleep(time.Second)
				probe := g.begins(t, newMessage("a"))
				if !probe.domainProbe || !p.probing {
					t.Fatalf("no probe: %+v", probe)
				}
				if c.others {
					g.done(g.begins(t, newMessage("b")), outcomeOK, 0)
				}
				if c.all {
					g.all.pause(false, time.Minute)
				}
				until := p.until
				changes := g.done(probe, outcomeBusy, 7*time.Second)
				switch {
				case p.probing:
					t.Error("it goes on being the probe")
				case c.all && (changes != nil || !p.until.Equal(until)):
					t.Errorf("everything is paused, for longer: %+v, the grant's until %s", changes, p.until)
				case !c.all && (len(changes) != 1 || (changes[0].kind == GrantPaused) != c.others):
					t.Errorf("%+v", changes)
				}
			})
		})
	}
}

// While everything is paused, what began before says nothing of its grant alone.
func TestAskedWhileBothArePaused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := aGate()
		late := g.begins(t, newMessage("a"))
		p := g.watch("a")
		p.pause(false, 10*time.Second)
		g.all.pause(false, 10*time.Second)
		until := p.until
		if got := g.done(late, outcomeBusy, time.Minute); got != nil || !p.until.Equal(until) || time.Until(g.all.until) != time.Minute {
			t.Errorf("%+v; all for %s, the grant for %s", got, time.Until(g.all.until), time.Until(p.until))
		}
	})
}

func TestWhenOthersGotThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, begin := aGate(), time.Now()
		for i, grant := range []string{"a", "b", "b", "a", "c"} {
			time.Sleep(time.Second)
			g.noteOK(grant)
			want := map[string]int{ // seconds, of what other grants have got
				"a": []int{0, 2, 3, 3, 5}[i], "b": []int{1, 1, 1, 4, 5}[i], "c": []int{1, 2, 3, 4, 4}[i], "d": i + 1,
			}
			for of, second := range want {
				got := g.othersOK(of)
				if second == 0 && !got.IsZero() || second > 0 && !got.Equal(begin.Add(time.Duration(second)*time.Second)) {
					t.Errorf("second %d: others than %s got through at %s, want %d s", i+1, of, got.Sub(begin), second)
				}
			}
		}
	})
}

// equivalent mutant: ask: false -> true
// Whether the message was new decides about a pause's length only where nobody asked for one.
