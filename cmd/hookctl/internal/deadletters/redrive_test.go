package deadletters

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

// fake is an SQS that records what happens in which order.
type fake struct {
	API
	visible []types.Message
	hidden  map[string]types.Message // by receipt handle
	sent    []types.SendMessageBatchRequestEntry
	calls   []string

	held         int    // letters that somebody else has received
	refuseSend   string // the id of a notification that the main queue does not take
	sendErr      error
	noAnswer     bool // a 200 of somebody else
	badHandles   bool // every delete answers ReceiptHandleIsInvalid
	onSend       func()
	tasks        []types.ListMessageMoveTasksResultEntry // one per look
	moveErr      error
	rate         *int32
	cancelled    bool
	deadLettered time.Time // SentTimestamp
}

func newFake(n int) *fake {
	f := &fake{hidden: map[string]types.Message{}, deadLettered: time.Now().Add(-time.Hour)}
	for i := range n {
		f.add(i)
	}
	return f
}

func (f *fake) add(i int) {
	id := fmt.Sprintf("n-%d", i)
	f.visible = append(f.visible, types.Message{
		MessageId: aws.String("m-" + strconv.Itoa(i)), Body: aws.String(strings.Repeat("x", 10)),
		Attributes: map[string]string{
			"SentTimestamp": strconv.FormatInt(f.deadLettered.UnixMilli(), 10), "ApproximateReceiveCount": "6",
			"MessageGroupId": "group", "AWSTraceHeader": "Root=1-0-0",
		},
		MessageAttributes: map[string]types.MessageAttributeValue{
			notification.AttrNotificationID: {DataType: aws.String("String"), StringValue: &id},
			"binary":                        {DataType: aws.String("Binary"), BinaryValue: []byte{1}},
		},
	})
}

func (f *fake) ReceiveMessage(_ context.Context, in *sqs.ReceiveMessageInput, _ ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	out := &sqs.ReceiveMessageOutput{}
	for len(f.visible) > 0 && len(out.Messages) < int(in.MaxNumberOfMessages) {
		m := f.visible[0]
		f.visible = f.visible[1:]
		m.ReceiptHandle = aws.String("handle of " + *m.MessageId)
		f.hidden[*m.ReceiptHandle] = m
		out.Messages = append(out.Messages, m)
	}
	return out, nil
}

func (f *fake) SendMessageBatch(_ context.Context, in *sqs.SendMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error) {
	f.calls = append(f.calls, fmt.Sprintf("send %d", len(in.Entries)))
	if f.sendErr != nil {
		return nil, f.sendErr
	}
	if f.onSend != nil {
		f.onSend()
	}
	out := &sqs.SendMessageBatchOutput{}
	if f.noAnswer {
		return out, nil
	}
	for _, e := range in.Entries {
		if aws.ToString(e.MessageAttributes[notification.AttrNotificationID].StringValue) == f.refuseSend {
			out.Failed = append(out.Failed, types.BatchResultErrorEntry{Id: e.Id, Code: aws.String("InternalError"), Message: aws.String("later")})
			continue
		}
		f.sent = append(f.sent, e)
		out.Successful = append(out.Successful, types.SendMessageBatchResultEntry{Id: e.Id})
	}
	return out, nil
}

func (f *fake) DeleteMessageBatch(ctx context.Context, in *sqs.DeleteMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	f.calls = append(f.calls, fmt.Sprintf("delete %d", len(in.Entries)))
	out := &sqs.DeleteMessageBatchOutput{}
	for _, e := range in.Entries {
		if f.badHandles {
			out.Failed = append(out.Failed, types.BatchResultErrorEntry{Id: e.Id, Code: aws.String("ReceiptHandleIsInvalid")})
			continue
		}
		delete(f.hidden, *e.ReceiptHandle)
		out.Successful = append(out.Successful, types.DeleteMessageBatchResultEntry{Id: e.Id})
	}
	return out, nil
}

func (f *fake) ChangeMessageVisibilityBatch(_ context.Context, in *sqs.ChangeMessageVisibilityBatchInput, _ ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityBatchOutput, error) {
	for _, e := range in.Entries {
		f.visible = append(f.visible, f.hidden[*e.ReceiptHandle])
		delete(f.hidden, *e.ReceiptHandle)
	}
	return &sqs.ChangeMessageVisibilityBatchOutput{}, nil
}

func (f *fake) GetQueueAttributes(context.Context, *sqs.GetQueueAttributesInput, ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error) {
	if f.noAnswer {
		return &sqs.GetQueueAttributesOutput{}, nil
	}
	return &sqs.GetQueueAttributesOutput{Attributes: map[string]string{
		"QueueArn": "arn", "MessageRetentionPeriod": "1209600", "ApproximateNumberOfMessages": strconv.Itoa(len(f.visible)),
		"ApproximateNumberOfMessagesNotVisible": strconv.Itoa(len(f.hidden) + f.held),
	}}, nil
}

