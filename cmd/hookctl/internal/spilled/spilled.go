// Package spilled works on what a stage keeps in its bucket because SQS did not take
// it: it lists the spilled notifications and puts them onto the queue.
//
// hookctl's spill commands call it. An object is deleted only after the queue has its
// message, so that a crash makes a duplicate and never a loss. It does not look into a
// notification.
package spilled

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/onepagecrm/nylas-webhooks/internal/awserror"
	"github.com/onepagecrm/nylas-webhooks/internal/sqsanswer"
	"github.com/onepagecrm/nylas-webhooks/lambda/contract"
	"github.com/onepagecrm/nylas-webhooks/notification"
)

const (
	// workers replay at once. One takes about 50 ms a notification (get, send, delete),
	// so eight bring 10,000 back in a minute.
	workers = 8
	// maxObject bounds what is read into memory: gzip makes nothing larger than what it
	// packs, and that is a message of at most 1 MiB, as JSON.
	maxObject = 8 << 20
	// lateness is for deleting what was sent when Ctrl-C came.
	lateness = 10 * time.Second
)

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

// Result counts what a replay did.
type Result struct {
	Replayed int `json:"replayed"`
	// Duplicated were sent and could not be deleted: the next replay sends them again.
	Duplicated int `json:"duplicated"`
	// Refused could not be read or were not taken by the queue, and stay. Why is said of
	// the first.
	Refused int    `json:"refused"`
	Why     string `json:"refused_why,omitempty"`
}

// Replay puts spilled notifications onto the queue, at most limit and perSecond of
// them (0 is no limit), and deletes each only after the queue has it. told is called
// after each. What fails for one notification is counted; an error is what fails for
// all, and then the rest is where it was.
func (s Store) Replay(ctx context.Context, limit, perSecond int, told func(Result)) (Result, error) {
	pace := rate.NewLimiter(rate.Inf, 1)
	if perSecond > 0 {
		pace = rate.NewLimiter(rate.Limit(perSecond), 1)
	}
	var mu sync.Mutex
	var r Result
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	started := 0
	err := s.List(groupCtx, func(o Object) bool {
		if limit > 0 && started == limit || pace.Wait(groupCtx) != nil {
			return false
		}
		started++
		group.Go(func() error {
			outcome, err := s.replay(groupCtx, o.Key)
			mu.Lock()
			defer mu.Unlock()
			switch outcome {
			case replayed:
				r.Replayed++
			case duplicated:
				r.Duplicated++
			case refused:
				r.Refused++
				if r.Why == "" {
					r.Why = awserror.Text(err)
				}
				err = nil // of this one only
			}
			told(r)
			return err
		})
		return true
	})
	// The first error of a notification also ends the list, so it is the one to tell.
	if groupErr := group.Wait(); groupErr != nil {
		err = groupErr
	}
	if err == nil {
		err = ctx.Err()
	}
	return r, err
}

type outcome int

const (
	none outcome = iota // nothing was done, or there was nothing to do
	replayed
	duplicated
	refused
)

func (s Store) replay(ctx context.Context, key string) (outcome, error) {
	object, err := s.get(ctx, key)
	if err != nil {
		if gone, lookErr := s.gone(ctx, key, err); gone || lookErr != nil {
			return none, lookErr // another replay was faster
		}
		return none, fmt.Errorf("get %s: %w", key, err)
	}
	wire, err := notification.Unspill(object)
	if err != nil {
		return refused, fmt.Errorf("%s: %w", key, err)
	}
	err = s.send(ctx, wire)
	if errors.Is(err, sqsanswer.ErrRefused) {
		return refused, fmt.Errorf("%s: %w", key, err) // of the others that says nothing
	}
	if err != nil {
		return none, fmt.Errorf("send to queue: %w", err)
	}
	// The queue has it, so it is deleted also after Ctrl-C.
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), lateness)
	defer cancel()
	if _, err := s.Objects.DeleteObject(late, &s3.DeleteObjectInput{Bucket: &s.Bucket, Key: &key}); err != nil {
		return duplicated, fmt.Errorf("delete %s, which the queue has now (the next replay sends it again): %w", key, err)
	}
	return replayed, nil
}

// send puts a message onto the queue. What SQS refuses as it is, or would refuse for its
// size, goes compressed, as the receiver sends it.
func (s Store) send(ctx context.Context, wire notification.Wire) error {
	err := sqsanswer.ErrRefused
	if wire.Fits() {
		err = sqsanswer.Kept(s.Queues.SendMessage(ctx, message(s.QueueURL, wire)))
	}
	if !errors.Is(err, sqsanswer.ErrRefused) {
		return err
	}
	compressed, compressErr := wire.Compress()
	if compressErr != nil {
		return fmt.Errorf("%w (%w)", err, compressErr)
	}
	return sqsanswer.Kept(s.Queues.SendMessage(ctx, message(s.QueueURL, compressed)))
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

func message(url string, w notification.Wire) *sqs.SendMessageInput {
	in := &sqs.SendMessageInput{QueueUrl: &url, MessageBody: &w.Body, MessageAttributes: make(map[string]types.MessageAttributeValue)}
	for name, a := range w.Attributes {
		in.MessageAttributes[name] = types.MessageAttributeValue{DataType: aws.String(a.DataType), StringValue: aws.String(a.Value)}
	}
	if w.GroupID != "" {
		in.MessageGroupId = &w.GroupID
	}
	return in
}
