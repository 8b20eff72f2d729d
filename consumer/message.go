package consumer

import (
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

	// Of a message that a Consumer received.
	handle     string
	attributes map[string]types.MessageAttributeValue
	groupID    string
	keepUntil  time.Time // when it must be given back, whatever happens
	suspicion  suspicion

	mu          sync.Mutex
	hiddenUntil time.Time // from other consumers
	lost        bool      // the receipt handle is no longer good
	attempt     *attempt  // nil while no handler works on it
}

// attempt is a call of the handler under a lease.
type attempt struct {
	key, owner string
	until      time.Time
	cancel     context.CancelCauseFunc // ends the handler's context
}

// key is what the store knows the notification by: its id, or the SQS message's
// where Nylas gave none.
func (m *message) key(n notification.Notification) string {
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

// maxKeep is an hour less than SQS can hide a message after a receive.
const maxKeep = maxVisibility - time.Hour

// received makes a message of what SQS gave us at the time now.
func received(in types.Message, now time.Time, visibility time.Duration) *message {
	m := &message{
		id:          aws.ToString(in.MessageId),
		body:        aws.ToString(in.Body),
		strings:     make(map[string]string, len(in.MessageAttributes)),
		receives:    receives(in.Attributes),
		handle:      aws.ToString(in.ReceiptHandle),
		attributes:  in.MessageAttributes,
		groupID:     in.Attributes[string(types.MessageSystemAttributeNameMessageGroupId)],
		keepUntil:   now.Add(maxKeep),
		hiddenUntil: now.Add(visibility),
	}
	for name, value := range in.MessageAttributes {
		m.strings[name] = aws.ToString(value.StringValue)
	}
	return m
}
