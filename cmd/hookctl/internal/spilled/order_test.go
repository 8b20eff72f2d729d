package spilled

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

var mixed = []string{"message.created", "grant.expired", "message.created.truncated", "message.updated", "messages.created"}

// spillMixed fills the bucket with n of each of mixed, in turn. Each is a minute older than
// the next, and the last is one minute old.
func spillMixed(t *testing.T, n int) (*fake, Store) {
	t.Helper()
	f, s := spill(t, 0)
	f.written = map[string]time.Time{}
	all := n * len(mixed)
	for i := range all {
		typ := mixed[i%len(mixed)]
		w := notification.Wire{Body: fmt.Sprintf("%s %d", typ, i), GroupID: "g", Attributes: map[string]notification.Attribute{
			"contract_version": {DataType: "String", Value: "1"}, notification.AttrType: {DataType: "String", Value: typ},
			notification.AttrNotificationID: {DataType: "String", Value: fmt.Sprint("n-", i)},
		}}
		object, err := w.Spill()
		if err != nil {
			t.Fatal(err)
		}
		key := fmt.Sprintf("spill/2026/11/24/20/%04d.json.gz", i)
		f.objects[key], f.written[key] = object, time.Now().Add(time.Duration(i-all)*time.Minute)
	}
	return f, s
}

// What an order means is sent, what it leaves out stays and is counted, and a preview by
// the same order names the same and changes nothing.
func TestOrders(t *testing.T) {
	since := func(minutes int) time.Time { return time.Now().Add(-time.Duration(minutes)*time.Minute - time.Second) }
	for name, test := range map[string]struct {
		order   Order
		sent    int
		leftOut int // of those that were looked at
		types   []string
		gets    int // at most
	}{
		"all":                     {Order{}, 50, 0, mixed, 50},
		"a type and its suffixes": {Order{Types: []string{"message.created"}}, 20, 30, []string{"message.created", "message.created.truncated"}, 50},
		"the suffixed form alone": {Order{Types: []string{"message.created.truncated"}}, 10, 40, []string{"message.created.truncated"}, 50},
		"the first word":          {Order{Types: []string{"message"}}, 30, 20, []string{"message.created", "message.created.truncated", "message.updated"}, 50},
		"two types":               {Order{Types: []string{"grant", "message.updated"}}, 20, 30, []string{"grant.expired", "message.updated"}, 50},
		"a type nobody has":       {Order{Types: []string{"event"}}, 0, 50, nil, 50},
		"a time":                  {Order{Since: since(10)}, 10, 40, mixed, 10},
		"a time and a type":       {Order{Since: since(10), Types: []string{"grant"}}, 2, 48, []string{"grant.expired"}, 10},
		"at most":                 {Order{Max: 7}, 7, 0, mixed, 7},
		"at most of a type":       {Order{Max: 3, Types: []string{"grant.expired"}}, 3, 9, []string{"grant.expired"}, 12},
		"at most since":           {Order{Max: 3, Since: since(10)}, 3, 40, []string{"grant.expired", "message.created", "message.created.truncated"}, 3},
		"more than there are":     {Order{Max: 11, Types: []string{"grant.expired"}}, 10, 40, []string{"grant.expired"}, 50},
		"at a rate":               {Order{PerSecond: 1000, Types: []string{"grant"}}, 10, 40, []string{"grant.expired"}, 50},
	} {
		t.Run(name, func(t *testing.T) {
			f, s := spillMixed(t, 10)
			before := maps.Clone(f.objects)
			entries, preview, err := s.Preview(t.Context(), test.order, func(int) {})
			if err != nil || len(entries) != test.sent || preview != (Result{LeftOut: test.leftOut}) {
				t.Errorf("preview: %d, %+v, %v; want %d, and %d left out", len(entries), preview, err, test.sent, test.leftOut)
			}
			if !slices.IsSortedFunc(entries, func(a, b Entry) int { return strings.Compare(a.Key, b.Key) }) {
				t.Error("preview: not the oldest first")
			}
			if len(f.sent) != 0 || len(f.objects) != len(before) || f.gets > test.gets {
				t.Errorf("preview: %d sent, %d of %d objects left, %d read", len(f.sent), len(f.objects), len(before), f.gets)
			}
			r, err := s.Replay(t.Context(), test.order, ignore)
			if err != nil || r != (Result{Replayed: test.sent, LeftOut: test.leftOut}) || len(f.sent) != test.sent || len(f.objects) != 50-test.sent {
				t.Errorf("%+v, %v; %d sent, %d objects left; want %d, and %d left out", r, err, len(f.sent), len(f.objects), test.sent, test.leftOut)
			}
			var said []string
			types := map[string]bool{}
			for _, e := range entries {
				said = append(said, e.Type+" "+strings.TrimPrefix(e.NotificationID, "n-"))
				types[e.Type] = true
			}
			slices.Sort(said)
			if sent := slices.Sorted(slices.Values(f.sent)); !slices.Equal(said, sent) {
				t.Errorf("the preview says %q, sent were %q", said, sent)
			}
			if got := slices.Sorted(maps.Keys(types)); !slices.Equal(got, slices.Sorted(slices.Values(test.types))) {
				t.Errorf("types %q, want %q", got, test.types)
			}
			// The notices stay as long as something waits.
			f.notices["one"] = true
			settled, err := s.Settle(t.Context(), func(int) {})
			if waits := test.sent < 50; err != nil || settled.Waits != waits || (len(f.notices) == 1) != waits {
				t.Errorf("settled %+v, %v, %d notices; want that something waits: %t", settled, err, len(f.notices), waits)
			}
		})
	}
}

// What cannot be read has no type: it may be of the one that is meant, so it is named.
func TestUnreadableIsOfAnyType(t *testing.T) {
	f, s := spillMixed(t, 1)
	f.objects["spill/2026/11/24/20/0001.json.gz"] = []byte("?")
	order := Order{Types: []string{"message.created"}}
	entries, r, err := s.Preview(t.Context(), order, func(int) {})
	if err != nil || len(entries) != 2 || r.LeftOut != 2 || r.Refused != 1 || !strings.Contains(r.Why, "0001.json.gz") {
		t.Errorf("preview: %d, %+v, %v", len(entries), r, err)
	}
	if r, err = s.Replay(t.Context(), order, ignore); err != nil || r.Replayed != 2 || r.LeftOut != 2 || r.Refused != 1 || len(f.objects) != 3 {
		t.Errorf("%+v, %v, %d objects left", r, err, len(f.objects))
	}
}
