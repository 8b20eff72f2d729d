package archived

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/objects"
	"github.com/onepagecrm/nylas-webhooks/lambda/contract"
	"github.com/onepagecrm/nylas-webhooks/notification"
)

// fake is S3 with one bucket, whose lists have two names a page, and SQS with one queue.
type fake struct {
	mu       sync.Mutex
	objects  map[string][]byte
	sent     []*sqs.SendMessageInput
	onList   func()
	onSend   func()
	getErr   error
	sendErr  error
	versions bool
	listed   []string // what each list began after
}

func (f *fake) ListObjectsV2(_ context.Context, in *s3.ListObjectsV2Input, _ ...func(*s3.Options)) (*s3.ListObjectsV2Output, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.onList != nil {
		f.onList()
	}
	after := max(aws.ToString(in.StartAfter), aws.ToString(in.ContinuationToken))
	f.listed = append(f.listed, after)
	out := &s3.ListObjectsV2Output{Name: in.Bucket}
	for _, name := range slices.Sorted(maps.Keys(f.objects)) {
		if !strings.HasPrefix(name, *in.Prefix) || name <= after {
			continue
		}
		if len(out.Contents) == 2 {
			out.IsTruncated, out.NextContinuationToken = aws.Bool(true), out.Contents[1].Key
			break
		}
		out.Contents = append(out.Contents, s3types.Object{Key: aws.String(name)})
	}
	return out, nil
}

func (f *fake) GetObject(_ context.Context, in *s3.GetObjectInput, _ ...func(*s3.Options)) (*s3.GetObjectOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	object, ok := f.objects[*in.Key]
	if f.getErr != nil {
		return nil, f.getErr
	}
	if !ok { // as S3 tells who may list only a prefix
		return nil, &smithy.GenericAPIError{Code: "AccessDenied"}
	}
	return &s3.GetObjectOutput{Body: io.NopCloser(bytes.NewReader(object))}, nil
}

func (f *fake) DeleteObject(_ context.Context, in *s3.DeleteObjectInput, _ ...func(*s3.Options)) (*s3.DeleteObjectOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.objects, *in.Key)
	return &s3.DeleteObjectOutput{DeleteMarker: aws.Bool(f.versions)}, nil
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
	f.sent = append(f.sent, in)
	return &sqs.SendMessageOutput{MessageId: aws.String("m"), SequenceNumber: nil}, nil
}

var start = time.Date(2026, 11, 24, 22, 30, 0, 0, time.UTC)

func newArchive() (Archive, *fake) {
	f := &fake{objects: map[string][]byte{"spill/2026/11/24/22/x.json.gz": []byte("x"), "archive/readme.txt": []byte("y")}}
	return Archive{objects.Bucket{API: f, Name: "bucket"}}, f
}

// keep puts a copy as the receiver does and returns its notification.
func (f *fake) keep(t *testing.T, at time.Duration, grant, typ, id string, change ...func(notification.Wire) notification.Wire) notification.Notification {
	t.Helper()
	body := fmt.Appendf(nil, `{"id":%q,"type":%q}`, id, typ)
	n := notification.Notification{Body: body, ID: id, Type: typ, GrantID: grant, Attempt: 1, ReceivedAt: start.Add(at), Signature: notification.Sign("a good secret", body), RequestID: "r"}
	w, err := n.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range change {
		w = c(w)
	}
	object, err := w.Spill()
	if err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.objects[contract.ArchiveKey{ReceivedAt: n.ReceivedAt, GrantID: grant, Type: typ, ID: id, Signature: n.Signature.String()[:16]}.String()] = object
	return n
}

