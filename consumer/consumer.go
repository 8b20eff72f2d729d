package consumer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Consumer reads one queue. Make it with [New].
type Consumer struct {
	config  Config
	breaker *breaker
	// room bounds what is received and not finished; slots, how many handlers run.
	// Room is a little larger, for the messages that wait out an outage while probes
	// bring new ones.
	room, slots semaphore
	inflight    inflight
	deletes     chan *message
	workers     sync.WaitGroup

	started atomic.Bool
	polled  atomic.Int64 // Unix nanoseconds of the last receive that SQS answered
	running atomic.Int32
	stuck   atomic.Int32

	// The three contexts of a run, each longer than the one before.
	stopping context.Context // done when nothing more may begin
	handlers context.Context // every handler's parent: done when they must return
	lasting  context.Context // never done: what is left to tell SQS
	fail     context.CancelCauseFunc
}

// spareRoom is how many messages more than handlers are held in an outage.
const spareRoom = 10

// New checks the configuration and returns a Consumer that has done nothing yet.
// The error names everything that is wrong.
func New(config Config) (*Consumer, error) {
	c := config.withDefaults()
	if problems := append(c.problems(), c.queueProblems()...); len(problems) > 0 {
		return nil, fmt.Errorf("consumer configuration: %w", errors.Join(problems...))
	}
	return &Consumer{
		config:   c,
		breaker:  newBreaker(c.PauseMin, c.PauseMax),
		room:     make(semaphore, c.Concurrency+spareRoom),
		slots:    make(semaphore, c.Concurrency),
		inflight: inflight{messages: map[*message]struct{}{}},
		// Handlers do not wait for the deletion of what they finished, until it is
		// a whole round behind.
		deletes: make(chan *message, c.Concurrency),
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
	var abort context.CancelFunc
	c.lasting = context.WithoutCancel(ctx)
	c.handlers, abort = context.WithCancel(c.lasting)
	defer abort()
	c.stopping, c.fail = context.WithCancelCause(ctx)
	defer c.fail(nil)

	beating, endHeartbeat := context.WithCancel(c.lasting)
	var background sync.WaitGroup
	background.Go(func() { c.heartbeat(beating) })
	background.Go(func() { c.deleteAll(); endHeartbeat() })

	c.receiveAll()

	finished := make(chan struct{})
	go func() { c.workers.Wait(); close(finished) }()
	select {
	case <-finished:
	case <-time.After(c.config.StopTimeout):
		abort()
		<-finished // within config.grace
	}
	close(c.deletes)
	background.Wait()

	if ctx.Err() == nil {
		return context.Cause(c.stopping) // it was not asked to stop
	}
	if n := c.stuck.Load(); n > 0 {
		return fmt.Errorf("%w: %d did not", ErrUnfinished, n)
	}
	return nil
}

// Status is what a health check wants to know of a running consumer.
type Status struct {
	// Polled is when SQS last answered a receive; a healthy, idle consumer's is
	// never older than the 20 s of a long poll. Zero before the first. While Paused,
	// or busy with long handlers, it may be older.
	Polled time.Time
	// Paused tells that the system behind the handler is unavailable.
	Paused bool
	// InFlight is how many messages are received and not finished; Running, how many
	// handlers are at work; Stuck, how many of those ignore that their context ended.
	InFlight, Running, Stuck int
}

// Status may be called at any time, from any goroutine.
func (c *Consumer) Status() Status {
	s := Status{
		Paused:   c.breaker.paused(),
		InFlight: c.inflight.count(),
		Running:  int(c.running.Load()),
		Stuck:    int(c.stuck.Load()),
	}
	if nanoseconds := c.polled.Load(); nanoseconds > 0 {
		s.Polled = time.Unix(0, nanoseconds)
	}
	return s
}

// semaphore is a counting semaphore: a send takes, a receive gives back.
type semaphore chan struct{}

func (s semaphore) take(ctx context.Context) error {
	select {
	case s <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s semaphore) tryTake() bool {
	select {
	case s <- struct{}{}:
		return true
	default:
		return false
	}
}

func (s semaphore) give() { <-s }
