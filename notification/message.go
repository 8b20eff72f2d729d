package notification

import (
	"errors"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"
)

// ContractVersion is the value of the contract_version attribute. It changes only
// when a consumer written for the older one would go wrong.
const ContractVersion = "1"

// The names of the message attributes. trigger_type and content_encoding are named
// as in Nylas's own SNS channel, so that one consumer can serve both.
// SQS takes ten attributes; the tenth is [AttrPayloadSize].
const (
	AttrContractVersion = "contract_version"
	AttrNotificationID  = "notification_id"
	AttrType            = "trigger_type"
	AttrGrantID         = "grant_id"
	AttrAttempt         = "delivery_attempt"
	AttrEncoding        = "content_encoding"
	AttrReceivedAt      = "received_at"
	AttrSignature       = "signature"
	AttrRequestID       = "request_id"
)

// EncodingGzipBase64 is the value of the content_encoding attribute of a body that
// travels as base64 of gzip. A body without the attribute travels as it is.
const EncodingGzipBase64 = "gzip+base64"

// SmokeTestType is the type of a notification that is nobody's mail: an operator's
// tool signs it to see the whole way work in production. Consumers drop it, and the
// receiver's metrics leave it out.
const SmokeTestType = "smoke.test"

// MaxMessageBytes is SQS's limit for the body and the attributes together.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
const MaxMessageBytes = 1_048_576

const (
	// maxAttributeBytes is the longest identifier that becomes an attribute. Nylas's
	// are under 100 characters; one that is far longer would only take the room of
	// the body, where it can be read anyway.
	maxAttributeBytes = 1024
	// maxGroupIDBytes is SQS's limit for MessageGroupId.
	maxGroupIDBytes = 128
)

// ErrTooLarge: the notification does not fit into one SQS message, not even
// compressed.
var ErrTooLarge = errors.New("notification does not fit into an SQS message")

// Notification is one Nylas notification as the front door received it.
type Notification struct {
	// Body is what Nylas signed, byte for byte; usually one JSON object.
	Body []byte
	// ID, Type, GrantID and Attempt repeat the body's id, type, grant_id and
	// webhook_delivery_attempt, so that a consumer can route without parsing. They
	// are empty (0) where the body has none, or one that no SQS attribute can hold.
	// ID is the same for every attempt of one notification: drop duplicates by it.
	ID      string
	Type    string
	GrantID string
	Attempt int
	// ReceivedAt is when the front door received it (millisecond precision, UTC).
	ReceivedAt time.Time
	// Signature is the one that was verified.
	Signature Signature
	// RequestID is API Gateway's id of the request (extendedRequestId, which no caller
	// can set); the receiver's log line and the access log have it too.
	RequestID string
}

// Attribute is one SQS message attribute. DataType is "String" or "Number".
type Attribute struct {
	DataType string `json:"type"`
	Value    string `json:"value"`
}

// Wire is a [Notification] as SQS carries it: the parameters of SendMessage.
type Wire struct {
	Body       string
	Attributes map[string]Attribute
	// GroupID is the MessageGroupId: the grant, so that a fair queue keeps one busy
	// mailbox from holding up the others. Empty where there is none that SQS takes.
	// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-fair-queues.html
	GroupID string
}

// Size is what counts against [MaxMessageBytes]: the body and, of every attribute,
// name, data type and value, in bytes.
func (w Wire) Size() int {
	size := len(w.Body)
	for name, a := range w.Attributes {
		size += len(name) + len(a.DataType) + len(a.Value)
	}
	return size
}

// Encode writes n as an SQS message. The body goes as it is where SQS takes it;
// where SQS would refuse it for its characters, its size or because it is empty,
// as base64 of gzip. With the error [ErrTooLarge] the message is returned all the
// same; it needs [Wire.Overflow].
func (n Notification) Encode() (Wire, error) {
	w := Wire{Attributes: n.attributes(), GroupID: groupID(n.GrantID)}
	if acceptable(n.Body) {
		w.Body = string(n.Body)
		if w.Size() <= MaxMessageBytes {
			return w, nil
		}
	}
	return n.EncodeCompressed()
}

// EncodeCompressed is [Notification.Encode] for a body that goes as base64 of gzip in
// any case.
func (n Notification) EncodeCompressed() (Wire, error) {
	w := Wire{Attributes: n.attributes(), GroupID: groupID(n.GrantID)}
	w.Attributes[AttrEncoding] = Attribute{"String", EncodingGzipBase64}
	body, err := gzipBase64(n.Body)
	if err != nil {
		return Wire{}, fmt.Errorf("compress: %w", err)
	}
	w.Body = body
	if size := w.Size(); size > MaxMessageBytes {
		return w, fmt.Errorf("%w: %d bytes compressed, the limit is %d", ErrTooLarge, size, MaxMessageBytes)
	}
	return w, nil
}

func (n Notification) attributes() map[string]Attribute {
	attributes := map[string]Attribute{
		AttrContractVersion: {"String", ContractVersion},
		AttrReceivedAt:      {"String", n.ReceivedAt.UTC().Format(timeLayout)},
		AttrSignature:       {"String", n.Signature.String()},
	}
	if n.Attempt > 0 {
		attributes[AttrAttempt] = Attribute{"Number", strconv.Itoa(n.Attempt)}
	}
	for name, value := range map[string]string{
		AttrNotificationID: n.ID,
		AttrType:           n.Type,
		AttrGrantID:        n.GrantID,
		AttrRequestID:      n.RequestID,
	} {
		// Left out rather than cut: half an id is another id.
		if value != "" && len(value) <= maxAttributeBytes && acceptable([]byte(value)) {
			attributes[name] = Attribute{"String", value}
		}
	}
	return attributes
}

// timeLayout is RFC 3339 with milliseconds, always of the same length.
const timeLayout = "2006-01-02T15:04:05.000Z07:00"

// acceptable tells whether SQS takes text as a body or an attribute's value: not
// empty, UTF-8, and only #x9 #xA #xD #x20-#xD7FF #xE000-#xFFFD #x10000-#x10FFFF.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
func acceptable(text []byte) bool {
	if len(text) == 0 {
		return false
	}
	for i := 0; i < len(text); {
		c := text[i]
		if c < utf8.RuneSelf {
			if c < ' ' && c != '\t' && c != '\n' && c != '\r' {
				return false
			}
			i++
			continue
		}
		r, size := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && size == 1 || r == 0xFFFE || r == 0xFFFF {
			return false
		}
		i += size
	}
	return true
}

// groupID returns grant where SQS takes it as a MessageGroupId (1 to 128 visible
// ASCII characters), else "".
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
func groupID(grant string) string {
	if len(grant) > maxGroupIDBytes {
		return ""
	}
	for i := range len(grant) {
		if grant[i] <= ' ' || grant[i] > '~' {
			return ""
		}
	}
	return grant
}
