package consumer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/onepagecrm/nylas-webhooks/internal/sdkhttp"
	"github.com/onepagecrm/nylas-webhooks/notification"
)

// S3API is what the consumer needs of *s3.Client. Its IAM action is s3:GetObject on
// the bucket's overflow/*.
type S3API interface {
	GetObject(context.Context, *s3.GetObjectInput, ...func(*s3.Options)) (*s3.GetObjectOutput, error)
}

const (
	// fetchTimeout is for an object of some megabytes; S3 takes tens of milliseconds.
	fetchTimeout = 10 * time.Second
	// objectBytes bounds what is read into memory: the largest body, as base64 of gzip,
	// and what gzip adds to bytes that it cannot make smaller.
	objectBytes = notification.MaxBodyBytes/3*4 + 64<<10
)

// errFetch: the body is in S3 and could not be fetched this time.
var errFetch = errors.New("fetch body from S3")

// decode reads the notification out of the message, and its body from S3 where that
// was too large for SQS. With errFetch another try may work; with any other error the
// message cannot be read.
func (c Config) decode(ctx context.Context, m *message) (notification.Notification, error) {
	body := m.body
	pointer, overflowed, err := notification.ParsePointer(m.body, m.strings)
	if err != nil {
		return notification.Notification{}, err
	}
	if overflowed {
		began := time.Now()
		body, err = c.fetch(ctx, pointer)
		m.fetched = &fetchedAt{began, err == nil}
		if err != nil {
			return notification.Notification{}, err
		}
	}
	return notification.Decode(body, m.strings)
}

func (c Config) fetch(ctx context.Context, p notification.Pointer) (string, error) {
	if c.S3 == nil {
		return "", errors.New("the body is an S3 object, and Config.S3 is not set")
	}
	// Whoever may send to the queue can name any bucket; we read with our own rights.
	if p.Bucket != c.Bucket {
		return "", fmt.Errorf("the body is said to be in bucket %q, which is not Config.Bucket", p.Bucket)
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	answer, err := c.S3.GetObject(ctx, &s3.GetObjectInput{Bucket: &p.Bucket, Key: &p.Key}, directS3)
	if gone := (*types.NoSuchKey)(nil); errors.As(err, &gone) {
		return "", fmt.Errorf("the body's S3 object is gone: %w", err)
	}
	if err != nil {
		return "", fmt.Errorf("%w: %w", errFetch, err)
	}
	defer answer.Body.Close()
	object, err := io.ReadAll(io.LimitReader(answer.Body, objectBytes+1))
	if err != nil {
		return "", fmt.Errorf("%w: %w", errFetch, err)
	}
	if len(object) > objectBytes {
		return "", fmt.Errorf("the body's S3 object has more than %d bytes", objectBytes)
	}
	return string(object), nil
}

// directS3 follows no redirect, whichever client the program made: see package sdkhttp.
func directS3(o *s3.Options) { o.HTTPClient = sdkhttp.Client(o.HTTPClient) }