func TestListChooses(t *testing.T) {
	a, f := newArchive()
	for i, typ := range []string{"message.created", "message.created.truncated", "grant.expired", "message.updated", "smoke.test"} {
		f.keep(t, time.Duration(i)*time.Minute, fmt.Sprintf("g%d", i%2), typ, fmt.Sprint(i))
	}
	for want, filter := range map[string]Filter{
		"0 1 2 3": {},
		"1 2 3":   {Since: start.Add(time.Minute)},
		"2 3":     {Since: start.Add(time.Minute + time.Millisecond)},
		"0 1":     {Until: start.Add(2 * time.Minute)},
		"0 2":     {GrantID: "g0"},
		"0 1 ":    {Types: []string{"message.created"}},
		"0 1 3":   {Types: []string{"message"}},
		"1":       {Types: []string{"message.created"}, GrantID: "g1"},
		"":        {GrantID: "g"},
		"1 2":     {Types: []string{"message.created.truncated", "grant"}},
	} {
		var got []string
		if err := a.List(t.Context(), filter, func(c Copy) bool { got = append(got, c.ID); return true }); err != nil {
			t.Fatal(err)
		}
		if strings.Join(got, " ") != strings.TrimSpace(want) {
			t.Errorf("%+v: %v, want %s", filter, got, want)
		}
	}
	// It begins where the time does, not at the beginning of the archive.
	f.listed = nil
	if err := a.List(t.Context(), Filter{Since: start.Add(time.Minute)}, func(Copy) bool { return false }); err != nil || f.listed[0] != "archive/2026-11-24/22/31/00.000" || len(f.listed) != 1 {
		t.Errorf("listed after %v, %v", f.listed, err)
	}
}

func TestReplaySendsWhatWasChosen(t *testing.T) {
	a, f := newArchive()
	for i := range 20 {
		f.keep(t, time.Duration(i)*time.Second, fmt.Sprintf("g%d", i%2), "message.created", fmt.Sprint(i))
	}
	f.objects[contract.ArchiveKey{ReceivedAt: start, GrantID: "g1", Type: "t", ID: "broken", Signature: "0"}.String()] = []byte("x")
	var told Result
	order := Order{Filter: Filter{GrantID: "g1", Until: start.Add(10 * time.Second)}, ID: "k2m4q6s8"}
	r, err := a.Replay(t.Context(), f, "queue", order, func(r Result) { told = r })
	if err != nil || r.Sent != 5 || r.Refused != 1 || !strings.Contains(r.Why, "broken") || told != r {
		t.Fatalf("%+v, %v; told %+v", r, err, told)
	}
	for _, in := range f.sent {
		if *in.MessageGroupId != "g1" || *in.MessageAttributes["replay_id"].StringValue != "k2m4q6s8" || len(in.MessageAttributes) > 10 || *in.QueueUrl != "queue" {
			t.Errorf("sent %v", in)
		}
		if _, ok := in.MessageAttributes["delivery_attempt"]; ok {
			t.Error("a replay says that it is Nylas's attempt")
		}
	}
	if len(f.objects) != 23 {
		t.Errorf("%d objects are left, want all", len(f.objects))
	}
}

