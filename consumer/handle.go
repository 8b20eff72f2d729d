package consumer

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

// busy is the outcome of an attempt that found another one in progress, until
// Delay from now. It is seen by nobody outside.
const busy Kind = "busy"

const (
	// recordTimeout and recordTries bound how long a success waits for the store:
	// with the handler's work done, a duplicate is better than a slot that is lost.
	recordTimeout = 5 * time.Second
	recordTries   = 3
)

// handle takes one message the whole way but for the queue, and says how it ended:
// Handled, Duplicate, SmokeTest, Unreadable, Unverified, Rejected, Failed, Held,
// Stuck or busy. A handler that has not returned when patience ends is given up, and
// nothing is written to the store once lasting has ended.
func (c Config) handle(ctx, patience, lasting context.Context, m *message) Event {
	e := Event{MessageID: m.id, Receives: m.receives, GrantID: m.grant}
	room, err := c.makeRoom(ctx, m)
	if err != nil {
		e.Kind, e.Err = Held, err // it stops
		return e
	}
	defer room.free()
	n, err := c.decode(ctx, m)
	if err != nil {
		e.Kind, e.Err = Unreadable, fmt.Errorf("decode message: %w", err)
		if errors.Is(err, errFetch) {
			e.Kind = Held
		}
		return e
	}
	room.shrink(int64(len(n.Body)))
	e.NotificationID, e.Type, e.ReceivedAt = n.ID, n.Type, n.ReceivedAt
	if err := c.verify(ctx, n); err != nil {
		e.Kind, e.Err = Unverified, fmt.Errorf("verify signature: %w", err)
		if isUnavailable(err) {
			e.Kind = Held
		}
		return e
	}
	if n.Type == notification.SmokeTestType {
		e.Kind = SmokeTest
		return e
	}

	a := &attempt{key: m.key(n), owner: rand.Text(), until: m.hidden()}
	claim, err := c.Store.Begin(ctx, a.key, a.owner, a.until)
	switch {
	case err != nil:
		e.Kind, e.Err = Held, Unavailable(fmt.Errorf("take lease: %w", err), 0)
		return e
	case claim.State == Completed:
		e.Kind = Duplicate
		return e
	case claim.State == InProgress:
		e.Kind, e.Delay = busy, time.Until(claim.Until)
		return e
	}

	var handlerCtx context.Context
	handlerCtx, a.cancel = context.WithCancelCause(ctx)
	defer a.cancel(nil)
	m.setAttempt(a)
	defer m.setAttempt(nil)
	start := time.Now()
	err = c.call(handlerCtx, patience, m, n)
	e.Duration, e.Err = time.Since(start), err

	var rejected *rejectedError
	var stuck *stuckError
	switch {
	case err == nil:
		e.Kind = Handled
		c.record(lasting, e, a)
		return e
	case errors.As(err, &stuck):
		e.Kind = Stuck
		return e // it may still be working: the lease ends by itself, not before
	case isUnavailable(err):
		e.Kind = Held
	case errors.As(err, &rejected):
		e.Kind = Rejected
	default:
		e.Kind = Failed
	}
	c.release(lasting, e, a)
	return e
}

// verify checks the signature again, if the consumer was given secrets.
func (c Config) verify(ctx context.Context, n notification.Notification) error {
	if c.Secrets == nil {
		return nil
	}
	secrets, err := c.readSecrets(ctx)
	if err != nil {
		return Unavailable(fmt.Errorf("read secrets: %w", err), 0)
	}
	err = n.Signature.Verify(n.Body, secrets...)
	if errors.Is(err, notification.ErrNoSecret) {
		return Unavailable(err, 0)
	}
	return err
}

func (c Config) readSecrets(ctx context.Context) (secrets []string, err error) {
	defer recovered("Secrets", &err)
	return c.Secrets(ctx)
}

