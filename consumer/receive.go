package consumer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

const (
	// batchSize is what one SQS request can receive, delete or change.
	batchSize = 10
	// longPoll is SQS's longest: an idle consumer costs three requests a minute.
	longPoll = 20 * time.Second
	// probePoll is short because others wait that could be the probe instead.
	probePoll = time.Second
	// lastPoll is what a poll gets when the consumer stops. Messages that SQS sends
	// while we hang up stay hidden for Visibility, so a busy queue's poll is waited
	// for; an idle queue's is not.
	lastPoll = 2 * time.Second
	// receiveRetryMin and receiveRetryMax bound the wait after a failed receive.
	receiveRetryMin = time.Second
	receiveRetryMax = 30 * time.Second
)

// receiveAll receives until the consumer stops, never more than can be handled.
func (c *Consumer) receiveAll() {
	failures := 0
	for {
		if c.room.take(c.stopping) != nil {
			return
		}
		l, err := c.turn(c.stopping, true)
		if err != nil {
			c.room.give()
			return
		}
		asked := 1
		for !l.probe && asked < batchSize && c.room.tryTake() {
			if !c.slots.tryTake() {
				c.room.give()
				break
			}
			asked++
		}
		messages, err := c.receive(asked, l)
		for _, m := range messages {
			c.inflight.add(m)
			c.workers.Go(func() { c.work(m, l) })
		}
		for range asked - len(messages) {
			c.slots.give()
			c.room.give()
		}
		if len(messages) == 0 {
			c.breaker.unused(l, true)
		}
		if err == nil {
			failures = 0
			continue
		}
		if c.stopping.Err() != nil {
			return
		}
		err = fmt.Errorf("receive from queue: %w", err)
		var gone *types.QueueDoesNotExist
		if errors.As(err, &gone) {
			c.fail(err)
			return
		}
		delay := jitter(doubled(receiveRetryMin, receiveRetryMax, failures))
		failures++
		c.config.emit(Event{Kind: QueueFailed, Err: err, Delay: delay})
		select {
		case <-c.stopping.Done():
		case <-time.After(delay):
		}
	}
}

// turn is the right to call the handler: the breaker's leave, and a slot. A probe
// by the receive loop counts as one.
func (c *Consumer) turn(ctx context.Context, receiver bool) (leave, error) {
	for {
		if ctx.Err() != nil {
			return leave{}, context.Cause(ctx)
		}
		l, err := c.breaker.wait(ctx, receiver)
		if err != nil {
			return leave{}, err
		}
		if err := c.slots.take(ctx); err != nil {
			c.breaker.unused(l, false)
			return leave{}, err
		}
		if c.breaker.holds(l) {
			return l, nil
		}
		c.slots.give() // it opened while we waited for the slot
	}
}

// receive asks SQS once for up to limit messages.
func (c *Consumer) receive(limit int, l leave) ([]*message, error) {
	ctx, cancel := context.WithCancel(c.lasting)
	defer cancel()
	defer context.AfterFunc(c.stopping, func() { time.AfterFunc(lastPoll, cancel) })()
	wait := longPoll
	if l.probe && len(c.room) > 1 {
		wait = probePoll
	}
	out, err := c.config.SQS.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl:              &c.config.QueueURL,
		MaxNumberOfMessages:   int32(limit),
		WaitTimeSeconds:       seconds(wait),
		VisibilityTimeout:     seconds(c.config.Visibility),
		MessageAttributeNames: []string{"All"},
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{
			types.MessageSystemAttributeNameApproximateReceiveCount,
			types.MessageSystemAttributeNameMessageGroupId,
		},
	}, whole)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	c.polled.Store(now.UnixNano())
	messages := make([]*message, len(out.Messages))
	for i, m := range out.Messages {
		messages[i] = received(m, now, c.config.Visibility)
	}
	return messages, nil
}

// seconds is d in whole seconds, rounded up.
func seconds(d time.Duration) int32 { return int32((d + time.Second - 1) / time.Second) }
