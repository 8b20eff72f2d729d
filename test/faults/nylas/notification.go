package nylas

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strings"

	crypto "crypto/rand"

	"github.com/onepagecrm/nylas-webhooks/test/canary"
)

// Notification is one notification that Nylas delivers.
type Notification struct {
	// ID, Type and GrantID are what the message's attributes must say; empty where the
	// body has none that an attribute can hold.
	ID, Type, GrantID string
	// Key names it in the ledger; its ID, where it has one.
	Key string
	// Kind is the body's.
	Kind Kind
	// Forged tells that it is not from Nylas; each is forged in one of several ways.
	Forged bool

	subject, address, text string // canaries
	seed                   uint64
}

// Kind is a kind of body.
type Kind struct {
	Name string
	body func(n Notification, attempt int) []byte
	// typ is the type; empty: the body has none.
	typ string
	// Of the body's id and grant, which can be an attribute.
	noID, noGrant bool
	noAttempt     bool
}

// HasAttempt tells whether the body says which attempt it is.
func (k Kind) HasAttempt() bool { return !k.noAttempt }

// New returns a notification with an id of its own. Its subject, address and text are
// canaries.
func New(kind Kind, grant string) Notification {
	id := "id-" + strings.ToLower(crypto.Text())
	n := Notification{
		Key: id, ID: id, Type: kind.typ, GrantID: grant, Kind: kind,
		subject: canary.New("subject"), address: canary.New("address") + "@example.com", text: canary.New("body"),
		seed: rand.Uint64(), //nolint:gosec // noise
	}
	return n
}

// Expected returns what the message's attributes must say.
func (n Notification) Expected() (id, typ, grant string) {
	if !n.Kind.noID {
		id = n.ID
	}
	if !n.Kind.noGrant {
		grant = n.GrantID
	}
	return id, n.Type, grant
}

// Body returns the bytes of an attempt, the same every time.
func (n Notification) Body(attempt int) []byte { return n.Kind.body(n, attempt) }

// envelope returns a notification's JSON around its data.object. Nylas writes
// webhook_delivery_attempt before data or after it; each id has one of both.
func (n Notification) envelope(attempt int, object string) []byte {
	head := fmt.Sprintf(`{"specversion":"1.0","type":%q,"source":"/google/emails/realtime","id":%q,"time":1767630011`, n.Type, n.ID)
	number := fmt.Sprintf(`,"webhook_delivery_attempt":%d`, attempt)
	data := fmt.Sprintf(`,"data":{"application_id":"7d1f0c52","object":%s}`, object)
	if n.seed%2 == 0 {
		return []byte(head + number + data + "}")
	}
	return []byte(head + data + number + "}")
}

func (n Notification) message(subject, body string) string {
	return fmt.Sprintf(`{"object":"message","grant_id":%q,"subject":"%s","from":[{"name":"Ada","email":%q}],"body":"%s"}`,
		n.GrantID, subject, n.address, body)
}

// html is a mail's text of about so many bytes, as JSON has it.
func (n Notification) html(bytes int) string {
	const line = `<p class=\"text\">Dear Ms Müller, the offer is attached.\u003c/p>\n`
	return n.text + strings.Repeat(line, bytes/len(line))
}

// noise is text that no compression makes smaller than three quarters.
func (n Notification) noise(size int) string {
	raw := make([]byte, size*3/4)
	_, _ = rand.NewChaCha8([32]byte{byte(n.seed), byte(n.seed >> 8), byte(n.seed >> 16), byte(n.seed >> 24)}).Read(raw) // never fails
	return base64.StdEncoding.EncodeToString(raw)
}

// EventUpdated is what a change of a shared calendar makes thousands of.
var EventUpdated = Kind{Name: "event.updated", typ: "event.updated", body: func(n Notification, attempt int) []byte {
	return n.envelope(attempt, fmt.Sprintf(`{"object":"event","grant_id":%q,"calendar_id":"primary","title":%q,"busy":true,`+
		`"participants":[{"email":%q,"status":"yes"}],"description":"%s","when":{"object":"timespan","start_time":1767630000,"end_time":1767633600}}`,
		n.GrantID, n.subject, n.address, n.html(300)))
}}