func TestReplayEnds(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(*fake, context.CancelFunc)
		want  string
		gone  int
	}{
		"SQS is down": {func(f *fake, _ context.CancelFunc) { f.sendErr = errors.New("connection refused") }, "connection refused", 0},
		"Ctrl-C":      {func(f *fake, cancel context.CancelFunc) { f.onSend = cancel }, "context canceled", 0},
		"no right":    {func(f *fake, _ context.CancelFunc) { f.getErr = &smithy.GenericAPIError{Code: "AccessDenied"} }, "AccessDenied", 0},
		"all expired": {func(f *fake, _ context.CancelFunc) { f.getErr = &smithy.GenericAPIError{Code: "NoSuchKey"} }, "", 20},
	} {
		t.Run(name, func(t *testing.T) {
			a, f := newArchive()
			for i := range 20 {
				f.keep(t, time.Duration(i)*time.Second, "g", "message.created", fmt.Sprint(i))
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			test.spoil(f, cancel)
			r, err := a.Replay(ctx, f, "queue", Order{ID: "x"}, func(Result) {})
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) || r.Gone != test.gone {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
}

// What the bucket has in two parts is read as one; what is in another bucket is not read.
func TestReadFollowsThePointer(t *testing.T) {
	a, f := newArchive()
	overflow := func(bucket string) func(notification.Wire) notification.Wire {
		return func(w notification.Wire) notification.Wire {
			f.objects["overflow/o"] = []byte(w.Body)
			w, err := w.Overflow(notification.Pointer{Bucket: bucket, Key: "overflow/o"})
			if err != nil {
				t.Fatal(err)
			}
			return w
		}
	}
	want := f.keep(t, 0, "g", "t", "whole")
	large := f.keep(t, time.Second, "g", "t", "large", overflow("bucket"))
	f.keep(t, 2*time.Second, "g", "t", "elsewhere", overflow("other"))
	var got []string
	if err := a.List(t.Context(), Filter{}, func(c Copy) bool {
		n, err := a.Read(t.Context(), c)
		switch c.ID {
		case "whole":
			if err != nil || !bytes.Equal(n.Body, want.Body) || n.Signature != want.Signature {
				t.Errorf("read %+v, %v", n, err)
			}
		case "large":
			f.objects["overflow/o"] = large.Body
			if n, err = a.Read(t.Context(), c); err != nil || n.Signature.Verify(n.Body, "a good secret") != nil {
				t.Errorf("read %+v, %v", n, err)
			}
			delete(f.objects, "overflow/o")
			if _, err := a.Read(t.Context(), c); !errors.Is(err, objects.ErrGone) {
				t.Errorf("its body has expired: %v", err)
			}
		case "elsewhere":
			if err == nil || !strings.Contains(err.Error(), "another bucket") {
				t.Errorf("read %+v, %v", n, err)
			}
		}
		got = append(got, c.ID)
		return true
	}); err != nil || len(got) != 3 {
		t.Errorf("%v, %v", got, err)
	}
}

// New copies come soon, each once, one that comes late as well; and what is listed again
// and again does not grow.
func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, f := newArchive()
		f.keep(t, -time.Second, "g", "t", "old")
		f.keep(t, 0, "g", "t", "first")
		var got []string
		come := map[int]func(){
			2: func() {
				f.keep(t, 40*time.Second, "g", "t", "next")
				f.keep(t, 41*time.Second, "g2", "t", "not asked for")
			},
			3: func() { f.keep(t, 26*time.Second, "g", "t", "late") },
			9: func() { f.keep(t, time.Hour, "g", "t", "last") },
		}
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			time.Sleep(poll / 2)
			for looks := 1; looks < 12; looks++ {
				time.Sleep(poll)
				if c := come[looks]; c != nil {
					c()
				}
			}
			cancel()
		}()
		err := a.Follow(ctx, Filter{Since: start, GrantID: "g"}, func(c Copy) error { got = append(got, c.ID); return nil })
		if !errors.Is(err, context.Canceled) || strings.Join(got, " ") != "first next late last" {
			t.Errorf("%v, %v", got, err)
		}
		if last := f.listed[len(f.listed)-1]; last < contract.ArchiveFrom(start.Add(time.Hour-late)) {
			t.Errorf("the last look began after %s", last)
		}
	})
}

func TestFollowEndsWithTheFirstError(t *testing.T) {
	a, f := newArchive()
	f.keep(t, 0, "g", "t", "1")
	f.keep(t, 1, "g", "t", "2")
	broken := errors.New("broken")
	if err := a.Follow(t.Context(), Filter{}, func(Copy) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}

func TestErase(t *testing.T) {
	for _, versions := range []bool{false, true} {
		a, f := newArchive()
		f.versions = versions
		var names []string
		for i := range 20 {
			f.keep(t, time.Duration(i)*time.Second, fmt.Sprintf("g%d", i%2), "t", fmt.Sprint(i))
		}
		if err := a.List(t.Context(), Filter{GrantID: "g1"}, func(c Copy) bool { names = append(names, c.Name); return true }); err != nil {
			t.Fatal(err)
		}
		e, err := a.Erase(t.Context(), names, func(Erased) {})
		if hidden := map[bool]int{true: 10}[versions]; err != nil || e.Deleted != 10 || e.Hidden != hidden || len(f.objects) != 12 {
			t.Errorf("%+v, %v, %d objects left", e, err, len(f.objects))
		}
	}
}
