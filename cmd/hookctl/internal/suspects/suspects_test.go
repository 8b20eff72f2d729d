package suspects

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"
)

func TestBody(t *testing.T) {
	const signed = `{"a":"ü/","b":"<x>"}`
	for _, test := range []struct{ name, signed, body, want string }{
		{"newline added", signed, signed + "\n", "Without the newline"},
		{"newline lost", signed + "\n", signed, "With a newline"},
		{"byte order mark", signed, "\xef\xbb\xbf" + signed, "byte order mark"},
		{"line ends of Windows", "{\n}", "{\r\n}", "line ends of Unix"},
		{"line ends of Unix", "{\r\n}", "{\n}", "line ends of Windows"},
		{"indented", signed, "{\n  \"a\": \"ü/\",\n  \"b\": \"<x>\"\n}", "Written without blanks"},
		{"slashes unescaped", `{"a":"x\/y"}`, `{"a":"x/y"}`, "With escaped slashes"},
		{"slashes escaped", `{"a":"x/y"}`, `{"a":"x\/y"}`, "Without the escaped slashes"},
		{"angle brackets escaped", signed, `{"a":"ü/","b":"\u003cx\u003e"}`, "they were escaped"},
		{"base64", signed, base64.StdEncoding.EncodeToString([]byte(signed)), "base64"},
		{"another body", signed, `{"a":1}`, ""},
	} {
		got := Body([]byte(test.body), func(b []byte) bool { return bytes.Equal(b, []byte(test.signed)) })
		if test.want == "" && got != "" || !strings.Contains(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}
