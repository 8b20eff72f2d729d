package consumer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/onepagecrm/nylas-webhooks/internal/sqsanswer"
)

// errKept: the message waited here as long as SQS can hide it.
var errKept = errors.New("held as long as SQS allows")

// busyMin and busyMax bound the time between two looks, each a write to the store,
// at whether another attempt at the same notification is over.
const (
	busyMin = time.Second
	busyMax = 10 * time.Second
)

// work takes one received message to its end in this process. It begins with the
// receive loop's turn, and every further attempt with one of its own.
func (c *Consumer) work(m *message, l leave) {
	keep, cancel := context.WithDeadlineCause(c.stopping, m.keepUntil, errKept)
	defer cancel()
	waits := 0 // for another attempt at the same notification
	for first := true; ; first = false {
		if first && (!c.breaker.holds(l) || keep.Err() != nil) {
			c.slots.give() // an outage or the stop came while SQS answered
			first = false
		}
		if !first {
			var err error
			if l, err = c.turn(keep, false); err != nil {
				c.giveBack(m, err)
				return
			}
		}
		c.running.Add(1)
		e := c.config.handle(c.handlers, m)
		if e.Kind != Stuck {
			c.running.Add(-1)
			c.slots.give()
		}
		c.report(l, e)
		if c.handlers.Err() != nil && (e.Kind == Failed || e.Kind == Held) {
			c.giveBack(m, e.Err) // we broke it off
			return
		}
		switch e.Kind {
		case Handled, Duplicate, SmokeTest:
			c.config.emit(e)
			c.deletes <- m
			return
		case Rejected:
			c.reject(m, e)
			return
		case Failed, Unreadable, Unverified:
			c.retry(m, e)
			return
		case Stuck:
			c.abandon(m, e)
			return
		case Held:
			if m.suspicion.grows(c.breaker.proven()) {
				e.Kind = Failed
				e.Err = fmt.Errorf("others get through, this notification does not: %w", e.Err)
				c.retry(m, e)
				return
			}
			c.config.emit(e)
		case busy:
			// The other may be done at any moment, or dead until its lease ends.
			wait := min(doubled(busyMin, busyMax, waits), max(e.Delay, busyMin))
			waits++
			select {
			case <-time.After(jitter(wait)):
			case <-keep.Done():
			}
		}
	}
}

// report tells the breaker what the attempt says about the system behind.
func (c *Consumer) report(l leave, e Event) {
	switch e.Kind {
	case Handled:
		if c.breaker.available(l) {
			c.config.emit(Event{Kind: Resumed})
		}
	case Held:
		if pause := c.breaker.unavailable(l, retryAfter(e.Err)); pause > 0 {
			c.config.emit(Event{Kind: Paused, Delay: pause, Err: e.Err})
		}
	case Failed, Rejected, Stuck:
		c.breaker.undecided(l)
	default: // the handler was not called
		c.breaker.unused(l, false)
	}
}

// retry gives a message that failed back to the queue, hidden for longer each time.
// After maxReceiveCount receives SQS moves it to the dead-letter queue.
func (c *Consumer) retry(m *message, e Event) {
	e.Delay = c.backoff(m)
	c.config.emit(e)
	c.hide(m, e.Delay)
}

// giveBack returns a message that nothing is known against. One that has met an
// unavailable system comes back later than those that have not: else the next
// process would use up its receives.
func (c *Consumer) giveBack(m *message, err error) {
	e := Event{Kind: Released, MessageID: m.id, Receives: m.receives, Err: err}
	if m.suspicion.met {
		e.Delay = c.backoff(m)
	}
	c.config.emit(e)
	c.hide(m, e.Delay)
}

// abandon gives up on a handler that does not return. Its message is tried again,
// elsewhere if need be; its slot is free when it returns.
func (c *Consumer) abandon(m *message, e Event) {
	var stuck *stuckError
	errors.As(e.Err, &stuck)
	e.Delay = c.backoff(m)
	if int(c.stuck.Add(1)) == c.config.Concurrency {
		c.fail(ErrStuck)
	}
	go func() {
		err := <-stuck.returned // too late: its message is on its way to another attempt
		c.config.Logger.Info("consumer: a stuck handler returned", "message_id", m.id, "error", err)
		c.stuck.Add(-1)
		c.running.Add(-1)
		c.slots.give()
	}()
	c.config.emit(e)
	c.hide(m, e.Delay)
}

// reject moves a message to the dead-letter queue: first send, then delete, so that
// a crash makes two of it, never none.
func (c *Consumer) reject(m *message, e Event) {
	if c.config.DeadLetterQueueURL == "" {
		e.Kind = Failed
		c.retry(m, e)
		return
	}
	in := &sqs.SendMessageInput{
		QueueUrl:          &c.config.DeadLetterQueueURL,
		MessageBody:       &m.body,
		MessageAttributes: m.attributes,
	}
	if m.groupID != "" {
		in.MessageGroupId = aws.String(m.groupID)
	}
	ctx, cancel := context.WithTimeout(c.lasting, callTimeout)
	defer cancel()
	if err := sqsanswer.Kept(c.config.SQS.SendMessage(ctx, in, whole)); err != nil {
		e.Kind, e.Err = Failed, fmt.Errorf("send to dead-letter queue: %w (the message was %w)", err, e.Err)
		c.retry(m, e)
		return
	}
	c.config.emit(e)
	c.deletes <- m
}

// hide ends the message's way here: nobody receives it for d.
func (c *Consumer) hide(m *message, d time.Duration) {
	c.inflight.remove(m) // first, or the heartbeat would hide it for longer
	defer c.room.give()
	ctx, cancel := context.WithTimeout(c.lasting, callTimeout)
	defer cancel()
	_, err := c.config.SQS.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{
		QueueUrl: &c.config.QueueURL, ReceiptHandle: &m.handle, VisibilityTimeout: seconds(d),
	}, whole)
	if err != nil {
		c.config.emit(queueEvent(m, fmt.Errorf("hide message for %s: %w (it comes back after %s)", d, err, c.config.Visibility)))
	}
}

// callTimeout bounds one request to SQS with the SDK's retries; none waits for
// messages but the long poll.
const callTimeout = 10 * time.Second

// backoff is for how long a message that failed is hidden.
func (c *Consumer) backoff(m *message) time.Duration {
	return jitter(doubled(c.config.RetryMin, c.config.RetryMax, m.receives-1))
}

func queueEvent(m *message, err error) Event {
	return Event{Kind: QueueFailed, MessageID: m.id, Receives: m.receives, Err: err}
}
