package consumer

import (
	"errors"
	"fmt"
	"time"
)

var (
	// ErrLeaseLost: another attempt holds the lease on the notification, because
	// ours lapsed. It cancels the handler's context, as its cause.
	ErrLeaseLost = errors.New("lease on the notification was lost")
	// ErrStuck: as many handlers as there may be ignore that their context has
	// ended, so nothing more can be handled. Only a new process helps.
	ErrStuck = errors.New("every handler is stuck: none returned after its context ended")
	// ErrUnfinished: handlers did not return in time when the consumer was stopped.
	// Their messages were given back and will be handled again.
	ErrUnfinished = errors.New("stopped before every handler returned")
)

// Unavailable says that the system behind the handler did not take the message, and
// that this may be the system's fault.
//
// With a retryAfter (429, or a Retry-After header; more than an hour counts as an hour)
// the system is busy and asks for a pause. That is never the message's fault. Nothing is
// tried before the pause is over.
//
// With 0 the consumer decides by what others meet. Where they fail as well, the system,
// or the part of it behind this grant, is unwell, and the message is forgiven: it waits
// here. Where others get through and this one does not, again and again, it fails.
func Unavailable(err error, retryAfter time.Duration) error {
	return &unavailableError{err, min(retryAfter, maxRetryAfter)}
}

// maxRetryAfter bounds what a Retry-After header can do: a system that asks for
// days, by mistake, would stop deliveries for days.
const maxRetryAfter = time.Hour

type unavailableError struct {
	err        error
	retryAfter time.Duration
}

func (e *unavailableError) Error() string { return fmt.Sprintf("unavailable: %v", e.err) }
func (e *unavailableError) Unwrap() error { return e.err }

// Reject says that no attempt at this message will ever work: it is moved to the
// dead-letter queue at once, if the consumer knows it ([Config.DeadLetterQueueURL]),
// and else fails as with any other error.
func Reject(err error) error { return &rejectedError{err} }

type rejectedError struct{ err error }

func (e *rejectedError) Error() string { return fmt.Sprintf("rejected: %v", e.err) }
func (e *rejectedError) Unwrap() error { return e.err }

// panicError is a panic of the handler, a store or Secrets. The stack is logged beside it.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panicked: %v", e.value) }

// errGoexit: the handler ended its goroutine.
var errGoexit = errors.New("handler called runtime.Goexit")

// stuckError: the handler has not returned although its context ended a while ago.
type stuckError struct {
	after    time.Duration
	returned <-chan error // delivers when it does return
}

func (e *stuckError) Error() string {
	return fmt.Sprintf("handler ignores that its context ended (%s after it was called): it keeps its place until it returns", e.after.Round(time.Millisecond))
}

// errBusy: another attempt at the same notification holds the lease.
var errBusy = errors.New("another attempt at this notification is in progress")
