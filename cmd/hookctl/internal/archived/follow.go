package archived

import (
	"context"
	"time"
)

const (
	// poll is how often Follow looks for new copies. A look costs as much as a PUT.
	poll = time.Second
	// late is for how long after a notification's arrival its copy can still come: the
	// handler has 7.5 s, and the clocks of two environments differ.
	late = 15 * time.Second
)

// Follow hands the chosen copies to visit, one after the other, and each new one soon
// after it is there, until ctx ends or visit fails. A copy that comes later than one that
// arrived after it is not missed.
func (a Archive) Follow(ctx context.Context, f Filter, visit func(Copy) error) error {
	seen := make(map[string]time.Time)
	for {
		newest, err := f.Since, error(nil)
		listErr := a.List(ctx, f, func(c Copy) bool {
			if c.ReceivedAt.After(newest) {
				newest = c.ReceivedAt
			}
			if _, known := seen[c.Name]; known {
				return true
			}
			seen[c.Name] = c.ReceivedAt
			err = visit(c)
			return err == nil
		})
		if err == nil {
			err = listErr
		}
		if err != nil {
			return err
		}
		if from := newest.Add(-late); from.After(f.Since) {
			f.Since = from
			for name, at := range seen {
				if at.Before(from) {
					delete(seen, name)
				}
			}
		}
		select {
		case <-time.After(poll):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
