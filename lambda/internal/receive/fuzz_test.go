package receive

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"github.com/onepagecrm/nylas-webhooks/notification/samples"
)

// Any event: an answer that API Gateway understands, never a panic that was not
// caught (it is logged as one), never 200 to a POST without a message on the queue.
func FuzzEvent(f *testing.F) {
	for _, e := range []events.APIGatewayProxyRequest{post(body, secret), signed(body, ""), get(map[string][]string{"challenge": {"x"}}), compressed(body, secret)} {
		payload, err := json.Marshal(e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(payload)
	}
	f.Add([]byte(`{"httpMethod":"POST","body":"\ud800","headers":null}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		b := newBench(t)
		r := b.invoke(payload)
		line := b.line()
		if line["reason"] == "panic" {
			t.Fatalf("panic: %v", line["error"])
		}
		switch r.StatusCode {
		case 200:
			if line["outcome"] == "Accepted" && len(b.queue.sent) != 1 {
				t.Fatal("200 without a message on the queue")
			}
		case 400, 401, 503:
		default:
			t.Fatalf("answered %d", r.StatusCode)
		}
	})
}

// Any body: accepted exactly when it is signed with the secret, and
// then the queue has the same bytes.
func FuzzBody(f *testing.F) {
	for _, s := range samples.All() {
		f.Add(s.Body, false)
	}
	f.Add([]byte("\x00\xff"), true)
	f.Fuzz(func(t *testing.T, body []byte, forge bool) {
		if len(body) > 500_000 {
			return // larger ones may be refused for their size
		}
		key, want := secret, 200
		if forge {
			key, want = "guess", 503
		}
		b := newBench(t)
		if r := b.do(post(body, key)); r.StatusCode != want {
			t.Fatalf("answered %d, want %d", r.StatusCode, want)
		}
		if !forge && !bytes.Equal(received(t, b.queue.sent[0]).Body, body) {
			t.Fatal("the queue has other bytes than were signed")
		}
	})
}

// The body that is read from an event is the one that encoding/json reads.
func FuzzDecodeBody(f *testing.F) {
	f.Add("{}", true)
	f.Add("ü\u2028\x00\\\"", false)
	f.Fuzz(func(t *testing.T, text string, isBase64 bool) {
		payload, err := json.Marshal(events.APIGatewayProxyRequest{HTTPMethod: "POST", Body: text, IsBase64Encoded: isBase64})
		if err != nil {
			t.Fatal(err)
		}
		var reference events.APIGatewayProxyRequest
		if err := json.Unmarshal(payload, &reference); err != nil {
			t.Fatal(err)
		}
		want := []byte(reference.Body)
		if isBase64 {
			if want, err = base64.StdEncoding.DecodeString(reference.Body); err != nil {
				want = nil
			}
		}
		e, decodeErr := decodeEvent(payload)
		if (decodeErr != nil) != (err != nil) {
			t.Fatalf("decodeEvent = %v, encoding/json and base64 = %v", decodeErr, err)
		}
		if decodeErr == nil && !bytes.Equal(e.body, want) {
			t.Fatalf("body = %q, want %q", e.body, want)
		}
	})
}

// The envelope is what encoding/json finds, wherever that finds one.
func FuzzEnvelope(f *testing.F) {
	for _, s := range samples.All() {
		f.Add(s.Body)
	}
	for _, row := range oddBodies() {
		if len(row.body) < 1000 {
			f.Add([]byte(row.body))
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got := readEnvelope(body)
		var want map[string]any
		if json.Unmarshal(body, &want) != nil {
			return
		}
		if id, _ := want["id"].(string); got.id != id {
			t.Errorf("id = %q, encoding/json says %q", got.id, id)
		}
		if typ, _ := want["type"].(string); got.typ != typ {
			t.Errorf("type = %q, encoding/json says %q", got.typ, typ)
		}
	})
}
