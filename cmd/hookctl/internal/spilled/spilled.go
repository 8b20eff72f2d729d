// Package spilled works on what a stage keeps in its bucket because SQS did not take
// it: it lists the spilled notifications and puts them onto the queue.
//
// hookctl's spill commands call it. An object is deleted only after the queue has its
// message, so that a crash makes a duplicate and never a loss. Of a notification it looks at
// the message's attributes only, never into the body.
package spilled

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/enqueue"
	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/objects"
	"github.com/onepagecrm/nylas-webhooks/lambda/contract"
)

// maxObject bounds what is read into memory: gzip makes nothing larger than what it
// packs, and that is a message of at most 1 MiB, as JSON.
const maxObject = 8 << 20

// Queues is the part of SQS that [Store] needs; *sqs.Client is one.
type Queues interface {
	enqueue.API
	ReceiveMessage(context.Context, *sqs.ReceiveMessageInput, ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error)
	DeleteMessageBatch(context.Context, *sqs.DeleteMessageBatchInput, ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error)
}

// Store is a stage's bucket and the queues that belong to it. All fields are required.
type Store struct {
	Objects    objects.API
	Queues     Queues
	Bucket     string
	QueueURL   string // what replay sends to
	NoticesURL string // one message for every object that waits
}

func (s Store) bucket() objects.Bucket { return objects.Bucket{API: s.Objects, Name: s.Bucket} }

// anyWaits tells whether something was spilled and not replayed.
func (s Store) anyWaits(ctx context.Context) (bool, error) {
	waits, err := s.bucket().Any(ctx, contract.SpillPrefix)
	if err != nil {
		return false, fmt.Errorf("look into the bucket: %w", err)
	}
	return waits, nil
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
	err := s.bucket().List(ctx, contract.SpillPrefix, "", func(o s3types.Object) bool {
		key := aws.ToString(o.Key)
		// The request's id, and behind a dot a part of the signature.
		id, _, _ := strings.Cut(key[strings.LastIndex(key, "/")+1:], ".")
		return visit(Object{Key: key, RequestID: id, SpilledAt: aws.ToTime(o.LastModified).UTC(), Bytes: aws.ToInt64(o.Size)})
	})
	if err != nil {
		return fmt.Errorf("list what was spilled: %w", err)
	}
	return nil
}
