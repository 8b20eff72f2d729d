package consumer

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"golang.org/x/sync/semaphore"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

// copying is a queue whose messages are new in memory each time, as those of SQS are.
type copying struct{ *fakeQueue }

func (q copying) ReceiveMessage(ctx context.Context, in *sqs.ReceiveMessageInput, options ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	out, err := q.fakeQueue.ReceiveMessage(ctx, in, options...)
	if err == nil {
		for i := range out.Messages {
			out.Messages[i].Body = aws.String(strings.Clone(*out.Messages[i].Body))
		}
	}
	return out, err
}

// A thousand handlers, each with a message of a megabyte, would be two gigabytes.
func TestMemoryIsBounded(t *testing.T) {
	live := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	synctest.Test(t, func(t *testing.T) {
		q := newFakeQueue(t)
		body := bytes.Repeat([]byte("a"), 1_000_000)
		wire, err := notification.Notification{Body: body, ID: "0"}.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if wire.Attributes[notification.AttrEncoding].Value != "" { // as it is, or it would be small
			t.Fatalf("encoded as %s", wire.Attributes[notification.AttrEncoding].Value)
		}
		for i := range 2000 {
			wire.Attributes = maps.Clone(wire.Attributes)
			wire.Attributes[notification.AttrNotificationID] = notification.Attribute{DataType: "String", Value: fmt.Sprint(i)}
			q.SendWire(wire)
		}
		before := live()
		var mu sync.Mutex
		handled := 0
		b := start(t, q, Config{SQS: copying{q}, Concurrency: 1000, Handler: func(_ context.Context, n notification.Notification) error {
			time.Sleep(20 * time.Second)
			runtime.KeepAlive(n)
			mu.Lock()
			defer mu.Unlock()
			handled++
			return nil
		}})
		most := int64(0)
		for q.Left() > 0 {
			time.Sleep(5 * time.Second)
			most = max(most, live()-before)
		}
		b.mustStop()
		t.Logf("%d MiB at most", most>>20)
		// What doc.go promises, and 8 MiB for all else.
		if most > 264<<20 {
			t.Errorf("%d MiB in use", most>>20)
		}
		if most < 100<<20 {
			t.Errorf("%d MiB in use: this test has not filled the memory", most>>20)
		}
		if handled != 2000 {
			t.Errorf("%d handled", handled)
		}
	})
}

func TestHowMuchRoomABodyMayNeed(t *testing.T) {
	pointer, err := (notification.Wire{Body: "x", Attributes: map[string]notification.Attribute{}}).Overflow(notification.Pointer{Bucket: "b", Key: "overflow/k"})
	if err != nil {
		t.Fatal(err)
	}
	inS3 := map[string]string{}
	for name, a := range pointer.Attributes {
		inS3[name] = a.Value
	}
	for name, c := range map[string]struct {
		m    *message
		want int64
	}{
		"as it came":       {&message{body: "12345"}, 5},
		"to be unpacked":   {&message{body: "12345", strings: map[string]string{notification.AttrEncoding: notification.EncodingGzipBase64}}, notification.MaxBodyBytes},
		"in S3":            {&message{body: pointer.Body, strings: inS3}, objectBytes + notification.MaxBodyBytes},
		"said to be in S3": {&message{body: "12345", strings: inS3}, 5},
	} {
		decoded := semaphore.NewWeighted(maxDecodedBytes)
		r, err := Config{decoded: decoded}.makeRoom(t.Context(), c.m)
		if err != nil || r.bytes != c.want || decoded.TryAcquire(maxDecodedBytes-c.want+1) || !decoded.TryAcquire(maxDecodedBytes-c.want) {
			t.Errorf("%s: %+v, %v, want %d", name, r, err, c.want)
		}
	}
	// In a Lambda function nothing bounds it.
	r, err := Config{}.makeRoom(t.Context(), &message{body: "12345"})
	if err != nil {
		t.Fatal(err)
	}
	r.shrink(1)
	r.free()

	p := newParts(t, Config{})
	if p.config.decoded.TryAcquire(maxDecodedBytes+1) || !p.config.decoded.TryAcquire(maxDecodedBytes) {
		t.Error("a Consumer's bodies are not bounded by 128 MiB")
	}
}

// equivalent mutant: shrink: bytes < r.bytes -> bytes <= r.bytes
// It gives back nothing then.
