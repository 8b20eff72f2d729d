package consumer

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/onepagecrm/nylas-webhooks/notification"
	"github.com/onepagecrm/nylas-webhooks/test/canary"
)

// fakeBucket has one object, and fails as often as it is told.
type fakeBucket struct {
	key, object string
	failures    int
	slow        int // how often the object does not come to its end
	gets        int
}

// endless is an object that stops coming.
type endless struct{ ctx context.Context }

func (e endless) Read([]byte) (int, error) {
	<-e.ctx.Done()
	return 0, e.ctx.Err()
}

func (f *fakeBucket) GetObject(ctx context.Context, in *s3.GetObjectInput, _ ...func(*s3.Options)) (*s3.GetObjectOutput, error) {
	f.gets++
	if f.failures > 0 {
		f.failures--
		return nil, errors.New("slow down")
	}
	if f.slow > 0 {
		f.slow--
		return &s3.GetObjectOutput{Body: io.NopCloser(endless{ctx})}, nil
	}
	if *in.Key != f.key {
		return nil, &types.NoSuchKey{}
	}
	return &s3.GetObjectOutput{Body: io.NopCloser(strings.NewReader(f.object))}, nil
}

func TestOverflow(t *testing.T) {
	n := note("large")
	n.Body = []byte(canary.New("body") + "\x00") // travels encoded, as what overflows does
	n.Signature = notification.Sign(secret, n.Body)
	wire, err := n.Encode()
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		pointer notification.Pointer
		bucket  *fakeBucket
		handled bool
		kind    Kind // of what happens before, or instead
		times   int
	}{
		{"read", notification.Pointer{Bucket: "b", Key: "overflow/k"}, &fakeBucket{}, true, Failed, 0},
		{"read at the third try", notification.Pointer{Bucket: "b", Key: "overflow/k"}, &fakeBucket{failures: 2}, true, Held, 2},
		{"slow the first time", notification.Pointer{Bucket: "b", Key: "overflow/k"}, &fakeBucket{slow: 1}, true, Held, 1},
		{"another bucket", notification.Pointer{Bucket: "theirs", Key: "overflow/k"}, &fakeBucket{}, false, Unreadable, 5},
		{"object is gone", notification.Pointer{Bucket: "b", Key: "overflow/other"}, &fakeBucket{}, false, Unreadable, 5},
		{"no client", notification.Pointer{Bucket: "b", Key: "overflow/k"}, nil, false, Unreadable, 5},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newFakeQueue(t)
				small, err := wire.Overflow(tt.pointer)
				if err != nil {
					t.Fatal(err)
				}
				q.SendWire(small)
				handled := 0
				config := Config{
					Secrets: func(context.Context) ([]string, error) { return []string{secret}, nil },
					Handler: func(_ context.Context, got notification.Notification) error {
						handled++
						if !bytes.Equal(got.Body, n.Body) || got.ID != n.ID {
							t.Errorf("handled %q of %s", got.Body, got.ID)
						}
						return nil
					},
				}
				if tt.bucket != nil {
					tt.bucket.key, tt.bucket.object = "overflow/k", wire.Body
					config.S3, config.Bucket = tt.bucket, "b"
				}
				b := start(t, q, config)
				b.drained(30 * time.Minute)
				b.mustStop()
				if (handled == 1) != tt.handled || b.count(tt.kind) != tt.times || q.deadLetters() == 1 == tt.handled {
					t.Errorf("handled %d times, %d times %s, %d dead letters", handled, b.count(tt.kind), tt.kind, q.deadLetters())
				}
				if tt.name == "another bucket" && tt.bucket.gets != 0 {
					t.Error("another bucket was asked")
				}
			})
		})
	}
}

func TestOverflowObjectIsBounded(t *testing.T) {
	bucket := &fakeBucket{key: "k", object: strings.Repeat("a", objectBytes+1)}
	c := Config{S3: bucket, Bucket: "b"}
	if _, err := c.fetch(t.Context(), notification.Pointer{Bucket: "b", Key: "k"}); err == nil || errors.Is(err, errFetch) {
		t.Errorf("an object that is too large: %v, want an error that another try does not mend", err)
	}
}
