package receive

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/onepagecrm/nylas-webhooks/lambda/contract"
	"github.com/onepagecrm/nylas-webhooks/lambda/internal/secretstore"
	"github.com/onepagecrm/nylas-webhooks/lambda/internal/sqsqueue"
	"github.com/onepagecrm/nylas-webhooks/notification"
	"github.com/onepagecrm/nylas-webhooks/notification/samples"
)

// answered is a request, and what the status contract says of it.
type answered struct {
	name   string
	event  events.APIGatewayProxyRequest
	setup  func(*bench)
	status int
	metric contract.Metric
	reason contract.Reason
	sent   int
}

// statusContract is the whole status contract of docs/architecture.md, as far as the
// function answers.
func statusContract() []answered {
	unavailable := errors.New("Secrets Manager: timeout")
	return []answered{
		{name: "challenge", event: get(url.Values{"challenge": {"abc"}}), status: 200, metric: contract.Challenged},
		{name: "challenge without secret and queue", event: get(url.Values{"challenge": {"abc"}}), setup: func(b *bench) {
			b.handler.secrets, b.handler.queue, b.handler.bucket = nil, nil, nil
		}, status: 200, metric: contract.Challenged},
		{name: "no challenge", event: get(nil), status: 400, metric: contract.Refused, reason: contract.ReasonNoChallenge},
		{name: "empty challenge", event: get(url.Values{"challenge": {""}}), status: 400, metric: contract.Refused, reason: contract.ReasonNoChallenge},
		{name: "long challenge", event: get(url.Values{"challenge": {strings.Repeat("a", 1025)}}), status: 400, metric: contract.Refused, reason: contract.ReasonBadChallenge},
		{name: "two challenges", event: get(url.Values{"challenge": {"a", "b"}}), status: 400, metric: contract.Refused, reason: contract.ReasonBadChallenge},
		{name: "other method", event: events.APIGatewayProxyRequest{HTTPMethod: "PUT"}, status: 400, metric: contract.Refused, reason: contract.ReasonBadMethod},

		{name: "accepted", event: post(body, secret), status: 200, metric: contract.Accepted, sent: 1},
		{name: "accepted, rotated", event: post(body, "new secret"), setup: func(b *bench) { b.secrets.rotated = []string{"new secret", secret} }, status: 200, metric: contract.Accepted, sent: 1},
		{name: "accepted, previous secret", event: post(body, secret), setup: func(b *bench) { b.secrets.keys = []string{"new secret", secret} }, status: 200, metric: contract.Accepted, sent: 1},
		{name: "accepted, Secrets Manager down", event: post(body, secret), setup: func(b *bench) { b.secrets.err = unavailable }, status: 200, metric: contract.Accepted, sent: 1},

		{name: "no signature", event: signed(body, ""), status: 401, metric: contract.Refused, reason: contract.ReasonNoSignature},
		{name: "malformed signature", event: signed(body, "abc"), status: 401, metric: contract.Refused, reason: contract.ReasonMalformedSignature},
		{name: "test event", event: post(body, notification.MockSecret), status: 401, metric: contract.TestEvent, reason: contract.ReasonTestEvent},
		{name: "test event before a secret is stored", event: post(body, notification.MockSecret), setup: func(b *bench) {
			b.secrets.keys, b.secrets.err = nil, secretstore.ErrNotStored
		}, status: 401, metric: contract.TestEvent, reason: contract.ReasonTestEvent},

		{name: "mismatch", event: post(body, "other"), status: 503, metric: contract.Mismatch, reason: contract.ReasonMismatch},
		{name: "mismatch, Secrets Manager down", event: post(body, "other"), setup: func(b *bench) { b.secrets.err = unavailable }, status: 503, metric: contract.Mismatch, reason: contract.ReasonMismatch},
		{name: "compressed delivery, unpacked on the way", event: compressed(body, secret), status: 503, metric: contract.CompressedDelivery, reason: contract.ReasonCompressedDelivery},
		{name: "no secret", event: post(body, secret), setup: func(b *bench) {
			b.secrets.keys, b.secrets.err = nil, fmt.Errorf("read secret: %w", secretstore.ErrNotStored)
		}, status: 503, metric: contract.NoSecret, reason: contract.ReasonNoSecret},
		{name: "secret unavailable", event: post(body, secret), setup: func(b *bench) {
			b.secrets.keys, b.secrets.err = nil, unavailable
		}, status: 503, metric: contract.SecretUnavailable, reason: contract.ReasonSecretUnavailable},

		{name: "SQS fails", event: post(body, secret), setup: sqsFails, status: 200, metric: contract.Spilled, reason: contract.ReasonSpilled},
		{name: "SQS and S3 fail", event: post(body, secret), setup: func(b *bench) {
			sqsFails(b)
			b.bucket.err = errors.New("spill to bucket: 503")
		}, status: 503, metric: contract.SendFailed, reason: contract.ReasonSendFailed},
		{name: "too large", event: post(noise(), secret), status: 200, metric: contract.Accepted, sent: 1},
		{name: "too large, SQS fails", event: post(noise(), secret), setup: sqsFails, status: 200, metric: contract.Spilled, reason: contract.ReasonSpilled},
		{name: "too large, S3 fails", event: post(noise(), secret), setup: func(b *bench) {
			b.bucket.err = errors.New("put overflow into bucket: 503")
		}, status: 503, metric: contract.SendFailed, reason: contract.ReasonTooLarge},
		{name: "panic", event: post(body, secret), setup: func(b *bench) {
			b.queue.send = func(context.Context) error { panic("a body with an address") }
		}, status: 503, metric: contract.Faulted, reason: contract.ReasonPanic},
		{name: "panic of the runtime", event: post(body, secret), setup: func(b *bench) { b.handler.queue = nil }, status: 503, metric: contract.Faulted, reason: contract.ReasonPanic},
	}
}

