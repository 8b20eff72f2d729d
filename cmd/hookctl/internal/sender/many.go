package sender

import (
	"context"
	"sync"
	"time"
)

// Delivery is one notification to send.
type Delivery struct {
	Envelope
	Body      []byte
	Signature string // empty: unsigned
}

// Many sends n deliveries, rate a second (0: as fast as they are answered), with up to
// parallel under way at once. next makes the i-th, done gets its answer; done is
// called by one goroutine at a time. What the webhook answers never ends it, and
// neither does no answer; an error of next does, and so does the end of ctx.
func (s *Sender) Many(ctx context.Context, n, rate, parallel int, next func(i int) (Delivery, error), done func(Delivery, Answer, error)) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	numbers := make(chan int)
	var (
		workers sync.WaitGroup
		one     sync.Mutex
	)
	for range min(n, parallel) {
		workers.Go(func() {
			for i := range numbers {
				d, err := next(i)
				if err != nil {
					stop(err)
					return
				}
				answer, err := s.Post(ctx, d.Body, d.Signature)
				if ctx.Err() != nil {
					return
				}
				one.Lock()
				done(d, answer, err)
				one.Unlock()
			}
		})
	}
	start := time.Now()
	for i := range n {
		if rate > 0 {
			// From the start, not from the last one, so that waiting does not add up.
			due := time.NewTimer(time.Until(start.Add(time.Duration(i) * time.Second / time.Duration(rate))))
			select {
			case <-due.C:
			case <-ctx.Done():
				due.Stop()
			}
		}
		select {
		case numbers <- i:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
	}
	close(numbers)
	workers.Wait()
	return context.Cause(ctx)
}
