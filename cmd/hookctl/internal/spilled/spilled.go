// Package spilled works on what a stage keeps in its bucket because SQS did not take
// it: it lists the spilled notifications and puts them onto the queue.
//
// hookctl's spill commands call it. An object is deleted only after the queue has its
// message, so that a crash makes a duplicate and never a loss. Of a notification it looks at
// the message's attributes only, never into the body.
package spilled

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"

	"github.com/onepagecrm/nylas-webhooks/lambda/contract"
)

// maxObject bounds what is read into memory: gzip makes nothing larger than what it
// packs, and that is a message of at most 1 MiB, as JSON.
const maxObject = 8 << 20

// Objects is the part of S3 that [Store] needs; *s3.Client is one.
type Objects interface {
	s3.ListObjectsV2APIClient
	GetObject(context.Context, *s3.GetObjectInput, ...func(*s3.Options)) (*s3.GetObjectOutput, error)
	DeleteObject(context.Context, *s3.DeleteObjectInput, ...func(*s3.Options)) (*s3.DeleteObjectOutput, error)
}

// Queues is the part of SQS that [Store] needs; *sqs.Client is one.
type Queues interface {
	SendMessage(context.Context, *sqs.SendMessageInput, ...func(*sqs.Options)) (*sqs.SendMessageOutput, error)
	ReceiveMessage(context.Context, *sqs.ReceiveMessageInput, ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error)
	DeleteMessageBatch(context.Context, *sqs.DeleteMessageBatchInput, ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error)
}

// Store is a stage's bucket and the queues that belong to it. All fields are required.
type Store struct {
	Objects    Objects
	Queues     Queues
	Bucket     string
	QueueURL   string // what replay sends to
	NoticesURL string // one message for every object that waits
}

// Object is one spilled notification.
type Object struct {
	Key       string    `json:"key"`
	RequestID string    `json:"request_id"` // as in the receiver's log
	SpilledAt time.Time `json:"spilled_at"`
	Bytes     int64     `json:"bytes"` // as it is in the bucket, compressed
}

// List hands every spilled notification to visit, the oldest hour first, until it
// returns false.
func (s Store) List(ctx context.Context, visit func(Object) bool) error {
	pages := s3.NewListObjectsV2Paginator(s.Objects, &s3.ListObjectsV2Input{Bucket: &s.Bucket, Prefix: aws.String(contract.SpillPrefix)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("list what was spilled: %w", err)
		}
		if err := names(page); err != nil {
			return err
		}
		for _, o := range page.Contents {
			key := aws.ToString(o.Key)
			// The request's id, and behind a dot a part of the signature.
			id, _, _ := strings.Cut(key[strings.LastIndex(key, "/")+1:], ".")
			if !visit(Object{Key: key, RequestID: id, SpilledAt: aws.ToTime(o.LastModified).UTC(), Bytes: aws.ToInt64(o.Size)}) {
				return nil
			}
		}
	}
	return nil
}

func (s Store) get(ctx context.Context, key string) ([]byte, error) {
	answer, err := s.Objects.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.Bucket, Key: &key})
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	return io.ReadAll(io.LimitReader(answer.Body, maxObject))
}

// gone tells whether an object could not be got because it is no longer there. Whoever
// may list only a prefix is told "access denied" instead.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
func (s Store) gone(ctx context.Context, key string, err error) (bool, error) {
	api := smithy.APIError(nil)
	switch {
	case !errors.As(err, &api):
		return false, nil
	case api.ErrorCode() == "NoSuchKey":
		return true, nil
	case api.ErrorCode() != "AccessDenied":
		return false, nil
	}
	waits, err := s.anyWaits(ctx, key)
	return err == nil && !waits, err
}

// anyWaits tells whether there is an object whose key begins with prefix.
func (s Store) anyWaits(ctx context.Context, prefix string) (bool, error) {
	page, err := s.Objects.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &s.Bucket, Prefix: &prefix, MaxKeys: aws.Int32(1)})
	if err != nil {
		return false, fmt.Errorf("look into the bucket: %w", err)
	}
	if err := names(page); err != nil {
		return false, err
	}
	return len(page.Contents) > 0, nil
}

// names tells S3's list from the 200 of something else, in which nothing waits: it
// names the bucket.
func names(page *s3.ListObjectsV2Output) error {
	if aws.ToString(page.Name) == "" {
		return errors.New("list the bucket: the answer does not name it, so it is not S3's (is AWS_ENDPOINT_URL right, or a proxy between?)")
	}
	return nil
}
