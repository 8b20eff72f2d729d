package function

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

const (
	// maxPayload is Lambda's limit for an event, in bytes.
	// docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
	maxPayload = 6 << 20
	// initTimeout is how long an environment may take until it asks for its first event.
	// docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
	initTimeout = 10 * time.Second
)

var (
	// ErrThrottled: the function's concurrency is used up. Lambda answers 429.
	ErrThrottled = errors.New("Rate Exceeded")
	// ErrTooLarge: the event is beyond what Lambda takes. Lambda answers 413.
	ErrTooLarge = errors.New("event is larger than Lambda takes")
	// ErrFunction: the function gave no answer: it crashed, was killed, exceeded its
	// time, or reported an error itself. Lambda counts it in its metric Errors.
	ErrFunction = errors.New("function error")
)

// Config is what the stack says about the function.
type Config struct {
	Program     string            // the binary's path
	Variables   map[string]string // its environment, beside what Lambda sets
	Memory      int               // MiB
	Timeout     time.Duration     // of one event
	Concurrency int               // events at once
	// Log gets every line that the program writes. It may be called concurrently.
	Log func(environment string, line []byte)
}

// Point is a moment in the way of an event at which a hook is called.
type Point int

const (
	// Handed: the event is on its way to the process.
	Handed Point = iota
	// Answered: the process has sent its answer, which nobody else has seen.
	Answered
	// Frozen: the process stands still until its next event; see SetFreezing.
	Frozen
)

// Function is the function with its environments.
type Function struct {
	config Config

	mu        sync.Mutex
	all       map[string]*environment
	idle      []*environment
	started   int
	busy      int
	stats     Stats
	hooks     map[Point]func(environment string)
	singleUse bool
	freezing  bool
	dataLimit int // MiB; 0: none
	variables map[string]string
	version   int // of the configuration
	closed    bool
	ended     sync.WaitGroup
}

// Stats is what happened so far.
type Stats struct {
	Started   int // environments, so cold starts
	Peak      int // most events at once
	Invoked   int // events, those that were throttled left out
	Throttled int
	Errors    int // Lambda's metric Errors
	TimedOut  int // of these
	Killed    int // processes that were killed on purpose
	Frozen    int // how often a process stood still
}

// New returns a Function without any environment.
func New(c Config) *Function {
	return &Function{config: c, all: make(map[string]*environment), hooks: make(map[Point]func(string)), variables: c.Variables}
}

// Invoke runs one event and returns the function's answer. The errors are ErrThrottled,
// ErrTooLarge and ErrFunction. As on AWS, it runs to its end whether or not somebody
// still waits for it.
func (f *Function) Invoke(payload []byte) ([]byte, error) {
	if len(payload) > maxPayload {
		return nil, ErrTooLarge
	}
	e, err := f.acquire()
	if err != nil {
		return nil, err
	}
	answer, err := e.run(payload, f.config.Timeout)
	f.release(e, err)
	return answer, err
}

// acquire takes the environment that was used last, as Lambda does, or starts one.
func (f *Function) acquire() (*environment, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed || f.busy >= f.config.Concurrency {
		f.stats.Throttled++
		return nil, ErrThrottled
	}
	f.busy++
	f.stats.Invoked++
	f.stats.Peak = max(f.stats.Peak, f.busy)
	if n := len(f.idle); n > 0 {
		e := f.idle[n-1]
		f.idle = f.idle[:n-1]
		return e, nil
	}
	e, err := f.add()
	if err != nil {
		f.busy--
		f.stats.Errors++
		return nil, fmt.Errorf("%w: %w", ErrFunction, err)
	}
	return e, nil
}

// add starts an environment; the function is locked.
func (f *Function) add() (*environment, error) {
	f.started++
	f.stats.Started++
	e, err := f.start(fmt.Sprintf("ENV%06d", f.started))
	if err != nil {
		return nil, fmt.Errorf("start environment: %w", err)
	}
	f.all[e.name] = e
	f.ended.Go(func() {
		e.wait()
		f.forget(e)
	})
	return e, nil
}

