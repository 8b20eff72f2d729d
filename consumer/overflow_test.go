package consumer

import (
	"bytes"
	"context"
	"encoding/base64"
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

// closed tells whether an object was closed.
type closed struct {
	io.Reader
	times int
}

func (c *closed) Close() error { c.times++; return nil }

// broken is an object that breaks off.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("connection reset") }

type oneObject struct {
	body io.ReadCloser
	err  error
	ctx  context.Context
}

func (o *oneObject) GetObject(ctx context.Context, _ *s3.GetObjectInput, _ ...func(*s3.Options)) (*s3.GetObjectOutput, error) {
	o.ctx = ctx
	return &s3.GetObjectOutput{Body: o.body}, o.err
}

func TestFetch(t *testing.T) {
	for name, c := range map[string]struct {
		bucket string
		object io.Reader
		err    error
		says   string
		again  bool // another try may work
	}{
		"as it is":          {"b", strings.NewReader("body"), nil, "", false},
		"as large as may":   {"b", strings.NewReader(strings.Repeat("a", objectBytes)), nil, "", false},
		"too large":         {"b", strings.NewReader(strings.Repeat("a", objectBytes+1)), nil, "the body's S3 object has more than ", false},
		"another bucket":    {"theirs", strings.NewReader("body"), nil, `the body is said to be in bucket "theirs", which is not Config.Bucket`, false},
		"it is gone":        {"b", nil, &types.NoSuchKey{}, "the body's S3 object is gone: ", false},
		"no answer":         {"b", nil, errors.New("slow down"), "fetch body from S3: slow down", true},
		"half of an answer": {"b", broken{}, nil, "fetch body from S3: connection reset", true},
	} {
		body := &closed{Reader: c.object}
		bucket := &oneObject{body: body, err: c.err}
		got, err := Config{S3: bucket, Bucket: "b"}.fetch(t.Context(), notification.Pointer{Bucket: c.bucket, Key: "k"})
		if (err == nil) != (c.says == "") || err != nil && !strings.HasPrefix(err.Error(), c.says) || errors.Is(err, errFetch) != c.again || (got == "") != (c.says != "") {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
		if answered := c.bucket == "b" && c.err == nil; (body.times == 1) != answered || bucket.ctx != nil && bucket.ctx.Err() == nil {
			t.Errorf("%s: closed %d times, or its context has not ended", name, body.times)
		}
	}
	if _, err := (Config{}).fetch(t.Context(), notification.Pointer{Bucket: "b", Key: "k"}); err == nil || !strings.Contains(err.Error(), "Config.S3 is not set") {
		t.Errorf("%v", err)
	}
	// What is wrong with the pointer, or the object, is the error, and nothing is read.
	p := newParts(t, Config{S3: &oneObject{err: errors.New("slow down")}, Bucket: "b"})
	m := p.got(t, "n")
	p.overflowed(m)
	if n, err := p.config.decode(t.Context(), m); !errors.Is(err, errFetch) || n.ID != "" || m.fetched == nil || m.fetched.ok {
		t.Errorf("%+v, %v; %+v", n, err, m.fetched)
	}
	m.body, m.fetched = "no pointer", nil
	if n, err := p.config.decode(t.Context(), m); err == nil || n.ID != "" || m.fetched != nil {
		t.Errorf("%+v, %v; %+v", n, err, m.fetched)
	}
}

// The largest body, when gzip cannot make it smaller: 5 bytes for each block of 16 KiB at the
// least, and a head and an end.
func TestTheLargestBodyIsFetched(t *testing.T) {
	needs := base64.StdEncoding.EncodedLen(notification.MaxBodyBytes + notification.MaxBodyBytes/(16<<10)*5 + 32)
	if objectBytes < needs || objectBytes > needs+64<<10 {
		t.Errorf("%d bytes of an object are read, the largest needs %d", objectBytes, needs)
	}
}

// equivalent mutant: fetch: 1 -> 2
// That an object is too large shows by one byte more than may be, or by two.
