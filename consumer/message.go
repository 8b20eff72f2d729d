package consumer

import (
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

// message is one receive of one SQS message.
type message struct {
	id       string
	body     string
	strings  map[string]string // the attributes' string values, for decoding
	receives int               // this one included
	sent     time.Time         // when it was first sent to the queue; zero where SQS does not say
	grant    string
	size     int // of body and attributes

	// What became of it here.
	tries     int        // attempts that failed
	alone     int        // of those, where others said nothing against it
	failing   *failing   // the last, to be judged before the next attempt
	suspicion float64    // evidence that these were its own fault, see blames
	atHome    bool       // others of its own domain have outrun it
	witnessed bool       // others got through between its failures here
	held      bool       // it is counted among what waits; the gate's lock guards it
	fetched   *fetchedAt // the last fetch of its body, where that is in S3

	// Of a message that a Consumer received.
	handle     string
	attributes map[string]types.MessageAttributeValue
	groupID    string
	keepUntil  time.Time // when it must be given back, whatever happens
	hideUntil  time.Time // how long SQS can hide it

	mu          sync.Mutex
	hiddenUntil time.Time // from other consumers
	lost        bool      // the receipt handle is no longer good
	finished    bool      // handled, on its way to be deleted
	attempt     *attempt  // nil while no handler works on it
}

// fetchedAt is a fetch of a body from S3.
type fetchedAt struct {
	began time.Time
	ok    bool
}

// failing is one failure of a message, to be judged.
type failing struct {
	began  time.Time
	at     time.Time
	domain string // whose others it is compared with: its grant's, or those fetched from S3
	event  Event  // that told of it
	busy   bool   // the system's word that it is not the message
	plain  bool   // the handler's own word that it is the message
}

// attempt is a call of the handler under a lease.
type attempt struct {
	key, owner string
	until      time.Time
	cancel     context.CancelCauseFunc // ends the handler's context
}

// key is what the store knows the notification by: its id, or the SQS message's
// where Nylas gave none. A replay is to be handled again, but each message of it once,
// though it was interrupted and sent anew: so its id is a part of the key, and the
// signature stands for an id that is missing.
func (m *message) key(n notification.Notification) string {
	if n.ReplayID != "" {
		return "replay:" + n.ReplayID + ":" + cmp.Or(n.ID, n.Signature.String())
	}
	if n.ID != "" {
		return n.ID
	}
	return "sqs:" + m.id
}

func (m *message) hidden() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.hiddenUntil
}

func (m *message) setAttempt(a *attempt) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.attempt = a
}

func (m *message) isLost() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lost
}

func (m *message) setFinished() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.finished = true
}

// maxKeep is an hour less than SQS can hide a message after a receive.
const maxKeep = maxVisibility - time.Hour

// received makes a message of what SQS gave us at the time now.
func received(in types.Message, now time.Time, visibility time.Duration) *message {
	m := &message{
		id:          aws.ToString(in.MessageId),
		body:        aws.ToString(in.Body),
		strings:     make(map[string]string, len(in.MessageAttributes)),
		receives:    receives(in.Attributes),
		sent:        sent(in.Attributes),
		handle:      aws.ToString(in.ReceiptHandle),
		attributes:  in.MessageAttributes,
		groupID:     in.Attributes[string(types.MessageSystemAttributeNameMessageGroupId)],
		keepUntil:   now.Add(maxKeep),
		hideUntil:   now.Add(maxVisibility - time.Minute), // for the clocks and the way
		hiddenUntil: now.Add(visibility),
	}
	for name, value := range in.MessageAttributes {
		m.strings[name] = aws.ToString(value.StringValue)
		m.size += len(name) + len(m.strings[name])
	}
	m.grant = m.strings[notification.AttrGrantID]
	m.size += len(m.body)
	return m
}
