package e2e

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/onepagecrm/nylas-webhooks/notification"
	"github.com/onepagecrm/nylas-webhooks/notification/samples"
)

// What is signed is never refused for its shape, and arrives byte for byte.
func TestBytes(t *testing.T) {
	for name, body := range map[string][]byte{
		"emoji, umlauts, escaped slashes, odd whitespace": []byte("{ \"id\" :\t\"Zo\u00eb\",\r\n\"type\":\"a\\/b \u2615 \U0001F469\u200D\U0001F680\", \"x\":\"\\u00fc\"  }\n"),
		"control characters":                              []byte("{\"id\":\"a\",\"x\":\"\x01\x1f\x7f\"}"),
		"U+0000":                                          []byte("{\"id\":\"a\",\"x\":\"\x00\"}"),
		"U+FFFE":                                          []byte("{\"id\":\"a\",\"x\":\"\uFFFE\"}"),
		"invalid UTF-8":                                   []byte("{\"id\":\"\xff\xfe\xc3\x28\"}"),
		"not JSON":                                        []byte("<html>no</html>"),
		"a JSON array":                                    []byte(`[{"id":"a"},{"id":"b"}]`),
		"empty":                                           {},
		"one line feed":                                   []byte("\n"),
		"byte order mark":                                 []byte("\uFEFF{}"),
		"gzip":                                            samples.Compressed().Body,
		"1 MB of text":                                    note{Text: strings.Repeat("Zoë, hello. ", 75_000)}.json(),
		"5 MB of text":                                    note{Text: strings.Repeat("Zoë, hello. ", 385_000)}.json(),
		"JSON nested 10,000":                              []byte(`{"x":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + `}`),
		"grant of 300":                                    note{Grant: strings.Repeat("xyz", 100)}.json(),
		"grant with blanks":                               note{Grant: " my grant "}.json(),
		"grant with an emoji":                             note{Grant: "☕"}.json(),
	} {
		t.Run(name, func(t *testing.T) {
			n := decoded(t, sys.received(t, sys.deliver(t, body)))
			if !bytes.Equal(n.Body, body) {
				t.Errorf("the queue has %d bytes, which are not the %d that were signed", len(n.Body), len(body))
			}
			if err := notification.Verify(n.Body, n.Signature.String(), sys.secret(t)); err != nil {
				t.Errorf("the consumer cannot verify it: %v", err)
			}
		})
	}
}

func TestContentTypes(t *testing.T) {
	for _, contentType := range []string{"application/json; charset=utf-8", "application/cloudevents+json", "text/plain; charset=iso-8859-1", "application/octet-stream", ""} {
		t.Run(contentType, func(t *testing.T) {
			body := note{Text: "Zoë ☕"}.json()
			signature := sign(sys.secret(t), body)
			header := http.Header{notification.SignatureHeader: {signature}}
			if contentType != "" {
				header.Set("Content-Type", contentType)
			}
			if got := sys.send(t, http.MethodPost, sys.url, body, header); got.status != http.StatusOK {
				t.Fatalf("answered %d, want 200", got.status)
			}
			if n := decoded(t, sys.received(t, signature)); !bytes.Equal(n.Body, body) {
				t.Error("the queue has other bytes")
			}
		})
	}
}
