// Package sdkhttp works around a defect of the AWS SDK's HTTP layer (smithy-go up to
// 1.28.9, the newest at the time of writing), which loses answers on a busy machine.
//
// The SDK closes a request's body as soon as the head of the answer is there. The body
// has a method WriteTo, which then returns io.EOF as an error, while Go's transport may
// still be asking it whether there is more to send. The transport takes that for a failed
// write and closes the connection, under the answer that is being read. The SDK tries
// again, and of a ReceiveMessage the first answer's messages stay hidden, received and
// seen by nobody. Seen with 10 messages of 6 kB in one of 30 calls.
//
// Package awsconfig gives it to programs and tests; the packages of the receiver and,
// for its calls of SQS, package consumer take it themselves.
package sdkhttp

import (
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// Client returns client without the defect: the transport sees bodies that can only be
// read, and reading one that is closed ends as it should. nil is the SDK's own client,
// as it is in an aws.Config.
func Client(client aws.HTTPClient) aws.HTTPClient {
	if client == nil {
		client = awshttp.NewBuildableClient()
	}
	return plain{client}
}

type plain struct{ client aws.HTTPClient }

// Do implements [aws.HTTPClient].
func (p plain) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = struct{ io.ReadCloser }{r.Body}
	}
	return p.client.Do(r)
}
