package receive

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/onepagecrm/nylas-webhooks/lambda/contract"
	"github.com/onepagecrm/nylas-webhooks/notification"
)

// oddBodies are what a sender, a proxy or a bug may come with. If it is signed it is
// never refused for its shape.
func oddBodies() map[string]struct {
	body string
	want envelope
} {
	type row = struct {
		body string
		want envelope
	}
	plain := func(body string) row { return row{body: body} }
	return map[string]row{
		"empty":                  plain(""),
		"emoji, umlauts, space":  {"{ \"id\" :\t\"n\u00fc\",\r\n\"type\":\"a\\/b ☕ 👩‍🚀\" }\n", envelope{id: "nü", typ: "a/b ☕ 👩‍🚀"}},
		"escapes":                {`{"id":"\u00fc\ud83d\ude00","type":"\\\""}`, envelope{id: "ü😀", typ: `\"`}},
		"invalid UTF-8":          plain("\xff\xfe{"),
		"U+0000":                 plain("{\"a\":\"\x00\"}"),
		"U+FFFE":                 plain("{\"a\":\"\uFFFE\"}"),
		"id of broken UTF-8":     {"{\"id\":\"a\xff\",\"type\":\"t\"}", envelope{typ: "t"}},
		"id of half a surrogate": {`{"id":"a\ud800","type":"t\udfff","data":{"grant_id":"\udc00g"}}`, envelope{}},
		"id with U+FFFD":         {`{"id":"a\ufffd","type":"t"}`, envelope{typ: "t"}},
		"not JSON":               plain("<html>hello</html>"),
		"only blanks":            plain(" \n"),
		"null":                   plain("null"),
		"a number":               plain("7"),
		"a string":               plain(`"n1"`),
		"an array":               plain(`[{"id":"n1"}]`),
		"Nylas v2":               plain(`{"deltas":[{"type":"message.created","object_data":{"id":"msg1"}}]}`),
		"fields of other kinds":  plain(`{"id":5,"type":null,"webhook_delivery_attempt":"2","data":[{"grant_id":"g"}]}`),
		"grant of another kind":  {`{"id":"n1","data":{"grant_id":{"a":1},"object":{"grant_id":"g2"}}}`, envelope{id: "n1", grantID: "g2"}},
		"object of another":      {`{"id":"n1","data":{"object":"x","grant_id":"g1"}}`, envelope{id: "n1", grantID: "g1"}},
		"grant in both":          {`{"data":{"object":{"grant_id":"g2"},"grant_id":"g1"}}`, envelope{grantID: "g1"}},
		"grant too deep":         plain(`{"grant_id":"a","data":{"object":{"object":{"grant_id":"b"}}}}`),
		"negative attempt":       plain(`{"webhook_delivery_attempt":-1}`),
		"attempt 0":              plain(`{"webhook_delivery_attempt":0}`),
		"broken attempt":         {`{"id":"n1","webhook_delivery_attempt":1.}`, envelope{id: "n1"}},
		"attempt of another":     {`{"webhook_delivery_attempt":"type","id":"n1"}`, envelope{id: "n1"}},
		"name as a value":        {`{"data":{"x":"grant_id","grant_id":"g1"}}`, envelope{grantID: "g1"}},
		"huge attempt":           plain(`{"webhook_delivery_attempt":1e400}`),
		"fractional attempt":     plain(`{"webhook_delivery_attempt":1.5}`),
		"attempt after data":     {`{"data":{},"webhook_delivery_attempt":3}`, envelope{attempt: 3}},
		"breaks off":             {`{"id":"n1","type":"t","data":{"grant_id":"g1","object":{"a":[1,2`, envelope{id: "n1", typ: "t", grantID: "g1"}},
		"breaks off in a name":   {`{"id":"n1","ty`, envelope{id: "n1"}},
		"no colon":               {`{"id":"n1","type" "t"}`, envelope{id: "n1"}},
		"no value":               {`{"id":"n1","type":}`, envelope{id: "n1"}},
		"id twice":               {`{"id":"n1","id":"n2"}`, envelope{id: "n2"}},
		"more after it":          {`{"id":"n1"}{"id":"n2"}`, envelope{id: "n1"}},
		"byte order mark":        plain("\uFEFF{\"id\":\"n1\"}"),
		"nested deeply":          {`{"id":"n1","x":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + `,"type":"t"}`, envelope{id: "n1"}},
		"grant of 300":           {`{"data":{"grant_id":"` + strings.Repeat("g", 300) + `"}}`, envelope{grantID: strings.Repeat("g", 300)}},
		"grant with blanks":      {`{"data":{"grant_id":"my grant"}}`, envelope{grantID: "my grant"}},
		"1 MB":                   {`{"id":"n1","body":"` + strings.Repeat("<p>\\u00fc", 115_000) + `"}`, envelope{id: "n1"}},
	}
}

func TestSignedIsNeverRefusedForItsShape(t *testing.T) {
	for name, row := range oddBodies() {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			if r := b.do(post([]byte(row.body), secret)); r.StatusCode != 200 {
				t.Fatalf("answered %d, logged %v", r.StatusCode, b.line())
			}
			w := b.queue.sent[0]
			n := received(t, w)
			if string(n.Body) != row.body {
				t.Errorf("the queue has %d bytes, which are not the %d that were signed", len(n.Body), len(row.body))
			}
			got := envelope{n.ID, n.Type, n.GrantID, n.Attempt}
			if got != row.want {
				t.Errorf("attributes say %+v, want %+v", got, row.want)
			}
			if line := b.line(); line["bytes"] != float64(len(row.body)) {
				t.Errorf("logged %v bytes, want %d", line["bytes"], len(row.body))
			}
		})
	}
}

// API Gateway sends the body as text where a client sends no or another content type
// and the API has no matching binary media type.
func TestTextBodies(t *testing.T) {
	for name, row := range oddBodies() {
		if !utf8.ValidString(row.body) {
			continue // API Gateway cannot send it as text
		}
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			e := post([]byte(row.body), secret)
			e.Body, e.IsBase64Encoded = row.body, false
			if r := b.do(e); r.StatusCode != 200 {
				t.Fatalf("answered %d, logged %v", r.StatusCode, b.line())
			}
			if got := received(t, b.queue.sent[0]).Body; string(got) != row.body {
				t.Errorf("the queue has %d bytes, which are not the %d that were signed", len(got), len(row.body))
			}
		})
	}
}

// 5 MB is more than Nylas sends (1 MB) and more than API Gateway hands on. If one came
// and fits when compressed, it is kept like any other.
func TestFiveMegabytes(t *testing.T) {
	b := newBench(t)
	if r := b.do(post(bytes.Repeat([]byte("a"), 5_000_000), secret)); r.StatusCode != 200 || len(b.queue.sent) != 1 {
		t.Errorf("answered %d, %d sent", r.StatusCode, len(b.queue.sent))
	}
}

func TestEventsThatAreNotAPIGateways(t *testing.T) {
	for name, payload := range map[string]string{
		"empty":              "",
		"not JSON":           "hello",
		"an array":           "[]",
		"null":               "null",
		"a test event":       `{"key1":"value1"}`,
		"HTTP API version 2": `{"version":"2.0","rawPath":"/nylas","requestContext":{"http":{"method":"POST"}}}`,
		"an SQS event":       `{"Records":[]}`,
		"method is a number": `{"httpMethod":1}`,
		"body is an object":  `{"httpMethod":"POST","body":{}}`,
		"body is not base64": `{"httpMethod":"POST","body":"%%%","isBase64Encoded":true}`,
		"header is a list":   `{"httpMethod":"POST","headers":{"a":["b"]}}`,
		"breaks off":         `{"httpMethod":"POST","body":"a`,
		"body is no UTF-8":   "{\"httpMethod\":\"POST\",\"body\":\"a\xff\"}",
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			r := b.invoke([]byte(payload))
			if line := b.line(); r.StatusCode != 503 || line["reason"] != string(contract.ReasonBadEvent) || line["error"] == "" {
				t.Errorf("answered %d, logged %v: %v", r.StatusCode, line["reason"], line["error"])
			}
		})
	}
}

