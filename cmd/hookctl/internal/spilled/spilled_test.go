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
	"github.com/aws/smithy-go"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

// fake is S3 with one bucket and SQS with the queue and the notices.
type fake struct {
	mu        sync.Mutex
	objects   map[string][]byte
	sent      []string        // bodies, in the order in which the queue took them
	notices   map[string]bool // by receipt handle
	received  map[string]int
	sendErr   error
	noAnswer  bool   // a 200 of somebody else, in SQS's place
	noList    bool   // the same in S3's
	refuse    string // the body that is refused
	refuseAll bool   // every encoded body is refused, too
	deleteErr error
	noticeErr string
	getErr    error
	onSend    func()
	onReceive func()
	written   map[string]time.Time // when objects were; others now
	gets      int
}

func (f *fake) ListObjectsV2(_ context.Context, in *s3.ListObjectsV2Input, _ ...func(*s3.Options)) (*s3.ListObjectsV2Output, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := &s3.ListObjectsV2Output{Name: in.Bucket}
	if f.noList {
		return &s3.ListObjectsV2Output{}, nil
	}
	for key, object := range f.objects {
		if strings.HasPrefix(key, *in.Prefix) {
			written, ok := f.written[key]
			if !ok {
				written = time.Now()
			}
			out.Contents = append(out.Contents, s3types.Object{Key: aws.String(key), Size: aws.Int64(int64(len(object))), LastModified: aws.Time(written)})
		}
	}
	slices.SortFunc(out.Contents, func(a, b s3types.Object) int { return strings.Compare(*a.Key, *b.Key) })
	return out, nil
}

