package deadletters

import (
	"maps"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/triggertype"
	"github.com/onepagecrm/nylas-webhooks/notification"
)

// Letter is one message on the dead-letter queue.
type Letter struct {
	MessageID string
	// Body is the message's text as it is on the queue; [Bucket.Body] reads it.
	Body string
	// Attributes are the message attributes' string values by name.
	Attributes map[string]string
	GroupID    string
	// SentAt is when the message was first sent; its retention counts from there.
	SentAt time.Time
	// Receives is how often it was received, on both queues together.
	Receives int

	handle string
	all    map[string]types.MessageAttributeValue
	trace  string // AWS X-Ray's header
}

func read(m types.Message) Letter {
	l := Letter{
		MessageID: aws.ToString(m.MessageId), Body: aws.ToString(m.Body), Attributes: map[string]string{},
		GroupID: m.Attributes[string(types.MessageSystemAttributeNameMessageGroupId)],
		handle:  aws.ToString(m.ReceiptHandle), all: m.MessageAttributes,
		trace: m.Attributes[string(types.MessageSystemAttributeNameAWSTraceHeader)],
	}
	for name, value := range m.MessageAttributes {
		l.Attributes[name] = aws.ToString(value.StringValue)
	}
	// Both are always there, as they were asked for.
	if ms, err := strconv.ParseInt(m.Attributes[string(types.MessageSystemAttributeNameSentTimestamp)], 10, 64); err == nil {
		l.SentAt = time.UnixMilli(ms).UTC()
	}
	l.Receives, _ = strconv.Atoi(m.Attributes[string(types.MessageSystemAttributeNameApproximateReceiveCount)])
	return l
}

// Type is the notification's type, "" for a message that says none.
func (l Letter) Type() string { return l.Attributes[notification.AttrType] }

// GrantID is the notification's grant.
func (l Letter) GrantID() string { return l.Attributes[notification.AttrGrantID] }

// ID is the notification's id.
func (l Letter) ID() string { return l.Attributes[notification.AttrNotificationID] }

// RequestID is API Gateway's id of the request that brought it.
func (l Letter) RequestID() string { return l.Attributes[notification.AttrRequestID] }

// Attempt is Nylas's delivery attempt, ReceivedAt when the front door received it; the
// zero values where the message does not say so. They are read by themselves, because
// they help most where the rest of a message cannot be read.
func (l Letter) Attempt() int {
	n, _ := strconv.Atoi(l.Attributes[notification.AttrAttempt])
	return n
}

// ReceivedAt: see [Letter.Attempt].
func (l Letter) ReceivedAt() time.Time {
	at, _ := time.Parse(time.RFC3339, l.Attributes[notification.AttrReceivedAt])
	return at
}

// Attribute is a message attribute as SQS has it.
type Attribute struct {
	Type   string `json:"type"`
	Value  string `json:"value,omitempty"`
	Binary []byte `json:"binary_base64,omitempty"`
}

// All are all attributes of the message, the contract's and others.
func (l Letter) All() map[string]Attribute {
	all := map[string]Attribute{}
	for name, a := range l.all {
		all[name] = Attribute{aws.ToString(a.DataType), aws.ToString(a.StringValue), a.BinaryValue}
	}
	return all
}

// wire is the letter as package notification reckons with it.
func (l Letter) wire() notification.Wire {
	w := notification.Wire{Body: l.Body, Attributes: map[string]notification.Attribute{}}
	for name, a := range l.all {
		w.Attributes[name] = notification.Attribute{DataType: aws.ToString(a.DataType), Value: aws.ToString(a.StringValue) + string(a.BinaryValue)}
	}
	return w
}

// sendable is the letter as SQS takes it: as it is, but compressed where JSON makes the
// request too long that it would be sent with.
func (l Letter) sendable() Letter {
	w := l.wire()
	if w.Fits() {
		return l
	}
	compressed, err := w.Compress()
	if err != nil {
		return l // SQS will say what is wrong with it
	}
	l.Body = compressed.Body
	l.all = maps.Clone(l.all)
	encoding := compressed.Attributes[notification.AttrEncoding]
	l.all[notification.AttrEncoding] = types.MessageAttributeValue{DataType: &encoding.DataType, StringValue: &encoding.Value}
	return l
}

// copy is the letter as a message to send: body, all attributes and group as they are.
func (l Letter) copy(id string) types.SendMessageBatchRequestEntry {
	e := types.SendMessageBatchRequestEntry{Id: &id, MessageBody: &l.Body}
	if len(l.all) > 0 {
		e.MessageAttributes = map[string]types.MessageAttributeValue{}
		for name, a := range l.all {
			e.MessageAttributes[name] = types.MessageAttributeValue{DataType: a.DataType, StringValue: a.StringValue, BinaryValue: a.BinaryValue}
		}
	}
	if l.GroupID != "" {
		e.MessageGroupId = &l.GroupID
	}
	if l.trace != "" {
		e.MessageSystemAttributes = map[string]types.MessageSystemAttributeValue{
			string(types.MessageSystemAttributeNameForSendsAWSTraceHeader): {DataType: aws.String("String"), StringValue: &l.trace},
		}
	}
	return e
}

// Filter selects letters; its zero value selects all.
type Filter struct {
	// Type selects a notification type and those that Nylas makes of it by suffixes:
	// message.created also is message.created.truncated, and message is both.
	Type    string
	GrantID string
	// SentBefore and SentAfter bound SentAt.
	SentBefore, SentAfter time.Time
}

// Match tells whether the filter selects l.
func (f Filter) Match(l Letter) bool {
	return (f.Type == "" || triggertype.Is(l.Type(), f.Type)) &&
		(f.GrantID == "" || l.GrantID() == f.GrantID) &&
		(f.SentBefore.IsZero() || l.SentAt.Before(f.SentBefore)) &&
		(f.SentAfter.IsZero() || l.SentAt.After(f.SentAfter))
}
