// Package suspects says what was done to a body or a signature that does not verify,
// by undoing, one after the other, what editors, shells, proxies and JSON libraries do.
//
// hookctl verify calls it. It decides nothing: a body that verifies only after a
// change here does not verify.
package suspects

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
)

// Signature says what a signature that cannot be parsed looks like; "" if like nothing
// known. The sentence does not hold it.
func Signature(signature string) string {
	text := strings.TrimSpace(signature)
	if raw, err := base64.StdEncoding.DecodeString(text); err == nil && len(raw) == 32 {
		return "It looks like base64 of 32 bytes; Nylas sends hex."
	}
	text = strings.TrimPrefix(strings.ToLower(text), "sha256=")
	if _, err := hex.DecodeString(text); err == nil || len(text) == 63 {
		return fmt.Sprintf("It has %d hex digits; was it cut when it was copied?", len(text))
	}
	return ""
}

// Body says what turns body into what was signed; "" if nothing here does.
func Body(body []byte, verifies func([]byte) bool) string {
	for _, s := range []struct {
		undo func([]byte) []byte
		says string
	}{
		{func(b []byte) []byte { return bytes.TrimRight(b, "\r\n") }, "Without the newline at its end it verifies: an editor or the shell added it. Save the exact bytes."},
		{func(b []byte) []byte { return append(bytes.Clone(b), '\n') }, "With a newline at its end it verifies: it was cut off when the body was saved."},
		{func(b []byte) []byte { return bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")) }, "Without the byte order mark at its start it verifies: an editor added it."},
		{func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")) }, "With the line ends of Unix it verifies: they were changed when the body was saved."},
		{func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n")) }, "With the line ends of Windows it verifies: they were changed when the body was saved."},
		{compact, "Written without blanks it verifies: the JSON was parsed and written again. Verify the bytes as they arrive."},
		{func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("/"), []byte(`\/`)) }, "With escaped slashes it verifies: the JSON was parsed and written again. Verify the bytes as they arrive."},
		{func(b []byte) []byte { return bytes.ReplaceAll(b, []byte(`\/`), []byte("/")) }, "Without the escaped slashes it verifies: the JSON was parsed and written again. Verify the bytes as they arrive."},
		{unescaped, "With its characters as they are it verifies: they were escaped when the JSON was written again. Verify the bytes as they arrive."},
		{decoded, "Decoded from base64 it verifies: API Gateway hands binary bodies over that way (isBase64Encoded)."},
	} {
		if candidate := s.undo(body); candidate != nil && verifies(candidate) {
			return s.says
		}
	}
	return ""
}

func compact(body []byte) []byte {
	var out bytes.Buffer
	if json.Compact(&out, body) != nil {
		return nil
	}
	return out.Bytes()
}

// unescaped writes the JSON again without escapes, keys in their order.
func unescaped(body []byte) []byte {
	out := compact(body)
	for _, pair := range [][2]string{{`\u003c`, "<"}, {`\u003e`, ">"}, {`\u0026`, "&"}} { // encoding/json's habit
		out = bytes.ReplaceAll(out, []byte(pair[0]), []byte(pair[1]))
	}
	return out
}

func decoded(body []byte) []byte {
	out, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(body)))
	if err != nil {
		return nil
	}
	return out
}
