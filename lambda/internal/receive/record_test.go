package receive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/smithy-go"

	"github.com/onepagecrm/nylas-webhooks/internal/release"
	"github.com/onepagecrm/nylas-webhooks/lambda/contract"
	"github.com/onepagecrm/nylas-webhooks/notification"
	"github.com/onepagecrm/nylas-webhooks/test/canary"
)

func TestLogLineIsFixed(t *testing.T) {
	b := newBench(t)
	b.handler.now = func() time.Time { return clock }
	b.handler.record = newRecorder(&b.log, "prod")
	b.do(post(body, secret))
	line := b.line()
	if line["timestamp"] == nil {
		t.Error("no timestamp")
	}
	delete(line, "timestamp")
	want := map[string]any{
		"level": "INFO", "msg": "request", "version": release.Version, "outcome": "Accepted", "reason": "", "status": 200.0,
		"request_id": "request-1", "notification_id": "n1", "type": "message.created", "grant_id": "g1",
		"attempt": 2.0, "bytes": float64(len(body)), "encoding": "", "milliseconds": 0.0,
		"Stage": "prod", "Accepted": 1.0, "Verified": 1.0,
		"_aws": map[string]any{
			"Timestamp": float64(clock.UnixMilli()),
			"CloudWatchMetrics": []any{map[string]any{
				"Namespace": "NylasWebhooks", "Dimensions": []any{[]any{"Stage"}},
				"Metrics": []any{map[string]any{"Name": "Accepted", "Unit": "Count"}, map[string]any{"Name": "Verified", "Unit": "Count"}},
			}},
		},
	}
	if got, want := fmt.Sprint(line), fmt.Sprint(want); got != want {
		t.Errorf("logged\n%s\nwant\n%s", got, want)
	}
}

// A smoke test is on the queue and in the log, and in no metric; a smoke test that
// fails is a failure.
func TestSmokeTestIsNoTraffic(t *testing.T) {
	b := newBench(t)
	smoke := []byte(`{"type":"smoke.test","id":"s1"}`)
	b.do(post(smoke, secret))
	line := b.line()
	if len(b.queue.sent) != 1 || line["outcome"] != "Accepted" {
		t.Errorf("%d sent, logged %v", len(b.queue.sent), line["outcome"])
	}
	for _, name := range []string{"_aws", "Accepted", "Verified"} {
		if line[name] != nil {
			t.Errorf("the line has %s", name)
		}
	}
	sqsFails(b)
	b.bucket.err = errors.New("spill to bucket: no")
	b.do(post(smoke, secret))
	if metrics := b.metricsOf(); metrics["SendFailed"] != 1 {
		t.Errorf("metrics of a smoke test that failed: %v", metrics)
	}
}

// metricsOf returns the metrics that CloudWatch would make of the last line.
func (b *bench) metricsOf() map[string]float64 {
	b.t.Helper()
	line := b.line()
	directive := line["_aws"].(map[string]any)["CloudWatchMetrics"].([]any)[0].(map[string]any)
	metrics := make(map[string]float64)
	for _, m := range directive["Metrics"].([]any) {
		name := m.(map[string]any)["Name"].(string)
		value, ok := line[name].(float64)
		if !ok {
			b.t.Errorf("metric %s has no value in the line", name)
		}
		metrics[name] = value
	}
	return metrics
}

// strangers' requests: everything somebody can send who has no secret.
func forged() map[string]events.APIGatewayProxyRequest {
	return map[string]events.APIGatewayProxyRequest{
		"no challenge":  get(nil),
		"challenge":     get(url.Values{"challenge": {"x"}}),
		"unsigned":      signed(body, ""),
		"malformed":     signed(body, "zz"),
		"wrong secret":  post(body, "guess"),
		"test event":    post(body, notification.MockSecret),
		"gzip":          compressed(body, "guess"),
		"empty secret":  post(body, ""),
		"other method":  {HTTPMethod: "DELETE"},
		"not base64":    {HTTPMethod: "POST", IsBase64Encoded: true, Body: base64OfNothing, Headers: map[string]string{"x-nylas-signature": strings.Repeat("0", 64)}},
		"5 MB of JSON":  post(bytes.Repeat([]byte(`{"a":`), 1_000_000), "guess"),
		"newline in it": signed(body, "\n{\"level\":\"ERROR\"}"),
	}
}

const base64OfNothing = ""

// Page alarms read only what a signed request or our own fault can cause.
func TestForgedRequestsMoveNoPageMetric(t *testing.T) {
	for name, event := range forged() {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.do(event)
			metrics := b.metricsOf()
			for _, m := range contract.Paging {
				if _, ok := metrics[string(m)]; ok {
					t.Errorf("moves %s", m)
				}
			}
			// Verified says whether our secret works, so only a signature that could have
			// been made with it may say no.
			verified, ok := metrics["Verified"]
			if verified != 0 || ok != (name == "wrong secret" || name == "empty secret" || name == "not base64" || name == "5 MB of JSON" || name == "gzip") {
				t.Errorf("Verified = %v, present: %v", verified, ok)
			}
			for name := range metrics {
				if !slices.Contains(contract.Metrics, contract.Metric(name)) {
					t.Errorf("metric %s is not in the contract", name)
				}
			}
			if len(b.queue.sent)+len(b.bucket.spilled)+len(b.bucket.overflow) != 0 {
				t.Error("a forged request reached the queue or the bucket")
			}
		})
	}
}

