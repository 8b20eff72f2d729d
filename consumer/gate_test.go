package consumer

import (
	"fmt"
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
