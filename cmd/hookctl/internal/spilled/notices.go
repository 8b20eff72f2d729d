package spilled

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

const (
	// noticesBatch is SQS's limit for one receive.
	noticesBatch = 10
	// noticesWait in seconds asks all of SQS's servers instead of some, so that a receive
	// that brings nothing means that there is nothing.
	noticesWait = 1
	// noticesHold in seconds is long enough to see every notice once, and short enough
	// that those of objects that still wait are soon counted again.
	noticesHold = 30
)

// Settle deletes the notices of objects that are no longer in the bucket, so that the
// age of the oldest one is again how long a notification waits. It returns how many
// it deleted. The notices of other objects are hidden for half a minute.
func (s Store) Settle(ctx context.Context) (int, error) {
	settled := 0
	for {
		answer, err := s.Queues.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
			QueueUrl: &s.NoticesURL, MaxNumberOfMessages: noticesBatch, WaitTimeSeconds: noticesWait, VisibilityTimeout: noticesHold,
		})
		if err != nil {
			return settled, fmt.Errorf("receive notices: %w", err)
		}
		if len(answer.Messages) == 0 {
			return settled, nil
		}
		for _, m := range answer.Messages {
			waits, err := s.waits(ctx, m)
			if err != nil {
				return settled, err
			}
			if waits {
				continue
			}
			if _, err := s.Queues.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &s.NoticesURL, ReceiptHandle: m.ReceiptHandle}); err != nil {
				if stale := (*types.ReceiptHandleIsInvalid)(nil); errors.As(err, &stale) {
					continue // somebody else settles, too
				}
				return settled, fmt.Errorf("delete a notice: %w", err)
			}
			settled++
		}
	}
}

// waits tells whether the object that a notice speaks of is still in the bucket. A
// message that is no notice waits for nothing.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
func (s Store) waits(ctx context.Context, m types.Message) (bool, error) {
	var notice struct {
		Detail struct {
			Object struct {
				Key string `json:"key"`
			} `json:"object"`
		} `json:"detail"`
	}
	if err := json.Unmarshal([]byte(aws.ToString(m.Body)), &notice); err != nil || notice.Detail.Object.Key == "" {
		return false, nil
	}
	key := notice.Detail.Object.Key
	// Listing, because the operator's policy allows that and no other look at a key that
	// may be gone.
	page, err := s.Objects.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &s.Bucket, Prefix: &key, MaxKeys: aws.Int32(1)})
	if err != nil {
		return false, fmt.Errorf("look for a notice's object: %w", err)
	}
	return len(page.Contents) > 0, nil
}
