package spilled

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"golang.org/x/sync/errgroup"
)

const (
	// noticesBatch is SQS's limit for one receive.
	noticesBatch = 10
	// noticesWait in seconds asks all of SQS's servers instead of some, so that a receive
	// that brings nothing means that there is nothing.
	noticesWait = 1
	// noticesHold in seconds is enough to look into the bucket and delete ten.
	noticesHold = 30
)

// Settled is what [Store.Settle] came to.
type Settled struct {
	// Deleted is how many notices are gone.
	Deleted int
	// Waits tells that something is in the bucket, and so that the other notices stay.
	Waits bool
}

// Settle deletes the notices of what was replayed, so that the age of the oldest one is
// again how long a notification waits. told is called as their number grows.
//
// It begins only when nothing waits any more, and ends when something does again: so no
// notice of what waits is received more than once. SQS leaves what was received three
// times out of the age of the oldest message, which the alarm SpillWaiting reads.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
func (s Store) Settle(ctx context.Context, told func(deleted int)) (Settled, error) {
	var mu sync.Mutex
	var r Settled
	var err error
	if r.Waits, err = s.anyWaits(ctx); r.Waits || err != nil {
		return r, err
	}
	group, ctx := errgroup.WithContext(ctx)
	for range workers {
		group.Go(func() error {
			for {
				received, batch, err := s.settleBatch(ctx)
				mu.Lock()
				r.Deleted += batch.Deleted
				r.Waits = r.Waits || batch.Waits
				told(r.Deleted)
				mu.Unlock()
				if received == 0 || batch.Waits || err != nil {
					return err
				}
			}
		})
	}
	err = group.Wait()
	return r, err
}

// settleBatch deletes up to ten notices, unless something waits that may be one of
// theirs: a notice is younger than its object, so where the bucket is empty after a
// notice was received, its object was replayed.
func (s Store) settleBatch(ctx context.Context) (received int, r Settled, err error) {
	answer, err := s.Queues.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: &s.NoticesURL, MaxNumberOfMessages: noticesBatch, WaitTimeSeconds: noticesWait, VisibilityTimeout: noticesHold,
	})
	if err != nil {
		return 0, r, fmt.Errorf("receive notices: %w", err)
	}
	received = len(answer.Messages)
	if received == 0 {
		return 0, r, nil
	}
	if r.Waits, err = s.anyWaits(ctx); r.Waits || err != nil {
		return received, r, err
	}
	in := &sqs.DeleteMessageBatchInput{QueueUrl: &s.NoticesURL}
	for i, m := range answer.Messages {
		in.Entries = append(in.Entries, types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: m.ReceiptHandle})
	}
	deleted, err := s.Queues.DeleteMessageBatch(ctx, in)
	if err != nil {
		return received, r, fmt.Errorf("delete notices: %w", err)
	}
	r.Deleted = len(deleted.Successful)
	for _, f := range deleted.Failed {
		if aws.ToString(f.Code) != "ReceiptHandleIsInvalid" { // where somebody else settles, too
			return received, r, fmt.Errorf("delete a notice: %s", aws.ToString(f.Code))
		}
	}
	if len(deleted.Successful)+len(deleted.Failed) != received {
		return received, r, errors.New("delete notices: the answer does not speak of all of them, so it is not SQS's (is AWS_ENDPOINT_URL right, or a proxy between?)")
	}
	return received, r, nil
}
