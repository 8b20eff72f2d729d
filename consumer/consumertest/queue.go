// Package consumertest is for the tests of those who write a handler for package consumer:
// a queue in memory that is as strict as SQS, and notifications to put on it.
//
//	queue := consumertest.NewQueue()
//	queue.Send(consumertest.Sample("message_created"))
//	c, err := consumer.New(consumer.Config{SQS: queue, QueueURL: consumertest.URL, Handler: handle})
//
// The clock is that of package time. In a bubble of testing/synctest the minutes in which
// messages are hidden take no time.
package consumertest

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

const (
	// URL and DeadLetterURL are the queue's names in consumer.Config.
	URL           = "https://sqs.us-east-1.amazonaws.com/000000000000/notifications"
	DeadLetterURL = "https://sqs.us-east-1.amazonaws.com/000000000000/notifications-dead-letters"
)

const (
	// latency is about that of a receive within a Region.
	latency = 10 * time.Millisecond
	// maxReceiveCount is the stack's.
	maxReceiveCount = 5
	// maxBatch and maxWait are SQS's limits of one request, maxHidden is that of one receive.
	// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
	maxBatch  = 10
	maxWait   = 20
	maxHidden = 12 * time.Hour
)

// Queue is a standard queue with a dead-letter queue. It has the methods that
// consumer.SQSAPI asks for, and is safe for concurrent use.
type Queue struct {
	mu       sync.Mutex
	changed  chan struct{} // closed when a message may have become visible
	messages []*message
	waiting  []*message          // the messages, but for gone ones at the front
	received map[string]*message // by the receipt handle that is good
	gone     int                 // messages deleted or dead
	inFlight int                 // the most that ever were
	rejected []*sqs.SendMessageInput
}

// Message is what the queue knows of a message.
type Message struct {
	ID      string // SQS's
	Wire    notification.Wire
	Visible time.Time // when it can be received, or could be
	// Received holds the time of each receive.
	Received []time.Time
	// Deleted: the consumer is done with it. Dead: it was received five times and
	// not deleted, so the queue moved it to the dead-letter queue.
	Deleted, Dead bool
}

type message struct {
	Message
	handle string
}

// NewQueue returns an empty queue.
func NewQueue() *Queue {
	return &Queue{changed: make(chan struct{}), received: map[string]*message{}}
}

// Send puts a notification on the queue as the front door does, and returns the SQS
// message's id. One that SQS refuses for its size is an error: the front door puts its body
// into S3, and a test sends the pointer with [Queue.SendWire].
func (q *Queue) Send(n notification.Notification) (id string, err error) {
	wire, err := n.Encode()
	if err == nil && !wire.Fits() {
		err = fmt.Errorf("the notification is too large for SQS, compressed as well (%d bytes). Its body travels by S3: send what Wire.Overflow makes of it, by SendWire", wire.Size())
	}
	if err != nil {
		return "", err
	}
	return q.SendWire(wire), nil
}

// SendWire puts a message on the queue that may be none of the front door's.
func (q *Queue) SendWire(wire notification.Wire) (id string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	m := &message{Message: Message{ID: fmt.Sprintf("message-%d", len(q.messages)), Wire: wire, Visible: time.Now()}}
	q.messages = append(q.messages, m)
	q.waiting = append(q.waiting, m)
	q.wake()
	return m.ID
}

func (q *Queue) wake() {
	close(q.changed)
	q.changed = make(chan struct{})
}

// Left is how many messages are neither deleted nor dead letters.
func (q *Queue) Left() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.messages) - q.gone
}

// MostInFlight is how many messages were received, and not deleted, at once.
func (q *Queue) MostInFlight() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.inFlight
}

// Messages returns every message ever sent to the queue, in that order.
func (q *Queue) Messages() []Message {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := make([]Message, len(q.messages))
	for i, m := range q.messages {
		all[i] = m.Message
		all[i].Received = append([]time.Time(nil), m.Received...)
	}
	return all
}

// DeadLetters returns the notifications that failed too often, then those that the
// consumer has rejected. What cannot be decoded is a notification without a body.
func (q *Queue) DeadLetters() []notification.Notification {
	q.mu.Lock()
	defer q.mu.Unlock()
	var dead []notification.Notification
	add := func(body string, attributes map[string]string) {
		n, err := notification.Decode(body, attributes)
		if err != nil {
			n = notification.Notification{ID: attributes[notification.AttrNotificationID]}
		}
		dead = append(dead, n)
	}
	for _, m := range q.messages {
		if m.Dead {
			attributes := map[string]string{}
			for name, a := range m.Wire.Attributes {
				attributes[name] = a.Value
			}
			add(m.Wire.Body, attributes)
		}
	}
	for _, in := range q.rejected {
		attributes := map[string]string{}
		for name, a := range in.MessageAttributes {
			attributes[name] = aws.ToString(a.StringValue)
		}
		add(aws.ToString(in.MessageBody), attributes)
	}
	return dead
}

