package consumertest_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"github.com/onepagecrm/nylas-webhooks/consumer/consumertest"
)

// A batch has one to ten entries, each with an id of its own, and is for this queue.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessageBatch.html
func TestBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const missing = "AWS.SimpleQueueService.NonExistentQueue"
		ten := strings.Fields("0 1 2 3 4 5 6 7 8 9")
		for _, c := range []struct {
			url, code string
			ids       []string
		}{
			{consumertest.URL, "", ten},
			{consumertest.URL, "TooManyEntriesInBatchRequest", append(ten, "10")},
			{consumertest.URL, "TooManyEntriesInBatchRequest", nil},
			{consumertest.URL, "BatchEntryIdsNotDistinct", []string{"1", "2", "1"}},
			{consumertest.DeadLetterURL, missing, ten},
		} {
			queue := consumertest.NewQueue()
			remove := &sqs.DeleteMessageBatchInput{QueueUrl: &c.url}
			hide := &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &c.url}
			for _, id := range c.ids {
				remove.Entries = append(remove.Entries, types.DeleteMessageBatchRequestEntry{Id: aws.String(id), ReceiptHandle: aws.String("none")})
				hide.Entries = append(hide.Entries, types.ChangeMessageVisibilityBatchRequestEntry{Id: aws.String(id), ReceiptHandle: aws.String("none")})
			}
			began := time.Now()
			removed, err := queue.DeleteMessageBatch(t.Context(), remove)
			is(t, fmt.Sprintf("delete %q", c.ids), err, c.code)
			if took := time.Since(began); err == nil && took != 10*time.Millisecond {
				t.Errorf("a deletion takes %v, and not the network's 10 ms", took)
			}
			hidden, err := queue.ChangeMessageVisibilityBatch(t.Context(), hide)
			is(t, fmt.Sprintf("hide %q", c.ids), err, c.code)
			if c.code != "" {
				continue
			}
			for _, failed := range [][]types.BatchResultErrorEntry{removed.Failed, hidden.Failed} {
				if len(failed) != 10 || !failed[0].SenderFault || *failed[0].Code != "ReceiptHandleIsInvalid" {
					t.Errorf("handles that are good for nothing: %+v", failed)
				}
			}
		}
		queue := consumertest.NewQueue()
		_, err := queue.ChangeMessageVisibility(t.Context(), &sqs.ChangeMessageVisibilityInput{QueueUrl: aws.String(consumertest.DeadLetterURL), ReceiptHandle: aws.String("none")})
		is(t, "hide a message of another queue", err, missing)
	})
}

func is(t *testing.T, what string, err error, code string) {
	t.Helper()
	var api smithy.APIError
	if code == "" && err != nil || code != "" && (!errors.As(err, &api) || api.ErrorCode() != code) {
		t.Errorf("%s: %v, want %q", what, err, code)
	}
}

func TestSamples(t *testing.T) {
	if n := consumertest.Sample("message_created"); n.Attempt != 1 || n.Type != "message.created" || n.ID == "" || n.GrantID == "" {
		t.Errorf("a sample is attempt %d, type %q", n.Attempt, n.Type)
	}
	// Its id is read before its type is found to be none.
	if n := consumertest.Signed([]byte(`{"id":"1","data":{"object":{"grant_id":"g"}},"type":2}`)); n.ID != "" || n.Type != "" || n.GrantID != "" {
		t.Errorf("what is no notification has id %q, type %q, grant %q", n.ID, n.Type, n.GrantID)
	}
	defer func() {
		if said := fmt.Sprint(recover()); !strings.Contains(said, "message_created") {
			t.Errorf("a sample that is not there: %q names none that are", said)
		}
	}()
	consumertest.Sample("no_such")
}
