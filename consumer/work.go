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

// work takes one received message to its end in this process. It waits in w, or could
// not because of err.
func (c *Consumer) work(m *message, w *waiter, err error) {
	keep, cancel := context.WithDeadlineCause(c.stopping, m.keepUntil, errKept)
	defer cancel()
	for waits := 0; ; { // for another attempt at the same notification
		var t turn
		if err == nil {
			t, err = c.gate.await(keep, w)
		}
		if err == nil && keep.Err() != nil { // the stop came with the turn
			c.gate.done(t, outcomeNone, 0)
			err = context.Cause(keep)
		}
		if err != nil {
			c.giveBack(m, err)
			return
		}
		if f := m.failing; f != nil && c.gate.blames(m, *f) {
			c.gate.done(t, outcomeNone, 0)
			c.blame(m, f)
			return
		}
		e := c.try(m, t)
		if c.handlers.Err() != nil && (e.Kind == Failed || e.Kind == Held) {
			c.giveBack(m, e.Err) // we broke it off
			return
		}
		switch e.Kind {
		case Handled, Duplicate, SmokeTest:
			c.config.emit(e)
			c.delete(m)
			return
		case Rejected:
			c.reject(m, e)
			return
		case Unreadable, Unverified:
			c.retry(m, e)
			return
		case Stuck:
			c.abandon(m, t, e)
			return
		case Failed, Held:
			if over := c.wait(keep, m, t, e); over {
				return
			}
		case busy:
			// The other may be done at any moment, or dead until its lease ends.
			pause(keep, jitter(min(doubled(busyMin, busyMax, waits), max(e.Delay, busyMin))))
			waits++
		}
		w, err = c.gate.join(m)
	}
}

// try is one attempt, and what it says about the system behind.
func (c *Consumer) try(m *message, t turn) Event {
	c.running.Add(1)
	e := c.config.handle(c.handlers, c.patience, c.lasting, m)
	if e.Kind != Stuck {
		c.running.Add(-1)
	}
	if m.fetched != nil {
		c.gate.fetched(m, m.fetched.began, m.fetched.ok)
	}
	r, after := outcomeNone, retryAfter(e.Err)
	switch {
	case c.handlers.Err() != nil: // broken off
	case e.Kind == Handled, e.Kind == Rejected:
		r = outcomeOK
	case e.Kind == Held && after > 0:
		r = outcomeBusy
	case e.Kind == Failed && (m.tries > 0 || m.receives > 1): // its own word, repeated
	case errors.Is(e.Err, errFetch): // it says nothing about the system behind the handler
	case e.Kind == Held, e.Kind == Failed:
		r = outcomeFailed
	case e.Kind == Stuck:
		return e // its turn ends when it returns, see abandon
	}
	c.tell(c.gate.done(t, r, after), e.Err)
	return e
}

// tell tells of pauses that began or ended.
func (c *Consumer) tell(changes []change, err error) {
	for _, change := range changes {
		e := Event{Kind: change.kind, GrantID: change.grant, Delay: change.pause}
		if change.pause > 0 {
			e.Err = err
		}
		c.config.emit(e)
	}
}

// wait keeps a message that failed here, hidden, for a while. Then it can be tried again,
// unless it is blamed.
func (c *Consumer) wait(keep context.Context, m *message, t turn, e Event) (over bool) {
	f := &failing{began: t.began, at: time.Now(), domain: m.grant, plain: e.Kind == Failed, busy: retryAfter(e.Err) > 0, event: e}
	if errors.Is(e.Err, errFetch) {
		f.domain, f.plain = domainS3, false
	}
	m.tries++
	m.failing = f
	if !c.gate.keep(m) {
		c.giveBack(m, errFull)
		return true
	}
	e.Kind = Held
	c.config.emit(e)
	after := retryAfter(e.Err)
	pause(keep, max(jitter(doubled(c.config.PauseMin/4, c.config.PauseMax, m.alone)), after))
	switch {
	case m.isLost(): // SQS has given it to somebody else
		c.drop(m)
	case keep.Err() != nil && f.plain:
		c.blame(m, f)
	case keep.Err() != nil:
		c.giveBack(m, context.Cause(keep))
	default:
		return false
	}
	return true
}

// blame: the message failed by itself. It goes back to the queue, and its receive is
// used up.
func (c *Consumer) blame(m *message, f *failing) {
	e := f.event
	e.Kind = Failed
	if !f.plain {
		e.Err = fmt.Errorf("others get through, this notification does not: %w", e.Err)
	}
	c.retry(m, e)
}

// pause waits for d, or until the context ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
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
// unavailable system comes back later than those that have not, and one that found no
// room here much later: else the next process would use up its receives.
func (c *Consumer) giveBack(m *message, err error) {
	if c.stopping.Err() != nil {
		// Our own last receives would take it again, each at the price of one of the few after
		// which it is a dead letter.
		select {
		case <-c.pollsEnded:
		case <-c.handlers.Done(): // a client that does not heed its context
		}
	}
	e := Event{Kind: Released, MessageID: m.id, Receives: m.receives, Err: err}
	switch {
	case errors.Is(err, errFull):
		e.Delay = jitter(doubled(fullMin, fullMax, m.receives-1))
	case m.tries > 0:
		e.Delay = c.backoff(m)
	}
	c.config.emit(e)
	c.hide(m, e.Delay)
}

// fullMin and fullMax bound for how long a message is hidden that finds no room here.
// Four such receives last 2 hours or longer.
const (
	fullMin = 15 * time.Minute
	fullMax = 2 * time.Hour
)

// abandon gives up on a handler that does not return. Its message is tried again,
// elsewhere if need be; its slot is free when it returns.
func (c *Consumer) abandon(m *message, t turn, e Event) {
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
		c.gate.done(t, outcomeNone, 0)
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
	c.delete(m)
}

// drop ends the message's way here without a word to SQS.
func (c *Consumer) drop(m *message) {
	c.inflight.remove(m)
	c.gate.forget(m)
	c.wire.Release(int64(m.size))
}

// hide ends the message's way here: nobody receives it for d.
func (c *Consumer) hide(m *message, d time.Duration) {
	c.drop(m) // first, or the heartbeat would hide it for longer
	if m.isLost() {
		return
	}
	d = max(min(d, time.Until(m.hideUntil)), 0)
	if c.hiding.Acquire(c.lasting, 1) == nil {
		defer c.hiding.Release(1)
	}
	ctx, cancel := context.WithTimeout(c.lasting, callTimeout)
	defer cancel()
	_, err := c.config.SQS.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{
		QueueUrl: &c.config.QueueURL, ReceiptHandle: &m.handle, VisibilityTimeout: seconds(d),
	}, whole)
	if err != nil && !staleError(err) {
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