// call calls the handler and returns when it does, or when it has not by a while
// after its context ended.
func (c Config) call(ctx, patience context.Context, m *message, n notification.Notification) error {
	ctx, cancel := context.WithTimeout(ctx, c.HandlerTimeout)
	defer cancel()
	if !m.hideUntil.IsZero() { // what was held for hours cannot stay hidden for a whole timeout more
		ctx, cancel = context.WithDeadline(ctx, m.hideUntil)
		defer cancel()
	}
	ctx = context.WithValue(ctx, deliveryKey{}, Delivery{
		MessageID: m.id, Receives: m.receives, Last: m.receives >= c.MaxReceives, FirstSent: m.sent,
	})
	start := time.Now()
	returned := make(chan error, 1)
	go c.protected(ctx, n, returned)
	var err error
	select {
	case err = <-returned:
	case <-ctx.Done():
		grace, cancel := context.WithTimeout(patience, c.grace)
		defer cancel()
		select {
		case err = <-returned:
		case <-grace.Done():
			return &stuckError{time.Since(start), returned}
		}
	}
	// Where the context was ended, its cause says more than the handler can know.
	if cause := context.Cause(ctx); cause != nil && errors.Is(err, ctx.Err()) {
		if errors.Is(cause, context.DeadlineExceeded) {
			return fmt.Errorf("handler did not finish within %s: %w", time.Since(start).Round(time.Millisecond), err)
		}
		return fmt.Errorf("%w (%w)", err, cause)
	}
	return err
}

// protected calls the handler in a goroutine of its own, and makes an error of a panic
// and of runtime.Goexit, which a test's FailNow calls.
func (c Config) protected(ctx context.Context, n notification.Notification, returned chan<- error) {
	err := errGoexit
	defer func() {
		if value := recover(); value != nil {
			err = fmt.Errorf("handler %w", &panicError{value, debug.Stack()})
		}
		returned <- err
	}()
	err = c.Handler(ctx, n)
}

// record writes down that the notification was handled. That it cannot is no reason
// to handle it again.
func (c Config) record(lasting context.Context, e Event, a *attempt) {
	var err error
	for try := range recordTries {
		if try > 0 {
			pause(lasting, jitter(time.Second))
		}
		if err = c.store(lasting, a, c.Store.Complete); err == nil {
			return
		}
		if errors.Is(err, ErrLeaseLost) {
			break
		}
	}
	c.emit(storeEvent(e, fmt.Errorf("record that the notification was handled: %w", err)))
}

// release ends the lease early. If that fails, it ends by itself.
func (c Config) release(lasting context.Context, e Event, a *attempt) {
	if err := c.store(lasting, a, c.Store.Release); err != nil {
		c.emit(storeEvent(e, fmt.Errorf("release lease: %w", err)))
	}
}

// store makes one change of the lease, also when the handler's context has ended.
func (c Config) store(lasting context.Context, a *attempt, change func(context.Context, string, string) error) error {
	ctx, cancel := context.WithTimeout(lasting, recordTimeout)
	defer cancel()
	return change(ctx, a.key, a.owner)
}

func storeEvent(e Event, err error) Event {
	e.Kind, e.Err, e.Duration = StoreFailed, err, 0
	if errors.Is(err, ErrLeaseLost) {
		e.Kind = LeaseLost
	}
	return e
}

func isUnavailable(err error) bool {
	var unavailable *unavailableError
	return errors.As(err, &unavailable)
}

func retryAfter(err error) time.Duration {
	var unavailable *unavailableError
	if errors.As(err, &unavailable) {
		return unavailable.retryAfter
	}
	return 0
}

// receives reads how often a message was received; 1 where SQS does not say.
func receives(attributes map[string]string) int {
	n, err := strconv.Atoi(attributes[string(types.MessageSystemAttributeNameApproximateReceiveCount)])
	if err != nil {
		return 1
	}
	return max(n, 1)
}

// sent reads when the message was first sent; zero where SQS does not say.
func sent(attributes map[string]string) time.Time {
	milliseconds, err := strconv.ParseInt(attributes[string(types.MessageSystemAttributeNameSentTimestamp)], 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(milliseconds)
}
