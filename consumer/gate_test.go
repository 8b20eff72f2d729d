package consumer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// A grant that fails for ever, because it was removed at Nylas, must not take the place
// of those that fail today.
func TestIdleGrantsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(Config{Concurrency: 1, PauseMin: time.Second, PauseMax: time.Minute})
		for i := range 10_000 {
			if g.watch(fmt.Sprint("removed-", i)) == nil {
				t.Fatalf("grant %d is not watched", i)
			}
		}
		g.grants["removed-0"].line = []*waiter{{}}
		g.grants["removed-1"].running = 1
		time.Sleep(30 * time.Minute)
		g.watch("removed-2")
		if g.watch("today") != nil {
			t.Error("more than 10,000 grants are watched")
		}
		time.Sleep(30 * time.Minute)
		if g.watch("today") == nil {
			t.Error("a grant that fails now is not watched")
		}
		if len(g.grants) != 4 {
			t.Errorf("%d grants are watched, not the three that may still be needed and today's", len(g.grants))
		}
	})
}

func TestAProcessBeginsWithOne(t *testing.T) {
	g := newGate(Config{Concurrency: 4, PauseMin: time.Second, PauseMax: time.Minute})
	p := g.wantsToReceive()
	if g.dispatch(); p.limit != 1 || g.mostPolls != 1 {
		t.Errorf("%d messages are asked for, by up to %d receives at once", p.limit, g.mostPolls)
	}
	if w := g.waits(t, newMessage("a")); !w.turn.probe {
		t.Error("the first is no probe")
	}
	g.waits(t, newMessage("b")).must(t, false, "the second, before the first is done")
}

func TestBoundsFollowTheNumberOfHandlers(t *testing.T) {
	for handlers, most := range map[int]int{4: 10, 40: 40} {
		g := newGate(Config{Concurrency: handlers, PauseMin: time.Second, PauseMax: time.Minute})
		if p := g.domain(); p.most != most || p.limit != float64(most) || p.hurry != handlers+100 {
			t.Errorf("%d handlers: %+v", handlers, p)
		}
	}
}

func TestWhatIsKnownOfAMessageThatJoins(t *testing.T) {
	for name, c := range map[string]struct {
		receives, tries     int
		suspicion           float64
		evidence            float64 // from its receive before
		fresh, again, blank bool
	}{
		"new":                    {1, 0, 0, 0, true, false, true},
		"received again":         {2, 0, 0, 0, false, true, true},
		"tried here":             {1, 1, 0, 0, false, true, true},
		"suspected, not much":    {1, 0, outrun - 0.01, 0, true, false, true},
		"outrun":                 {1, 0, outrun, 0, true, false, false},
		"it failed by its fault": {2, 0, 0, 0.5, false, true, false},
	} {
		g := aGate()
		m := &message{id: "m", receives: c.receives, tries: c.tries, suspicion: c.suspicion}
		if c.evidence > 0 {
			g.repeats.add("m", repeated{evidence: c.evidence})
		}
		got := g.waits(t, m).turn
		if got.id != "m" || got.fresh != c.fresh || got.again != c.again || got.blank != c.blank {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// The receive that is the probe keeps its turn for what it brings.
func TestTheReservedTurnIsForWhatIsReceived(t *testing.T) {
	g := aGate()
	g.all.pause(false, time.Hour)
	g.reserved, g.all.probing = true, true
	g.waits(t, &message{receives: 1, tries: 1}).must(t, false, "one that was tried here")
	w := g.waits(t, newMessage("a"))
	w.must(t, true, "one that was received")
	if g.reserved || !w.turn.probe {
		t.Errorf("reserved %v, a probe: %v", g.reserved, w.turn.probe)
	}
	g.waits(t, newMessage("a")).must(t, false, "the next")
}

func TestMessagesOfAPausedGrantWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := aGate()
		p := g.watch("a")
		p.pause(false, 10*time.Second)
		p.soon = time.Now().Add(time.Second)
		m := newMessage("a")
		g.waits(t, m).must(t, false, "it is paused")
		g.waits(t, newMessage("b")).must(t, true, "of another grant")
		if len(p.line) != 1 || !m.held || g.held != 1 {
			t.Errorf("%d in the grant's line, %d held", len(p.line), g.held)
		}
		g.held = maxHeld
		if w, err := g.join(newMessage("a")); w != nil || !errors.Is(err, errFull) || len(p.line) != 1 {
			t.Errorf("so many wait here, and one more joins: %v", err)
		}
		g.held = 1
		// A new message is the probe sooner than an old one.
		g.sleep(time.Second)
		p.line = nil
		g.waits(t, oldMessage("a")).must(t, false, "an old one, before the pause is over")
		w := g.waits(t, newMessage("a"))
		if w.must(t, true, "a new one"); !w.turn.domainProbe || !p.probing || w.turn.domain != p || w.turn.domainEpoch != 1 {
			t.Errorf("%+v", w.turn)
		}
	})
}

