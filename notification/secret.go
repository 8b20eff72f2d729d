package notification

import (
	"errors"
	"fmt"
	"strings"
)

// minSecret, in characters. Nylas's secrets have 20; what is shorter than 8 was cut off
// on its way, and could be guessed.
const minSecret = 8

// ErrNotASecret: the value cannot be a webhook secret that Nylas made.
var ErrNotASecret = errors.New("not a webhook secret of Nylas")

// CheckSecret returns nil for a value that can be a webhook secret of Nylas: at least 8
// printable ASCII characters, without blanks, quotes or braces, as in
// 41dD3-nXTUfebYuk81Gr. Nylas does not document the form, so CheckSecret refuses only
// what comes from storing it wrong. The error is [ErrNotASecret] and says what is wrong,
// never the value.
// https://developer.nylas.com/docs/reference/api/webhook-notifications/
func CheckSecret(value string) error {
	wrong := ""
	switch {
	case value == "":
		wrong = "it is empty"
	case value == MockSecret:
		wrong = "it is the public key of Nylas's test events; store the webhook's own"
	case strings.ContainsAny(value, "\r\n"):
		wrong = "it has more than one line; store the secret alone"
	case strings.HasPrefix(value, "{") || strings.HasPrefix(value, "["):
		wrong = "it looks like JSON; store the value of webhook_secret alone"
	case strings.ContainsAny(value, "\"'`"):
		wrong = "it has quotes; store the secret without them"
	case strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' }):
		wrong = "it has blanks or characters that are not ASCII; store the secret alone"
	case !MayVerify(value):
		wrong = fmt.Sprintf("it has fewer than %d characters; store the whole secret", minSecret)
	}
	if wrong == "" {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrNotASecret, wrong)
}

// MayVerify tells whether a secret keeps strangers out: it is not empty, not the public
// [MockSecret], and has at least 8 characters. [Match] passes over any other.
func MayVerify(secret string) bool { return len(secret) >= minSecret && secret != MockSecret }