func TestStatusContract(t *testing.T) {
	seen := make(map[outcome]bool)
	for _, tt := range statusContract() {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			if tt.setup != nil {
				tt.setup(b)
			}
			r := b.do(tt.event)
			line := b.line()
			if r.StatusCode != tt.status || line["outcome"] != string(tt.metric) || line["reason"] != string(tt.reason) {
				t.Errorf("answered %d, logged %v %v; want %d, %v %v", r.StatusCode, line["outcome"], line["reason"], tt.status, tt.metric, tt.reason)
			}
			if line["status"] != float64(tt.status) || line[string(tt.metric)] != 1.0 {
				t.Errorf("the log line says status %v and %v = %v", line["status"], tt.metric, line[string(tt.metric)])
			}
			if len(b.queue.sent) != tt.sent {
				t.Errorf("%d messages sent, want %d", len(b.queue.sent), tt.sent)
			}
			if r.StatusCode != 200 && r.Body != "" {
				t.Errorf("the refusal says %q to a stranger", r.Body)
			}
			seen[outcome{tt.reason, tt.metric, tt.status}] = true
		})
	}
	for _, o := range []outcome{challenged, accepted, spilled, noChallenge, badChallenge, badMethod, noSignature, malformedSignature, testEvent, mismatch, compressedDelivery, noSecret, secretUnavailable, sendFailed, tooLarge, panicked} {
		if !seen[o] {
			t.Errorf("no row for %v", o)
		}
	}
}

func sqsFails(b *bench) {
	b.queue.send = func(context.Context) error { return errors.New("send to queue: 503") }
}

// noise is a body that no compression makes small enough for SQS.
func noise() []byte {
	noise := make([]byte, 800_000) // base64 of it is just too large
	_, _ = rand.NewChaCha8([32]byte{}).Read(noise)
	return noise
}

// What SQS refuses for its contents is sent encoded, and only spilled if that fails.
func TestRefusedContentIsEncoded(t *testing.T) {
	b := newBench(t)
	sends := 0
	b.queue.send = func(context.Context) error {
		if sends++; sends == 1 {
			return fmt.Errorf("send to queue: %w", sqsqueue.ErrRefused)
		}
		return nil
	}
	if r := b.do(post(body, secret)); r.StatusCode != 200 || len(b.queue.sent) != 1 || len(b.bucket.spilled) != 0 {
		t.Fatalf("answered %d, %d sent, %d spilled", r.StatusCode, len(b.queue.sent), len(b.bucket.spilled))
	}
	if w := b.queue.sent[0]; w.Attributes["content_encoding"].Value != "gzip+base64" || !bytes.Equal(received(t, w).Body, body) {
		t.Errorf("sent as %q", w.Attributes["content_encoding"].Value)
	}
	if line := b.line(); line["encoding"] != "gzip+base64" {
		t.Errorf("logged as encoded by %v", line["encoding"])
	}
	b.queue.send = func(context.Context) error { return fmt.Errorf("send to queue: %w", sqsqueue.ErrRefused) }
	if r := b.do(post(body, secret)); r.StatusCode != 200 || len(b.bucket.spilled) != 1 {
		t.Fatalf("refused for good: answered %d, %d spilled", r.StatusCode, len(b.bucket.spilled))
	}
	// SQS would refuse the plain one at every replay.
	if w := b.bucket.spilled[0]; w.Attributes["content_encoding"].Value != "gzip+base64" || !bytes.Equal(received(t, w).Body, body) {
		t.Errorf("spilled as %q", w.Attributes["content_encoding"].Value)
	}
}

