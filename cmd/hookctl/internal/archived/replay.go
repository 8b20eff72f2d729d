package archived

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/enqueue"
	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/objects"
	"github.com/onepagecrm/nylas-webhooks/internal/awserror"
	"github.com/onepagecrm/nylas-webhooks/internal/sqsanswer"
	"github.com/onepagecrm/nylas-webhooks/notification"
)

// workers replay, or erase, at once. One takes about 30 ms a copy, so eight send 10,000
// within a minute.
const workers = 8

// Order says what a replay sends, and how.
type Order struct {
	Filter
	// ID is the replay's. The same id again sends what a consumer that keeps a store drops.
	ID string
	// Rate is how many are sent a second at most; 0 is no limit.
	Rate int
}

// Result counts what a replay did.
type Result struct {
	Sent int `json:"sent"`
	// Gone had expired, or were erased, before they were read.
	Gone int `json:"gone"`
	// Refused could not be read, or were not taken by the queue. Why is said of the first.
	Refused int    `json:"refused"`
	Why     string `json:"refused_why,omitempty"`
}

// Replay sends the chosen copies to the queue at url, as parts of the replay of the
// order's id. told is called after each. What fails for one is counted; an error is what
// fails for all, and the replay of the same id can then be done again.
func (a Archive) Replay(ctx context.Context, queue enqueue.API, url string, o Order, told func(Result)) (Result, error) {
	pace := rate.NewLimiter(rate.Inf, 1)
	if o.Rate > 0 {
		pace = rate.NewLimiter(rate.Limit(o.Rate), 1)
	}
	var mu sync.Mutex
	var r Result
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	err := a.List(groupCtx, o.Filter, func(c Copy) bool {
		if pace.Wait(groupCtx) != nil {
			return false
		}
		group.Go(func() error {
			err := a.send(groupCtx, queue, url, c, o.ID)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				r.Sent++
			case errors.Is(err, objects.ErrGone):
				r.Gone++
			case errors.Is(err, sqsanswer.ErrRefused), errors.Is(err, notification.ErrCorrupt), errors.Is(err, notification.ErrVersion):
				r.Refused++
				if r.Why == "" {
					r.Why = awserror.Text(err)
				}
			default:
				return err
			}
			told(r)
			return nil
		})
		return groupCtx.Err() == nil
	})
	// The first error of a copy also ends the list, so it is the one to tell.
	if groupErr := group.Wait(); groupErr != nil {
		err = groupErr
	}
	if err == nil {
		err = ctx.Err()
	}
	return r, err
}

func (a Archive) send(ctx context.Context, queue enqueue.API, url string, c Copy, id string) error {
	w, err := a.wire(ctx, c)
	if err != nil {
		return err
	}
	if err := enqueue.Send(ctx, queue, url, w.Replay(id)); err != nil {
		return fmt.Errorf("send %s to the queue: %w", c.Name, err)
	}
	return nil
}