func (f *fake) ListMessageMoveTasks(context.Context, *sqs.ListMessageMoveTasksInput, ...func(*sqs.Options)) (*sqs.ListMessageMoveTasksOutput, error) {
	if f.moveErr != nil {
		return nil, f.moveErr
	}
	if len(f.tasks) == 0 {
		return &sqs.ListMessageMoveTasksOutput{}, nil
	}
	task := f.tasks[0]
	if len(f.tasks) > 1 {
		f.tasks = f.tasks[1:]
	}
	return &sqs.ListMessageMoveTasksOutput{Results: []types.ListMessageMoveTasksResultEntry{task}}, nil
}

func (f *fake) StartMessageMoveTask(_ context.Context, in *sqs.StartMessageMoveTaskInput, _ ...func(*sqs.Options)) (*sqs.StartMessageMoveTaskOutput, error) {
	if *in.SourceArn != "arn" || *in.DestinationArn != "main" {
		return nil, errors.New("another queue")
	}
	f.rate = in.MaxNumberOfMessagesPerSecond
	if f.noAnswer {
		return &sqs.StartMessageMoveTaskOutput{}, nil
	}
	return &sqs.StartMessageMoveTaskOutput{TaskHandle: aws.String("task")}, nil
}

func (f *fake) CancelMessageMoveTask(context.Context, *sqs.CancelMessageMoveTaskInput, ...func(*sqs.Options)) (*sqs.CancelMessageMoveTaskOutput, error) {
	f.cancelled = true
	return &sqs.CancelMessageMoveTaskOutput{}, nil
}

func (f *fake) queue() Queue { return Queue{API: f, URL: "https://sqs/1/dead", MainARN: "main"} }

func redrive(f *fake, o Order) (Result, error) {
	return f.queue().Redrive(context.Background(), o, func(Result) {})
}

func TestSendsBeforeItDeletes(t *testing.T) {
	f := newFake(12)
	r, err := redrive(f, Order{})
	if err != nil || r.Moved != 12 || len(f.sent) != 12 || len(f.visible)+len(f.hidden) != 0 {
		t.Fatalf("%+v, %v, %d sent", r, err, len(f.sent))
	}
	if want := []string{"send 10", "delete 10", "send 2", "delete 2"}; !slices.Equal(f.calls, want) {
		t.Errorf("calls %v, want %v", f.calls, want)
	}
	e := f.sent[0]
	if *e.MessageGroupId != "group" || *e.MessageSystemAttributes["AWSTraceHeader"].StringValue != "Root=1-0-0" || e.MessageAttributes["binary"].BinaryValue[0] != 1 {
		t.Errorf("the copy is not whole: %+v", e)
	}
}

func TestWhatIsNotSentStays(t *testing.T) {
	f := newFake(3)
	f.refuseSend = "n-1"
	r, err := redrive(f, Order{})
	if err != nil || r.Moved != 2 || r.Refused != 1 || r.Why != "SQS SendMessageBatch: InternalError" || len(f.visible) != 1 {
		t.Errorf("%+v, %v, %d visible", r, err, len(f.visible))
	}
	f = newFake(3)
	f.sendErr = errors.New("down")
	if r, err = redrive(f, Order{}); err == nil || r.Moved != 0 || len(f.visible) != 3 {
		t.Errorf("%+v, %v, %d visible", r, err, len(f.visible))
	}
	f = newFake(3)
	f.noAnswer = true
	if r, err = redrive(f, Order{}); err == nil || r.Moved != 0 || len(f.visible) != 3 {
		t.Errorf("a proxy's 200: %+v, %v, %d visible", r, err, len(f.visible))
	}
}

