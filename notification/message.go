package notification

import (
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"
)

// ContractVersion is the value of the contract_version attribute. It changes only
// when a consumer written for the older one would go wrong.
const ContractVersion = "1"

// The names of the message attributes. trigger_type and content_encoding are named
// as in Nylas's own SNS channel, so that one consumer can serve both.
// SQS takes ten attributes; the tenth is [AttrPayloadSize]. [AttrReplay] takes the place
// of [AttrAttempt].
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
	AttrReplay          = "replay_id"
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

// MaxRequestBytes is how long the HTTP request of one SendMessage may be. SQS answers a
// longer one with 413 and plain text; its own limit is documented nowhere and was seen
// at 1,662,976 bytes. JSON doubles each quote and backslash, so a message of 900 kB can
// be beyond it. What is left of 60 kB is for the members beside body and attributes.
// https://github.com/aws/aws-sdk-js/issues/479
const MaxRequestBytes = 1_600_000

const (
	// attributeJSON is what {"name":{"DataType":"…","StringValue":"…"}} has beside the texts, in
	// bytes.
	attributeJSON = 38
	// maxAttributeBytes is the longest identifier that becomes an attribute. Nylas's
	// are under 100 characters; one that is far longer would only take the room of
	// the body, where it can be read anyway.
	maxAttributeBytes = 1024
	// maxGroupIDBytes is SQS's limit for MessageGroupId.
	maxGroupIDBytes = 128
)

// ErrEncoded: the message cannot be compressed, because its body is encoded already or
// is a pointer to S3.
var ErrEncoded = errors.New("the message's body is encoded already")

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
	// ReplayID is empty for what comes from Nylas. A notification that an operator sent once
	// more on purpose has the id of that replay here, and no Attempt: it is meant to be
	// handled again, once for each replay. So drop duplicates by ID and ReplayID together.
	ReplayID string
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

// RequestSize is what counts against [MaxRequestBytes]: body and attributes as they
// stand in the JSON of a request, in bytes. It is right for characters that SQS takes.
func (w Wire) RequestSize() int {
	size := jsonSize(w.Body)
	for name, a := range w.Attributes {
		size += len(name) + len(a.DataType) + jsonSize(a.Value) + attributeJSON
	}
	return size
}

// Fits tells whether SQS takes a message of this size; [Notification.Encode] looks at its
// characters. One that does not fit though it is compressed needs [Wire.Overflow].
func (w Wire) Fits() bool {
	size := w.Size()
	// Nothing that SQS takes becomes longer than twice, so most bodies need not be counted.
	return size <= MaxMessageBytes && (2*size+attributeJSON*len(w.Attributes) <= MaxRequestBytes || w.RequestSize() <= MaxRequestBytes)
}

// Encode writes n as an SQS message. The body goes as it is where SQS takes it; where
// SQS would refuse it for its characters, its size or because it is empty, as base64 of
// gzip. The message may not fit even so: see [Wire.Fits].
func (n Notification) Encode() (Wire, error) {
	w := Wire{Body: string(n.Body), Attributes: n.attributes(), GroupID: groupID(n.GrantID)}
	if acceptable(n.Body) && w.Fits() {
		return w, nil
	}
	return w.Compress()
}

// Compress returns the message with its body as base64 of gzip, for when SQS refuses it
// as it is. The error is [ErrEncoded] for a message that does not travel as it is.
func (w Wire) Compress() (Wire, error) {
	if w.Attributes[AttrEncoding].Value != "" || w.Attributes[AttrPayloadSize].Value != "" {
		return Wire{}, ErrEncoded
	}
	body, err := gzipBase64([]byte(w.Body))
	if err != nil {
		return Wire{}, fmt.Errorf("compress: %w", err)
	}
	attributes := make(map[string]Attribute, len(w.Attributes)+1)
	maps.Copy(attributes, w.Attributes)
	attributes[AttrEncoding] = Attribute{"String", EncodingGzipBase64}
	return Wire{Body: body, Attributes: attributes, GroupID: w.GroupID}, nil
}

// Replay returns w as a part of the replay of that id. The attribute takes the place of
// the delivery attempt, which a replay is not; SQS takes no eleventh.
func (w Wire) Replay(id string) Wire {
	attributes := maps.Clone(w.Attributes)
	delete(attributes, AttrAttempt)
	attributes[AttrReplay] = Attribute{"String", id}
	w.Attributes = attributes
	return w
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
