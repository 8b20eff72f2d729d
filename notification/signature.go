package notification

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
)

// SignatureHeader is the HTTP header in which Nylas sends the signature; Nylas
// writes it in either case.
// https://developer.nylas.com/docs/v3/notifications/
const SignatureHeader = "X-Nylas-Signature"

// MockSecret is the public constant with which Nylas signs the events of its test
// button (POST /v3/webhooks/send-test-event). Anybody can sign with it: it must
// never be stored as a secret, and what verifies under it is not genuine.
// https://developer.nylas.com/docs/reference/api/webhook-notifications/
const MockSecret = "mock-webhook-secret" //nolint:gosec // public by design, and refused

var (
	// ErrMalformedSignature: the signature is missing or not 64 hex digits, so it
	// is not from Nylas, whatever the secret.
	ErrMalformedSignature = errors.New("signature is not 64 hex digits")
	// ErrMismatch: the signature is well formed and matches none of the secrets.
	ErrMismatch = errors.New("signature matches no secret")
	// ErrNoSecret: there is nothing to verify with.
	ErrNoSecret = errors.New("no secret to verify with")
)

// Signature is the HMAC-SHA256 of a request body under a webhook secret.
type Signature [sha256.Size]byte

// String returns the form Nylas sends: 64 lower-case hex digits.
func (s Signature) String() string { return hex.EncodeToString(s[:]) }

// Equal compares in a time that does not depend on where the two differ.
func (s Signature) Equal(other Signature) bool { return hmac.Equal(s[:], other[:]) }

// Sign returns the signature that Nylas would send for body under secret. The key
// is the secret's UTF-8 text as it is, not what it might decode to.
func Sign(secret string, body []byte) Signature {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return Signature(mac.Sum(nil))
}

// ParseSignature reads a signature header's value. It takes what Nylas's own
// command line takes as well: blanks around it, a "sha256=" prefix, upper case.
// Everything else is [ErrMalformedSignature].
func ParseSignature(header string) (Signature, error) {
	text := strings.TrimSpace(header)
	const prefix = "sha256="
	if len(text) >= len(prefix) && strings.EqualFold(text[:len(prefix)], prefix) {
		text = strings.TrimSpace(text[len(prefix):])
	}
	var s Signature
	if len(text) != hex.EncodedLen(len(s)) {
		return Signature{}, ErrMalformedSignature
	}
	if _, err := hex.Decode(s[:], []byte(text)); err != nil {
		return Signature{}, ErrMalformedSignature
	}
	return s, nil
}

// Verify reports whether header is the signature of body under one of the secrets.
// body must be the exact bytes that were received: JSON that was parsed and written
// again has another signature. The comparison takes the same time wherever the
// bytes differ. Secrets that keep nobody out (see [MayVerify]) are passed over; with no
// other, it is [ErrNoSecret].
func Verify(body []byte, header string, secrets ...string) error {
	signature, err := ParseSignature(header)
	if err != nil {
		return err
	}
	return signature.Verify(body, secrets...)
}

// Verify is [Verify] for a signature that was already parsed.
func (s Signature) Verify(body []byte, secrets ...string) error {
	_, err := Match(body, []Signature{s}, secrets...)
	return err
}

// IsTestEvent tells whether one of the signatures is the body's under the public
// [MockSecret]: the event is of Nylas's test button, or anybody's.
func IsTestEvent(body []byte, signatures ...Signature) bool {
	return slices.ContainsFunc(signatures, Sign(MockSecret, body).Equal)
}

// Match returns that of the signatures which is the body's under one of the secrets that
// [MayVerify]; with any other secret anybody could sign. Each secret is tried once, however many
// signatures a stranger sends. The errors are [ErrNoSecret], where there is no secret
// that may verify, and [ErrMismatch].
func Match(body []byte, signatures []Signature, secrets ...string) (Signature, error) {
	err := ErrNoSecret
	for _, secret := range secrets {
		if !MayVerify(secret) {
			continue
		}
		want := Sign(secret, body)
		if slices.ContainsFunc(signatures, want.Equal) {
			return want, nil
		}
		err = ErrMismatch
	}
	return Signature{}, err
}
