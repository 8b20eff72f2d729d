package demo

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

// Queue is what the demo needs of the stage's queue; an [SQS] is one.
type Queue interface {
	// Receive returns some of the messages, waiting a moment for the first.
	Receive(context.Context) ([]Received, error)
	// Delete takes messages off the queue for good.
	Delete(context.Context, []Received) error
	// GiveBack makes messages that were received visible to others again.
	GiveBack(context.Context, []Received) error
}

// Received is one message as it came off the queue.
type Received struct {
	Handle     string
	Body       string
	Attributes map[string]string
}

// look reads the queue until every accepted notification was seen, takes the run's
// own messages off it, unless the CRM gets them next, and gives all others back.
func (r *run) look(ctx context.Context) (err error) {
	own := make(map[string]delivery)
	for _, d := range append(r.sent, r.refused...) {
		own[d.envelope.ID] = d
	}
	seen := make(map[string]Message)
	var others, mine []Received
	defer func() {
		// Also after Ctrl-C: what was borrowed goes back.
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if back := r.Queue.GiveBack(late, append(others, mine...)); err == nil {
			err = back
		}
	}()
	for deadline := time.Now().Add(r.Arrival); time.Now().Before(deadline); {
		batch, err := r.Queue.Receive(ctx)
		if err != nil {
			return err
		}
		// Once all are there, one empty look more: what was refused must not come.
		if len(batch) == 0 && r.allSeen(seen) {
			break
		}
		var done []Received
		for _, m := range batch {
			d, ok := own[m.Attributes[notification.AttrNotificationID]]
			if !ok {
				others = append(others, m)
				continue
			}
			if r.CRM != nil { // which gets them next
				mine = append(mine, m)
			} else {
				done = append(done, m)
			}
			if _, twice := seen[d.envelope.ID]; twice {
				r.result.Duplicates++
				continue
			}
			seen[d.envelope.ID] = compare(d, m)
		}
		if err := r.Queue.Delete(ctx, done); err != nil {
			return err
		}
	}
	r.result.Others = len(others)
	r.conclude(seen)
	return nil
}

func (r *run) allSeen(seen map[string]Message) bool {
	for _, d := range r.sent {
		if _, ok := seen[d.envelope.ID]; !ok {
			return false
		}
	}
	return true
}

// compare compares a message with what was sent.
func compare(d delivery, m Received) Message {
	n, err := notification.Decode(m.Body, m.Attributes)
	if err != nil {
		return Message{Type: d.envelope.Type, ID: d.envelope.ID} // not Equal
	}
	return Message{
		Type: n.Type, ID: n.ID, GrantID: n.GrantID, Bytes: len(n.Body), RequestID: n.RequestID,
		Equal: bytes.Equal(n.Body, d.body) && n.Signature == d.signature,
	}
}

func (r *run) conclude(seen map[string]Message) {
	for _, d := range r.sent {
		m, ok := seen[d.envelope.ID]
		if !ok {
			continue
		}
		r.result.Messages = append(r.result.Messages, m)
		if m.Equal && m.RequestID != "" && m.Type == d.envelope.Type && m.GrantID == d.envelope.GrantID {
			r.result.Reached++
		}
	}
	const none = "none of the three"
	got := none
	count := 0
	for _, d := range r.refused {
		if _, ok := seen[d.envelope.ID]; ok {
			count++
			got = fmt.Sprintf("%d of the three", count)
		}
	}
	r.step(Step{Name: "refused ones that reached the queue", Expected: none, Got: got, OK: got == none})
}
