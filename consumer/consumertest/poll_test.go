package consumertest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/onepagecrm/nylas-webhooks/consumer/consumertest"
	"github.com/onepagecrm/nylas-webhooks/notification"
)

// receive asks for one message, hidden for half a minute.
func receive(ctx context.Context, queue *consumertest.Queue, wait int32, names ...string) ([]types.Message, error) {
	out, err := queue.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: aws.String(consumertest.URL), MaxNumberOfMessages: 1, WaitTimeSeconds: wait, VisibilityTimeout: 30, MessageAttributeNames: names})
	if err != nil {
		return nil, err
	}
	return out.Messages, nil
}

func hide(ctx context.Context, queue *consumertest.Queue, handle *string, seconds int32) error {
	_, err := queue.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{QueueUrl: aws.String(consumertest.URL), ReceiptHandle: handle, VisibilityTimeout: seconds})
	return err
}

// A long poll answers when there is something, and no later; 10 ms are the network's.
func TestLongPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queue := consumertest.NewQueue()
		polled := func(what string, after time.Duration, want int, meanwhile func()) []types.Message {
			t.Helper()
			began := time.Now()
			if meanwhile != nil {
				time.AfterFunc(5*time.Second, meanwhile)
			}
			got, err := receive(t.Context(), queue, 20)
			if took := time.Since(began); err != nil || len(got) != want || took != after {
				t.Fatalf("%s: %d messages after %v, %v; want %d after %v", what, len(got), took, err, want, after)
			}
			return got
		}
		polled("nothing comes", 20*time.Second+10*time.Millisecond, 0, nil)
		got := polled("one is sent", 5*time.Second, 1, func() { queue.SendWire(notification.Wire{Body: "1"}) })
		polled("it is shown again", 5*time.Second, 1, func() {
			if err := hide(t.Context(), queue, got[0].ReceiptHandle, 0); err != nil {
				t.Error(err)
			}
		})
		polled("it is hidden", 20*time.Second+10*time.Millisecond, 0, nil)
		polled("its time is over", 30*time.Second-20*time.Second-10*time.Millisecond, 1, nil)

		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		for _, when := range []string{"while it waits", "before"} {
			if _, err := receive(ctx, queue, 20); !errors.Is(err, context.Canceled) {
				t.Errorf("cancelled %s: %v", when, err)
			}
			if n := queue.Left(); n != 1 { // and it waits for nobody
				t.Errorf("cancelled %s: %d left", when, n)
			}
		}
	})
}

func TestOnlyTheAttributesThatWereAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			asks, want []string
		}{{nil, nil}, {[]string{"a"}, []string{"a"}}, {[]string{"All"}, []string{"a", "b"}}} {
			queue := consumertest.NewQueue()
			queue.SendWire(notification.Wire{Body: "x", GroupID: "grant", Attributes: map[string]notification.Attribute{"a": {DataType: "String", Value: "1"}, "b": {DataType: "Number", Value: "2"}}})
			got, err := receive(t.Context(), queue, 0, c.asks...)
			if err != nil || len(got) != 1 {
				t.Fatal(err)
			}
			var names []string
			for name := range got[0].MessageAttributes {
				names = append(names, name)
			}
			slices.Sort(names)
			if !slices.Equal(names, c.want) || got[0].Attributes["MessageGroupId"] != "grant" {
				t.Errorf("%q: %q, group %q", c.asks, names, got[0].Attributes["MessageGroupId"])
			}
		}
		queue := consumertest.NewQueue()
		queue.SendWire(notification.Wire{Body: "x"})
		if got, err := receive(t.Context(), queue, 0); err != nil || got[0].Attributes["ApproximateReceiveCount"] != "1" || len(got[0].Attributes) != 1 {
			t.Errorf("without a group: %v, %v", got, err)
		}
	})
}

// A message is hidden for up to 12 hours after its receive.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html
func TestHowLongAMessageMayBeHidden(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queue := consumertest.NewQueue()
		queue.SendWire(notification.Wire{Body: "x"})
		for seconds, fine := range map[int32]bool{-1: false, 43_201: false} {
			if _, err := queue.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: aws.String(consumertest.URL), MaxNumberOfMessages: 1, VisibilityTimeout: seconds}); (err == nil) != fine {
				t.Errorf("a receive that hides for %d s: %v", seconds, err)
			}
		}
		for _, seconds := range []int32{0, 43_200} {
			if got, err := queue.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: aws.String(consumertest.URL), MaxNumberOfMessages: 1, VisibilityTimeout: seconds}); err != nil || len(got.Messages) != 1 {
				t.Fatalf("a receive that hides for %d s: %v", seconds, err)
			}
		}
		handle := aws.String("message-0/2")
		if err := hide(t.Context(), queue, handle, 43_200); err != nil {
			t.Errorf("12 hours from its receive: %v", err)
		}
		entries := []types.ChangeMessageVisibilityBatchRequestEntry{
			{Id: aws.String("good"), ReceiptHandle: handle, VisibilityTimeout: 1}, {Id: aws.String("stale"), ReceiptHandle: aws.String("message-0/1"), VisibilityTimeout: 1}}
		for range 2 {
			out, err := queue.ChangeMessageVisibilityBatch(t.Context(), &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: aws.String(consumertest.URL), Entries: entries})
			if err != nil || len(out.Failed) != 1 || *out.Failed[0].Id != "stale" {
				t.Errorf("%+v, %v", out, err)
			}
		}
		remove := &sqs.DeleteMessageBatchInput{QueueUrl: aws.String(consumertest.URL), Entries: []types.DeleteMessageBatchRequestEntry{{Id: aws.String("1"), ReceiptHandle: handle}}}
		for _, failures := range []int{0, 1} { // what is deleted has no handle any more
			if out, err := queue.DeleteMessageBatch(t.Context(), remove); err != nil || len(out.Failed) != failures || queue.Left() != 0 {
				t.Errorf("%+v, %v, %d left", out, err, queue.Left())
			}
		}
		if err := hide(t.Context(), queue, handle, 1); err == nil {
			t.Error("a message that is deleted is hidden")
		}
	})
}

func TestDeadLettersThatNobodyCanDecode(t *testing.T) {
	queue := consumertest.NewQueue()
	for i := range 2 {
		in := &sqs.SendMessageInput{QueueUrl: aws.String(consumertest.DeadLetterURL), MessageBody: aws.String("no base64"), MessageAttributes: map[string]types.MessageAttributeValue{
			notification.AttrNotificationID: {StringValue: aws.String(fmt.Sprint("n", i))}, notification.AttrEncoding: {StringValue: aws.String(notification.EncodingGzipBase64)}}}
		if _, err := queue.SendMessage(t.Context(), in); err != nil {
			t.Fatal(err)
		}
		if dead := queue.DeadLetters(); len(dead) != i+1 || dead[i].ID != fmt.Sprint("n", i) || dead[i].Body != nil {
			t.Errorf("%+v", dead)
		}
		if rejected := queue.Rejected(); len(rejected) != i+1 || rejected[i] != in {
			t.Errorf("%+v", rejected)
		}
	}
}
