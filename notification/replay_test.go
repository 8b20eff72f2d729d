package notification

import (
	"bytes"
	"crypto/rand"
	"reflect"
	"testing"
	"time"
)

// A message with all attributes that there are, a pointer in place of its body, is still
// one that SQS takes, and reads as what it was but for the attempt.
func TestReplayHasTenAttributesAtMost(t *testing.T) {
	noise := make([]byte, 800_000)
	_, _ = rand.Read(noise)
	n := Notification{
		Body: noise, ID: "n1", Type: "message.created", GrantID: "g1", Attempt: 3, RequestID: "r1",
		ReceivedAt: time.Date(2026, 11, 24, 22, 30, 14, 123e6, time.UTC), Signature: Sign("a good secret", noise),
	}
	whole, err := n.Encode()
	if err != nil {
		t.Fatal(err)
	}
	w, err := whole.Overflow(Pointer{"bucket", "overflow/key"})
	if err != nil || len(w.Attributes) != 10 {
		t.Fatalf("%d attributes, %v; want all ten", len(w.Attributes), err)
	}
	replayed := w.Replay("k2m4q6s8")
	if len(replayed.Attributes) != 10 || replayed.Attributes["replay_id"] != (Attribute{"String", "k2m4q6s8"}) || replayed.GroupID != "g1" {
		t.Errorf("%d attributes, group %q: %v", len(replayed.Attributes), replayed.GroupID, replayed.Attributes)
	}
	if _, changed := w.Attributes["replay_id"]; changed || w.Attributes["delivery_attempt"].Value != "3" {
		t.Errorf("the message that was replayed has changed: %v", w.Attributes)
	}
	if replayed.Size() > w.Size() {
		t.Errorf("a replay has %d bytes, the message had %d: one at SQS's limit would not fit", replayed.Size(), w.Size())
	}
	values := make(map[string]string)
	for name, a := range replayed.Attributes {
		values[name] = a.Value
	}
	got, err := Decode(whole.Body, values)
	n.Attempt, n.ReplayID = 0, "k2m4q6s8"
	if err != nil || !bytes.Equal(got.Body, noise) {
		t.Fatalf("%d bytes, %v", len(got.Body), err)
	}
	got.Body, n.Body = nil, nil
	if !reflect.DeepEqual(got, n) {
		t.Errorf("reads as %+v, want %+v", got, n)
	}
}
