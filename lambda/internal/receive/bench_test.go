package receive

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/onepagecrm/nylas-webhooks/notification"
)

const secret = "41dD3-nXTUfebYuk81Gr"

// fakeSecrets has the keys that are cached, and those that another read would find.
type fakeSecrets struct {
	keys, rotated []string
	err           error
	refreshErr    error
	refreshes     int
}

func (f *fakeSecrets) Keys(context.Context) ([]string, error) { return f.keys, f.err }
func (f *fakeSecrets) Refresh(context.Context) ([]string, error) {
	f.refreshes++
	if f.rotated != nil {
		f.keys = f.rotated
	}
	return f.keys, cmp.Or(f.refreshErr, f.err)
}

// fakeQueue keeps what was sent.
type fakeQueue struct {
	sent []notification.Wire
	send func(ctx context.Context) error
}

func (f *fakeQueue) Send(ctx context.Context, w notification.Wire) error {
	if f.send != nil {
		if err := f.send(ctx); err != nil {
			return err
		}
	}
	f.sent = append(f.sent, w)
	return nil
}

// fakeBucket keeps what was spilled and what overflowed.
type fakeBucket struct {
	spilled  []notification.Wire
	overflow []notification.Wire
	err      error
}

func (f *fakeBucket) Spill(_ context.Context, w notification.Wire, _ time.Time, _ string) error {
	if f.err != nil {
		return f.err
	}
	f.spilled = append(f.spilled, w)
	return nil
}

func (f *fakeBucket) Overflow(_ context.Context, w notification.Wire, id string) (notification.Wire, error) {
	if f.err != nil {
		return notification.Wire{}, f.err
	}
	f.overflow = append(f.overflow, w)
	return w.Overflow(notification.Pointer{Bucket: "bucket", Key: "overflow/" + id})
}

// bench is a Handler and what it works with.
type bench struct {
	t       *testing.T
	secrets *fakeSecrets
	queue   *fakeQueue
	bucket  *fakeBucket
	log     bytes.Buffer
	handler *Handler
}

var clock = time.Date(2026, 11, 24, 20, 30, 0, 123e6, time.UTC)

func newBench(t *testing.T) *bench {
	b := &bench{t: t, secrets: &fakeSecrets{keys: []string{secret}}, queue: &fakeQueue{}, bucket: &fakeBucket{}}
	b.handler = New(b.secrets, b.queue, b.bucket, "prod", &b.log, func() time.Time { return clock })
	return b
}

// do sends an event as API Gateway writes it (aws-lambda-go's own type) and returns
// the answer.
func (b *bench) do(e events.APIGatewayProxyRequest) events.APIGatewayProxyResponse {
	b.t.Helper()
	payload, err := json.Marshal(e)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.invoke(payload)
}

func (b *bench) invoke(payload []byte) events.APIGatewayProxyResponse {
	b.t.Helper()
	b.log.Reset()
	answer, err := b.handler.Invoke(b.t.Context(), payload)
	if err != nil {
		b.t.Fatalf("Invoke returned an error, which API Gateway answers with 502: %v", err)
	}
	var r events.APIGatewayProxyResponse
	d := json.NewDecoder(bytes.NewReader(answer))
	d.DisallowUnknownFields() // API Gateway answers 502 to a member that it does not know
	if err := d.Decode(&r); err != nil {
		b.t.Fatalf("the answer %q is not API Gateway's: %v", answer, err)
	}
	return r
}

// line returns the one log line of the last request.
func (b *bench) line() map[string]any {
	b.t.Helper()
	if n := bytes.Count(b.log.Bytes(), []byte("\n")); n != 1 {
		b.t.Fatalf("%d log lines, want 1:\n%s", n, b.log.Bytes())
	}
	var line map[string]any
	if err := json.Unmarshal(b.log.Bytes(), &line); err != nil {
		b.t.Fatalf("log line is not JSON: %v", err)
	}
	return line
}

// post is a signed POST as API Gateway hands it on with binaryMediaTypes */*.
func post(body []byte, key string) events.APIGatewayProxyRequest {
	return signed(body, notification.Sign(key, body).String())
}

func signed(body []byte, signature string) events.APIGatewayProxyRequest {
	headers := map[string]string{"Content-Type": "application/json", "x-nylas-signature": signature}
	e := events.APIGatewayProxyRequest{
		HTTPMethod: "POST", Path: "/nylas", Headers: headers, MultiValueHeaders: map[string][]string{},
		Body: base64.StdEncoding.EncodeToString(body), IsBase64Encoded: true,
		RequestContext: events.APIGatewayProxyRequestContext{RequestID: "set by the caller", ExtendedRequestID: "request-1"},
	}
	for name, value := range headers {
		e.MultiValueHeaders[name] = []string{value}
	}
	return e
}

func get(query url.Values) events.APIGatewayProxyRequest {
	e := events.APIGatewayProxyRequest{HTTPMethod: "GET", Path: "/nylas", MultiValueQueryStringParameters: query, QueryStringParameters: map[string]string{}}
	for name, values := range query {
		e.QueryStringParameters[name] = values[len(values)-1]
	}
	return e
}

var body = []byte(`{"specversion":"1.0","type":"message.created","id":"n1","webhook_delivery_attempt":2,"data":{"object":{"grant_id":"g1","subject":"S"}}}`)