func TestWhatCannotBeDeletedIsSaid(t *testing.T) {
	f := newFake(2)
	f.badHandles = true
	if r, err := redrive(f, Order{}); err != nil || r.Moved != 0 || r.Duplicated != 2 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestWhatIsSentIsDeletedAfterAnInterrupt(t *testing.T) {
	f := newFake(25)
	ctx, cancel := context.WithCancel(context.Background())
	f.onSend = cancel
	r, err := f.queue().Redrive(ctx, Order{}, func(Result) {})
	if !errors.Is(err, context.Canceled) || r.Moved != 10 || len(f.visible) != 15 || len(f.hidden) != 0 {
		t.Errorf("%+v, %v, %d visible, %d hidden", r, err, len(f.visible), len(f.hidden))
	}
}

func TestWhatCameBackStays(t *testing.T) {
	f := newFake(1)
	f.onSend = func() { // the consumer fails at once
		f.deadLettered = time.Now().Add(time.Second)
		f.add(7)
		f.onSend = nil
	}
	if r, err := redrive(f, Order{}); err != nil || r.Moved != 1 || r.CameBack != 1 || len(f.visible) != 1 {
		t.Errorf("%+v, %v, %d visible", r, err, len(f.visible))
	}
}

func TestMaxAndRate(t *testing.T) {
	f := newFake(25)
	started := time.Now()
	r, err := redrive(f, Order{Max: 6, Rate: 30})
	if err != nil || r.Moved != 6 || len(f.visible) != 19 {
		t.Errorf("%+v, %v, %d visible", r, err, len(f.visible))
	}
	if took := time.Since(started); took < 6*time.Second/30 {
		t.Errorf("6 at 30 a second took %s", took)
	}
	f = newFake(4)
	if _, err := redrive(f, Order{Rate: 2, Max: 2}); err != nil || !slices.Equal(f.calls, []string{"send 2", "delete 2"}) {
		t.Errorf("%v, calls %v", err, f.calls)
	}
}

func TestChunksStayBelowTheLimit(t *testing.T) {
	big := Letter{Body: strings.Repeat("x", 400_000)}
	if got := chunks([]Letter{big, big, big, {}, {}}, 0); len(got) != 2 || len(got[0]) != 2 || len(got[1]) != 3 {
		t.Errorf("%d chunks", len(got))
	}
}

// JSON doubles quotes, and SQS bounds the request as well as the messages.
func TestRequestStaysBelowTheLimit(t *testing.T) {
	quotes := Letter{Body: strings.Repeat(`"`, 450_000)}
	if got := chunks([]Letter{quotes, quotes}, 0); len(got) != 2 {
		t.Errorf("%d chunks, want 2: together they are 900,000 bytes of messages and 1.8 MB of request", len(got))
	}
	f := newFake(1)
	f.visible[0].Body = aws.String(strings.Repeat(`"`, 900_000))
	if r, err := redrive(f, Order{}); err != nil || r.Moved != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
	sent := f.sent[0]
	if got := aws.ToString(sent.MessageAttributes["content_encoding"].StringValue); got != "gzip+base64" || len(*sent.MessageBody) > 100_000 {
		t.Errorf("sent %d bytes, encoded as %q", len(*sent.MessageBody), got)
	}
	if got := aws.ToString(sent.MessageAttributes[notification.AttrNotificationID].StringValue); got != "n-0" || len(sent.MessageAttributes["binary"].BinaryValue) != 1 {
		t.Errorf("attributes %v", sent.MessageAttributes)
	}
}

func TestMove(t *testing.T) {
	running := types.ListMessageMoveTasksResultEntry{Status: aws.String("RUNNING"), ApproximateNumberOfMessagesMoved: 5, ApproximateNumberOfMessagesToMove: aws.Int64(9)}
	done := types.ListMessageMoveTasksResultEntry{StartedTimestamp: 2, Status: aws.String("COMPLETED"), ApproximateNumberOfMessagesMoved: 9}
	older := types.ListMessageMoveTasksResultEntry{StartedTimestamp: 1, Status: aws.String("COMPLETED"), ApproximateNumberOfMessagesMoved: 1}
	failed := types.ListMessageMoveTasksResultEntry{StartedTimestamp: 3, Status: aws.String("FAILED"), FailureReason: aws.String("AccessDenied"), ApproximateNumberOfMessagesMoved: 2}
	for _, test := range []struct {
		name  string
		tasks []types.ListMessageMoveTasksResultEntry
		err   error
		moved int64
		want  string // in the error
	}{
		{"done", []types.ListMessageMoveTasksResultEntry{older, done}, nil, 9, ""},
		{"the list shows the task before it", []types.ListMessageMoveTasksResultEntry{older, older, done}, nil, 9, ""},
		{"the list never shows it", []types.ListMessageMoveTasksResultEntry{older}, nil, 0, "lists no such task"},
		{"fails", []types.ListMessageMoveTasksResultEntry{done, failed}, nil, 2, "AccessDenied"},
		{"one runs already", []types.ListMessageMoveTasksResultEntry{running}, nil, 0, "one task at a time"},
		{"unknown to the service", nil, &smithy.GenericAPIError{Code: "InvalidAction"}, 0, ErrNoMoveTask.Error()},
		{"not allowed", nil, &smithy.GenericAPIError{Code: "AccessDenied"}, 0, "look for a running move task"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // so that nobody waits between two looks
				f := newFake(0)
				f.tasks, f.moveErr = test.tasks, test.err
				moved, err := f.queue().Move(t.Context(), 1000, func(_, _ int64) {})
				if moved != test.moved || (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
					t.Errorf("moved %d, %v", moved, err)
				}
				if err == nil && *f.rate != MaxMoveRate {
					t.Errorf("rate %d", *f.rate)
				}
			})
		})
	}
}

func TestMoveIsCancelledAtTheInterrupt(t *testing.T) {
	f := newFake(0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.queue().Move(ctx, 0, nil); !errors.Is(err, context.Canceled) || !f.cancelled {
		t.Errorf("%v, cancelled %v", err, f.cancelled)
	}
}
