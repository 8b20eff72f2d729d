package spilled

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

// Entry is a spilled notification as a preview tells of it, without its contents.
type Entry struct {
	Object
	Type           string `json:"type"`
	NotificationID string `json:"notification_id"`
}

// Preview returns what [Store.Replay] would send by the same order, the oldest hour first.
// It reads, and changes nothing.
func (s Store) Preview(ctx context.Context, order Order, told func(looked int)) ([]Entry, Result, error) {
	var mu sync.Mutex
	entries, looked := []Entry{}, 0 // not null in JSON
	tell := func(Result) {
		looked++
		told(looked)
	}
	r, err := s.each(ctx, order, tell, func(_ context.Context, o Object, wire notification.Wire) (outcome, error) {
		mu.Lock()
		defer mu.Unlock()
		entries = append(entries, Entry{o, wire.Attributes[notification.AttrType].Value, wire.Attributes[notification.AttrNotificationID].Value})
		return none, nil
	})
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.Key, b.Key) })
	return entries, r, err
}
