package consumer

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

func TestByType(t *testing.T) {
	named := func(name string) Handler {
		return func(context.Context, notification.Notification) error { return errors.New(name) }
	}
	handlers := map[string]Handler{
		"message": named("message"), "message.created": named("created"), "message.created.truncated": named("truncated"), "grant.expired": named("expired"), "nothing": nil,
	}
	for typ, want := range map[string]string{
		"message.created":                   "created",
		"message.created.truncated":         "truncated",
		"message.created.cleaned":           "created",
		"message.created.cleaned.truncated": "created",
		"message.updated.transformed":       "message",
		"message":                           "message",
		"message.createdtruncated":          "message",
		"messages.created":                  "other",
		"grant":                             "other",
		"nothing.at.all":                    "other",
		"":                                  "other",
	} {
		err := ByType(handlers, named("other"))(t.Context(), notification.Notification{Type: typ})
		if err == nil || err.Error() != want {
			t.Errorf("%q went to %v, want %s", typ, err, want)
		}
	}
	var rejected *rejectedError
	if err := ByType(handlers, nil)(t.Context(), notification.Notification{Type: "thread.replied"}); !errors.As(err, &rejected) {
		t.Errorf("a type without a handler: %v, want a rejection", err)
	}
}

func TestPrefixed(t *testing.T) {
	shared := NewMemoryStore()
	a, b := Prefixed(shared, "a#"), Prefixed(shared, "b#")
	until := time.Now().Add(time.Minute)
	for _, s := range []Store{a, b} {
		if claim, err := s.Begin(t.Context(), "n1", "owner", until); err != nil || claim.State != Claimed {
			t.Errorf("Begin = %v, %v", claim, err)
		}
		if err := s.Extend(t.Context(), "n1", "owner", until); err != nil {
			t.Error(err)
		}
	}
	if err := a.Complete(t.Context(), "n1", "owner"); err != nil {
		t.Error(err)
	}
	if err := b.Release(t.Context(), "n1", "owner"); err != nil {
		t.Error(err)
	}
	if claim, err := b.Begin(t.Context(), "n1", "other", until); err != nil || claim.State != Claimed {
		t.Errorf("b, after its release: %v, %v", claim, err)
	}
	if claim, err := a.Begin(t.Context(), "n1", "other", until); err != nil || claim.State != Completed {
		t.Errorf("a, after it was completed: %v, %v", claim, err)
	}
}

func TestMemoryStoreRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewMemoryStore()
		s.Retention = time.Minute
		for _, wait := range []time.Duration{0, 59 * time.Second, 2 * time.Second} {
			time.Sleep(wait)
			claim, err := s.Begin(t.Context(), "n1", "owner", time.Now().Add(time.Second))
			if want := map[time.Duration]State{0: Claimed, 59 * time.Second: Completed, 2 * time.Second: Claimed}[wait]; err != nil || claim.State != want {
				t.Errorf("after %s more: %v, %v; want %v", wait, claim, err, want)
			}
			if claim.State == Claimed {
				if err := s.Complete(t.Context(), "n1", "owner"); err != nil {
					t.Error(err)
				}
			}
		}
	})
}

// equivalent mutant: ByType: i >= 0 -> i > 0
// equivalent mutant: ByType: 0 -> 1
// They leave out the name before a dot that comes first: "", which is no type's.