// A mail of quotes is within SQS's limit for a message and beyond the one for its HTTP
// request, so it is compressed before it is sent.
func TestMailOfQuotes(t *testing.T) {
	b := newBench(t)
	quotes := []byte(`{"id":"n1","data":{"object":{"body":"` + strings.Repeat(`\"`, 450_000) + `"}}}`)
	if r := b.do(post(quotes, secret)); r.StatusCode != 200 || len(b.queue.sent) != 1 {
		t.Fatalf("answered %d, %d sent", r.StatusCode, len(b.queue.sent))
	}
	if w := b.queue.sent[0]; w.Attributes["content_encoding"].Value != "gzip+base64" || !bytes.Equal(received(t, w).Body, quotes) {
		t.Errorf("sent as %q", w.Attributes["content_encoding"].Value)
	}
}

// A store that hands out a key which keeps nobody out lets nobody in all the same.
func TestWeakKeysLetNobodyIn(t *testing.T) {
	for _, weak := range []string{"", "x", notification.MockSecret} {
		b := newBench(t)
		b.secrets.keys = []string{weak}
		if r := b.do(post(body, weak)); r.StatusCode == 200 || len(b.queue.sent) > 0 {
			t.Errorf("%q: answered %d, %d sent", weak, r.StatusCode, len(b.queue.sent))
		}
	}
}

// Of several signatures the message carries the one that verified.
func TestSignatureAttribute(t *testing.T) {
	good, other := notification.Sign(secret, body), notification.Sign("another secret", body)
	b := newBench(t)
	e := post(body, secret)
	e.Headers = map[string]string{"x-nylas-signature": other.String() + ", " + good.String()}
	if r := b.do(e); r.StatusCode != 200 || received(t, b.queue.sent[0]).Signature != good {
		t.Errorf("answered %d, sent with another signature than the one that verified", r.StatusCode)
	}
}

// What is spilled is the message that SQS would have got.
func TestSpilledMessageIsWhole(t *testing.T) {
	for name, body := range map[string][]byte{"small": body, "too large": noise()} {
		ok, down := newBench(t), newBench(t)
		sqsFails(down)
		ok.do(post(body, secret))
		down.do(post(body, secret))
		if len(down.bucket.spilled) != 1 || !reflect.DeepEqual(down.bucket.spilled[0], ok.queue.sent[0]) {
			t.Errorf("%s: %d spilled, or another message than is sent", name, len(down.bucket.spilled))
		}
		if line := down.line(); line["level"] != "WARN" || line["error"] == nil {
			t.Errorf("%s: logged at %v: %v", name, line["level"], line["error"])
		}
	}
}

// The queue gets a pointer, the bucket the body; together they are the notification.
func TestOverflow(t *testing.T) {
	b := newBench(t)
	b.do(post(noise(), secret))
	sent := b.queue.sent[0]
	p, ok, err := notification.ParsePointer(sent.Body, map[string]string{"ExtendedPayloadSize": sent.Attributes["ExtendedPayloadSize"].Value})
	if !ok || err != nil || p.Key != "overflow/request-1" {
		t.Fatalf("pointer %v, %v, %v", p, ok, err)
	}
	sent.Body = b.bucket.overflow[0].Body
	if !bytes.Equal(received(t, sent).Body, noise()) {
		t.Error("other bytes than were signed")
	}
}

func compressed(body []byte, key string) events.APIGatewayProxyRequest {
	e := signed(body, notification.Sign(key, append([]byte{0x1f, 0x8b}, body...)).String())
	e.Headers["content-encoding"] = "gzip"
	return e
}

