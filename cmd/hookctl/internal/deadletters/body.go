package deadletters

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

const (
	// fetchTime is for an object of some megabytes, while its message is held ([Hold]).
	fetchTime = 20 * time.Second
	// objectBytes bounds what is read into memory: the largest body, as base64 of gzip,
	// and what gzip adds to bytes that it cannot make smaller.
	objectBytes = notification.MaxBodyBytes/3*4 + 64<<10
)

// Objects is the part of S3 that [Bucket] needs; *s3.Client is one.
type Objects interface {
	GetObject(context.Context, *s3.GetObjectInput, ...func(*s3.Options)) (*s3.GetObjectOutput, error)
}

// Bucket is the stage's bucket, in which the bodies are that are too large for SQS.
type Bucket struct {
	API  Objects
	Name string
}

// ErrNoBody: the letter's body is in S3 and could not be had.
var ErrNoBody = errors.New("the body is not at hand")

// Body returns what Nylas signed. Where that is in S3, object says where ("s3://…"). The
// errors are [ErrNoBody], and those of [notification.Decode] for a message that is none
// of ours.
func (b Bucket) Body(ctx context.Context, l Letter) (body []byte, object string, err error) {
	text := l.Body
	pointer, inS3, err := notification.ParsePointer(l.Body, l.Attributes)
	if inS3 {
		if err != nil {
			return nil, "", fmt.Errorf("%w: %w", ErrNoBody, err)
		}
		object = "s3://" + pointer.Bucket + "/" + pointer.Key
		if text, err = b.fetch(ctx, pointer); err != nil {
			return nil, object, fmt.Errorf("%w: %s: %w", ErrNoBody, object, err)
		}
	}
	n, err := notification.Decode(text, l.Attributes)
	if err != nil && inS3 {
		err = fmt.Errorf("%w: %s: %w", ErrNoBody, object, err)
	}
	return n.Body, object, err
}

func (b Bucket) fetch(ctx context.Context, p notification.Pointer) (string, error) {
	// Whoever may send to the queue can name any bucket; we read with our own rights.
	if p.Bucket != b.Name {
		return "", fmt.Errorf("it is in another bucket than the stage's (%s), and was not fetched", b.Name)
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	answer, err := b.API.GetObject(ctx, &s3.GetObjectInput{Bucket: &p.Bucket, Key: &p.Key})
	if refused := smithy.APIError(nil); errors.As(err, &refused) {
		switch refused.ErrorCode() {
		case "NoSuchKey":
			return "", fmt.Errorf("the bucket has deleted it, as it does once no message should need it: %w", err)
		case "AccessDenied": // who may not list the bucket is told this of what is gone, too
			return "", fmt.Errorf("these AWS credentials may not read it (s3:GetObject), or the bucket has deleted it: %w", err)
		}
	}
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, objectBytes+1))
	if err != nil {
		return "", fmt.Errorf("read it: %w", err)
	}
	if len(text) > objectBytes {
		return "", fmt.Errorf("it has more than %d bytes, so the receiver did not write it", objectBytes)
	}
	return string(text), nil
}
