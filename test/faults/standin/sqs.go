package standin

import (
	"crypto/md5" //nolint:gosec // it is SQS's checksum
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// maxHTTP is how long an HTTP request to SQS may be, whatever the message in it, in
// bytes. AWS documents no number; SQS names this one when it refuses.
// https://github.com/aws/aws-sdk-js/issues/479
const maxHTTP = 1_662_976

// SQS is one standard queue.
type SQS struct {
	Faults   Faults
	queueURL string

	mu       sync.Mutex
	messages []Message
	refused  []Refusal
}

// Message is one message that the queue keeps.
type Message struct {
	Body       string
	Attributes map[string]string // string values by name, as a consumer gets them
	GroupID    string
	At         time.Time
}

var sumInAnswer = regexp.MustCompile(`"MD5OfMessageBody":"[0-9a-f]*"`)

// Messages returns what is on the queue.
func (q *SQS) Messages() []Message {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clone(q.messages)
}

// Refused returns what SQS would not take of the receiver for its content. A correct
// receiver causes none.
func (q *SQS) Refused() []Refusal {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clone(q.refused)
}

func (q *SQS) injector() *Faults { return &q.Faults }

// The errors that SendMessage can answer beside those about its parameters. The codes
// are the shapes' names; the query protocol's, which the SDK reports instead, stand in
// queryCodes. docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
var (
	SQSThrottled     = Refusal{400, "RequestThrottled", "Request is throttled."}
	SQSUnavailable   = Refusal{503, "ServiceUnavailable", "The request has failed due to a temporary failure of the server."}
	SQSInternal      = Refusal{500, "InternalError", "We encountered an internal error. Please try again."}
	SQSNoQueue       = Refusal{400, "QueueDoesNotExist", "The specified queue does not exist."}
	SQSDenied        = Refusal{403, "AccessDeniedException", "User is not authorized to perform: sqs:sendmessage"}
	SQSKeyDisabled   = Refusal{400, "KmsDisabled", "arn:aws:kms:us-east-1:123456789012:key/0 is disabled."}
	SQSKeyThrottled  = Refusal{400, "KmsThrottled", "You have exceeded the rate at which you may call KMS."}
	SQSKeyNotFound   = Refusal{400, "KmsNotFound", "Invalid keyId"}
	SQSKeyInvalid    = Refusal{400, "KmsInvalidState", "arn:aws:kms:us-east-1:123456789012:key/0 is pending deletion."}
	SQSKeyDenied     = Refusal{400, "KmsAccessDenied", "The ciphertext refers to a customer master key that does not exist or you are not allowed to access."}
	SQSExpiredTokens = Refusal{403, "ExpiredToken", "The security token included in the request is expired"}
)

// queryCodes are the names that the errors had in SQS's query protocol; the service
// sends them along and the SDK shows them.
var queryCodes = map[string]string{
	"QueueDoesNotExist": "AWS.SimpleQueueService.NonExistentQueue",
	"KmsDisabled":       "KMS.DisabledException",
	"KmsThrottled":      "KMS.ThrottlingException",
	"KmsNotFound":       "KMS.NotFoundException",
	"KmsInvalidState":   "KMS.InvalidStateException",
	"KmsAccessDenied":   "KMS.AccessDeniedException",
}

func (q *SQS) refuse(w http.ResponseWriter, r Refusal) {
	if code, ok := queryCodes[r.Code]; ok {
		w.Header().Set("X-Amzn-Query-Error", code+";Sender")
	}
	writeJSON(w, "1.0", r.Status, map[string]string{"__type": "com.amazonaws.sqs#" + r.Code, "message": r.Message})
}

// AttributeValue is a message attribute as SendMessage has it.
type AttributeValue struct {
	DataType    string
	StringValue string
	BinaryValue []byte
}

type sendMessage struct {
	QueueUrl          string
	MessageBody       string
	MessageAttributes map[string]AttributeValue
	MessageGroupId    string
	DelaySeconds      int
}

func (q *SQS) answer(w http.ResponseWriter, c *Call) {
	if c.request.Header.Get("X-Amz-Target") == "" { // the receiver opens a connection
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if len(c.body) > maxHTTP {
		r := Refusal{Status: http.StatusRequestEntityTooLarge, Message: fmt.Sprintf("HTTP content length exceeded %d bytes.", maxHTTP)}
		q.note(r)
		w.Header().Set("Content-Type", "text/plain") // the front end's, which knows nothing of SQS's protocol
		w.WriteHeader(r.Status)
		_, _ = io.WriteString(w, r.Message) // whoever asked may be gone
		return
	}
	var m sendMessage
	r, ok := q.read(c, &m)
	if !ok {
		q.note(r)
		q.refuse(w, r)
		return
	}
	kept := Message{Body: m.MessageBody, GroupID: m.MessageGroupId, At: c.At, Attributes: make(map[string]string)}
	for name, a := range m.MessageAttributes {
		kept.Attributes[name] = a.StringValue
	}
	q.mu.Lock()
	q.messages = append(q.messages, kept)
	q.mu.Unlock()
	answer := map[string]string{"MessageId": newID(), "MD5OfMessageBody": sum([]byte(m.MessageBody))}
	if len(m.MessageAttributes) > 0 {
		answer["MD5OfMessageAttributes"] = AttributesMD5(m.MessageAttributes)
	}
	writeJSON(w, "1.0", http.StatusOK, answer)
}

func (q *SQS) note(r Refusal) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.refused = append(q.refused, r)
}

// read checks a SendMessage as SQS does, against the limits on
// docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
func (q *SQS) read(c *Call, m *sendMessage) (Refusal, bool) {
	invalid := func(format string, args ...any) (Refusal, bool) {
		return Refusal{400, "InvalidParameterValue", fmt.Sprintf(format, args...)}, false
	}
	if target := c.request.Header.Get("X-Amz-Target"); target != "AmazonSQS.SendMessage" {
		return Refusal{400, "UnknownOperationException", target}, false
	}
	if kind := c.request.Header.Get("Content-Type"); kind != "application/x-amz-json-1.0" {
		return Refusal{400, "SerializationException", "content type " + kind}, false
	}
	if err := json.Unmarshal(c.body, m); err != nil || !utf8.Valid(c.body) {
		return Refusal{400, "SerializationException", "the request is not JSON in UTF-8"}, false
	}
	switch {
	case m.QueueUrl != q.queueURL:
		return SQSNoQueue, false
	case m.MessageBody == "":
		return Refusal{400, "MissingParameter", "The request must contain the parameter MessageBody."}, false
	case !acceptable(m.MessageBody):
		return Refusal{400, "InvalidMessageContents", "Invalid characters found in the body."}, false
	case len(m.MessageAttributes) > 10:
		return invalid("Number of message attributes [%d] exceeds the allowed maximum [10].", len(m.MessageAttributes))
	case m.MessageGroupId != "" && !groupID.MatchString(m.MessageGroupId):
		return invalid("Value %d characters for parameter MessageGroupId is invalid.", len(m.MessageGroupId))
	}
	size := len(m.MessageBody)
	for name, a := range m.MessageAttributes {
		if problem := checkAttribute(name, a); problem != "" {
			return invalid("The message attribute '%s' is invalid: %s.", name, problem)
		}
		size += len(name) + len(a.DataType) + len(a.StringValue) + len(a.BinaryValue)
	}
	if size > 1_048_576 {
		return invalid("One or more parameters are invalid. Reason: Message must be shorter than 1048576 bytes, is %d.", size)
	}
	return Refusal{}, true
}

var (
	groupID       = regexp.MustCompile("^[a-zA-Z0-9!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~]{1,128}$")
	attributeName = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)
)