// Provision starts n environments and returns when all of them are ready.
func (f *Function) Provision(ctx context.Context, n int) error {
	for range n {
		f.mu.Lock()
		e, err := f.add()
		f.mu.Unlock()
		if err != nil {
			return err
		}
		select {
		case <-e.asked:
		case <-e.ended:
			return errEnded
		case <-ctx.Done():
			return ctx.Err()
		}
		f.mu.Lock()
		f.idle = append(f.idle, e)
		f.mu.Unlock()
	}
	return nil
}

func (f *Function) release(e *environment, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.busy--
	if err != nil {
		f.stats.Errors++
		if errors.Is(err, errTimedOut) {
			f.stats.TimedOut++
		}
	}
	switch {
	case e.hasEnded():
	case f.singleUse, e.version != f.version:
		e.kill()
	default:
		f.idle = append(f.idle, e)
	}
}

func (f *Function) forget(e *environment) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.all, e.name)
	f.idle = slices.DeleteFunc(f.idle, func(other *environment) bool { return other == e })
}

// SetHook has hook called at the point of every event; nil ends that.
func (f *Function) SetHook(p Point, hook func(environment string)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hooks[p] = hook
}

func (f *Function) call(p Point, environment string) {
	f.mu.Lock()
	hook := f.hooks[p]
	f.mu.Unlock()
	if hook != nil {
		hook(environment)
	}
}

// SetSingleUse makes every event a cold start.
func (f *Function) SetSingleUse(on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.singleUse = on
}

// SetFreezing stops each process while it waits for an event, as Lambda does between
// events: then it notices nothing of what happens to its connections.
// docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
func (f *Function) SetFreezing(on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.freezing = on
}

// freezes tells whether a process that waits is to stand still, and counts it.
func (f *Function) freezes() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.freezing {
		f.stats.Frozen++
	}
	return f.freezing
}

// SetConcurrency changes how many events run at once.
func (f *Function) SetConcurrency(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.config.Concurrency = n
}

// SetDataLimit bounds the data of processes, in MiB, so that they end when they need
// more; 0 is no bound.
func (f *Function) SetDataLimit(megabytes int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dataLimit = megabytes
	f.deploy()
}

// SetVariable changes the environment of processes.
func (f *Function) SetVariable(name, value string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.variables = maps.Clone(f.variables)
	f.variables[name] = value
	f.deploy()
}

// deploy lets every event from now on run in an environment with the configuration of
// now. As on AWS, what is under way ends with the old one.
func (f *Function) deploy() {
	f.version++
	f.killIdle()
}

// Kill ends an environment's process at once, without a chance to finish anything.
func (f *Function) Kill(environment string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if e, ok := f.all[environment]; ok && e.kill() {
		f.stats.Killed++
	}
}

// KillOne kills a random one of the environments that are at work, and tells whether
// there was one.
func (f *Function) KillOne(random *rand.Rand) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	var working []string
	for name, e := range f.all {
		if !slices.Contains(f.idle, e) && !e.hasEnded() {
			working = append(working, name)
		}
	}
	if len(working) == 0 {
		return false
	}
	slices.Sort(working) // the same choice for the same seed
	if !f.all[working[random.IntN(len(working))]].kill() {
		return false
	}
	f.stats.Killed++
	return true
}

// KillIdle ends every environment that has nothing to do, as Lambda does when it wants
// the room.
func (f *Function) KillIdle() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.killIdle()
}

func (f *Function) killIdle() {
	for _, e := range f.idle {
		e.kill()
	}
	f.idle = nil
}

// Stats returns what happened so far.
func (f *Function) Stats() Stats {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.stats
}

// Close kills all environments and waits until they are gone.
func (f *Function) Close() {
	f.mu.Lock()
	f.closed = true
	for _, e := range f.all {
		e.kill()
	}
	f.mu.Unlock()
	f.ended.Wait()
}

// Idle waits until no event is under way.
func (f *Function) Idle(ctx context.Context) error {
	for {
		f.mu.Lock()
		busy := f.busy
		f.mu.Unlock()
		if busy == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}
