package suspects

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

func TestBody(t *testing.T) {
	const signed = `{"a":"ü/","b":"<x>"}`
	for _, test := range []struct{ name, signed, body, want string }{
		{"newline added", signed, signed + "\n", "Without the newline"},
		{"newline lost", signed + "\n", signed, "With a newline"},
		{"byte order mark", signed, "\xef\xbb\xbf" + signed, "byte order mark"},
		{"line ends of Windows", "{\n}", "{\r\n}", "line ends of Unix"},
		{"line ends of Unix", "{\r\n}", "{\n}", "line ends of Windows"},
		{"indented", signed, "{\n  \"a\": \"ü/\",\n  \"b\": \"<x>\"\n}", "written again, for people to read"},
		{"slashes unescaped", `{"a":"x\/y"}`, `{"a":"x/y"}`, "written again. Verify"},
		{"json_encode", signed, `{"a":"\u00fc\/","b":"<x>"}`, "PHP's json_encode"},
		{"json_encode with JSON_UNESCAPED_UNICODE", signed, `{"a":"ü\/","b":"<x>"}`, "PHP's json_encode"},
		{"encoding/json", signed, `{"a":"ü/","b":"\u003cx\u003e"}`, "Go's encoding/json"},
		{"json.dumps", signed, `{"a": "\u00fc/", "b": "<x>"}`, "Python's json.dumps"},
		{"json.dumps with separators", signed, `{"a":"\u00fc/","b":"<x>"}`, "written again. Verify"},
		{"json.dumps, beyond 16 bits", `{"a":"😀","b":1}`, `{"a": "\ud83d\ude00", "b": 1}`, "Python's json.dumps"},
		{"json.dumps of what encoding/json wrote", `{"a":"ü\u0026","b":"\u2028\"\\\n"}`, `{"a": "\u00fc&", "b": "\u2028\"\\\n"}`, "Python's json.dumps"},
		{"JSON.stringify of what json_encode wrote", `{"a":"\u00fc\/"}`, `{"a":"ü/"}`, "written again. Verify"},
		{"a string of JSON", signed, `"{\"a\":\"ü/\",\"b\":\"<x>\"}"` + "\n", "Without the quotes"},
		{"between a shell's quotes", signed, `'` + signed + `'`, "Without the quotes"},
		{"the queue's form", signed, packed(t, signed), "gzip and base64"},
		{"packed", signed, string(decoded([]byte(packed(t, signed)))), "Unpacked from gzip"},
		{"a Lambda event", signed, `{"httpMethod":"POST","body":"{\"a\":\"ü/\",\"b\":\"<x>\"}","isBase64Encoded":false}`, "whole event"},
		{"a Lambda event, binary", signed, `{"body":"` + base64.StdEncoding.EncodeToString([]byte(signed)) + `","isBase64Encoded":true}`, "whole event"},
		{"a message of SQS", signed, `{"MessageId":"1","Body":"{\"a\":\"ü/\",\"b\":\"<x>\"}"}`, "whole event"},
		{"a pointer to S3", signed, `["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"b","s3Key":"k"}]`, "where in S3"},
		{"base64", signed, base64.StdEncoding.EncodeToString([]byte(signed)), "base64"},
		{"another body", signed, `{"a":1}`, ""},
		{"no JSON", signed, `{"a":"\`, ""},
		{"nothing", signed, "", ""},
	} {
		got := Body([]byte(test.body), func(b []byte) bool { return bytes.Equal(b, []byte(test.signed)) })
		if test.want == "" && got != "" || !strings.Contains(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

// packed is body as it travels on the queue where SQS would not take it as it is.
func packed(t *testing.T, body string) string {
	t.Helper()
	wire, err := notification.Wire{Body: body}.Compress()
	if err != nil {
		t.Fatal(err)
	}
	return wire.Body
}

func TestSignature(t *testing.T) {
	good := strings.Repeat("0a", 32)
	for signature, want := range map[string]string{
		good + good:                        "two signatures in one",
		good + ", " + good:                 "two signatures in one",
		good + "," + strings.ToUpper(good): "two signatures in one",
		"X-Nylas-Signature: " + good:       "header's name",
		`"` + good + `"`:                   "It has quotes",
		good[1:]:                           "63 hex digits",
		"sha256=" + good[2:]:               "62 hex digits",
		"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=": "Nylas sends hex",
		"nonsense": "",
		"":         "",
	} {
		got := Signature(signature)
		if want == "" && got != "" && signature != "" || !strings.Contains(got, want) || signature != "" && strings.Contains(got, good[1:]) {
			t.Errorf("%q: %q, want %q", signature, got, want)
		}
	}
}
