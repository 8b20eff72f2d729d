package notification

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// A message that is too large for SQS, even compressed, travels in two parts: its
// body as an S3 object, and a pointer to that as the SQS message. The form is the one
// of the SQS Extended Client Library, so that its Java and Python versions read it.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-s3-messages.html

// AttrPayloadSize is the tenth attribute: the size in bytes of the body in S3. Its
// presence tells that the message's body is a pointer.
const AttrPayloadSize = "ExtendedPayloadSize"

// pointerClass is the Java class by which the library knows a pointer.
const pointerClass = "software.amazon.payloadoffloading.PayloadS3Pointer"

// Pointer says where in S3 the body of a message is.
type Pointer struct {
	Bucket string `json:"s3BucketName"`
	Key    string `json:"s3Key"`
}

// Overflow returns the message that stands for w on the queue when w's body is the
// object at p. All other attributes stay.
func (w Wire) Overflow(p Pointer) (Wire, error) {
	body, err := json.Marshal([]any{pointerClass, p})
	if err != nil {
		return Wire{}, fmt.Errorf("write pointer: %w", err)
	}
	attributes := map[string]Attribute{AttrPayloadSize: {"Number", strconv.Itoa(len(w.Body))}}
	for name, a := range w.Attributes {
		attributes[name] = a
	}
	return Wire{Body: string(body), Attributes: attributes, GroupID: w.GroupID}, nil
}

// ParsePointer reads the pointer of a message that has [AttrPayloadSize] among its
// attributes; ok is false for a message that is not one. Fetch the object, then call
// [Decode] with its content in place of the body. Read it only from the bucket that
// you expect: whoever may send to the queue can name any. The error is [ErrCorrupt].
func ParsePointer(body string, attributes map[string]string) (p Pointer, ok bool, err error) {
	if attributes[AttrPayloadSize] == "" {
		return Pointer{}, false, nil
	}
	var class string
	if err := json.Unmarshal([]byte(body), &[]any{&class, &p}); err != nil {
		return Pointer{}, true, fmt.Errorf("%w: the pointer to S3 is not one", ErrCorrupt)
	}
	if !strings.HasSuffix(class, ".PayloadS3Pointer") || p.Bucket == "" || p.Key == "" {
		return Pointer{}, true, fmt.Errorf("%w: the pointer to S3 is not one", ErrCorrupt)
	}
	return p, true, nil
}