// Where a body is still compressed (another gateway, or none), it verifies.
func TestCompressedBodyThatWasNotUnpacked(t *testing.T) {
	b := newBench(t)
	s := samples.Compressed()
	b.secrets.keys = []string{samples.Secret}
	e := signed(s.Body, s.Signature)
	e.Headers["Content-Encoding"] = "gzip"
	if r := b.do(e); r.StatusCode != 200 {
		t.Fatalf("answered %d", r.StatusCode)
	}
	if got := received(t, b.queue.sent[0]).Body; !bytes.Equal(got, s.Body) {
		t.Error("the queue has other bytes than were signed")
	}
}

// received reads a message as a consumer would.
func received(t *testing.T, w notification.Wire) notification.Notification {
	t.Helper()
	values := make(map[string]string)
	for name, a := range w.Attributes {
		values[name] = a.Value
	}
	n, err := notification.Decode(w.Body, values)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestSamplesReachTheQueue(t *testing.T) {
	b := newBench(t)
	b.secrets.keys = []string{samples.Secret}
	for _, s := range samples.All() {
		b.queue.sent = nil
		if r := b.do(signed(s.Body, s.Signature)); r.StatusCode != 200 || r.Body != "" {
			t.Errorf("%s: answered %d %q", s.Name, r.StatusCode, r.Body)
			continue
		}
		var want struct {
			ID      string
			Type    string
			Attempt int `json:"webhook_delivery_attempt"`
			Data    struct {
				GrantID string `json:"grant_id"`
				Object  struct {
					GrantID string `json:"grant_id"`
				}
			}
		}
		if err := json.Unmarshal(s.Body, &want); err != nil {
			t.Fatal(err)
		}
		grant := want.Data.GrantID + want.Data.Object.GrantID
		if want.Data.GrantID == want.Data.Object.GrantID {
			grant = want.Data.GrantID
		}
		n := received(t, b.queue.sent[0])
		if !bytes.Equal(n.Body, s.Body) || n.ID != want.ID || n.Type != want.Type || n.Attempt != want.Attempt || n.GrantID != grant ||
			n.Signature.String() != s.Signature || n.RequestID != "request-1" || !n.ReceivedAt.Equal(clock) || n.ID == "" || n.GrantID == "" {
			t.Errorf("%s: received %+v", s.Name, n)
		}
	}
}

func TestChallengeIsEchoedExactly(t *testing.T) {
	for _, challenge := range []string{
		"abc", `"quoted"`, "<script>alert(1)</script>", "a b+c&d=e%20", "żółć ☕", strings.Repeat("ü", 1024), "\r\nSet-Cookie: a=b", " ", "\x00",
	} {
		b := newBench(t)
		r := b.do(get(url.Values{"challenge": {challenge}}))
		want := map[string]string{"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
		if r.StatusCode != 200 || r.Body != challenge || r.IsBase64Encoded || !maps.Equal(r.Headers, want) {
			t.Errorf("%q: answered %d %q %v", challenge, r.StatusCode, r.Body, r.Headers)
		}
	}
	b := newBench(t)
	if r := b.do(get(url.Values{"challenge": {"twice", "twice"}})); r.StatusCode != 200 || r.Body != "twice" {
		t.Errorf("the same challenge twice: answered %d %q", r.StatusCode, r.Body)
	}
}

// What a signature may look like, and what costs a read of the secret.
func TestSignatureHeader(t *testing.T) {
	good := notification.Sign(secret, body).String()
	other := notification.Sign("other", body).String()
	tests := []struct {
		name    string
		headers map[string]string
		multi   map[string][]string
		status  int
	}{
		{"lower case", map[string]string{"x-nylas-signature": good}, nil, 200},
		{"as documented", map[string]string{"X-Nylas-Signature": good}, nil, 200},
		{"upper case", map[string]string{"X-NYLAS-SIGNATURE": strings.ToUpper(good)}, nil, 200},
		{"only in multiValueHeaders", nil, map[string][]string{"X-nylas-Signature": {good}}, 200},
		{"prefix and blanks", map[string]string{"x-nylas-signature": "  sha256=" + good + " "}, nil, 200},
		{"twice the same", map[string]string{"x-nylas-signature": good}, map[string][]string{"x-nylas-signature": {good, good}}, 200},
		{"joined by a proxy", map[string]string{"x-nylas-signature": other + ", " + good}, nil, 200},
		{"two different, the second is good", nil, map[string][]string{"x-nylas-signature": {other, good}}, 200},
		{"a malformed one beside it", nil, map[string][]string{"x-nylas-signature": {"abc", good}}, 200},
		{"two wrong ones", nil, map[string][]string{"x-nylas-signature": {other, strings.Repeat("0", 64)}}, 503},
		{"63 digits", map[string]string{"x-nylas-signature": good[:63]}, nil, 401},
		{"base64", map[string]string{"x-nylas-signature": base64.StdEncoding.EncodeToString([]byte(good[:32]))}, nil, 401},
		{"empty", map[string]string{"x-nylas-signature": " "}, nil, 401},
		{"null headers", nil, nil, 401},
		{"another header", map[string]string{"x-nylas-signatures": good}, nil, 401},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			e := post(body, secret)
			e.Headers, e.MultiValueHeaders = tt.headers, tt.multi
			if tt.status == 401 {
				b.handler.secrets = nil // a read would panic
			}
			if r := b.do(e); r.StatusCode != tt.status {
				t.Errorf("answered %d, want %d", r.StatusCode, tt.status)
			}
		})
	}
}

