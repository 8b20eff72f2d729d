package ledger

import (
	"strings"
	"testing"
	"time"

	"github.com/onepagecrm/nylas-webhooks/notification"
	"github.com/onepagecrm/nylas-webhooks/test/faults/nylas"
	"github.com/onepagecrm/nylas-webhooks/test/faults/standin"
)

const secret = "secret"

// run is a ledger and what a receiver kept.
type run struct {
	ledger   *Ledger
	messages []standin.Message
	objects  map[string]standin.Object
}

func newRun() *run { return &run{ledger: New(), objects: make(map[string]standin.Object)} }

// send records the attempts of one notification that were answered so.
func (r *run) send(n nylas.Notification, statuses ...int) {
	for i, status := range statuses {
		body := n.Body(i + 1)
		r.ledger.Record(nylas.Attempt{
			Notification: n, Number: i + 1, Body: body, Signature: notification.Sign(secret, body).String(),
			Status: status, Last: i == len(statuses)-1, Done: time.Now(),
		})
	}
}

func wire(n nylas.Notification, attempt int) notification.Wire {
	body := n.Body(attempt)
	w, _ := notification.Notification{
		Body: body, ID: n.ID, Type: n.Type, GrantID: n.GrantID, Attempt: attempt,
		ReceivedAt: time.Now(), Signature: notification.Sign(secret, body), RequestID: "request",
	}.Encode() // too large is what the tests want
	return w
}

// queue keeps an attempt as the receiver would, changed by change.
func (r *run) queue(w notification.Wire, change ...func(*standin.Message)) {
	m := standin.Message{Body: w.Body, GroupID: w.GroupID, Attributes: make(map[string]string)}
	for name, a := range w.Attributes {
		m.Attributes[name] = a.Value
	}
	for _, c := range change {
		c(&m)
	}
	r.messages = append(r.messages, m)
}

func (r *run) spill(t *testing.T, w notification.Wire) {
	t.Helper()
	object, err := w.Spill()
	if err != nil {
		t.Fatal(err)
	}
	r.objects["spill/2026/01/02/03/"+w.GroupID+".json.gz"] = standin.Object{Content: object}
}

func (r *run) balance() Account { return r.ledger.Balance(Copies(r.messages, r.objects)) }

// Each row breaks one rule, or none.
func TestBalance(t *testing.T) {
	for name, test := range map[string]struct {
		set  func(t *testing.T, r *run, n nylas.Notification)
		want Account
		says string
	}{
		"delivered": {func(_ *testing.T, r *run, n nylas.Notification) {
			r.send(n, 200)
			r.queue(wire(n, 1))
		}, Account{Delivered: 1, Attempts: 1}, ""},
		"second attempt": {func(_ *testing.T, r *run, n nylas.Notification) {
			r.send(n, 503, 200)
			r.queue(wire(n, 2))
		}, Account{Delivered: 1, Attempts: 2, Refused: 1}, ""},
		"kept, answer lost": {func(_ *testing.T, r *run, n nylas.Notification) {
			r.send(n, 503, 200)
			r.queue(wire(n, 1))
			r.queue(wire(n, 2))
		}, Account{Delivered: 1, Attempts: 2, Refused: 1, Duplicated: 1}, ""},
		"spilled": {func(t *testing.T, r *run, n nylas.Notification) {
			r.send(n, 200)
			r.spill(t, wire(n, 1))
		}, Account{Spilled: 1, Attempts: 1}, ""},
		"queue and bucket": {func(t *testing.T, r *run, n nylas.Notification) {
			r.send(n, 200)
			r.spill(t, wire(n, 1))
			r.queue(wire(n, 1))
		}, Account{Delivered: 1, Attempts: 1, Duplicated: 1}, ""},
		"given up": {func(_ *testing.T, r *run, n nylas.Notification) {
			r.send(n, 503, 429, 503)
		}, Account{GivenUp: 1, Attempts: 3, Refused: 3}, ""},
		"answered 200, kept nowhere": {func(_ *testing.T, r *run, n nylas.Notification) {
			r.send(n, 200)
		}, Account{Lost: 1, Attempts: 1}, "answered 200"},
		"another attempt was kept": {func(_ *testing.T, r *run, n nylas.Notification) {
			r.send(n, 503, 200)
			r.queue(wire(n, 1))
		}, Account{Lost: 1, Attempts: 2, Refused: 1}, "answered 200"},
		"refused for good": {func(_ *testing.T, r *run, n nylas.Notification) {
			r.send(n, 503, 401)
		}, Account{Lost: 1, Attempts: 2, Refused: 2}, "never answered"},
		"no answer": {func(_ *testing.T, r *run, n nylas.Notification) {
			r.send(n, 0)
		}, Account{Lost: 1, Attempts: 1, Refused: 1}, "never answered"},
		"a byte is different": {func(_ *testing.T, r *run, n nylas.Notification) {
			r.send(n, 200)
			r.queue(wire(n, 1), func(m *standin.Message) { m.Body += " " })
		}, Account{Lost: 1, Attempts: 1, Garbled: 1}, "answered 200"},
		"wrong id": {func(_ *testing.T, r *run, n nylas.Notification) {
			r.send(n, 200)
			r.queue(wire(n, 1), func(m *standin.Message) { m.Attributes["notification_id"] = "other" })
		}, Account{Delivered: 1, Attempts: 1}, "wrong id"},
		"wrong group": {func(_ *testing.T, r *run, n nylas.Notification) {
			r.send(n, 200)
			r.queue(wire(n, 1), func(m *standin.Message) { m.GroupID = "other" })
		}, Account{Delivered: 1, Attempts: 1}, "wrong group"},
		"wrong signature": {func(_ *testing.T, r *run, n nylas.Notification) {
			r.send(n, 200)
			r.queue(wire(n, 1), func(m *standin.Message) { m.Attributes["signature"] = strings.Repeat("0", 64) })
		}, Account{Delivered: 1, Attempts: 1}, "wrong signature"},
		"spilled object is cut": {func(t *testing.T, r *run, n nylas.Notification) {
			r.send(n, 200)
			r.spill(t, wire(n, 1))
			for key, object := range r.objects {
				r.objects[key] = standin.Object{Content: object.Content[:len(object.Content)/2]}
			}
		}, Account{Lost: 1, Attempts: 1, Garbled: 1}, "answered 200"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRun()
			test.set(t, r, nylas.New(nylas.MessageCreated, "grant"))
			test.want.Sent = 1
			r.check(t, test.want, test.says)
		})
	}
}

