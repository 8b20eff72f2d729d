package consumer

import (
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"
)

// aDomain is one for ten handlers, with pauses from 10 s to 60 s, all well.
func aDomain() *domain {
	return &domain{most: 10, limit: 10, hurry: 3, pauseMin: 10 * time.Second, pauseMax: time.Minute}
}

func TestTheLimitFollowsTheAnswers(t *testing.T) {
	p := aDomain()
	limit := func(what string, want float64) {
		t.Helper()
		if math.Abs(p.limit-want) > 1e-9 {
			t.Errorf("%s: the limit is %g, want %g", what, p.limit, want)
		}
	}
	fail := func(id string) { p.failure(0, false, true, true, id) }
	fail("1")
	limit("one failure", 9)
	fail("2")
	limit("two", 8)
	p.succeeded(0, false)
	limit("three quarters back", 8.75)
	p.succeeded(0, false)
	p.succeeded(0, false)
	p.succeeded(0, false)
	limit("never above the most", 10)

	p.most, p.limit = 100, 100
	fail("3")
	limit("a tenth of a larger one", 90)
	p.succeeded(0, false)
	limit("three quarters of a tenth", 96.75)

	p.limit = 1.5
	fail("4")
	limit("never below one by failures alone", 1)
	if p.paused() {
		t.Error("paused by it")
	}
}

func TestWhatWasOutrunLowersTheLimitOnce(t *testing.T) {
	p := aDomain()
	for range 20 {
		if p.failure(0, false, false, false, "bad") != 0 {
			t.Fatal("it began a pause")
		}
	}
	if p.limit != 9 || p.failed != 0 {
		t.Errorf("limit %g, %d failures", p.limit, p.failed)
	}
	p.succeeded(0, false)
	p.failure(0, false, false, false, "bad")
	if p.limit != 8.75 {
		t.Errorf("limit %g after a success between", p.limit)
	}
}

func TestTenFailuresInARowAreAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := aDomain()
		for i := range 9 {
			if pause := p.failure(0, false, true, true, fmt.Sprint(i%7)); pause != 0 {
				t.Fatalf("a pause of %s after %d failures", pause, i+1)
			}
		}
		if len(p.unwell) != 5 { // the first few of seven
			t.Errorf("%d are remembered", len(p.unwell))
		}
		p.succeeded(0, false)
		if p.failed != 0 || p.unwell != nil {
			t.Error("a success has not ended the row")
		}
		for range 9 {
			p.failure(0, false, true, true, "same")
		}
		if len(p.unwell) != 1 {
			t.Errorf("the same message counts %d times", len(p.unwell))
		}
		pause := p.failure(0, false, false, true, "same")
		if pause < 5*time.Second || pause > 10*time.Second || !p.paused() || !p.bounded || p.pauses != 1 || p.epoch != 1 {
			t.Errorf("a pause of %s, %+v", pause, p)
		}
		if p.open(time.Now().Add(pause-1), true) || !p.open(time.Now().Add(pause), false) {
			t.Error("it is not as long as it says, or a new message does not keep it")
		}
		// What began before the pause says nothing.
		if p.failure(0, false, true, true, "x") != 0 || p.succeeded(0, false) || !p.paused() {
			t.Error("an attempt from before counts")
		}
		p.probing = true
		if p.open(time.Now().Add(time.Hour), true) {
			t.Error("two probes at once")
		}
		p.hurried = 2
		if !p.succeeded(1, true) || p.probing || p.paused() || p.pauses != 0 || p.hurried != 0 || !p.recovering {
			t.Errorf("the probe has not ended it: %+v", p)
		}
		// 1, and one more with each success, so that it doubles with each round.
		for want := 3.0; want <= 10; want++ {
			if p.succeeded(1, false); p.limit != want {
				t.Errorf("limit %g, want %g", p.limit, want)
			}
		}
		if p.succeeded(1, false); p.limit != 10 {
			t.Errorf("limit %g", p.limit)
		}
		p.failure(1, false, true, true, "y")
		if p.recovering {
			t.Error("it recovers, and something failed")
		}
	})
}

// What began before a pause that is over says nothing of the system as it is now.
func TestAttemptsFromBeforeAPauseDoNotCount(t *testing.T) {
	p := aDomain()
	p.epoch, p.limit = 2, 5
	if p.failure(1, false, true, true, "old") != 0 || p.limit != 5 || p.failed != 0 {
		t.Errorf("an old failure counts: %+v", p)
	}
	if p.succeeded(1, false); p.limit != 5 {
		t.Errorf("an old success counts: %+v", p)
	}
	if p.succeeded(2, false); p.limit != 5.75 {
		t.Errorf("a success of now does not count: %+v", p)
	}
}

func TestPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		within := func(what string, d, low, high time.Duration) {
			t.Helper()
			if d < low || d > high {
				t.Errorf("%s: %s, want %s to %s", what, d, low, high)
			}
		}
		const s = time.Second
		p := aDomain()
		for i, want := range []time.Duration{10, 20, 40, 60, 60} { // doubled, up to the most, and half of it by the jitter
			within(fmt.Sprintf("pause %d", i+1), p.pause(false, 0), want*s/2, want*s)
			if i > 0 {
				within("for a new message", time.Until(p.soon), s/2, s)
			} else {
				within("for a new message, the first time", time.Until(p.soon), 5*s, 10*s)
			}
		}
		// New ones that fail make no pause longer, three times (hurry).
		p = aDomain()
		within("the first", p.pause(true, 0), 5*s, 10*s)
		for i := range 3 {
			within(fmt.Sprintf("hurried %d", i+1), p.pause(true, 0), 5*s, 10*s)
			if i < 2 {
				within("for a new message", time.Until(p.soon), s/2, s)
			} else {
				within("for a new message, when enough have hurried", time.Until(p.soon), 5*s, 10*s)
			}
		}
		within("then", p.pause(true, 0), 10*s, 20*s)
		within("then", p.pause(true, 0), 20*s, 40*s)
		// What the system asks for is kept to the second, by new messages as well.
		within("asked", p.pause(true, 7*s), 7*s, 7*s)
		within("until", time.Until(p.until), 7*s, 7*s)
		within("for a new message", time.Until(p.soon), 7*s, 7*s)
	})
}

func TestOneAttemptIsNoFailedProbe(t *testing.T) {
	p := aDomain()
	p.limit, p.bounded = 0, true // as a process begins
	if !p.open(time.Now(), true) {
		t.Error("the first probe may not begin")
	}
	p.probing = true
	p.limit = 2 // meanwhile, no answer was no refusal
	if p.failure(0, true, true, true, "1") != 0 || p.limit != 1 || p.failed != 1 || p.probing {
		t.Errorf("%+v", p)
	}
}

func TestASickGrantDoesNotHoldAllHandlers(t *testing.T) {
	p := aDomain()
	now := time.Now()
	p.running = 99
	if !p.open(now, false) {
		t.Error("the limit of a grant that is well does not hold")
	}
	p.failed = 2
	if !p.open(now, false) {
		t.Error("sick after two failures")
	}
	p.failed = 3
	for running, want := range map[int]bool{0: true, 1: true, 2: false, 99: false} { // a quarter of ten
		if p.running = running; p.open(now, false) != want {
			t.Errorf("sick, and %d at work: %v", running, !want)
		}
	}
	p.most = 2
	for running, want := range map[int]bool{0: true, 1: false} { // one of two, not none
		if p.running = running; p.open(now, false) != want {
			t.Errorf("sick, for two handlers, and %d at work: %v", running, !want)
		}
	}
	p.failed, p.most, p.bounded, p.limit = 0, 10, true, 4.5
	for running, want := range map[int]bool{3: true, 4: false} {
		if p.running = running; p.open(now, false) != want {
			t.Errorf("bounded by 4.5, and %d at work: %v", running, !want)
		}
	}
}

func TestDoubled(t *testing.T) {
	const s = time.Second
	for _, c := range []struct {
		base, limit time.Duration
		times       int
		want        time.Duration
	}{{s, time.Minute, 0, s}, {s, time.Minute, 1, 2 * s}, {s, time.Minute, 5, 32 * s}, {s, time.Minute, 6, time.Minute}, {s, time.Minute, 1 << 30, time.Minute},
		{2 * s, s, 0, s}, {2 * s, 4 * s, 1, 4 * s}, {s, math.MaxInt64, 100, math.MaxInt64}} {
		if got := doubled(c.base, c.limit, c.times); got != c.want {
			t.Errorf("%s %d times, at most %s: %s", c.base, c.times, c.limit, got)
		}
	}
	low, high := time.Hour, time.Duration(0)
	for range 1000 {
		d := jitter(time.Minute)
		low, high = min(low, d), max(high, d)
	}
	if low < 30*s || low > 32*s || high < 58*s || high > time.Minute {
		t.Errorf("the jitter is from %s to %s, want half of it to all of it", low, high)
	}
	if jitter(0) != 0 || jitter(1) > 1 {
		t.Error("jitter of nothing")
	}
}

// equivalent mutant: doubled: base >= limit/2 -> base > limit/2
// equivalent mutant: doubled: limit/2 -> limit*2
// What is doubled once more is cut to the limit at the end.
