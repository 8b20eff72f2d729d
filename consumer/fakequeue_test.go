package consumer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

// fakeQueue is a standard queue with a dead-letter queue, as strict as SQS about
// handles, visibility and receive counts. It runs on the clock of a synctest bubble.
type fakeQueue struct {
	t          *testing.T
	maxReceive int

	mu       sync.Mutex
	changed  chan struct{}
	gone     int // messages deleted or dead
	messages []*queued
	waiting  []*queued          // the messages, but for deleted ones at the front
	received map[string]*queued // by the receipt handle that is good
	dead     []*queued
	sent     []*sqs.SendMessageInput // to the dead-letter queue, by the consumer
	receives int                     // requests
	extends  int
	deletes  int
	inFlight int // the most that were ever in flight
	fault    func(action string, handle string) error
}

// errNotSQS is a fault of SendMessage: the 200 of something else, which keeps nothing.
var errNotSQS = errors.New("not SQS's answer")

// latency is about that of SQS within a Region.
const latency = 10 * time.Millisecond

type queued struct {
	id         string
	wire       notification.Wire
	visible    time.Time
	receives   int
	receivedAt []time.Time
	handle     string
	deleted    bool
}

func newFakeQueue(t *testing.T) *fakeQueue {
	return &fakeQueue{t: t, maxReceive: 5, changed: make(chan struct{}), received: map[string]*queued{}}
}

// partial is a fault that a batch request reports for one entry.
type partial struct {
	code        string
	senderFault bool
}

func (p partial) Error() string { return p.code }

func (q *fakeQueue) send(n notification.Notification) *queued {
	wire, err := n.Encode()
	if err != nil {
		q.t.Fatal(err)
	}
	return q.sendWire(wire)
}

func (q *fakeQueue) sendWire(wire notification.Wire) *queued {
	q.mu.Lock()
	defer q.mu.Unlock()
	m := &queued{id: fmt.Sprintf("message-%d", len(q.messages)), wire: wire, visible: time.Now()}
	q.messages = append(q.messages, m)
	q.waiting = append(q.waiting, m)
	q.wake()
	return m
}

func (q *fakeQueue) wake() {
	close(q.changed)
	q.changed = make(chan struct{})
}

// left is how many messages are neither deleted nor dead.
func (q *fakeQueue) left() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.messages) - q.gone
}

func (q *fakeQueue) deadLetters() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.dead)
}

func (q *fakeQueue) failure(action, handle string) error {
	if q.fault == nil {
		return nil
	}
	return q.fault(action, handle)
}

// answersAreWhole: the call brings the workaround of package sdkhttp, whatever client
// the program made.
func (q *fakeQueue) answersAreWhole(options []func(*sqs.Options)) {
	o := sqs.Options{HTTPClient: http.DefaultClient}
	for _, set := range options {
		set(&o)
	}
	if o.HTTPClient == sqs.HTTPClient(http.DefaultClient) {
		q.t.Error("a call uses the client as it is")
	}
}

