// Package objects reads and deletes what a stage has in its bucket, and knows which answers
// are S3's. It knows nothing of what the objects hold.
package objects

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

// API is the part of S3 that [Bucket] needs; *s3.Client is one.
type API interface {
	s3.ListObjectsV2APIClient
	GetObject(context.Context, *s3.GetObjectInput, ...func(*s3.Options)) (*s3.GetObjectOutput, error)
	DeleteObject(context.Context, *s3.DeleteObjectInput, ...func(*s3.Options)) (*s3.DeleteObjectOutput, error)
}

// Bucket is a stage's bucket.
type Bucket struct {
	API  API
	Name string
}

// ErrGone: the object is no longer there.
var ErrGone = errors.New("it is no longer in the bucket")

// List hands visit every object whose name begins with prefix and sorts after the one that
// is given (empty: all of them), in the order of names, until visit returns false.
func (b Bucket) List(ctx context.Context, prefix, after string, visit func(types.Object) bool) error {
	in := &s3.ListObjectsV2Input{Bucket: &b.Name, Prefix: &prefix}
	if after != "" {
		in.StartAfter = &after
	}
	for pages := s3.NewListObjectsV2Paginator(b.API, in); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		if err := names(page); err != nil {
			return err
		}
		for _, o := range page.Contents {
			if !visit(o) {
				return nil
			}
		}
	}
	return nil
}

// Any tells whether there is an object whose name begins with prefix.
func (b Bucket) Any(ctx context.Context, prefix string) (bool, error) {
	page, err := b.API.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &b.Name, Prefix: &prefix, MaxKeys: aws.Int32(1)})
	if err != nil {
		return false, err
	}
	return len(page.Contents) > 0, names(page)
}

// names tells S3's list from the 200 of something else, in which there is nothing: it
// names the bucket.
func names(page *s3.ListObjectsV2Output) error {
	if aws.ToString(page.Name) == "" {
		return errors.New("the answer does not name the bucket, so it is not S3's (is AWS_ENDPOINT_URL right, or a proxy between?)")
	}
	return nil
}

// Get returns an object's content, of which it reads at most so many bytes. The error is
// [ErrGone] for one that is not there.
func (b Bucket) Get(ctx context.Context, key string, most int64) ([]byte, error) {
	answer, err := b.API.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.Name, Key: &key})
	if err != nil {
		return nil, b.explain(ctx, key, err)
	}
	defer answer.Body.Close()
	return io.ReadAll(io.LimitReader(answer.Body, most))
}

// explain finds out whether an object could not be got because it is not there. Whoever
// may list only a prefix is told "access denied" instead.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
func (b Bucket) explain(ctx context.Context, key string, err error) error {
	refused := smithy.APIError(nil)
	switch {
	case !errors.As(err, &refused):
		return err
	case refused.ErrorCode() == "NoSuchKey":
		return ErrGone
	case refused.ErrorCode() != "AccessDenied":
		return err
	}
	if there, lookErr := b.Any(ctx, key); there || lookErr != nil {
		return errors.Join(err, lookErr)
	}
	return ErrGone
}

// Delete deletes an object. hidden tells that S3 has kept it as an older version, which a
// bucket does where somebody has switched versions on.
func (b Bucket) Delete(ctx context.Context, key string) (hidden bool, err error) {
	answer, err := b.API.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.Name, Key: &key})
	if err != nil {
		return false, fmt.Errorf("delete %s: %w", key, err)
	}
	return aws.ToBool(answer.DeleteMarker), nil
}
