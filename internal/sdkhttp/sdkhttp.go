// Package sdkhttp is how this project's programs speak HTTP to AWS: what the SDK does by
// default loses answers, or believes those of others. Package awsconfig gives it to
// programs and tests; the packages of the receiver and, for its calls of SQS, package
// consumer take it themselves.
//
// # No redirects
//
// Go's client follows redirects and makes a GET of a PUT on the way. Any page with an
// ETag would then tell that S3 has the object, and after a 307 the mail itself would go
// to whoever was named. The regional endpoints used here redirect nobody, so an answer
// that does comes from something between, and is an error.
//
// # Answers stay whole
//
// smithy-go (up to 1.28.9, the newest at the time of writing) loses answers on a busy
// machine. The SDK closes a request's body as soon as the head of the answer is there. The body
// has a method WriteTo, which then returns io.EOF as an error, while Go's transport may
// still be asking it whether there is more to send. The transport takes that for a failed
// write and closes the connection, under the answer that is being read. The SDK tries
// again, and of a ReceiveMessage the first answer's messages stay hidden, received and
// seen by nobody. Seen with 10 messages of 6 kB in one of 30 calls.
package sdkhttp

import (
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// ErrRedirected: the answer came from another address than the one that was asked.
var ErrRedirected = errors.New("the request was redirected, which AWS does not do here (is a proxy or a captive portal between?)")

// Client returns client so that it follows no redirect and keeps answers whole. nil is
// the SDK's own client, as it is in an aws.Config.
func Client(client aws.HTTPClient) aws.HTTPClient {
	switch c := client.(type) {
	case nil:
		return Client(awshttp.NewBuildableClient())
	case plain:
		return c
	case *http.Client:
		if c.CheckRedirect == nil { // it would follow all of them
			direct := *c
			direct.CheckRedirect = answerItself
			return plain{&direct}
		}
	}
	return plain{client}
}

// answerItself makes the redirect the answer, which is an error to the SDK.
func answerItself(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Own returns an HTTP client for one AWS service in a Lambda function; timeout bounds
// one try, the answer's body included. Lambda freezes the process between requests, for
// minutes, while AWS and what is between close or forget its connections. Over HTTP/1.1
// a connection that does not answer costs one try and is gone; over HTTP/2 all tries of
// the same request would go over it.
func Own(timeout time.Duration) *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Protocols = new(http.Protocols)
	transport.Protocols.SetHTTP1(true)
	// The clone would still offer HTTP/2 to the server, which then speaks it to a client that does not.
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
	return &http.Client{Transport: transport, Timeout: timeout, CheckRedirect: answerItself}
}

// Within is [Client] for a program with a deadline of its own: the header by which AWS
// asks for a longer wait is taken off. The SDK would wait up to 5 s, whatever bound its
// retryer was given.
// https://github.com/aws/aws-sdk-go-v2/blob/main/aws/retry/middleware.go
func Within(client aws.HTTPClient) aws.HTTPClient { return unhurried{Client(client)} }

// Tries returns the retryer that goes with it: n tries of one call, with at most longest
// between two of them, after a throttle too, where the SDK would wait up to 1 s. It has
// no bucket of retries, which would be empty after an outage.
// https://docs.aws.amazon.com/sdk-for-go/v2/developer-guide/configure-retries-timeouts.html
func Tries(n int, longest time.Duration) aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = n
		o.MaxBackoff = longest
		o.RateLimiter = ratelimit.None
	})
}

type unhurried struct{ client aws.HTTPClient }

// Do implements [aws.HTTPClient].
func (p unhurried) Do(r *http.Request) (*http.Response, error) {
	answer, err := p.client.Do(r)
	if answer != nil {
		answer.Header.Del("X-Amz-Retry-After")
	}
	return answer, err
}

type plain struct{ client aws.HTTPClient }

// Do implements [aws.HTTPClient].
func (p plain) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil && r.Body != http.NoBody {
		// The transport sees a body that can only be read, and reading one that is closed
		// ends as it should.
		r.Body = struct{ io.ReadCloser }{r.Body}
	}
	r.GetBody = nil // without it no client sends a body a second time, after a redirect by 307 or 308
	answer, err := p.client.Do(r)
	// The SDK's own client follows those for what has no body.
	if err == nil && answer.Request != nil && answer.Request.URL.String() != r.URL.String() {
		_ = answer.Body.Close()
		return nil, ErrRedirected
	}
	return answer, err
}
