package sqsqueue

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/schemas"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/aws/smithy-go/transport/http/protocol/awsjson"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

// equivalent mutant: SerializeRequest: return fmt.Errorf("read the SDK's request: %w", err) -> return nil
// equivalent mutant: SerializeRequest: return fmt.Errorf("write the message: %w", err) -> return nil
// What is read and written is memory.

var sendMessage = smithy.NewOperationSchema(schemas.SendMessage, schemas.SendMessageRequest, schemas.SendMessageResult)

// serialized is the request that a protocol writes.
func serialized(t *testing.T, protocol smithyhttp.ClientProtocol, in smithy.Serializable) (string, error) {
	r := smithyhttp.NewStackRequest().(*smithyhttp.Request)
	if err := protocol.SerializeRequest(t.Context(), sendMessage, in, r); err != nil {
		return "", err
	}
	text, err := io.ReadAll(r.GetStream())
	if err != nil {
		t.Fatal(err)
	}
	if r.ContentLength != int64(len(text)) {
		t.Errorf("the length is given as %d, and is %d", r.ContentLength, len(text))
	}
	return fmt.Sprint(string(text), r.Header), nil
}

// But for U+007F, U+2028 and U+2029, which need no escape, the request is what the SDK itself would have written, whatever
// is in the body and the attributes.
func TestOneBufferHasTheSDKsBytes(t *testing.T) {
	for _, body := range []string{
		"", "{}", `"`, `\`, "\"\\\n\r\t<>&ü☕\u2027\u202a\uffff𝄞", `"MessageBody":""`, strings.Repeat(`<p class=\"text\">\n`, 50_000), strings.Repeat("☕", 9),
	} {
		odd := notification.Wire{Body: body, GroupID: `"MessageBody":""`, Attributes: map[string]notification.Attribute{
			"MessageBody": {DataType: "String", Value: `"MessageBody":""`}, // one, as the order of several is not fixed
		}}
		input := (&Queue{url: "https://sqs.example/q"}).input(odd)
		sdk := awsjson.New10(schemas.AmazonSQS)
		want, err := serialized(t, sdk, input)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := serialized(t, oneBuffer{sdk}, input); err != nil || got != want {
			t.Errorf("%.100q: sent %.300s, %v\nwant %.300s", body, got, err, want)
		}
	}
}

// Other calls than SendMessage are the SDK's.
func TestOneBufferLeavesTheRest(t *testing.T) {
	sdk := awsjson.New10(schemas.AmazonSQS)
	in := &sqs.GetQueueUrlInput{QueueName: aws.String("q")}
	want, err := serialized(t, sdk, in)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := serialized(t, oneBuffer{sdk}, in); err != nil || got != want {
		t.Errorf("sent %s, %v, want %s", got, err, want)
	}
}

// otherProtocol writes requests of a form that is not known here, or fails.
type otherProtocol struct {
	smithyhttp.ClientProtocol
	err error
}

func (p otherProtocol) SerializeRequest(_ context.Context, _ *smithy.OperationSchema, _ smithy.Serializable, r *smithyhttp.Request) error {
	other, err := r.SetStream(strings.NewReader(`{"Body":""}`))
	if err != nil {
		return err
	}
	*r = *other
	return p.err
}

// What cannot be written is an error, and nothing is sent instead.
func TestOneBufferFails(t *testing.T) {
	message := &sqs.SendMessageInput{MessageBody: aws.String("{}")}
	for name, test := range map[string]struct {
		protocol smithyhttp.ClientProtocol
		in       *sqs.SendMessageInput
	}{
		"no member for the body": {otherProtocol{}, message},
		"the SDK fails":          {otherProtocol{err: io.ErrUnexpectedEOF}, message},
		"no UTF-8":               {awsjson.New10(schemas.AmazonSQS), &sqs.SendMessageInput{MessageBody: aws.String("\xff")}},
	} {
		if got, err := serialized(t, oneBuffer{test.protocol}, test.in); err == nil {
			t.Errorf("%s: wrote %s", name, got)
		}
	}
}

// The buffer has room for the whole message from the beginning.
func TestOneBufferDoesNotGrow(t *testing.T) {
	body := strings.Repeat(`<p class="text">C:\mail</p>`, 40_000)
	protocol := oneBuffer{awsjson.New10(schemas.AmazonSQS)}
	in := &sqs.SendMessageInput{MessageBody: &body}
	r := smithyhttp.NewStackRequest().(*smithyhttp.Request)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := protocol.SerializeRequest(t.Context(), sendMessage, in, r); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	// What Go rounds up to whole pages, and the rest of the request, are a few kB.
	if got, most := after.TotalAlloc-before.TotalAlloc, uint64(r.ContentLength)+64<<10; got > most {
		t.Errorf("%d bytes of memory for a request of %d", got, r.ContentLength)
	}
}
