package spilled

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/objects"
	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/triggertype"
	"github.com/onepagecrm/nylas-webhooks/notification"
)

// workers are how many notifications are worked on at once. A replay takes about 50 ms for
// one (get, send, delete), so eight bring 10,000 back in a minute.
const workers = 8

// Order says which spilled notifications are meant.
type Order struct {
	// Since leaves out what was spilled before; the zero time leaves out nothing.
	Since time.Time
	// Types leaves out other notification types; none leaves out nothing. A type also is
	// what Nylas makes of it by suffixes (package triggertype).
	Types []string
	// Max is how many at most, the oldest first; PerSecond is how fast. 0 is no limit.
	Max, PerSecond int
}

// byType: which notifications are meant is known only after they were read.
func (o Order) byType() bool { return len(o.Types) > 0 }

func (o Order) wants(typ string) bool {
	return !o.byType() || slices.ContainsFunc(o.Types, func(want string) bool { return triggertype.Is(typ, want) })
}

// workers is one where the limit is for what has to be read first, so that the oldest are
// taken, and a preview and the replay after it take the same.
func (o Order) workers() int {
	if o.Max > 0 && o.byType() {
		return 1
	}
	return workers
}

// places count down an order's Max.
type places struct {
	mu        sync.Mutex
	unlimited bool
	left      int
}

// take tells whether there was a place left.
func (p *places) take() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left--
	return p.unlimited || p.left >= 0
}

func (p *places) none() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.unlimited && p.left <= 0
}

// work does something with a spilled notification that is meant.
type work func(context.Context, Object, notification.Wire) (outcome, error)

// each reads what order means and hands it to do, several at once. It counts what became
// of each, and calls told, one call at a time.
func (s Store) each(ctx context.Context, order Order, told func(Result), do work) (Result, error) {
	var mu sync.Mutex
	var r Result
	count := func(what outcome, err error) error {
		mu.Lock()
		defer mu.Unlock()
		err = r.count(what, err)
		told(r)
		return err
	}
	free := &places{unlimited: order.Max == 0, left: order.Max}
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(order.workers())
	err := s.List(groupCtx, func(o Object) bool {
		if groupCtx.Err() != nil || free.none() {
			return false
		}
		if o.SpilledAt.Before(order.Since) {
			return count(leftOut, nil) == nil
		}
		if !order.byType() {
			free.take()
		}
		group.Go(func() error { return count(s.one(groupCtx, o, order, free, do)) })
		return true
	})
	// The first error of a notification also ends the list, so it is the one to tell.
	if groupErr := group.Wait(); groupErr != nil {
		err = groupErr
	}
	if err == nil {
		err = ctx.Err()
	}
	return r, err
}

// one reads a notification and hands it to do, where it is meant and there is a place.
func (s Store) one(ctx context.Context, o Object, order Order, free *places, do work) (outcome, error) {
	if order.byType() && free.none() { // since it was listed
		return none, nil
	}
	object, err := s.bucket().Get(ctx, o.Key, maxObject)
	if errors.Is(err, objects.ErrGone) {
		return none, nil // another replay was faster
	}
	if err != nil {
		return none, fmt.Errorf("get %s: %w", o.Key, err)
	}
	wire, err := notification.Unspill(object)
	if err == nil && !order.wants(wire.Attributes[notification.AttrType].Value) {
		return leftOut, nil
	}
	if order.byType() && !free.take() {
		return none, nil
	}
	if err != nil { // of any type
		return refused, fmt.Errorf("%s: %w", o.Key, err)
	}
	return do(ctx, o, wire)
}
