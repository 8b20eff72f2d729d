package spilled

import (
	"context"
	"fmt"
	"strconv"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"golang.org/x/sync/errgroup"

	"github.com/onepagecrm/nylas-webhooks/lambda/contract"
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

// Settle deletes the notices of what was replayed, so that the age of the oldest one is
// again how long a notification waits. It returns how many it deleted; told is called
// with that number as it grows.
//
// It begins only when nothing waits any more, and ends when something does again: so no
// notice of what waits is received more than once. SQS leaves what was received three
// times out of the age of the oldest message, which the alarm SpillWaiting reads.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
func (s Store) Settle(ctx context.Context, told func(int)) (int, error) {
	var mu sync.Mutex
	settled := 0
	if waits, err := s.anyWaits(ctx, contract.SpillPrefix); waits || err != nil {
		return 0, err
	}
	group, ctx := errgroup.WithContext(ctx)
	for range workers {
		group.Go(func() error {
			for {
				n, err := s.settleBatch(ctx)
				mu.Lock()
				settled += n
				told(settled)
				mu.Unlock()
				if n == 0 || err != nil {
					return err
				}
			}
		})
	}
	err := group.Wait()
	return settled, err
}

// settleBatch deletes up to ten notices, 0 when there are none, or when something waits
// that may be one of theirs: a notice is younger than its object, so where the bucket
// is empty after a notice was received, its object was replayed.
func (s Store) settleBatch(ctx context.Context) (int, error) {
	answer, err := s.Queues.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: &s.NoticesURL, MaxNumberOfMessages: noticesBatch, WaitTimeSeconds: noticesWait, VisibilityTimeout: noticesHold,
	})
	if err != nil {
		return 0, fmt.Errorf("receive notices: %w", err)
	}
	if len(answer.Messages) == 0 {
		return 0, nil
	}
	if waits, err := s.anyWaits(ctx, contract.SpillPrefix); waits || err != nil {
		return 0, err
	}
	in := &sqs.DeleteMessageBatchInput{QueueUrl: &s.NoticesURL}
	for i, m := range answer.Messages {
		in.Entries = append(in.Entries, types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: m.ReceiptHandle})
	}
	deleted, err := s.Queues.DeleteMessageBatch(ctx, in)
	if err != nil {
		return 0, fmt.Errorf("delete notices: %w", err)
	}
	for _, f := range deleted.Failed {
		if aws.ToString(f.Code) != "ReceiptHandleIsInvalid" { // where somebody else settles, too
			return len(deleted.Successful), fmt.Errorf("delete a notice: %s", aws.ToString(f.Code))
		}
	}
	return len(answer.Messages), nil
}
