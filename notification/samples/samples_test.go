package samples

import (
	"slices"
	"strings"
	"testing"
)

// equivalent mutant: read: panic(err) -> (nothing)
// The files are part of the program: they are there and can be read.

func TestAll(t *testing.T) {
	var names []string
	for _, s := range All() {
		names = append(names, s.Name)
		if !strings.HasPrefix(string(s.Body), "{") || len(s.Signature) != 64 {
			t.Errorf("%s: %d bytes, signature %q", s.Name, len(s.Body), s.Signature)
		}
	}
	want := []string{
		"calendar_updated", "contact_updated", "event_created", "grant_expired", "message_bounce_detected",
		"message_created", "message_created_truncated", "message_opened", "message_updated", "thread_replied",
	}
	if !slices.Equal(names, want) {
		t.Errorf("%v, want %v", names, want)
	}
	if s := Compressed(); s.Name != "message_created" || !strings.HasPrefix(string(s.Body), "\x1f\x8b") {
		t.Errorf("the compressed one is %s", s.Name)
	}
}

func TestGet(t *testing.T) {
	if s, err := Get("message_updated"); err != nil || s.Name != "message_updated" {
		t.Errorf("%s, %v", s.Name, err)
	}
	_, err := Get("message_deleted")
	if err == nil || !strings.Contains(err.Error(), `no sample "message_deleted"; there are calendar_updated, contact_updated,`) {
		t.Errorf("%v", err)
	}
}