// A body that was announced as gzip and is none was unpacked on the way.
func TestUnpacked(t *testing.T) {
	for content, want := range map[string]contract.Metric{
		"":                contract.CompressedDelivery,
		"\x1f":            contract.CompressedDelivery,
		"\x1f\x8b":        contract.Mismatch,
		"\x1f\x8b\x08":    contract.Mismatch,
		"\x1f.......":     contract.CompressedDelivery,
		".\x8b.......":    contract.CompressedDelivery,
		"{\"id\":\"n1\"}": contract.CompressedDelivery,
		"\x1f\x8b......":  contract.Mismatch,
	} {
		b := newBench(t)
		b.do(compressed([]byte(content), "other"))
		if got := b.line()["outcome"]; got != string(want) {
			t.Errorf("%q: %v, want %s", content, got, want)
		}
	}
}

// Without a secret nothing can be said of the body.
func TestUnpackedWithoutASecret(t *testing.T) {
	b := newBench(t)
	b.secrets.keys, b.secrets.err = nil, secretstore.ErrNotStored
	b.do(compressed(body, "other"))
	if got := b.line()["outcome"]; got != string(contract.NoSecret) {
		t.Errorf("outcome %v", got)
	}
	if b.secrets.refreshes != 0 {
		t.Errorf("%d reads of what was read just now", b.secrets.refreshes)
	}
}

// What the log says of a mismatch: nothing, or that a rotated secret could not be read.
func TestMismatchInTheLog(t *testing.T) {
	b := newBench(t)
	b.do(post(body, "other"))
	if got, found := b.line()["error"]; found {
		t.Errorf("logged %v", got)
	}
	b = newBench(t)
	b.secrets.refreshErr = errors.New("read secret: timeout")
	b.do(post(body, "other"))
	if got, want := b.line()["error"], "look for a rotated secret: read secret: timeout"; got != want {
		t.Errorf("logged %v, want %q", got, want)
	}
}

// A body that S3 does not take either is logged with how it would have travelled.
func TestOverflowThatFailsInTheLog(t *testing.T) {
	b := newBench(t)
	b.bucket.err = errors.New("S3: timeout")
	b.do(post(noise(), secret))
	if line := b.line(); line["encoding"] != "gzip+base64" || line["outcome"] == string(contract.Accepted) {
		t.Errorf("logged %v with encoding %v", line["outcome"], line["encoding"])
	}
}

func TestMismatchRefreshesOnce(t *testing.T) {
	b := newBench(t)
	b.do(post(body, "other"))
	if b.secrets.refreshes != 1 {
		t.Errorf("%d refreshes, want 1", b.secrets.refreshes)
	}
	b.do(post(body, secret))
	b.do(post(body, notification.MockSecret))
	if b.secrets.refreshes != 1 {
		t.Errorf("%d refreshes, want no further one for a good signature or a test event", b.secrets.refreshes)
	}
}

func TestDeadline(t *testing.T) {
	b := newBench(t)
	var left time.Duration
	b.queue.send = func(ctx context.Context) error {
		deadline, _ := ctx.Deadline()
		left = time.Until(deadline)
		return nil
	}
	b.do(post(body, secret))
	if left > 7500*time.Millisecond || left < 6*time.Second {
		t.Errorf("the handler has %v, want 7.5 s", left)
	}
}