func TestAMessageThatLeaves(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errKept)
	for range 100 { // where the turn comes with the end, either may win
		g := aGate()
		g.concurrency = 1
		w, next := g.waits(t, oldMessage("a")), g.waits(t, oldMessage("b"))
		got, err := g.await(ctx, w)
		if err == nil {
			if got != w.turn {
				t.Fatalf("it got %+v, not its turn", got)
			}
			next.must(t, false, "the turn is taken")
			continue
		}
		if !errors.Is(err, errKept) || g.retrying != 1 || g.average != 0 {
			t.Fatalf("%v, %d at work on old ones", err, g.retrying)
		}
		next.must(t, true, "the one before has left with its turn")
	}
	// One that has none leaves its line.
	g := aGate()
	g.all.limit = 0
	g.all.pauses = 1
	g.all.until = time.Now().Add(time.Hour)
	g.all.soon = g.all.until
	w := g.waits(t, newMessage("a"))
	if _, err := g.await(ctx, w); !errors.Is(err, errKept) || len(g.fresh) != 0 || g.all.running != 0 {
		t.Errorf("%v; %d wait, %d at work", err, len(g.fresh), g.all.running)
	}
}

func TestATurnThatEndsLetsTheNextBegin(t *testing.T) {
	for _, r := range []outcome{outcomeNone, outcomeOK, outcomeFailed} {
		g := aGate()
		g.concurrency = 1
		first, next := g.begins(t, newMessage("a")), g.waits(t, newMessage("b"))
		next.must(t, false, "the only handler is at work")
		g.done(first, r, 0)
		next.must(t, true, "it is done")
		if g.all.running != 1 {
			t.Errorf("%d at work", g.all.running)
		}
	}
}

// How many of the old ones get through decides how often one may be tried.
func TestMended(t *testing.T) {
	g := aGate()
	done := func(m *message, r outcome, want float64) {
		t.Helper()
		g.done(g.begins(t, m), r, 0)
		if math.Abs(g.mended-want) > 1e-9 || g.retrying != 0 {
			t.Errorf("mended %g, want %g; %d at work on old ones", g.mended, want, g.retrying)
		}
	}
	done(oldMessage("a"), outcomeOK, 1.0/16)
	done(oldMessage("a"), outcomeOK, 1.0/16+15.0/256)
	g.mended = 0.5
	done(oldMessage("a"), outcomeFailed, 0.5-0.5/16)
	g.mended = 0.5
	done(oldMessage("a"), outcomeNone, 0.5)
	done(newMessage("a"), outcomeOK, 0.5)
	done(newMessage("a"), outcomeFailed, 0.5)
}

func TestHowLongHandlersTake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := aGate()
		after := func(d time.Duration, r outcome, want time.Duration) {
			t.Helper()
			one := g.begins(t, newMessage("a"))
			time.Sleep(d)
			if g.done(one, r, time.Second); g.average != want {
				t.Errorf("%s on the average, want %s", g.average, want)
			}
		}
		after(time.Minute, outcomeNone, 0) // it was not called
		after(16*time.Second, outcomeOK, 16*time.Second)
		after(8*time.Second, outcomeOK, 15*time.Second) // an eighth of the difference
		after(23*time.Second, outcomeFailed, 16*time.Second)
		if g.slow != 23*time.Second || g.failures != 1 {
			t.Errorf("the last of %d failures took %s", g.failures, g.slow)
		}
	})
}

