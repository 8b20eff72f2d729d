package consumer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
)

// The way of one message: receive.go asks for as many as there will be handlers for.
// gate.go and turns.go decide when a handler may be called, by what domain.go knows of the
// system behind. work.go takes the message from there to its end, handle.go calls the
// [Store] and the handler. blame.go judges what failed. delete.go deletes, or work.go gives
// it back. Beside that way heartbeat.go keeps everything received hidden from others.

// Consumer reads one queue. Make it with [New].
type Consumer struct {
	config   Config
	gate     *gate
	inflight inflight
	deletes  chan *message
	wire     *semaphore.Weighted // bytes of messages as they came
	hiding   *semaphore.Weighted // requests that hide one message

	workers, polls sync.WaitGroup
	pollsEnded     chan struct{} // closed when the last receive has returned

	started     atomic.Bool
	polled      atomic.Int64 // Unix nanoseconds of the last receive that SQS answered
	failedPolls atomic.Int32 // in a row
	running     atomic.Int32
	stuck       atomic.Int32

	// The contexts of a run, each longer than the one before.
	stopping context.Context // done when nothing more may begin
	handlers context.Context // every handler's parent: done when they must return
	patience context.Context // done when one that has not returned is given up
	lasting  context.Context // done when the stop's time is over: nothing is told any more
	fail     context.CancelCauseFunc
}

// mostHides bounds the requests side by side that hide one message, at a stop for one.
const mostHides = 32

// New checks the configuration and returns a Consumer that has done nothing yet.
// The error names everything that is wrong.
func New(config Config) (*Consumer, error) {
	c := config.withDefaults()
	if problems := append(c.problems(), c.queueProblems()...); len(problems) > 0 {
		return nil, fmt.Errorf("consumer configuration: %w", errors.Join(problems...))
	}
	c.decoded = semaphore.NewWeighted(maxDecodedBytes)
	return &Consumer{
		config:   c,
		gate:     newGate(c),
		inflight: inflight{messages: map[*message]struct{}{}},
		wire:     semaphore.NewWeighted(maxWireBytes),
		hiding:   semaphore.NewWeighted(mostHides),
		// Handlers do not wait for the deletion of what they finished, until it is
		// a whole round behind.
		deletes:    make(chan *message, c.Concurrency),
		pollsEnded: make(chan struct{}),
	}, nil
}

// Run receives and handles messages until the context ends, then stops gracefully:
// it receives no more, lets the handlers finish within [Config.StopTimeout], deletes
// what they finished, and gives back the rest. It returns nil when that went well.
//
// The errors are [ErrUnfinished], [ErrStuck], and that the queue does not exist;
// anything else it meets it survives. It can be called once.
func (c *Consumer) Run(ctx context.Context) error {
	if c.started.Swap(true) {
		return errors.New("consumer was run before; make a new one")
	}
	var abort, abandon, end context.CancelFunc
	c.lasting, end = context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	c.patience, abandon = context.WithCancel(c.lasting)
	defer abandon()
	c.handlers, abort = context.WithCancel(c.patience)
	defer abort()
	c.stopping, c.fail = context.WithCancelCause(ctx)
	defer c.fail(nil)
	defer context.AfterFunc(c.stopping, func() {
		time.AfterFunc(c.config.StopTimeout*4/5, abort)
		time.AfterFunc(c.config.StopTimeout*9/10, abandon)
		time.AfterFunc(c.config.StopTimeout, end)
	})()

	ended := make(chan struct{})
	go func() {
		defer close(ended)
		beating, endHeartbeat := context.WithCancel(c.lasting)
		defer endHeartbeat()
		var background sync.WaitGroup
		background.Go(func() { c.heartbeat(beating) })
		background.Go(func() { c.deleteAll(); endHeartbeat() })
		c.receiveAll()
		c.workers.Wait()
		close(c.deletes)
		background.Wait()
	}()
	select {
	case <-ended:
	case <-c.lasting.Done():
		pause(context.WithoutCancel(ctx), lastMoment)
	}

	if ctx.Err() == nil {
		return context.Cause(c.stopping) // it was not asked to stop
	}
	select {
	case <-ended:
	default:
		return fmt.Errorf("%w: a store or client does not return", ErrUnfinished)
	}
	if n := c.stuck.Load(); n > 0 {
		return fmt.Errorf("%w: %d did not", ErrUnfinished, n)
	}
	return nil
}

// lastMoment is what calls get to return whose context has ended.
const lastMoment = 100 * time.Millisecond

// Status is what a health check wants to know of a running consumer.
type Status struct {
	// Polled is when SQS last answered a receive; a healthy, idle consumer's is
	// never older than the 20 s of a long poll. Zero before the first. While Paused,
	// or busy with long handlers, it may be older.
	Polled time.Time
	// Paused tells that the system behind the handler is unavailable.
	Paused bool
	// PausedGrants is how many grants fail while others do not: a mailbox, or its shard.
	PausedGrants int
	// Held is how many messages failed, or belong to a paused grant, and wait here for
	// another attempt; Suspected, how many of those others begin to outrun.
	Held, Suspected int
	// InFlight is how many messages are received and not finished; Running, how many
	// handlers are at work; Stuck, how many of those ignore that their context ended.
	InFlight, Running, Stuck int
}

// Status may be called at any time, from any goroutine.
func (c *Consumer) Status() Status {
	s := Status{
		InFlight: c.inflight.count(),
		Running:  int(c.running.Load()),
		Stuck:    int(c.stuck.Load()),
	}
	s.Paused, s.Held, s.Suspected, s.PausedGrants = c.gate.status()
	if nanoseconds := c.polled.Load(); nanoseconds > 0 {
		s.Polled = time.Unix(0, nanoseconds)
	}
	return s
}