// Canaries: unique markers in everything that must never be logged.
func TestNothingPrivateIsLogged(t *testing.T) {
	var (
		inSecret  = canary.New("secret")
		inBody    = canary.New("body")
		inAddress = canary.New("address") + "@example.com"
		inHeader  = canary.New("header")
	)
	private := []byte(`{"id":"n1","type":"t","data":{"object":{"grant_id":"g1","subject":"` + inBody + `","from":[{"email":"` + inAddress + `"}]}}}`)
	genuine := post(private, inSecret)
	setups := map[string]func(*bench){
		"accepted":     func(*bench) {},
		"SQS fails":    sqsFails,
		"panic":        func(b *bench) { b.queue.send = func(context.Context) error { panic(string(private)) } },
		"panic, error": func(b *bench) { b.queue.send = func(context.Context) error { panic(errors.New(inBody)) } },
		"mismatch":     func(b *bench) { b.secrets.keys = []string{"other" + inSecret} },
	}
	for name, setup := range setups {
		for form, event := range map[string]events.APIGatewayProxyRequest{
			"genuine":            genuine,
			"body is not base64": {HTTPMethod: "POST", Body: string(private), IsBase64Encoded: true, Headers: genuine.Headers},
			"unsigned":           {HTTPMethod: "POST", Body: string(private), Headers: map[string]string{"Authorization": inHeader, "x-nylas-signature": inHeader}},
			"challenge":          get(url.Values{"challenge": {inHeader}, "x": {inBody}}),
		} {
			t.Run(name+"/"+form, func(t *testing.T) {
				b := newBench(t)
				b.secrets.keys = []string{inSecret}
				setup(b)
				b.do(event)
				if found := canary.Find(b.log.Bytes()); len(found) > 0 {
					t.Errorf("the log holds %v", found)
				}
			})
		}
	}
	t.Run("broken events", func(t *testing.T) {
		for _, payload := range []string{inBody, `{"httpMethod":"` + inBody, `{"httpMethod":"POST","body":"` + inBody + `\x"}`, `{"httpMethod":{"` + inBody + `":1}}`, `{"` + inBody + `":1}`, `{"headers":{"` + inBody + `":{}}}`, `{"` + inBody + `":}`} {
			b := newBench(t)
			b.invoke([]byte(payload))
			if found := canary.Find(b.log.Bytes()); len(found) > 0 {
				t.Errorf("the log holds %v", found)
			}
		}
	})
}

// Identifiers come from a signed body, but a line must stay a line and stay short.
func TestIdentifiersInTheLog(t *testing.T) {
	b := newBench(t)
	b.do(post([]byte(`{"id":"a\n{\"level\":\"ERROR\"}","type":"`+strings.Repeat("t", 100_000)+`"}`), secret))
	if line := b.line(); line["notification_id"] != "a\n{\"level\":\"ERROR\"}" || line["level"] != "INFO" {
		t.Errorf("logged %v at level %v", line["notification_id"], line["level"])
	}
	if b.log.Len() > 2000 {
		t.Errorf("the line has %d bytes", b.log.Len())
	}
}

// AWS's own text may echo the request, mail and all.
func TestErrorOfAWSInTheLog(t *testing.T) {
	b := newBench(t)
	b.queue.send = func(context.Context) error {
		return fmt.Errorf("send to queue: %w", &smithy.OperationError{ServiceID: "SQS", OperationName: "SendMessage",
			Err: &smithy.GenericAPIError{Code: "UnsupportedOperation", Message: strings.Repeat("the mail's subject ", 50_000)}})
	}
	b.do(post(body, secret))
	if got := b.line()["error"]; got != "send to queue: SQS SendMessage: UnsupportedOperation" || b.log.Len() > 2000 {
		t.Errorf("logged %.200v in a line of %d bytes", got, b.log.Len())
	}
}

// An identifier is cut between two characters.
func TestLongIdentifiersInTheLog(t *testing.T) {
	b := newBench(t)
	b.do(post([]byte(`{"id":"`+strings.Repeat("a", 255)+`ü"}`), secret))
	if got, want := b.line()["notification_id"], strings.Repeat("a", 255)+"…"; got != want {
		t.Errorf("logged %q", got)
	}
}

func TestIdentifierOfTheMostLogged(t *testing.T) {
	b := newBench(t)
	id := strings.Repeat("a", 256)
	b.do(post([]byte(`{"id":"`+id+`"}`), secret))
	if got := b.line()["notification_id"]; got != id {
		t.Errorf("logged %q", got)
	}
}

// Each outcome's status has its level; 500 itself is no status of ours.
// equivalent mutant: level: r.outcome.status >= 500 -> r.outcome.status > 500
// The receiver answers 200, 400, 401 and 503.
func TestLevels(t *testing.T) {
	for _, test := range []struct {
		event events.APIGatewayProxyRequest
		want  string
	}{
		{post(body, secret), "INFO"},
		{get(nil), "WARN"},            // 400
		{signed(body, "abc"), "WARN"}, // 401
		{post(body, "other"), "ERROR"},
	} {
		b := newBench(t)
		r := b.do(test.event)
		if got := b.line()["level"]; got != test.want {
			t.Errorf("%d is logged at level %v, want %s", r.StatusCode, got, test.want)
		}
	}
}

// Alarms that page read these and no others.
func TestPagingMetrics(t *testing.T) {
	want := []contract.Metric{"Accepted", "Spilled", "SecretUnavailable", "SendFailed", "Faulted"}
	if !slices.Equal(contract.Paging, want) {
		t.Errorf("Paging = %v, want %v", contract.Paging, want)
	}
}

func TestPanicSaysWhere(t *testing.T) {
	b := newBench(t)
	b.handler.queue = nil
	b.do(post(body, secret))
	text, _ := b.line()["error"].(string)
	if !strings.Contains(text, "nil pointer") || !strings.Contains(text, "handler.go") {
		t.Errorf("logged %q, want what happened and where", text)
	}
}
