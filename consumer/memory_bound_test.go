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
