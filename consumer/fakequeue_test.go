package consumer

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"github.com/onepagecrm/nylas-webhooks/consumer/consumertest"
	"github.com/onepagecrm/nylas-webhooks/notification"
)

// fakeQueue is the queue that users' tests have, with faults and counters. A request
// that SQS would refuse fails the test, but for those with stale handles.
type fakeQueue struct {
	*consumertest.Queue
	t *testing.T

	mu       sync.Mutex
	receives int           // requests
	extends  int           // messages
	deletes  int           // requests
	slow     time.Duration // for each request to delete, beside the queue's own
	fault    func(action, handle string) error
}

// errNotSQS is a fault of SendMessage: the 200 of something else, which keeps nothing.
var errNotSQS = errors.New("not SQS's answer")

// partial is a fault that a batch request reports for one entry.
type partial struct {
	code        string
	senderFault bool
}

func (p partial) Error() string { return p.code }

func newFakeQueue(t *testing.T) *fakeQueue {
	return &fakeQueue{t: t, Queue: consumertest.NewQueue()}
}

// send returns the message's id.
func (q *fakeQueue) send(n notification.Notification) string {
	id, err := q.Send(n)
	if err != nil {
		q.t.Fatal(err)
	}
	return id
}

// message is what the queue knows of it now.
func (q *fakeQueue) message(id string) consumertest.Message {
	for _, m := range q.Messages() {
		if m.ID == id {
			return m
		}
	}
	q.t.Fatalf("no message %s", id)
	return consumertest.Message{}
}

// deadLetters is how many were received too often.
func (q *fakeQueue) deadLetters() (n int) {
	for _, m := range q.Messages() {
		if m.Dead {
			n++
		}
	}
	return n
}

func (q *fakeQueue) mostReceives() int {
	most := 0
	for _, m := range q.Messages() {
		most = max(most, len(m.Received))
	}
	return most
}

// begin counts the request, and returns its fault.
func (q *fakeQueue) begin(count *int, n int, action string, options []func(*sqs.Options)) error {
	// The call brings the workaround of package sdkhttp, whatever client the program made.
	o := sqs.Options{HTTPClient: http.DefaultClient}
	for _, set := range options {
		set(&o)
	}
	if o.HTTPClient == sqs.HTTPClient(http.DefaultClient) {
		q.t.Error("a call uses the client as it is")
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if count != nil {
		*count += n
	}
	if action == "" {
		return nil
	}
	return q.failure(action, "")
}

func (q *fakeQueue) failure(action, handle string) error {
	if q.fault == nil {
		return nil
	}
	return q.fault(action, handle)
}

// answered fails the test where the consumer asked for what SQS does not allow.
func (q *fakeQueue) answered(err error) {
	var api smithy.APIError
	if errors.As(err, &api) && api.ErrorCode() != "ReceiptHandleIsInvalid" {
		q.t.Errorf("SQS refuses: %v", err)
	}
}

func (q *fakeQueue) ReceiveMessage(ctx context.Context, in *sqs.ReceiveMessageInput, options ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	if err := q.begin(&q.receives, 1, "ReceiveMessage", options); err != nil {
		return nil, err
	}
	out, err := q.Queue.ReceiveMessage(ctx, in)
	q.answered(err)
	return out, err
}

// spare splits off the entries that fail. An error that is no [partial] is the request's.
func spare[T any](q *fakeQueue, action string, entries []T, handle, id func(T) *string) (left []T, failed []types.BatchResultErrorEntry, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, e := range entries {
		err := q.failure(action, aws.ToString(handle(e)))
		var p partial
		switch {
		case errors.As(err, &p):
			failed = append(failed, types.BatchResultErrorEntry{Id: id(e), Code: &p.code, SenderFault: p.senderFault, Message: aws.String("as the test says")})
		case err != nil:
			return nil, nil, err
		default:
			left = append(left, e)
		}
	}
	return left, failed, nil
}

func (q *fakeQueue) DeleteMessageBatch(ctx context.Context, in *sqs.DeleteMessageBatchInput, options ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error) {
	if err := q.begin(&q.deletes, 1, "", options); err != nil {
		return nil, err
	}
	time.Sleep(q.slow)
	left, failed, err := spare(q, "DeleteMessageBatch", in.Entries,
		func(e types.DeleteMessageBatchRequestEntry) *string { return e.ReceiptHandle },
		func(e types.DeleteMessageBatchRequestEntry) *string { return e.Id })
	if err != nil {
		return nil, err
	}
	out := &sqs.DeleteMessageBatchOutput{}
	if len(left) > 0 || len(in.Entries) == 0 {
		if out, err = q.Queue.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: in.QueueUrl, Entries: left}); err != nil {
			q.answered(err)
			return nil, err
		}
	}
	out.Failed = append(out.Failed, failed...)
	return out, nil
}

func (q *fakeQueue) ChangeMessageVisibility(ctx context.Context, in *sqs.ChangeMessageVisibilityInput, options ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityOutput, error) {
	if err := q.begin(nil, 0, "ChangeMessageVisibility", options); err != nil {
		return nil, err
	}
	out, err := q.Queue.ChangeMessageVisibility(ctx, in)
	q.answered(err)
	return out, err
}

func (q *fakeQueue) ChangeMessageVisibilityBatch(ctx context.Context, in *sqs.ChangeMessageVisibilityBatchInput, options ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityBatchOutput, error) {
	if err := q.begin(&q.extends, len(in.Entries), "", options); err != nil {
		return nil, err
	}
	left, failed, err := spare(q, "ChangeMessageVisibilityBatch", in.Entries,
		func(e types.ChangeMessageVisibilityBatchRequestEntry) *string { return e.ReceiptHandle },
		func(e types.ChangeMessageVisibilityBatchRequestEntry) *string { return e.Id })
	if err != nil {
		return nil, err
	}
	out := &sqs.ChangeMessageVisibilityBatchOutput{}
	if len(left) > 0 || len(in.Entries) == 0 {
		if out, err = q.Queue.ChangeMessageVisibilityBatch(ctx, &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: in.QueueUrl, Entries: left}); err != nil {
			q.answered(err)
			return nil, err
		}
	}
	for _, f := range out.Failed {
		q.answered(&smithy.GenericAPIError{Code: *f.Code, Message: *f.Message})
	}
	out.Failed = append(out.Failed, failed...)
	return out, nil
}

func (q *fakeQueue) SendMessage(ctx context.Context, in *sqs.SendMessageInput, options ...func(*sqs.Options)) (*sqs.SendMessageOutput, error) {
	if err := q.begin(nil, 0, "SendMessage", options); errors.Is(err, errNotSQS) {
		return &sqs.SendMessageOutput{}, nil
	} else if err != nil {
		return nil, err
	}
	return q.Queue.SendMessage(ctx, in)
}