// MessageCreated is a usual mail.
var MessageCreated = Kind{Name: "message.created", typ: "message.created", body: func(n Notification, attempt int) []byte {
	return n.envelope(attempt, n.message(n.subject, n.html(2000)))
}}

// Overflowing is too large for SQS, even compressed.
var Overflowing = Kind{Name: "1 MiB of noise", typ: "message.created", body: func(n Notification, attempt int) []byte {
	return n.envelope(attempt, n.message(n.subject, n.text+n.noise(1<<20)))
}}

// Largest is about what Lambda takes: 6 MiB with the event around it, as base64.
var Largest = Kind{Name: "4 MB of noise", typ: "message.created", body: func(n Notification, attempt int) []byte {
	return n.envelope(attempt, n.message(n.subject, n.text+n.noise(4_000_000)))
}}

// Usual are bodies as Nylas sends them all day.
var Usual = []Kind{EventUpdated, MessageCreated}

// Odd are bodies that something on the way could trip over. All are signed, so all
// have to arrive.
var Odd = []Kind{
	{Name: "U+FFFE", typ: "message.created", body: func(n Notification, attempt int) []byte {
		return n.envelope(attempt, n.message(n.subject+"\ufffe", n.text))
	}},
	{Name: "invalid UTF-8", typ: "message.created", body: func(n Notification, attempt int) []byte {
		return n.envelope(attempt, n.message(n.subject+"\xff\xc0", n.text))
	}},
	{Name: "control characters", typ: "message.created", noAttempt: true, body: func(n Notification, attempt int) []byte {
		// JSON forbids them, so reading stops there.
		n.seed |= 1
		return n.envelope(attempt, n.message(n.subject, n.text+"\x00\x01\x1b[31m"))
	}},
	{Name: "no JSON", noID: true, noGrant: true, noAttempt: true, body: func(n Notification, attempt int) []byte {
		return fmt.Appendf(nil, "%s %s %d", n.ID, n.text, attempt)
	}},
	{Name: "no id", typ: "message.created", noID: true, body: func(n Notification, attempt int) []byte {
		return bytes.Replace(n.envelope(attempt, n.message(n.subject, n.text)), []byte(`"id":`), []byte(`"other":`), 1)
	}},
	{Name: "no grant", typ: "message.transactional.bounced", noGrant: true, body: func(n Notification, attempt int) []byte {
		return n.envelope(attempt, fmt.Sprintf(`{"message":%q}`, n.text))
	}},
	{Name: "id of 2,000 characters", typ: "message.created", noID: true, body: func(n Notification, attempt int) []byte {
		n.ID += strings.Repeat("x", 2000)
		return n.envelope(attempt, n.message(n.subject, n.text))
	}},
	{Name: "id with U+0000", typ: "message.created", noID: true, body: func(n Notification, attempt int) []byte {
		return bytes.Replace(n.envelope(attempt, n.message(n.subject, n.text)), []byte(n.ID), []byte(n.ID+`\u0000`), 1)
	}},
	{Name: "20,000 arrays deep", typ: "message.created", noGrant: true, noAttempt: true, body: func(n Notification, attempt int) []byte {
		n.seed |= 1
		return n.envelope(attempt, strings.Repeat("[", 20_000)+`"`+n.text+`"`+strings.Repeat("]", 20_000))
	}},
	{Name: "v2 deltas", noID: true, noGrant: true, noAttempt: true, body: func(n Notification, attempt int) []byte {
		return fmt.Appendf(nil, `{"deltas":[{"date":176760000%d,"object":"message","object_data":{"id":%q,"text":%q}}]}`, attempt, n.ID, n.text)
	}},
	{Name: "900 kB of mail", typ: "message.created", body: func(n Notification, attempt int) []byte {
		return n.envelope(attempt, n.message(n.subject, n.html(900_000)))
	}},
	{Name: "900 kB with U+FFFE", typ: "message.created", body: func(n Notification, attempt int) []byte {
		return n.envelope(attempt, n.message(n.subject+"\ufffe", n.html(900_000)))
	}},
	{Name: "900 kB of quotes", typ: "message.created", body: func(n Notification, attempt int) []byte {
		// Fits into a message, but not into the request to SQS, which writes each in four bytes.
		return n.envelope(attempt, n.message(n.subject, n.text+strings.Repeat(`\"`, 450_000)))
	}},
	Overflowing,
	Largest,
}