// Rejected returns what the consumer has sent to the dead-letter queue itself.
func (q *Queue) Rejected() []*sqs.SendMessageInput {
	q.mu.Lock()
	defer q.mu.Unlock()
	return append([]*sqs.SendMessageInput(nil), q.rejected...)
}

// ReceiveMessage waits, as a long poll does, until there is a message.
func (q *Queue) ReceiveMessage(ctx context.Context, in *sqs.ReceiveMessageInput, _ ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	if err := ours(in.QueueUrl); err != nil {
		return nil, err
	}
	if hidden := in.VisibilityTimeout; hidden < 0 || seconds(hidden) > maxHidden {
		return nil, refused("InvalidParameterValue", "VisibilityTimeout of %d s", hidden)
	}
	if in.MaxNumberOfMessages < 1 || in.MaxNumberOfMessages > maxBatch || in.WaitTimeSeconds < 0 || in.WaitTimeSeconds > maxWait {
		return nil, refused("InvalidParameterValue", "%d messages in %d s", in.MaxNumberOfMessages, in.WaitTimeSeconds)
	}
	time.Sleep(latency)
	deadline := time.Now().Add(time.Duration(in.WaitTimeSeconds) * time.Second)
	for {
		q.mu.Lock()
		if err := ctx.Err(); err != nil {
			q.mu.Unlock()
			return nil, err
		}
		out, next := q.take(in)
		changed := q.changed
		q.mu.Unlock()
		if len(out) > 0 || !time.Now().Before(deadline) {
			return &sqs.ReceiveMessageOutput{Messages: out}, nil
		}
		if next.IsZero() || next.After(deadline) {
			next = deadline
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-changed:
		case <-time.After(time.Until(next)):
		}
	}
}

// take receives, moves to the dead-letter queue what SQS would move on a receive, and
// returns when the next message becomes visible.
func (q *Queue) take(in *sqs.ReceiveMessageInput) (out []types.Message, next time.Time) {
	now, limit, visibility := time.Now(), int(in.MaxNumberOfMessages), seconds(in.VisibilityTimeout)
	for len(q.waiting) > 0 && q.waiting[0].over() {
		q.waiting = q.waiting[1:]
	}
	for _, m := range q.waiting {
		switch {
		case len(out) == limit:
		case m.over():
		case m.Visible.After(now):
			if next.IsZero() || m.Visible.Before(next) {
				next = m.Visible
			}
		case len(m.Received) >= maxReceiveCount:
			m.Dead = true
			q.forget(m)
		default:
			delete(q.received, m.handle)
			m.Received = append(m.Received, now)
			m.handle = fmt.Sprintf("%s/%d", m.ID, len(m.Received))
			m.Visible = now.Add(visibility)
			q.received[m.handle] = m
			out = append(out, m.asReceived(in.MessageAttributeNames))
		}
	}
	inFlight := 0
	for _, m := range q.received {
		if m.Visible.After(now) {
			inFlight++
		}
	}
	q.inFlight = max(q.inFlight, inFlight)
	return out, next
}

func (m *message) over() bool { return m.Deleted || m.Dead }

// asReceived has the message's attributes that were asked for.
func (m *message) asReceived(names []string) types.Message {
	attributes := map[string]types.MessageAttributeValue{}
	for name, a := range m.Wire.Attributes {
		if !slices.Contains(names, "All") && !slices.Contains(names, name) {
			continue
		}
		attributes[name] = types.MessageAttributeValue{DataType: aws.String(a.DataType), StringValue: aws.String(a.Value)}
	}
	system := map[string]string{"ApproximateReceiveCount": strconv.Itoa(len(m.Received))}
	if m.Wire.GroupID != "" {
		system["MessageGroupId"] = m.Wire.GroupID
	}
	return types.Message{
		MessageId: &m.ID, ReceiptHandle: aws.String(m.handle), Body: &m.Wire.Body,
		MessageAttributes: attributes, Attributes: system,
	}
}

// forget: the message has left the queue.
func (q *Queue) forget(m *message) {
	q.gone++
	delete(q.received, m.handle)
}

