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

// Unavailable says that the system behind the handler is down, and not the message
// to blame: receiving pauses, at least for retryAfter (0: the consumer decides; more
// than an hour counts as an hour), and the message is tried again when one attempt
// gets through.
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

// panicError is a handler's panic. The stack is logged beside it.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("handler panicked: %v", e.value) }

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
