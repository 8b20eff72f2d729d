package receive

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/aws/aws-lambda-go/events"
	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/onepagecrm/nylas-webhooks/notification"
	"github.com/onepagecrm/nylas-webhooks/notification/samples"
)

// Any event, whatever fails: an answer that API Gateway understands, never a panic that
// was not caught (it is logged as one); 200 to a challenge, which is echoed, or to what
// is signed and kept, once; and nothing else is kept.
func FuzzEvent(f *testing.F) {
	for _, e := range []events.APIGatewayProxyRequest{post(body, secret), post(body, "guess"), signed(body, ""), get(map[string][]string{"challenge": {"x"}}), compressed(body, secret)} {
		payload, err := json.Marshal(e)
		if err != nil {
			f.Fatal(err)
		}
		for _, fails := range []int{0, noQueue, noBucket, noQueue | noBucket} {
			f.Add(payload, fails)
		}
	}
	f.Add([]byte(`{"httpMethod":"POST","body":"\ud800","headers":null}`), 0)
	f.Fuzz(func(t *testing.T, payload []byte, fails int) {
		b := newBench(t)
		if fails&noQueue != 0 {
			sqsFails(b)
		}
		if fails&noBucket != 0 {
			b.bucket.err = errors.New("S3 is down")
		}
		r := b.invoke(payload)
		line := b.line()
		if line["reason"] == "panic" {
			t.Fatalf("panic: %v", line["error"])
		}
		kept := slices.Concat(b.queue.sent, b.bucket.spilled)
		switch r.StatusCode {
		case 200:
			if len(kept) == 0 {
				isChallenge(t, payload, r.Body)
			} else if n := received(t, kept[0]); len(kept) != 1 || !hmac.Equal(n.Signature[:], reference(n.Body)) {
				t.Fatalf("200, %d kept, and the first is not signed", len(kept))
			}
		case 400, 401, 503:
			if len(kept) > 0 {
				t.Fatalf("answered %d to what is kept", r.StatusCode)
			}
		default:
			t.Fatalf("answered %d", r.StatusCode)
		}
	})
}

// What fails in a fuzzed event.
const (
	noQueue = 1 << iota
	noBucket
)

// reference is the signature as RFC 2104 has it.
func reference(body []byte) []byte {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return mac.Sum(nil)
}

// isChallenge fails where the event is no GET, or its challenge is not what was
// answered.
func isChallenge(t *testing.T, payload []byte, answer string) {
	t.Helper()
	var e struct {
		Method string              `json:"httpMethod"`
		Query  map[string]string   `json:"queryStringParameters"`
		Multi  map[string][]string `json:"multiValueQueryStringParameters"`
	}
	if err := jsonv2.Unmarshal(payload, &e, lenient); err != nil || e.Method != "GET" {
		t.Fatalf("200 to a %q that is not kept (%v)", e.Method, err)
	}
	if answer == "" || e.Query["challenge"] != answer && !slices.Contains(e.Multi["challenge"], answer) {
		t.Fatalf("the challenge is answered %q", answer)
	}
}

// The signature header is found whatever its case, in either map, and no other is
// taken for it.
func FuzzHeader(f *testing.F) {
	f.Add("X-Nylas-Signature", "a", "x-nylas-signature", "b")
	f.Add("x-NYLAS-signaturE", "a, b", "X-Nylas-Signature2", "c")
	f.Add("Nylas-Signature", "", "X-NYLAS-SIGNATURE", " a ,,a")
	f.Fuzz(func(t *testing.T, name, value, multiName, multiValue string) {
		e := event{Headers: map[string]string{name: value}, MultiValueHeaders: map[string][]string{multiName: {multiValue}}}
		want := map[string]bool{}
		for name, values := range map[string]string{name: value, multiName: multiValue} {
			if strings.ContainsFunc(name, func(r rune) bool { return r > unicode.MaxASCII }) {
				return // no header of HTTP
			}
			if strings.ToLower(name) != "x-nylas-signature" {
				continue
			}
			for _, one := range strings.Split(values, ",") {
				if one = strings.TrimSpace(one); one != "" {
					want[one] = true
				}
			}
		}
		if name == multiName { // the two stand in one map here
			return
		}
		got := e.header(notification.SignatureHeader)
		for _, one := range got {
			if !want[one] {
				t.Errorf("%q is no value, or stands there twice", one)
			}
			delete(want, one)
		}
		if len(want) > 0 {
			t.Errorf("not found: %v in %v", want, got)
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

// The envelope is what encoding/json finds, wherever that finds one, and, where no name
// stands twice, the grant and the attempt are what another decoder finds.
func FuzzEnvelope(f *testing.F) {
	for _, s := range samples.All() {
		f.Add(s.Body)
	}
	for _, row := range oddBodies() {
		if len(row.body) < 1000 {
			f.Add([]byte(row.body))
		}
	}
	f.Add([]byte(`{"webhook_delivery_attempt":9223372036854775808}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		got := readEnvelope(body)
		var want map[string]any
		if json.Unmarshal(body, &want) != nil {
			return
		}
		clean := func(value any) string {
			text, _ := value.(string)
			if strings.Contains(text, "\ufffd") { // encoding/json's sign for what is no text
				return ""
			}
			return text
		}
		if id := clean(want["id"]); got.id != id {
			t.Errorf("id = %q, encoding/json says %q", got.id, id)
		}
		if typ := clean(want["type"]); got.typ != typ {
			t.Errorf("type = %q, encoding/json says %q", got.typ, typ)
		}
		var once map[string]jsontext.Value
		if jsonv2.Unmarshal(body, &once) != nil { // it refuses a name that stands twice
			return
		}
		attempt, err := strconv.ParseUint(string(once["webhook_delivery_attempt"]), 10, 63)
		if err != nil { // it gives the largest number that there is
			attempt = 0
		}
		if got.attempt != int(attempt) {
			t.Errorf("attempt = %d, want %d", got.attempt, attempt)
		}
		data, _ := want["data"].(map[string]any)
		object, _ := data["object"].(map[string]any)
		grant := clean(data["grant_id"])
		if grant == "" {
			grant = clean(object["grant_id"])
		}
		if got.grantID != grant {
			t.Errorf("grant = %q, encoding/json says %q", got.grantID, grant)
		}
	})
}
