package spill

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

var archived = notification.Wire{Body: "{}", Attributes: map[string]notification.Attribute{
	"contract_version": {DataType: "String", Value: "1"},
	"notification_id":  {DataType: "String", Value: "n1"},
	"trigger_type":     {DataType: "String", Value: "message.created"},
	"grant_id":         {DataType: "String", Value: "g/1"},
	"signature":        {DataType: "String", Value: "0123456789abcdef" + strings.Repeat("f", 48)},
}, GroupID: "g/1"}

func TestArchiveKeepsTheWholeMessage(t *testing.T) {
	b, f := newBucket()
	for range 2 { // Nylas may send the same bytes again
		if err := b.Archive(t.Context(), archived, receivedAt); err != nil {
			t.Fatal(err)
		}
	}
	const key = "bucket.s3.eu-west-1.amazonaws.com/archive/2026-11-25/00/59/59.000,g%2F1,message.created,n1,0123456789abcdef.json.gz"
	got, err := notification.Unspill([]byte(f.objects[key]))
	if err != nil || len(f.objects) != 1 || !reflect.DeepEqual(got, archived) {
		t.Errorf("objects %v: read back %v, %v", f.objects, got, err)
	}
}

// equivalent mutant: Archive: return err -> return nil
// A message of strings is always JSON, and nothing is written but memory.

// An S3 that hangs costs one request in a while its time, not all of them; one that
// refuses at once costs nothing and is asked each time.
func TestArchiveRestsAfterS3Hung(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, f := newBucket()
		try := func() error {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			return b.Archive(ctx, archived, receivedAt)
		}
		f.play = func(int, *http.Request) (*http.Response, error) { return answer(403, "AccessDenied"), nil }
		for n := 1; n <= 2; n++ {
			if err := try(); err == nil || f.tries != n {
				t.Fatalf("refused: %v after %d requests", err, f.tries)
			}
		}
		f.play = func(_ int, r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}
		start := time.Now()
		if err := try(); err == nil || time.Since(start) != time.Second {
			t.Fatalf("S3 hangs: %v after %v", err, time.Since(start))
		}
		f.play, f.tries = nil, 0
		time.Sleep(10*time.Second - time.Nanosecond)
		if err := try(); !errors.Is(err, errResting) || f.tries != 0 {
			t.Errorf("while it rests: %v, %d requests", err, f.tries)
		}
		if err := b.Spill(t.Context(), wire, receivedAt, requestID); err != nil {
			t.Errorf("what SQS does not take: %v", err)
		}
		time.Sleep(time.Nanosecond)
		if err := try(); err != nil {
			t.Errorf("after it: %v", err)
		}
	})
}