func (r *run) check(t *testing.T, want Account, says string) {
	t.Helper()
	got := r.balance()
	problems := strings.Join(got.Problems, "\n")
	if (says == "") != (problems == "") || !strings.Contains(problems, says) {
		t.Errorf("problems %q, want %q", problems, says)
	}
	got.Problems = nil
	if got.Sent != want.Sent || got.Attempts != want.Attempts || got.Refused != want.Refused || got.Delivered != want.Delivered ||
		got.Spilled != want.Spilled || got.Duplicated != want.Duplicated || got.Overflowed != want.Overflowed ||
		got.GivenUp != want.GivenUp || got.Lost != want.Lost || got.Forged != want.Forged || got.LetIn != want.LetIn || got.Garbled != want.Garbled {
		t.Errorf("balance\n%+v, want\n%+v", got, want)
	}
}

func TestForged(t *testing.T) {
	n := nylas.New(nylas.MessageCreated, "grant")
	n.Forged = true
	r := newRun()
	r.send(n, 503, 503, 503)
	r.check(t, Account{Forged: 1}, "")
	r.queue(wire(n, 1))
	r.check(t, Account{Forged: 1, LetIn: 1}, "let in")
	r = newRun()
	r.send(n, 200)
	r.check(t, Account{Forged: 1, LetIn: 1}, "let in")
}

func TestOverflow(t *testing.T) {
	n := nylas.New(nylas.Odd[len(nylas.Odd)-2], "grant")
	r := newRun()
	r.send(n, 200)
	whole := wire(n, 1)
	pointer, err := whole.Overflow(notification.Pointer{Bucket: standin.BucketName, Key: "overflow/x"})
	if err != nil {
		t.Fatal(err)
	}
	r.queue(pointer)
	r.check(t, Account{Sent: 1, Attempts: 1, Lost: 1, Garbled: 1}, "answered 200") // its object is missing
	r.objects["overflow/x"] = standin.Object{Content: []byte(whole.Body)}
	r.check(t, Account{Sent: 1, Attempts: 1, Delivered: 1, Overflowed: 1}, "")
}

func TestRunThatEndedTooEarly(t *testing.T) {
	n := nylas.New(nylas.MessageCreated, "grant")
	l := New()
	l.Record(nylas.Attempt{Notification: n, Number: 1, Body: n.Body(1), Status: 503})
	if a := l.Balance(nil); a.Lost != 1 || !strings.Contains(a.Problems[0], "ended before") {
		t.Errorf("%+v", a)
	}
}
