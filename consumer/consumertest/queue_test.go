package consumertest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/onepagecrm/nylas-webhooks/consumer"
	"github.com/onepagecrm/nylas-webhooks/consumer/consumertest"
	"github.com/onepagecrm/nylas-webhooks/notification"
	"github.com/onepagecrm/nylas-webhooks/notification/samples"
)

var _ consumer.SQSAPI = (*consumertest.Queue)(nil)

// The test of a handler, as its author writes it.
func TestHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queue := consumertest.NewQueue()
		for _, n := range []notification.Notification{
			consumertest.Sample("message_created"),
			consumertest.Sample("grant_expired"),
			consumertest.Signed([]byte(`{"id":"1","type":"unknown.type"}`)),
		} {
			if _, err := queue.Send(n); err != nil {
				t.Fatal(err)
			}
		}
		var handled []string
		c, err := consumer.New(consumer.Config{
			SQS: queue, QueueURL: consumertest.URL, DeadLetterQueueURL: consumertest.DeadLetterURL,
			Concurrency: 1,
			Logger:      slog.New(slog.NewTextHandler(io.Discard, nil)),
			Secrets:     func(context.Context) ([]string, error) { return []string{samples.Secret}, nil },
			Handler: consumer.ByType(map[string]consumer.Handler{
				"message": func(_ context.Context, n notification.Notification) error {
					handled = append(handled, n.Type)
					return nil
				},
				"grant": func(context.Context, notification.Notification) error { return errors.New("not ready for that") },
			}, nil),
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- c.Run(ctx) }()
		for queue.Left() > 0 {
			time.Sleep(time.Second)
		}
		stop()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		var dead []string
		for _, n := range queue.DeadLetters() {
			dead = append(dead, n.Type)
		}
		if !slices.Equal(handled, []string{"message.created"}) || !slices.Equal(dead, []string{"grant.expired", "unknown.type"}) {
			t.Errorf("handled %q, dead letters %q", handled, dead)
		}
	})
}

// What SQS refuses, the queue refuses, or a test would pass with a program that fails.
func TestAsStrictAsSQS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queue := consumertest.NewQueue()
		receive := func(limit, wait int32) ([]types.Message, error) {
			out, err := queue.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{
				QueueUrl: aws.String(consumertest.URL), MaxNumberOfMessages: limit, WaitTimeSeconds: wait, VisibilityTimeout: 30})
			if err != nil {
				return nil, err
			}
			return out.Messages, nil
		}
		for i := range 11 {
			queue.SendWire(notification.Wire{Body: fmt.Sprint(i)})
		}
		_, err := receive(11, 0)
		is(t, "eleven at once", err, "InvalidParameterValue")
		_, err = receive(1, 21)
		is(t, "a poll of 21 s", err, "InvalidParameterValue")

		messages, err := receive(10, 0)
		if err != nil || len(messages) != 10 {
			t.Fatalf("%d messages, %v", len(messages), err)
		}
		first := messages[0].ReceiptHandle
		hide := func(handle *string, seconds int32) error {
			_, err := queue.ChangeMessageVisibility(t.Context(), &sqs.ChangeMessageVisibilityInput{QueueUrl: aws.String(consumertest.URL), ReceiptHandle: handle, VisibilityTimeout: seconds})
			return err
		}
		is(t, "hidden for more than 12 hours", hide(first, 43_201), "InvalidParameterValue")
		if err := hide(first, 0); err != nil {
			t.Error(err)
		}
		again, err := receive(1, 0)
		if err != nil || len(again) != 1 || *again[0].MessageId != *messages[0].MessageId || again[0].Attributes["ApproximateReceiveCount"] != "2" {
			t.Fatalf("%+v, %v", again, err)
		}
		is(t, "a stale handle", hide(first, 1), "ReceiptHandleIsInvalid")
		remove := func(handles ...*string) ([]types.BatchResultErrorEntry, error) {
			in := &sqs.DeleteMessageBatchInput{QueueUrl: aws.String(consumertest.URL)}
			for i, h := range handles {
				in.Entries = append(in.Entries, types.DeleteMessageBatchRequestEntry{Id: aws.String(fmt.Sprint(i)), ReceiptHandle: h})
			}
			out, err := queue.DeleteMessageBatch(t.Context(), in)
			if err != nil {
				return nil, err
			}
			return out.Failed, nil
		}
		refused, err := remove(first, again[0].ReceiptHandle)
		if err != nil || len(refused) != 1 || *refused[0].Id != "0" || queue.Left() != 10 {
			t.Errorf("%+v, %v, %d left", refused, err, queue.Left())
		}
		_, err = remove(make([]*string, 11)...)
		is(t, "a batch of eleven", err, "TooManyEntriesInBatchRequest")
		_, err = queue.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: aws.String(consumertest.URL), MessageBody: aws.String("x")})
		is(t, "a consumer that sends to its own queue", err, "InvalidParameterValue")

		_, err = queue.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: aws.String(consumertest.DeadLetterURL)})
		is(t, "a dead letter without a body", err, "MissingParameter")
		_, err = queue.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: aws.String(consumertest.DeadLetterURL), MaxNumberOfMessages: 1})
		is(t, "another queue", err, "AWS.SimpleQueueService.NonExistentQueue")
		_, err = queue.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: aws.String(consumertest.URL), MaxNumberOfMessages: 1, VisibilityTimeout: 43_201})
		is(t, "a receive that hides for more than 12 hours", err, "InvalidParameterValue")
		_, err = queue.ChangeMessageVisibilityBatch(t.Context(), &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: aws.String(consumertest.URL), Entries: []types.ChangeMessageVisibilityBatchRequestEntry{{Id: aws.String("1")}, {Id: aws.String("1")}}})
		is(t, "two entries with one id", err, "BatchEntryIdsNotDistinct")

		// Five receives, then it is a dead letter.
		for queue.Left() > 0 {
			if _, err := receive(10, 20); err != nil {
				t.Fatal(err)
			}
		}
		for _, m := range queue.Messages()[1:] {
			if len(m.Received) != 5 || !m.Dead || m.Deleted {
				t.Errorf("%s: received %d times, dead %v, deleted %v", m.ID, len(m.Received), m.Dead, m.Deleted)
			}
		}
		if n := len(queue.DeadLetters()); n != 10 {
			t.Errorf("%d dead letters", n)
		}
	})
}

// equivalent mutant: take: 0 -> 1
// One message that is gone stays at the front, and is passed over.

// What the queue tells a test is the test's own: it changes nothing, and can be asked again.
func TestWhatTheQueueTells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queue := consumertest.NewQueue()
		noise := make([]byte, notification.MaxMessageBytes) // gzip cannot make it smaller
		if _, err := rand.NewChaCha8([32]byte{}).Read(noise); err != nil {
			t.Fatal(err)
		}
		if id, err := queue.Send(notification.Notification{ID: "1", Body: noise}); err == nil || id != "" || queue.Left() != 0 {
			t.Errorf("a notification that is too large for SQS is on the queue as %q: %v", id, err)
		}
		if _, err := queue.Send(consumertest.Sample("message_created")); err != nil {
			t.Fatal(err)
		}
		if _, err := queue.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: aws.String(consumertest.URL), MaxNumberOfMessages: 1, VisibilityTimeout: 30}); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if n := queue.MostInFlight(); n != 1 {
				t.Errorf("%d were in flight at once", n)
			}
			received := queue.Messages()[0].Received
			if len(received) != 1 || received[0].IsZero() {
				t.Fatalf("received at %v", received)
			}
			received[0] = time.Time{}
		}
	})
}