// An attempt that says nothing ends what it was the probe of, and only that.
func TestAProbeThatSaysNothing(t *testing.T) {
	for name, one := range map[string]turn{"neither": {}, "of all": {probe: true}, "of the grant": {domainProbe: true}} {
		g := aGate()
		p := g.watch("a")
		g.all.pause(false, time.Hour)
		p.pause(false, time.Hour)
		g.all.probing, p.probing = true, true
		one.grant = "a"
		g.done(one, outcomeNone, 0)
		if g.all.probing == one.probe || p.probing == one.domainProbe {
			t.Errorf("%s: the probe of all is out: %v, of the grant: %v", name, g.all.probing, p.probing)
		}
		g.all.probing, p.probing = false, false
		g.done(turn{grant: "a"}, outcomeNone, 0)
		if g.all.probing || p.probing {
			t.Errorf("%s: a probe is out", name)
		}
	}
	aGate().done(turn{grant: "unknown", probe: true}, outcomeNone, 0)
}

func TestOnlyNewMessagesAreComparedWith(t *testing.T) {
	for r, want := range map[outcome]sample{outcomeOK: {1, 0}, outcomeFailed: {0, 1}, outcomeNone: {}, outcomeBusy: {}} {
		g := aGate()
		began := time.Now()
		g.done(g.begins(t, oldMessage("a")), r, time.Second)
		g = func() *gate { n := aGate(); n.tries = g.tries; return n }()
		g.done(g.begins(t, newMessage("a")), r, time.Second)
		if _, mine := g.tries.between(began, time.Now(), "a"); mine != want {
			t.Errorf("outcome %d: %+v, want %+v", r, mine, want)
		}
	}
}

func TestTheProbeEndsThePause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(Config{Concurrency: 4, PauseMin: time.Second, PauseMax: time.Minute})
		if got := g.done(g.begins(t, newMessage("a")), outcomeOK, 0); got != nil {
			t.Errorf("the first of a process ends no pause: %+v", got)
		}
		g.all.pause(false, time.Second)
		p := g.watch("a")
		p.pause(false, time.Second)
		g.sleep(time.Second)
		if got := g.done(g.begins(t, newMessage("a")), outcomeOK, 0); !slices.Equal(got, []change{{kind: Resumed}, {kind: GrantResumed, grant: "a"}}) {
			t.Errorf("%+v", got)
		}
		if got := g.done(g.begins(t, newMessage("a")), outcomeOK, 0); got != nil {
			t.Errorf("the next: %+v", got)
		}
		if g.othersOK("b").IsZero() {
			t.Error("it is not known that it got through")
		}
	})
}

// A failure counts for its grant, and for everything unless the grant is paused alone.
func TestWhomAFailureCountsFor(t *testing.T) {
	for name, c := range map[string]struct {
		grant  string
		paused bool // the grant
		others int  // of others that failed in a row
		probe  bool // of all
		all    int  // failed in a row then
	}{
		"no grant":                       {all: 1},
		"a grant that is well":           {grant: "a", all: 1},
		"a grant that is paused":         {grant: "a", paused: true},
		"and others fail":                {grant: "a", paused: true, others: 1, all: 2},
		"and it is the probe of all":     {grant: "a", paused: true, probe: true, all: 1},
		"others fail as well":            {grant: "a", others: 1, all: 2},
		"a grant that is well, as probe": {grant: "a", probe: true, all: 1},
	} {
		g := aGate()
		g.all.failed = c.others
		one := turn{id: "m", grant: c.grant, fresh: true, probe: c.probe}
		if c.paused {
			g.watch(c.grant).pause(false, time.Hour)
		}
		if told := g.done(one, outcomeFailed, 0); len(told) > 0 {
			t.Errorf("%s: a pause: %+v", name, told)
		}
		if g.all.failed != c.all {
			t.Errorf("%s: %d failures in a row of all, want %d", name, g.all.failed, c.all)
		}
		if p := g.grants[c.grant]; (p != nil) != (c.grant != "") || p != nil && (p.failed == 1) == c.paused {
			t.Errorf("%s: the grant is %+v", name, p)
		}
	}
}

