package consumer

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

// targets are two systems, "a" and "b", of which b is down for a while. Each notification
// is for one of them.
type targets struct {
	rate, percent int // notifications a second, and how many in a hundred are for b
	down          time.Duration
	grant         func(i int, target string) string
	queueEach     bool // and a consumer
}

// afterOutage is what an outage cost.
type afterOutage struct {
	sentA, takenA int           // while b was down
	lagA          time.Duration // of the slowest
	sentB, deadB  int           // b would have taken these
	held          int
}

func (c targets) play(t *testing.T) (r afterOutage) {
	synctest.Test(t, func(t *testing.T) {
		a := newWorld(t, 50*time.Millisecond)
		b := a
		if c.queueEach {
			b = newWorld(t, 50*time.Millisecond)
		}
		isA := func(n notification.Notification) bool { return n.Type == "a" }
		end := time.Now().Add(c.down)
		b.system.rules = []rule{down(time.Now(), end, func(n notification.Notification) bool { return !isA(n) })}
		count := func(n notification.Notification, _ int) (error, bool) {
			if isA(n) {
				r.lagA = max(r.lagA, time.Since(n.ReceivedAt))
				if time.Now().Before(end) {
					r.takenA++
				}
			}
			return nil, false
		}
		a.system.rules = append(a.system.rules, count)
		a.run(Config{})
		if c.queueEach {
			b.run(Config{})
		}
		for i := range int(c.down.Seconds()) * c.rate {
			w, target := a, "a"
			if i*31%100 < c.percent {
				w, target = b, "b"
				r.sentB++
			} else {
				r.sentA++
			}
			w.backlog(1, func(_ int, n *notification.Notification) {
				n.ReceivedAt, n.Type, n.GrantID = time.Now(), target, c.grant(i, target)
			})
			time.Sleep(time.Second / time.Duration(c.rate))
		}
		r.held = b.benches[0].consumer.Status().Held
		a.gone(3 * time.Hour)
		b.gone(3 * time.Hour)
		r.deadB = b.queue.deadLetters()
		a.stop()
		if c.queueEach {
			b.stop()
		}
	})
	t.Logf("a: %d of %d, the slowest after %s; b: %d of %d are dead letters; %d waited", r.takenA, r.sentA, r.lagA, r.deadB, r.sentB, r.held)
	return r
}

// Two systems behind one consumer cost each other notifications or time. That is why
// hookworker delivers to one, and its README, "Several targets", has these figures: change
// it where one of them is better now.
func TestTwoTargetsBehindOneConsumer(t *testing.T) {
	mailbox := func(i int, _ string) string { return fmt.Sprintf("grant-%d", i*7919%50) }
	t.Run("a tenth is for the one that is down", func(t *testing.T) {
		if r := (targets{rate: 2, percent: 10, down: 20 * time.Minute, grant: mailbox}).play(t); r.deadB < r.sentB/4 {
			t.Error("most of it is delivered now")
		}
	})
	t.Run("half", func(t *testing.T) {
		if r := (targets{rate: 5, percent: 50, down: 20 * time.Minute, grant: mailbox}).play(t); r.lagA < 3*time.Minute {
			t.Error("the other is not held up any more")
		}
	})
	// What a domain for each target would bring: all, until no more can wait in the process.
	t.Run("judged by target", func(t *testing.T) {
		r := targets{rate: 12, percent: 90, down: 10 * time.Minute, grant: func(_ int, target string) string { return target }}.play(t)
		if r.deadB > 0 || r.held != maxHeld || r.takenA > r.sentA*9/10 {
			t.Error("it is not so any more")
		}
	})
	t.Run("a queue and a consumer each", func(t *testing.T) {
		r := targets{rate: 5, percent: 50, down: 20 * time.Minute, grant: mailbox, queueEach: true}.play(t)
		if r.takenA < r.sentA-1 || r.lagA > time.Second || r.deadB > 0 {
			t.Error("an outage of the one is felt by the other, or costs notifications")
		}
	})
}
