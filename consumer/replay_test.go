package consumer

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

// What was handled is handled again by a replay, once for each replay: also where that is
// interrupted and sent anew, and where Nylas gave no id.
func TestReplayIsHandledAgainOnce(t *testing.T) {
	for _, id := range []string{"1", ""} {
		t.Run(fmt.Sprintf("id %q", id), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newFakeQueue(t)
				n := note("1")
				n.ID = id
				wire, err := n.Encode()
				if err != nil {
					t.Fatal(err)
				}
				handled := map[string]int{} // by the replay's id
				b := start(t, q, Config{Concurrency: 1, Store: NewMemoryStore(), Handler: func(_ context.Context, n notification.Notification) error {
					handled[n.ReplayID]++
					return nil
				}})
				q.SendWire(wire)
				for _, replay := range []string{"first", "first", "second", "second"} {
					b.drained(10 * time.Minute)
					q.SendWire(wire.Replay(replay))
				}
				b.drained(10 * time.Minute)
				b.mustStop()
				if fmt.Sprint(handled) != "map[:1 first:1 second:1]" || b.count(Duplicate) != 2 {
					t.Errorf("handled %v, %d duplicates", handled, b.count(Duplicate))
				}
			})
		})
	}
}
