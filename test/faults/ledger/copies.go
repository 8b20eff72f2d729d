package ledger

import (
	"fmt"
	"strings"

	"github.com/onepagecrm/nylas-webhooks/lambda/contract"
	"github.com/onepagecrm/nylas-webhooks/notification"
	"github.com/onepagecrm/nylas-webhooks/test/faults/nylas"
	"github.com/onepagecrm/nylas-webhooks/test/faults/standin"
)

// Place is where a copy is kept.
type Place string

// The two durable places.
const (
	Queue  Place = "queue"
	Bucket Place = "bucket"
)

// Copy is one copy of a notification that is kept, as who reads it gets it.
type Copy struct {
	Place        Place
	Notification notification.Notification
	GroupID      string
	Overflowed   bool
	Err          error // why it cannot be read
}

// Copies reads everything in both places: the queue as a consumer does, and what was
// spilled as its replay does.
func Copies(messages []standin.Message, objects map[string]standin.Object) []Copy {
	var all []Copy
	for _, m := range messages {
		all = append(all, read(Queue, m.Body, m.Attributes, m.GroupID, objects))
	}
	for key, object := range objects {
		if !strings.HasPrefix(key, contract.SpillPrefix) {
			continue // an overflow's body is read with its message
		}
		w, err := notification.Unspill(object.Content)
		if err != nil {
			all = append(all, Copy{Place: Bucket, Err: err})
			continue
		}
		attributes := make(map[string]string)
		for name, a := range w.Attributes {
			attributes[name] = a.Value
		}
		all = append(all, read(Bucket, w.Body, attributes, w.GroupID, objects))
	}
	return all
}

func read(place Place, body string, attributes map[string]string, groupID string, objects map[string]standin.Object) Copy {
	c := Copy{Place: place, GroupID: groupID}
	var pointer notification.Pointer
	pointer, c.Overflowed, c.Err = notification.ParsePointer(body, attributes)
	if c.Err != nil {
		return c
	}
	if c.Overflowed {
		object, ok := objects[pointer.Key]
		if !ok || pointer.Bucket != standin.BucketName {
			c.Err = fmt.Errorf("the pointer's object is not in the bucket")
			return c
		}
		body = string(object.Content)
	}
	c.Notification, c.Err = notification.Decode(body, attributes)
	return c
}

// check returns what of the copy's attributes is not as it was sent.
func (c Copy) check(n nylas.Notification, a attempt) []string {
	var wrong []string
	id, typ, grant := n.Expected()
	for name, is := range map[string]bool{
		"id": c.Notification.ID == id, "type": c.Notification.Type == typ,
		"grant": c.Notification.GrantID == grant, "group": c.GroupID == grant,
		"signature":   c.Notification.Signature.String() == a.signature,
		"attempt":     c.Notification.Attempt == a.number || !n.Kind.HasAttempt(),
		"received at": !c.Notification.ReceivedAt.IsZero(), "request id": c.Notification.RequestID != "",
	} {
		if !is {
			wrong = append(wrong, "kept with the wrong "+name+" ("+n.Kind.Name+")")
		}
	}
	return wrong
}
