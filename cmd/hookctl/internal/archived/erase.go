package archived

import (
	"context"
	"sync"

	"golang.org/x/sync/errgroup"
)

// Erased counts what [Archive.Erase] did.
type Erased struct {
	Deleted int
	// Hidden of them are still there as older versions.
	Hidden int
}

// Erase deletes copies for good, by their names. told is called after each.
func (a Archive) Erase(ctx context.Context, names []string, told func(Erased)) (Erased, error) {
	var mu sync.Mutex
	var e Erased
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	for _, name := range names {
		group.Go(func() error {
			if err := groupCtx.Err(); err != nil {
				return err
			}
			hidden, err := a.Delete(groupCtx, name)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			e.Deleted++
			if hidden {
				e.Hidden++
			}
			told(e)
			return nil
		})
	}
	err := group.Wait()
	return e, err
}
