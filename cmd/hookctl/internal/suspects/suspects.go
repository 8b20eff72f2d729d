// Package suspects says what was done to a body or a signature that does not verify,
// by undoing what editors, shells, proxies and JSON libraries do.
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

	"github.com/onepagecrm/nylas-webhooks/notification"
)

// Signature says what a signature that cannot be parsed looks like; "" if like nothing
// known. The sentence does not hold it.
func Signature(signature string) string {
	text := strings.ToLower(strings.TrimSpace(signature))
	if name := strings.ToLower(notification.SignatureHeader) + ":"; strings.HasPrefix(text, name) {
		return "It begins with the header's name. Give what follows the colon."
	}
	if several(text) {
		return "It is two signatures in one, as a proxy makes of a header that came twice. Give one of them."
	}
	if raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(signature)); err == nil && len(raw) == 32 {
		return "It looks like base64 of 32 bytes; Nylas sends hex."
	}
	text = strings.Trim(strings.TrimPrefix(text, "sha256="), `"'`)
	switch _, err := hex.DecodeString(text); {
	case err == nil && len(text) == 64:
		return "It has quotes. Give it without them."
	case err == nil || len(text) == 63:
		return fmt.Sprintf("It has %d hex digits; was it cut when it was copied?", len(text))
	}
	return ""
}

// several tells whether text is signatures, with commas or blanks between them or nothing.
func several(text string) bool {
	parts := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ';' || r == ' ' })
	if len(parts) == 1 && len(text) == 128 {
		parts = []string{text[:64], text[64:]}
	}
	for _, part := range parts {
		if _, err := notification.ParseSignature(part); err != nil {
			return false
		}
	}
	return len(parts) > 1
}

const exactBytes = " Verify the bytes as they arrive."

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
		{unquoted, "Without the quotes around it it verifies: the body was saved as a string of a program or a shell. Save the exact bytes."},
		{field, "It is a whole event or message, and its body verifies. Save the value of that field alone."},
		{fromQueue, "Unpacked from gzip and base64 it verifies: large bodies travel so on the queue (attribute " + notification.AttrEncoding + "). Verify what package notification decodes."},
		{decoded, "Decoded from base64 it verifies: API Gateway hands binary bodies over that way (isBase64Encoded)."},
		{func(b []byte) []byte { return fromQueue([]byte(base64.StdEncoding.EncodeToString(b))) }, "Unpacked from gzip it verifies: something packed it after it was signed."},
	} {
		if candidate := s.undo(body); candidate != nil && verifies(candidate) {
			return s.says
		}
	}
	if _, is, err := notification.ParsePointer(string(body), map[string]string{notification.AttrPayloadSize: "1"}); is && err == nil {
		return "It is not the body but says where in S3 that is. hookctl dlq show --body fetches it for a dead letter."
	}
	for _, candidate := range rewritten(body) {
		if verifies(candidate) {
			return "With blanks and escapes as Nylas writes them it verifies: the JSON was parsed and written again" + by(body) + "." + exactBytes
		}
	}
	return ""
}

// unquoted is the body that was saved as a JSON string, or between the quotes of a shell.
func unquoted(body []byte) []byte {
	text := bytes.TrimSpace(body)
	var inner string
	if json.Unmarshal(text, &inner) == nil {
		return []byte(inner)
	}
	if n := len(text); n > 1 && text[0] == text[n-1] && (text[0] == '\'' || text[0] == '"') {
		return text[1 : n-1]
	}
	return nil
}

// field is the body in a Lambda event ("body") or a message of SQS ("Body").
func field(body []byte) []byte {
	var outer struct {
		Body            *string `json:"body"` // encoding/json does not mind the capital
		IsBase64Encoded bool    `json:"isBase64Encoded"`
	}
	if json.Unmarshal(body, &outer) != nil || outer.Body == nil {
		return nil
	}
	if outer.IsBase64Encoded {
		return decoded([]byte(*outer.Body))
	}
	return []byte(*outer.Body)
}

// fromQueue unpacks gzip+base64.
func fromQueue(body []byte) []byte {
	n, err := notification.Decode(strings.TrimSpace(string(body)), map[string]string{
		notification.AttrContractVersion: notification.ContractVersion, notification.AttrEncoding: notification.EncodingGzipBase64,
	})
	if err != nil {
		return nil
	}
	return n.Body
}

func decoded(body []byte) []byte {
	out, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(body)))
	if err != nil {
		return nil
	}
	return out
}
