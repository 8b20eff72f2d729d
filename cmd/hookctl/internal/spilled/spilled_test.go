package spilled

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

// fake is S3 with one bucket and SQS with the queue and the notices.
type fake struct {
	mu        sync.Mutex
	objects   map[string][]byte
	sent      []string // bodies, in the order in which the queue took them
	notices   map[string]string
	sendErr   error
	deleteErr error
	onSend    func()
}

func (f *fake) ListObjectsV2(_ context.Context, in *s3.ListObjectsV2Input, _ ...func(*s3.Options)) (*s3.ListObjectsV2Output, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := &s3.ListObjectsV2Output{}
	for key, object := range f.objects {
		if strings.HasPrefix(key, *in.Prefix) {
			out.Contents = append(out.Contents, s3types.Object{Key: aws.String(key), Size: aws.Int64(int64(len(object))), LastModified: aws.Time(time.Now())})
		}
	}
	slices.SortFunc(out.Contents, func(a, b s3types.Object) int { return strings.Compare(*a.Key, *b.Key) })
	return out, nil
}

func (f *fake) GetObject(_ context.Context, in *s3.GetObjectInput, _ ...func(*s3.Options)) (*s3.GetObjectOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	object, ok := f.objects[*in.Key]
	if !ok {
		return nil, &s3types.NoSuchKey{}
	}
	return &s3.GetObjectOutput{Body: io.NopCloser(bytes.NewReader(object))}, nil
}

func (f *fake) DeleteObject(_ context.Context, in *s3.DeleteObjectInput, _ ...func(*s3.Options)) (*s3.DeleteObjectOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.deleteErr != nil {
		return nil, f.deleteErr
	}
	delete(f.objects, *in.Key)
	return &s3.DeleteObjectOutput{}, nil
}

func (f *fake) SendMessage(_ context.Context, in *sqs.SendMessageInput, _ ...func(*sqs.Options)) (*sqs.SendMessageOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.onSend != nil {
		f.onSend()
	}
	if f.sendErr != nil {
		return nil, f.sendErr
	}
	if aws.ToString(in.MessageGroupId) != "g" || aws.ToString(in.MessageAttributes["contract_version"].StringValue) != "1" {
		return nil, errors.New("attributes or group are missing")
	}
	f.sent = append(f.sent, *in.MessageBody)
	return &sqs.SendMessageOutput{MessageId: aws.String("m")}, nil
}

func (f *fake) ReceiveMessage(context.Context, *sqs.ReceiveMessageInput, ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := &sqs.ReceiveMessageOutput{}
	for handle, body := range f.notices {
		out.Messages = append(out.Messages, types.Message{ReceiptHandle: aws.String(handle), Body: aws.String(body)})
		f.notices[handle] = "" // hidden
	}
	out.Messages = slices.DeleteFunc(out.Messages, func(m types.Message) bool { return *m.Body == "" })
	return out, nil
}

func (f *fake) DeleteMessage(_ context.Context, in *sqs.DeleteMessageInput, _ ...func(*sqs.Options)) (*sqs.DeleteMessageOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.notices, *in.ReceiptHandle)
	return &sqs.DeleteMessageOutput{}, nil
}

// spill fills the bucket with n notifications.
func spill(t *testing.T, n int) (*fake, Store) {
	t.Helper()
	f := &fake{objects: make(map[string][]byte), notices: make(map[string]string)}
	for i := range n {
		w := notification.Wire{Body: fmt.Sprint(i), GroupID: "g", Attributes: map[string]notification.Attribute{"contract_version": {DataType: "String", Value: "1"}}}
		object, err := w.Spill()
		if err != nil {
			t.Fatal(err)
		}
		f.objects[fmt.Sprintf("spill/2026/11/24/20/%04d.json.gz", i)] = object
	}
	return f, Store{Objects: f, Queues: f, Bucket: "b", QueueURL: "q", NoticesURL: "n"}
}

func ignore(Result) {}

func TestReplayMovesEverything(t *testing.T) {
	f, s := spill(t, 100)
	f.objects["overflow/x"] = []byte("stays")
	r, err := s.Replay(t.Context(), 0, 0, ignore)
	if err != nil || r.Replayed != 100 || len(f.objects) != 1 {
		t.Fatalf("%+v, %v, %d objects left", r, err, len(f.objects))
	}
	seen := make(map[string]bool)
	for _, body := range f.sent {
		seen[body] = true
	}
	if len(seen) != 100 || len(f.sent) != 100 {
		t.Errorf("%d sent, %d different", len(f.sent), len(seen))
	}
}

func TestReplayAtMost(t *testing.T) {
	f, s := spill(t, 20)
	if r, err := s.Replay(t.Context(), 5, 0, ignore); err != nil || r.Replayed != 5 || len(f.objects) != 15 {
		t.Errorf("%+v, %v, %d objects left", r, err, len(f.objects))
	}
}

// Whatever fails, an object is either still there or its message is on the queue.
func TestNothingIsLost(t *testing.T) {
	down := errors.New("down")
	tests := []struct {
		name    string
		corrupt func(*fake)
	}{
		{"the queue fails", func(f *fake) { f.sendErr = down }},
		{"deleting fails", func(f *fake) { f.deleteErr = down }},
		{"the queue refuses the contents", func(f *fake) { f.sendErr = &types.InvalidMessageContents{} }},
		{"objects that are none of ours", func(f *fake) {
			for key := range f.objects {
				f.objects[key] = []byte("?")
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, s := spill(t, 30)
			tt.corrupt(f)
			r, err := s.Replay(t.Context(), 0, 0, ignore)
			if len(f.objects) != 30 || r.Replayed != 0 {
				t.Errorf("%d objects left, %+v", len(f.objects), r)
			}
			if err == nil && (r.Refused != 30 || r.Why == "") {
				t.Errorf("no error, and only %d refused: %q", r.Refused, r.Why)
			}
			if r.Duplicated != len(f.sent) {
				t.Errorf("%d sent and not deleted, told %d", len(f.sent), r.Duplicated)
			}
		})
	}
}

func TestInterruptedAndStartedAgain(t *testing.T) {
	f, s := spill(t, 50)
	ctx, interrupt := context.WithCancel(t.Context())
	f.onSend = func() {
		if len(f.sent) == 20 {
			interrupt()
		}
	}
	r, err := s.Replay(ctx, 0, 0, ignore)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	if r.Replayed != len(f.sent) || len(f.objects) != 50-len(f.sent) {
		t.Errorf("%+v; %d sent, %d objects left", r, len(f.sent), len(f.objects))
	}
	if _, err := s.Replay(t.Context(), 0, 0, ignore); err != nil || len(f.sent) != 50 || len(f.objects) != 0 {
		t.Errorf("again: %v; %d sent, %d objects left", err, len(f.sent), len(f.objects))
	}
}

func TestSettle(t *testing.T) {
	f, s := spill(t, 1)
	notice := func(key string) string { return `{"detail":{"object":{"key":"` + key + `"}}}` }
	f.notices = map[string]string{
		"waits":    notice("spill/2026/11/24/20/0000.json.gz"),
		"replayed": notice("spill/2026/11/24/20/0001.json.gz"),
		"odd":      "hello",
	}
	n, err := s.Settle(t.Context())
	if _, ok := f.notices["waits"]; err != nil || n != 2 || len(f.notices) != 1 || !ok {
		t.Errorf("%d settled, %v, left %v", n, err, f.notices)
	}
}