func (f *fake) GetObject(_ context.Context, in *s3.GetObjectInput, _ ...func(*s3.Options)) (*s3.GetObjectOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gets++
	object, ok := f.objects[*in.Key]
	if !ok || f.getErr != nil {
		return nil, f.getErr
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
	if f.refuse == *in.MessageBody || f.refuseAll && in.MessageAttributes["content_encoding"].StringValue != nil {
		return nil, &smithy.GenericAPIError{Code: "InvalidAttributeValue"}
	}
	if f.noAnswer {
		return &sqs.SendMessageOutput{}, nil
	}
	if aws.ToString(in.MessageGroupId) != "g" || aws.ToString(in.MessageAttributes["contract_version"].StringValue) != "1" {
		return nil, errors.New("attributes or group are missing")
	}
	f.sent = append(f.sent, *in.MessageBody)
	return &sqs.SendMessageOutput{MessageId: aws.String("m")}, nil
}

func (f *fake) ReceiveMessage(_ context.Context, in *sqs.ReceiveMessageInput, _ ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := &sqs.ReceiveMessageOutput{}
	for handle := range f.notices {
		if len(out.Messages) < int(in.MaxNumberOfMessages) && f.received[handle] == 0 { // after that it is hidden
			out.Messages = append(out.Messages, types.Message{ReceiptHandle: aws.String(handle), Body: aws.String("{}")})
			f.received[handle]++
		}
	}
	if f.onReceive != nil {
		f.onReceive()
	}
	return out, nil
}

func (f *fake) DeleteMessageBatch(_ context.Context, in *sqs.DeleteMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := &sqs.DeleteMessageBatchOutput{}
	if f.noAnswer {
		return out, nil
	}
	for _, e := range in.Entries {
		if code := f.noticeErr; code != "" {
			out.Failed = append(out.Failed, types.BatchResultErrorEntry{Id: e.Id, Code: &code})
			continue
		}
		delete(f.notices, *e.ReceiptHandle)
		out.Successful = append(out.Successful, types.DeleteMessageBatchResultEntry{Id: e.Id})
	}
	return out, nil
}

// spill fills the bucket with n notifications.
func spill(t *testing.T, n int) (*fake, Store) {
	t.Helper()
	f := &fake{objects: make(map[string][]byte), notices: make(map[string]bool), received: make(map[string]int)}
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

// A message that SQS refuses as it is goes compressed: one with odd characters when SQS
// says so, one of quotes, which an older receiver spilled, before it is sent.
func TestRefusedMessageGoesCompressed(t *testing.T) {
	for name, body := range map[string]string{"refused": "{}", "too long as JSON": strings.Repeat(`"`, 900_000)} {
		f, s := spill(t, 0)
		f.refuse = body
		w := notification.Wire{Body: body, GroupID: "g", Attributes: map[string]notification.Attribute{"contract_version": {DataType: "String", Value: "1"}}}
		object, err := w.Spill()
		if err != nil {
			t.Fatal(err)
		}
		f.objects["spill/2026/11/24/20/id.0123456789abcdef.json.gz"] = object
		r, err := s.Replay(t.Context(), Order{}, ignore)
		if err != nil || r.Replayed != 1 || len(f.sent) != 1 || len(f.objects) != 0 {
			t.Fatalf("%s: %+v, %v, %d sent", name, r, err, len(f.sent))
		}
		n, err := notification.Decode(f.sent[0], map[string]string{"contract_version": "1", "content_encoding": "gzip+base64"})
		if err != nil || string(n.Body) != body {
			t.Errorf("%s: sent other bytes than were spilled: %v", name, err)
		}
	}
}

func TestListNamesTheRequest(t *testing.T) {
	f, s := spill(t, 0)
	f.objects["spill/2026/11/24/20/Fp8nV_GX-gIAMFTFg.0123456789abcdef.json.gz"] = nil
	f.objects["spill/2026/11/24/21/Fp8nV_GX-gIAMFTFh.json.gz"] = nil // as an older receiver named it
	var ids []string
	if err := s.List(t.Context(), func(o Object) bool { ids = append(ids, o.RequestID); return true }); err != nil {
		t.Fatal(err)
	}
	if want := []string{"Fp8nV_GX-gIAMFTFg", "Fp8nV_GX-gIAMFTFh"}; !slices.Equal(ids, want) {
		t.Errorf("ids %q, want %q", ids, want)
	}
}

func ignore(Result) {}

func TestReplayMovesEverything(t *testing.T) {
	f, s := spill(t, 100)
	f.objects["overflow/x"] = []byte("stays")
	r, err := s.Replay(t.Context(), Order{}, ignore)
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
	if r, err := s.Replay(t.Context(), Order{Max: 5}, ignore); err != nil || r.Replayed != 5 || len(f.objects) != 15 {
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
		{"a proxy answers in the queue's place", func(f *fake) { f.noAnswer = true }},
		{"a proxy answers in the bucket's place", func(f *fake) { f.noList = true }},
		{"access is denied", func(f *fake) { f.getErr = &smithy.GenericAPIError{Code: "AccessDenied"} }},
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
			r, err := s.Replay(t.Context(), Order{}, ignore)
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
	r, err := s.Replay(ctx, Order{}, ignore)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	if r.Replayed != len(f.sent) || len(f.objects) != 50-len(f.sent) {
		t.Errorf("%+v; %d sent, %d objects left", r, len(f.sent), len(f.objects))
	}
	if _, err := s.Replay(t.Context(), Order{}, ignore); err != nil || len(f.sent) != 50 || len(f.objects) != 0 {
		t.Errorf("again: %v; %d sent, %d objects left", err, len(f.sent), len(f.objects))
	}
}

// One that the queue refuses stays, and the others go.
func TestOneIsRefused(t *testing.T) {
	f, s := spill(t, 200)
	f.refuse, f.refuseAll = "7", true
	r, err := s.Replay(t.Context(), Order{}, ignore)
	if err != nil || r.Replayed != 199 || r.Refused != 1 || !strings.Contains(r.Why, "0007.json.gz") || len(f.objects) != 1 {
		t.Errorf("%+v, %v, %d objects left", r, err, len(f.objects))
	}
}

// Another replay took it between the list and the look: S3 says that there is no such
// key, or, to whoever may not list the whole bucket, that access is denied.
func TestAnotherReplayWasFaster(t *testing.T) {
	for _, code := range []string{"NoSuchKey", "AccessDenied"} {
		f, s := spill(t, 0)
		f.getErr = &smithy.GenericAPIError{Code: code}
		if what, err := s.one(t.Context(), Object{Key: "spill/2026/11/24/20/0000.json.gz"}, Order{}, nil, nil); what != none || err != nil {
			t.Errorf("%s: outcome %v, %v", code, what, err)
		}
	}
}

// TestBounds: what is read into memory has an end, whatever the object is.
func TestBounds(t *testing.T) {
	f, s := spill(t, 1)
	for key := range f.objects {
		f.objects[key] = make([]byte, maxObject+1)
		if object, err := s.bucket().Get(t.Context(), key, maxObject); err != nil || len(object) != maxObject {
			t.Errorf("%d bytes read, %v; want the first %d", len(object), err, maxObject)
		}
	}
}

func TestSettle(t *testing.T) {
	const many = 137
	for name, test := range map[string]struct {
		objects  int
		change   func(*fake)
		want     Settled
		received int // notices that were, at most
		err      string
	}{
		"all was replayed":           {0, func(*fake) {}, Settled{Deleted: many}, many, ""},
		"one still waits":            {1, func(*fake) {}, Settled{Waits: true}, 0, ""},
		"something is spilled then":  {0, func(f *fake) { f.onReceive = func() { f.objects["spill/new"] = nil } }, Settled{Waits: true}, workers * noticesBatch, ""},
		"somebody else settles, too": {0, func(f *fake) { f.noticeErr = "ReceiptHandleIsInvalid" }, Settled{}, many, ""},
		"SQS fails to delete one":    {0, func(f *fake) { f.noticeErr = "InternalError" }, Settled{}, workers * noticesBatch, "InternalError"},
		"a proxy answers for S3":     {0, func(f *fake) { f.noList = true }, Settled{}, 0, "not S3's"},
		"a proxy answers 200":        {0, func(f *fake) { f.noAnswer = true }, Settled{}, workers * noticesBatch, "not SQS's"},
	} {
		f, s := spill(t, test.objects)
		for i := range many {
			f.notices[fmt.Sprint(i)] = true
		}
		test.change(f)
		last := 0
		got, err := s.Settle(t.Context(), func(n int) { last = n })
		if got != test.want || last != got.Deleted {
			t.Errorf("%s: %+v, told %d; want %+v", name, got, last, test.want)
		}
		if test.err == "" && err != nil || test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)) {
			t.Errorf("%s: %v, want %q", name, err, test.err)
		}
		if len(f.received) > test.received || len(f.notices) != many-got.Deleted {
			t.Errorf("%s: %d notices were received, want at most %d; %d are left", name, len(f.received), test.received, len(f.notices))
		}
	}
}