// What could not be read is said by its kind.
func TestBrokenEventInTheLog(t *testing.T) {
	for payload, want := range map[string]string{
		"hello": "decode event: invalid JSON (*jsontext.SyntacticError)",
		"{\"httpMethod\":\"POST\",\"body\":\"a\xff\"}": "decode event's body: invalid JSON (*jsontext.SyntacticError)",
	} {
		b := newBench(t)
		b.invoke([]byte(payload))
		if got := b.line()["error"]; got != want {
			t.Errorf("%q: logged %q, want %q", payload, got, want)
		}
	}
}

// A GET has no body, or null.
func TestEventWithoutABody(t *testing.T) {
	for _, body := range []string{``, `,"body":null`, `,"body":""`} {
		b := newBench(t)
		if r := b.invoke([]byte(`{"httpMethod":"GET","queryStringParameters":{"challenge":"abc"}` + body + `}`)); r.StatusCode != 200 || r.Body != "abc" {
			t.Errorf("%s: answered %d, logged %v", body, r.StatusCode, b.line())
		}
	}
}

func TestEventDetails(t *testing.T) {
	signature := notification.Sign(secret, []byte("{}")).String()
	for name, event := range map[string]string{
		"null query and multi-value headers": `{"httpMethod":"POST","headers":{"X-Nylas-Signature":"%s"},"multiValueHeaders":null,"queryStringParameters":null,"body":"{}","isBase64Encoded":false}`,
		"escaped slashes in base64":          `{"httpMethod":"POST","headers":{"X-Nylas-Signature":"%s"},"body":"e3\u0030=","isBase64Encoded":true}`,
		"unknown members":                    `{"version":"9","httpMethod":"POST","new":{"a":[1]},"headers":{"X-Nylas-Signature":"%s"},"body":"{}"}`,
		"a member twice":                     `{"httpMethod":"GET","httpMethod":"POST","headers":{"X-Nylas-Signature":"%s"},"body":"{}"}`,
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			if r := b.invoke([]byte(fmt.Sprintf(event, signature))); r.StatusCode != 200 {
				t.Errorf("answered %d, logged %v", r.StatusCode, b.line())
			}
		})
	}
	if base64.StdEncoding.EncodeToString([]byte("{}")) != "e30=" {
		t.Fatal("the row's base64 is wrong")
	}
}
