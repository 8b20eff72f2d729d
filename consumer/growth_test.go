package consumer

import (
	"testing"
	"testing/synctest"
	"time"
)

// Where handlers take their time and nothing fails, the limit is doubled without an answer.
func TestTheLimitGrowsWithoutAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(Config{Concurrency: 4, PauseMin: time.Second, PauseMax: time.Minute})
		for range 20 {
			g.waits(t, newMessage("a"))
		}
		limit := func(want float64, running int) {
			t.Helper()
			g.mu.Lock()
			defer g.mu.Unlock()
			if g.all.limit != want || g.all.running != running {
				t.Errorf("limit %g, %d at work, want %g and %d", g.all.limit, g.all.running, want, running)
			}
		}
		limit(0, 1) // the probe
		g.sleep(500*time.Millisecond - 1)
		limit(0, 1)
		g.sleep(1)
		limit(2, 2)
		g.sleep(500 * time.Millisecond)
		limit(4, 4)
		g.sleep(500 * time.Millisecond)
		limit(8, 4) // there are no more handlers
		g.sleep(500 * time.Millisecond)
		limit(10, 4)
		if g.growing {
			t.Error("a timer is set, and there is no more to grow")
		}
	})
	for name, c := range map[string]struct {
		before, meanwhile func(*gate)
		after             time.Duration
		want              float64
	}{
		"nothing happens":             {nil, nil, 500 * time.Millisecond, 7},
		"one fails":                   {nil, func(g *gate) { g.failures++ }, time.Second - 1, 3.5},
		"a pause was":                 {nil, func(g *gate) { g.all.epoch++ }, time.Second - 1, 3.5},
		"one is done":                 {nil, func(g *gate) { g.atWork(-1) }, time.Second - 1, 3.5},
		"a failure takes 1 s":         {func(g *gate) { g.slow = time.Second }, nil, 2*time.Second - 1, 3.5},
		"a failure takes 1 s, waited": {func(g *gate) { g.slow = time.Second }, nil, 2 * time.Second, 7},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := aGate()
				g.all.limit, g.growing = 3.5, false
				if c.before != nil {
					c.before(g)
				}
				for range 3 {
					g.begins(t, newMessage("a"))
				}
				g.sleep(100 * time.Millisecond) // from the third on all are at work
				if c.meanwhile != nil {
					c.meanwhile(g)
				}
				g.mu.Lock()
				g.dispatch()
				g.mu.Unlock()
				g.sleep(c.after - 100*time.Millisecond)
				if g.all.limit != c.want {
					t.Errorf("limit %g, want %g", g.all.limit, c.want)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		g := newGate(Config{Concurrency: 4, PauseMin: time.Second, PauseMax: time.Minute})
		g.done(g.begins(t, newMessage("a")), outcomeNone, 0)
		g.sleep(time.Minute)
		if g.all.limit != 0 {
			t.Errorf("limit %g, and nothing is at work", g.all.limit)
		}
		g.all.pause(false, time.Second)
		g.sleep(time.Second)
		g.begins(t, newMessage("a"))
		if g.sleep(time.Minute); g.all.limit != 0 {
			t.Errorf("limit %g after a pause, and the probe has not answered", g.all.limit)
		}
	})
}