func (q *fakeQueue) ReceiveMessage(ctx context.Context, in *sqs.ReceiveMessageInput, options ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	q.answersAreWhole(options)
	if in.MaxNumberOfMessages < 1 || in.MaxNumberOfMessages > 10 || in.WaitTimeSeconds > 20 {
		q.t.Errorf("ReceiveMessage for %d messages, %d s", in.MaxNumberOfMessages, in.WaitTimeSeconds)
	}
	time.Sleep(latency)
	deadline := time.Now().Add(time.Duration(in.WaitTimeSeconds) * time.Second)
	q.mu.Lock()
	q.receives++
	err := q.failure("ReceiveMessage", "")
	q.mu.Unlock()
	if err != nil {
		return nil, err
	}
	for {
		q.mu.Lock()
		out, next := q.take(int(in.MaxNumberOfMessages), time.Duration(in.VisibilityTimeout)*time.Second)
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

// take also moves to the dead-letter queue, as SQS does on a receive, and returns
// when the next message becomes visible.
func (q *fakeQueue) take(limit int, visibility time.Duration) (out []types.Message, next time.Time) {
	now := time.Now()
	for len(q.waiting) > 0 && q.waiting[0].deleted {
		q.waiting = q.waiting[1:]
	}
	for _, m := range q.waiting {
		if len(out) == limit {
			break
		}
		if m.deleted {
			continue
		}
		if m.visible.After(now) {
			if next.IsZero() || m.visible.Before(next) {
				next = m.visible
			}
			continue
		}
		if m.receives >= q.maxReceive {
			m.deleted = true
			q.gone++
			q.dead = append(q.dead, m)
			delete(q.received, m.handle)
			continue
		}
		delete(q.received, m.handle)
		m.receives++
		m.receivedAt = append(m.receivedAt, now)
		m.handle = fmt.Sprintf("%s/%d", m.id, m.receives)
		m.visible = now.Add(visibility)
		q.received[m.handle] = m
		attributes := map[string]types.MessageAttributeValue{}
		for name, a := range m.wire.Attributes {
			attributes[name] = types.MessageAttributeValue{DataType: aws.String(a.DataType), StringValue: aws.String(a.Value)}
		}
		system := map[string]string{"ApproximateReceiveCount": strconv.Itoa(m.receives)}
		if m.wire.GroupID != "" {
			system["MessageGroupId"] = m.wire.GroupID
		}
		out = append(out, types.Message{
			MessageId: aws.String(m.id), ReceiptHandle: aws.String(m.handle), Body: aws.String(m.wire.Body),
			MessageAttributes: attributes, Attributes: system,
		})
	}
	inFlight := 0
	for _, m := range q.received {
		if m.visible.After(now) {
			inFlight++
		}
	}
	q.inFlight = max(q.inFlight, inFlight)
	return out, next
}

// entry applies f to the message of that handle, or says how SQS refuses.
func (q *fakeQueue) entry(action, handle string, f func(*queued)) (partial, error) {
	if err := q.failure(action, handle); err != nil {
		var p partial
		if errors.As(err, &p) {
			return p, nil
		}
		return partial{}, err
	}
	m := q.received[handle]
	if m == nil {
		return partial{code: "ReceiptHandleIsInvalid", senderFault: true}, nil
	}
	f(m)
	return partial{}, nil
}

func failedEntry(id *string, p partial) types.BatchResultErrorEntry {
	return types.BatchResultErrorEntry{Id: id, Code: aws.String(p.code), SenderFault: p.senderFault, Message: aws.String("as the test says")}
}

func (q *fakeQueue) DeleteMessageBatch(_ context.Context, in *sqs.DeleteMessageBatchInput, options ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error) {
	q.answersAreWhole(options)
	time.Sleep(latency)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.deletes++
	out := &sqs.DeleteMessageBatchOutput{}
	if len(in.Entries) < 1 || len(in.Entries) > 10 {
		q.t.Errorf("DeleteMessageBatch of %d", len(in.Entries))
	}
	for _, e := range in.Entries {
		p, err := q.entry("DeleteMessageBatch", *e.ReceiptHandle, func(m *queued) {
			m.deleted = true
			q.gone++
			delete(q.received, m.handle)
		})
		if err != nil {
			return nil, err
		}
		if p.code != "" {
			out.Failed = append(out.Failed, failedEntry(e.Id, p))
		}
	}
	return out, nil
}

func (q *fakeQueue) setVisibility(m *queued, seconds int32) {
	m.visible = time.Now().Add(time.Duration(seconds) * time.Second)
	if total := m.visible.Sub(m.receivedAt[len(m.receivedAt)-1]); total > maxVisibility {
		q.t.Errorf("%s is hidden for %s after its receive, SQS allows %s", m.id, total, maxVisibility)
	}
	q.wake()
}

func (q *fakeQueue) ChangeMessageVisibility(_ context.Context, in *sqs.ChangeMessageVisibilityInput, options ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityOutput, error) {
	q.answersAreWhole(options)
	q.mu.Lock()
	defer q.mu.Unlock()
	p, err := q.entry("ChangeMessageVisibility", *in.ReceiptHandle, func(m *queued) { q.setVisibility(m, in.VisibilityTimeout) })
	if err == nil && p.code != "" {
		err = p
	}
	return &sqs.ChangeMessageVisibilityOutput{}, err
}

func (q *fakeQueue) ChangeMessageVisibilityBatch(_ context.Context, in *sqs.ChangeMessageVisibilityBatchInput, options ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityBatchOutput, error) {
	q.answersAreWhole(options)
	q.mu.Lock()
	defer q.mu.Unlock()
	out := &sqs.ChangeMessageVisibilityBatchOutput{}
	for _, e := range in.Entries {
		q.extends++
		p, err := q.entry("ChangeMessageVisibilityBatch", *e.ReceiptHandle, func(m *queued) { q.setVisibility(m, e.VisibilityTimeout) })
		if err != nil {
			return nil, err
		}
		if p.code != "" {
			out.Failed = append(out.Failed, failedEntry(e.Id, p))
		}
	}
	return out, nil
}

func (q *fakeQueue) SendMessage(_ context.Context, in *sqs.SendMessageInput, options ...func(*sqs.Options)) (*sqs.SendMessageOutput, error) {
	q.answersAreWhole(options)
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.failure("SendMessage", ""); errors.Is(err, errNotSQS) {
		return &sqs.SendMessageOutput{}, nil
	} else if err != nil {
		return nil, err
	}
	q.sent = append(q.sent, in)
	return &sqs.SendMessageOutput{MessageId: aws.String("dead")}, nil
}

func (q *fakeQueue) mostReceives() int {
	most := 0
	for _, m := range q.messages {
		most = max(most, m.receives)
	}
	return most
}
