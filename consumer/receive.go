package consumer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

const (
	// batchSize is what one SQS request can receive, delete or change.
	batchSize = 10
	// longPoll is SQS's longest: an idle consumer costs three requests a minute.
	longPoll = 20 * time.Second
	// noAnswerAfter is when a poll has found nothing: SQS answers in 10 to 20 ms when
	// it has something.
	noAnswerAfter = 200 * time.Millisecond
	// lastPoll is what a poll gets when the consumer stops. Messages that SQS sends
	// while we hang up stay hidden for Visibility, so a busy queue's poll is waited
	// for; an idle queue's is not. It is half of StopTimeout at most: what is given back
	// waits for it.
	lastPoll = 2 * time.Second
	// receiveRetryMin and receiveRetryMax bound the wait after a failed receive.
	receiveRetryMin = time.Second
	receiveRetryMax = 30 * time.Second
	// maxWireBytes bounds the messages in memory as they came, those that wait for
	// another attempt (maxHeldBytes) included.
	maxWireBytes = 128 << 20
)

// receiveAll receives until the consumer stops, never more than can be handled soon.
func (c *Consumer) receiveAll() {
	defer func() { c.polls.Wait(); close(c.pollsEnded) }()
	for {
		limit, err := c.gate.turnToReceive(c.stopping)
		if err != nil {
			return
		}
		limit, reserved := c.reserve(limit)
		if reserved == 0 {
			return // it stops
		}
		c.polls.Go(func() { c.poll(limit, reserved) })
	}
}

// reserve makes room in memory for as many messages of the largest size as there is
// room for, at least one.
func (c *Consumer) reserve(limit int) (asked, reserved int) {
	for reserved = limit; reserved > 1; reserved-- {
		if c.wire.TryAcquire(int64(reserved) * notification.MaxMessageBytes) {
			return limit, reserved
		}
	}
	if c.wire.Acquire(c.stopping, notification.MaxMessageBytes) != nil {
		c.gate.received(limit, nil)
		return limit, 0
	}
	return limit, 1
}

// poll receives once, at most as many as were reserved of the asked.
func (c *Consumer) poll(asked, reserved int) {
	silent := time.AfterFunc(noAnswerAfter, c.gate.noAnswer)
	messages, err := c.receive(reserved)
	silent.Stop()
	free := int64(reserved) * notification.MaxMessageBytes
	for _, m := range messages {
		c.inflight.add(m)
		free -= int64(m.size)
		w, err := c.gate.join(m)
		c.workers.Go(func() { c.work(m, w, err) })
	}
	c.wire.Release(free)
	if err == nil {
		c.failedPolls.Store(0)
		c.gate.received(asked, messages)
		return
	}
	defer c.gate.received(asked, nil)
	if c.stopping.Err() != nil {
		return
	}
	err = fmt.Errorf("receive from queue: %w", err)
	var gone *types.QueueDoesNotExist
	if errors.As(err, &gone) {
		c.fail(err)
		return
	}
	delay := jitter(doubled(receiveRetryMin, receiveRetryMax, int(c.failedPolls.Add(1))-1))
	c.config.emit(Event{Kind: QueueFailed, Err: err, Delay: delay})
	select {
	case <-c.stopping.Done():
	case <-time.After(delay):
	}
}

// receive asks SQS once for up to limit messages.
func (c *Consumer) receive(limit int) ([]*message, error) {
	ctx, cancel := context.WithCancel(c.lasting)
	defer cancel()
	defer context.AfterFunc(c.stopping, func() { time.AfterFunc(min(lastPoll, c.config.StopTimeout/2), cancel) })()
	out, err := c.config.SQS.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl:              &c.config.QueueURL,
		MaxNumberOfMessages:   int32(limit),
		WaitTimeSeconds:       seconds(longPoll),
		VisibilityTimeout:     seconds(c.config.Visibility),
		MessageAttributeNames: []string{"All"},
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{
			types.MessageSystemAttributeNameApproximateReceiveCount,
			types.MessageSystemAttributeNameMessageGroupId,
			types.MessageSystemAttributeNameSentTimestamp,
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