// DeleteMessageBatch deletes what the handles are good for.
func (q *Queue) DeleteMessageBatch(_ context.Context, in *sqs.DeleteMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error) {
	var ids []string
	for _, e := range in.Entries {
		ids = append(ids, aws.ToString(e.Id))
	}
	if err := batch(in.QueueUrl, ids); err != nil {
		return nil, err
	}
	time.Sleep(latency)
	q.mu.Lock()
	defer q.mu.Unlock()
	out := &sqs.DeleteMessageBatchOutput{}
	for _, e := range in.Entries {
		if m := q.received[aws.ToString(e.ReceiptHandle)]; m != nil {
			m.Deleted = true
			q.forget(m)
			continue
		}
		out.Failed = append(out.Failed, failed(e.Id, stale()))
	}
	return out, nil
}

// ChangeMessageVisibility hides a message from now on for the seconds, 0 to show it.
func (q *Queue) ChangeMessageVisibility(_ context.Context, in *sqs.ChangeMessageVisibilityInput, _ ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityOutput, error) {
	if err := ours(in.QueueUrl); err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.hide(in.ReceiptHandle, in.VisibilityTimeout); err != nil {
		return nil, err
	}
	return &sqs.ChangeMessageVisibilityOutput{}, nil
}

// ChangeMessageVisibilityBatch does so for up to ten.
func (q *Queue) ChangeMessageVisibilityBatch(_ context.Context, in *sqs.ChangeMessageVisibilityBatchInput, _ ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityBatchOutput, error) {
	var ids []string
	for _, e := range in.Entries {
		ids = append(ids, aws.ToString(e.Id))
	}
	if err := batch(in.QueueUrl, ids); err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	out := &sqs.ChangeMessageVisibilityBatchOutput{}
	for _, e := range in.Entries {
		if err := q.hide(e.ReceiptHandle, e.VisibilityTimeout); err != nil {
			out.Failed = append(out.Failed, failed(e.Id, err))
		}
	}
	return out, nil
}

func (q *Queue) hide(handle *string, timeout int32) *smithy.GenericAPIError {
	m := q.received[aws.ToString(handle)]
	if m == nil {
		return stale()
	}
	visible := time.Now().Add(seconds(timeout))
	if total := visible.Sub(m.Received[len(m.Received)-1]); total > maxHidden {
		return refused("InvalidParameterValue", "VisibilityTimeout: hidden for %s since its receive", total)
	}
	m.Visible = visible
	q.wake()
	return nil
}

// SendMessage is for the dead-letter queue.
func (q *Queue) SendMessage(_ context.Context, in *sqs.SendMessageInput, _ ...func(*sqs.Options)) (*sqs.SendMessageOutput, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if aws.ToString(in.MessageBody) == "" {
		return nil, refused("MissingParameter", "MessageBody")
	}
	if aws.ToString(in.QueueUrl) == URL {
		return nil, refused("InvalidParameterValue", "a consumer sends to the dead-letter queue, not to the one that it reads")
	}
	q.rejected = append(q.rejected, in)
	return &sqs.SendMessageOutput{MessageId: aws.String(fmt.Sprintf("rejected-%d", len(q.rejected)))}, nil
}

// ours refuses what is meant for another queue.
func ours(url *string) *smithy.GenericAPIError {
	if aws.ToString(url) != URL {
		return refused("AWS.SimpleQueueService.NonExistentQueue", "there is no queue %q here; consumertest.URL is it", aws.ToString(url))
	}
	return nil
}

// batch refuses a batch that SQS would refuse as a whole.
func batch(url *string, ids []string) *smithy.GenericAPIError {
	if err := ours(url); err != nil {
		return err
	}
	if len(ids) < 1 || len(ids) > maxBatch {
		return refused("TooManyEntriesInBatchRequest", "%d entries", len(ids))
	}
	slices.Sort(ids)
	if len(slices.Compact(slices.Clone(ids))) != len(ids) {
		return refused("BatchEntryIdsNotDistinct", "%q", ids)
	}
	return nil
}

func seconds(n int32) time.Duration { return time.Duration(n) * time.Second }

func refused(code, format string, args ...any) *smithy.GenericAPIError {
	return &smithy.GenericAPIError{Code: code, Message: fmt.Sprintf(format, args...), Fault: smithy.FaultClient}
}

func stale() *smithy.GenericAPIError {
	return refused("ReceiptHandleIsInvalid", "the message was received again since, or is deleted")
}

func failed(id *string, err *smithy.GenericAPIError) types.BatchResultErrorEntry {
	return types.BatchResultErrorEntry{Id: id, Code: &err.Code, Message: &err.Message, SenderFault: true}
}