// When a failed probe begins the next pause, a new message may begin soon, and an old one
// when it is over; nothing else has to happen then.
func TestAFailedProbeBeginsThePauseAnew(t *testing.T) {
	for name, grant := range map[string]string{"of a grant": "a", "of all": ""} {
		for age, next := range map[string]*message{"new": newMessage(grant), "old": oldMessage(grant)} {
			t.Run(name+", "+age, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					g := aGate()
					p := g.all
					if grant != "" {
						p = g.watch(grant)
					}
					p.pause(false, 0)
					g.sleep(10 * time.Second)
					probe := g.begins(t, newMessage(grant))
					p.hurried = p.hurry - 1 // the last that does
					p.pauses = p.hurry
					p.hurried--
					got := g.done(probe, outcomeFailed, 0)
					want := change{Paused, "", time.Until(p.until)}
					if grant != "" {
						want = change{GrantPaused, "a", time.Until(p.until)}
					}
					if !slices.Equal(got, []change{want}) || want.pause < 5*time.Second {
						t.Fatalf("%+v, want %+v", got, want)
					}
					w := g.waits(t, next)
					soon := min(time.Until(p.soon), want.pause)
					if age == "old" {
						soon = want.pause
					} else if soon > time.Second {
						t.Fatalf("a new one may begin after %s", soon)
					}
					g.sleep(soon - 1)
					w.must(t, false, "before it is time")
					g.sleep(1)
					w.must(t, true, "when it is time")
				})
			})
		}
	}
}

func TestTheShortestPauseIsToldOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 64 { // the jitter makes one nanosecond or two of it
			g := newGate(Config{Concurrency: 1, PauseMin: 2, PauseMax: 2})
			for _, grant := range []string{"", "a"} {
				one := turn{grant: grant, fresh: true, probe: true, domainProbe: true}
				if grant != "" {
					g.watch(grant).limit = 0
				}
				if got := g.done(one, outcomeFailed, 0); len(got) == 0 || got[0].grant != grant {
					t.Fatalf("%q: %+v", grant, got)
				}
				g.all.epoch = 0
			}
		}
	})
}

func TestGrantsThatAreWellAreNotWatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := aGate()
		watched := func(p *domain, want bool, what string) {
			t.Helper()
			g.grants["a"] = p
			if g.unwatch("a", p); (g.grants["a"] == p) != want {
				t.Errorf("%s: watched: %v", what, !want)
			}
		}
		p := g.domain()
		p.bounded = true
		p.limit = 9.75
		if watched(p, true, "not quite well"); !p.bounded {
			t.Error("its limit does not hold")
		}
		p.limit = 10
		p.line = []*waiter{{}}
		watched(p, true, "messages wait for it")
		p.line, p.askedAt = nil, time.Now()
		time.Sleep(5*time.Minute - 1)
		if watched(p, true, "it was asked for a pause lately"); p.bounded {
			t.Error("its limit holds, and it is well")
		}
		time.Sleep(time.Nanosecond)
		watched(p, false, "it was asked for a pause five minutes ago")
		g.watch("b")
		if g.done(g.begins(t, newMessage("b")), outcomeOK, 0); g.grants["b"] != nil {
			t.Error("one got through, and the grant is watched still")
		}
	})
}

func TestWhatTheStatusCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(Config{Concurrency: 4, PauseMin: time.Second, PauseMax: time.Minute})
		status := func(what string, wantPaused bool, wantHeld, wantSuspected, wantGrants int) {
			t.Helper()
			if paused, held, suspected, grants := g.status(); paused != wantPaused || held != wantHeld || suspected != wantSuspected || grants != wantGrants {
				t.Errorf("%s: %v, %d, %d, %d", what, paused, held, suspected, grants)
			}
		}
		status("before the first", false, 0, 0, 0)
		g.held = 1
		status("before the first, and one is held", false, 1, 0, 0)
		g.held = 0
		g.all.pause(false, time.Second)
		status("paused", true, 0, 0, 0)
		g.sleep(time.Second - 1)
		status("paused still", true, 0, 0, 0)
		g.sleep(1)
		status("over, and nothing is to be tried", false, 0, 0, 0)
		g.held, g.suspected = 1, 2
		status("over, and one is", true, 1, 2, 0)
		g.all.limit = 1
		g.watch("a").pause(false, time.Second)
		g.watch("b").pause(false, time.Second)
		g.watch("c")
		status("two grants of three", false, 1, 2, 2)
	})
}

// equivalent mutant: await: 0 -> 1
// An attempt that was not made took no time and asked for no pause; nobody reads either.
