package consumer

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

// crm is a system behind the handler that can be down.
type crm struct {
	mu       sync.Mutex
	down     func(n notification.Notification) (down bool, retryAfter time.Duration)
	tries    []time.Time // every call, when it began
	got      map[string]int
	duration time.Duration
}

func newCRM(down func(notification.Notification) (bool, time.Duration)) *crm {
	return &crm{down: down, got: map[string]int{}, duration: 50 * time.Millisecond}
}

func (c *crm) handle(_ context.Context, n notification.Notification) error {
	c.mu.Lock()
	c.tries = append(c.tries, time.Now())
	c.mu.Unlock()
	time.Sleep(c.duration)
	c.mu.Lock()
	defer c.mu.Unlock()
	if down, retryAfter := c.down(n); down {
		return Unavailable(errors.New("503 Service Unavailable"), retryAfter)
	}
	c.got[n.ID]++
	return nil
}

// during counts the calls between two times.
func (c *crm) during(from, to time.Time) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, t := range c.tries {
		if !t.Before(from) && t.Before(to) {
			n++
		}
	}
	return n
}

func (c *crm) copied() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	got := map[string]int{}
	for id, n := range c.got {
		got[id] = n
	}
	return got
}