func checkAttribute(name string, a AttributeValue) string {
	lower := strings.ToLower(name)
	kind, _, _ := strings.Cut(a.DataType, ".")
	switch {
	case len(name) > 256 || !attributeName.MatchString(name):
		return "its name"
	case strings.HasPrefix(lower, "aws.") || strings.HasPrefix(lower, "amazon."):
		return "its name is reserved"
	case len(a.DataType) > 256 || kind != "String" && kind != "Number" && kind != "Binary":
		return "its data type"
	case kind == "Binary":
		if len(a.BinaryValue) == 0 {
			return "it is empty"
		}
	case a.StringValue == "":
		return "it is empty"
	case !acceptable(a.StringValue):
		return "its characters"
	case kind == "Number":
		if _, err := strconv.ParseFloat(a.StringValue, 64); err != nil {
			return "it is no number"
		}
	}
	return ""
}

// acceptable: #x9 #xA #xD #x20-#xD7FF #xE000-#xFFFD #x10000-#x10FFFF.
func acceptable(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool {
		return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF
	})
}

// AttributesMD5 is the MD5OfMessageAttributes with which SQS answers.
func AttributesMD5(attributes map[string]AttributeValue) string {
	return sum(attributesText(attributes))
}

// attributesText is what SQS takes the MD5 of; see "Calculating the MD5 message
// digest for message attributes" on
// docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html
func attributesText(attributes map[string]AttributeValue) []byte {
	var text []byte
	add := func(part string) {
		text = binary.BigEndian.AppendUint32(text, uint32(len(part)))
		text = append(text, part...)
	}
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		a := attributes[name]
		add(name)
		add(a.DataType)
		if strings.HasPrefix(a.DataType, "Binary") {
			text = append(text, 2)
			add(string(a.BinaryValue))
		} else {
			text = append(text, 1)
			add(a.StringValue)
		}
	}
	return text
}

func sum(text []byte) string {
	digest := md5.Sum(text) //nolint:gosec // it is SQS's checksum
	return hex.EncodeToString(digest[:])
}

func writeJSON(w http.ResponseWriter, version string, status int, answer any) {
	text, err := json.Marshal(answer)
	if err != nil {
		panic(err) // maps of strings and numbers
	}
	w.Header().Set("Content-Type", "application/x-amz-json-"+version)
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = w.Write(text) // whoever asked may be gone
}
