package notification_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/onepagecrm/nylas-webhooks/notification"
	"github.com/onepagecrm/nylas-webhooks/notification/samples"
)

// The vector of Nylas's own Java SDK: it pins the algorithm, independently of ours.
// https://github.com/nylas/nylas-java/blob/4bf077295ca638d5e9ad868c55c68f9582e7e54c/src/test/kotlin/com/nylas/util/WebhookRequestValidatorTest.kt
const (
	vectorSecret    = "UfZWFrkjsbg5bxLbax-y"
	vectorSignature = "a4534f7e68dcd54f0621f7539ddd5a0d14a9a46ace9b68a4cfd9c99b4b6b89cc"
	vectorBody      = `{"specversion":"1.0","type":"grant.deleted","source":"/nylas/system","id":"Kkx2QQB7TWjWM3KXRQQn562394","time":1717162394,"webhook_delivery_attempt":1,"data":{"application_id":"a7966b5a-9bc2-44b7-9895-4e2b281ce6be","object":{"code":25013,"grant_id":"4c22c3c5-d163-48b6-ad95-45fedc879683","integration_id":"b7dd6e6e-af6a-463b-92fa-be35c2683f5c","metric":1934,"provider":"google"}}}`
)

func TestSignGivesTheVectorOfNylas(t *testing.T) {
	if got := notification.Sign(vectorSecret, []byte(vectorBody)).String(); got != vectorSignature {
		t.Errorf("Sign = %s, want %s", got, vectorSignature)
	}
}

func TestSamplesVerify(t *testing.T) {
	all := append(samples.All(), samples.Compressed())
	if len(all) != 11 {
		t.Fatalf("%d samples, want 11", len(all))
	}
	for _, s := range all {
		if err := notification.Verify(s.Body, s.Signature, samples.Secret); err != nil {
			t.Errorf("%s: %v", s.Name, err)
		}
	}
}

// Each row takes the valid request and changes one thing.
func TestVerify(t *testing.T) {
	const good = vectorSignature
	tests := []struct {
		name    string
		body    string
		header  string
		secrets []string
		want    error
	}{
		{name: "as it is"},
		{name: "upper case", header: strings.ToUpper(good)},
		{name: "prefix", header: "sha256=" + good},
		{name: "prefix in upper case", header: "SHA256=" + strings.ToUpper(good)},
		{name: "blanks around", header: " \t" + good + " "},
		{name: "blanks around and a prefix", header: " sha256= " + good + " "},
		{name: "second secret", secrets: []string{"another secret", vectorSecret}},
		{name: "an empty secret before the right one", secrets: []string{"", vectorSecret}},

		{name: "empty header", header: "", want: notification.ErrMalformedSignature},
		{name: "63 digits", header: good[:63], want: notification.ErrMalformedSignature},
		{name: "65 digits", header: good + "0", want: notification.ErrMalformedSignature},
		{name: "not hex", header: "g" + good[1:], want: notification.ErrMalformedSignature},
		{name: "base64", header: "pFNPfmjc1U8GIfdTnd1aDRSppGrOm2ikz9nJm0tric==", want: notification.ErrMalformedSignature},
		{name: "prefix twice", header: "sha256=sha256=" + good, want: notification.ErrMalformedSignature},
		{name: "another prefix", header: "sha512=" + good, want: notification.ErrMalformedSignature},
		{name: "blank inside", header: good[:32] + " " + good[33:], want: notification.ErrMalformedSignature},
		{name: "last digit", header: good[:63] + "d", want: notification.ErrMismatch},
		{name: "first digit", header: "b" + good[1:], want: notification.ErrMismatch},
		{name: "one byte more", body: vectorBody + "\n", want: notification.ErrMismatch},
		{name: "one byte less", body: vectorBody[:len(vectorBody)-1], want: notification.ErrMismatch},
		{name: "no body", body: "-", want: notification.ErrMismatch},
		{name: "secret with a blank", secrets: []string{vectorSecret + " "}, want: notification.ErrMismatch},
		{name: "no secret", secrets: []string{}, want: notification.ErrNoSecret},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			body, header, secrets := vectorBody, tt.header, tt.secrets
			if tt.body != "" {
				body = strings.TrimPrefix(tt.body, "-")
			}
			if header == "" && !errors.Is(tt.want, notification.ErrMalformedSignature) {
				header = good
			}
			if secrets == nil {
				secrets = []string{vectorSecret}
			}
			if err := notification.Verify([]byte(body), header, secrets...); !errors.Is(err, tt.want) {
				t.Errorf("Verify = %v, want %v", err, tt.want)
			}
		})
	}
}

// These sign like any other key, and anybody has or guesses them.
func TestWeakSecretNeverVerifies(t *testing.T) {
	body := []byte(vectorBody)
	for _, weak := range []string{"", "x", vectorSecret[:7], notification.MockSecret} {
		signature := notification.Sign(weak, body)
		if err := notification.Verify(body, signature.String(), weak); !errors.Is(err, notification.ErrNoSecret) {
			t.Errorf("Verify with the secret %q = %v, want %v", weak, err, notification.ErrNoSecret)
		}
		if err := notification.Verify(body, signature.String(), weak, vectorSecret); !errors.Is(err, notification.ErrMismatch) {
			t.Errorf("Verify with the secrets %q and another = %v, want %v", weak, err, notification.ErrMismatch)
		}
	}
	if err := notification.Verify(body, notification.Sign(vectorSecret[:8], body).String(), vectorSecret[:8]); err != nil {
		t.Errorf("eight characters: %v", err)
	}
}

func TestIsTestEvent(t *testing.T) {
	body := []byte(vectorBody)
	mock, good := notification.Sign("mock-webhook-secret", body), notification.Sign(vectorSecret, body)
	if !notification.IsTestEvent(body, good, mock) || notification.IsTestEvent(body, good) || notification.IsTestEvent(body) || notification.IsTestEvent([]byte("{}"), mock) {
		t.Error("a test event is one whose signature is the body's under mock-webhook-secret, and no other")
	}
}

// The one that verified is returned, not the first that was sent.
func TestMatch(t *testing.T) {
	body := []byte(vectorBody)
	good, other := notification.Sign(vectorSecret, body), notification.Sign("another secret", body)
	if got, err := notification.Match(body, []notification.Signature{other, good}, "a third secret", vectorSecret); got != good || err != nil {
		t.Errorf("Match = %v, %v, want the second", got, err)
	}
	for _, signatures := range [][]notification.Signature{nil, {other}} {
		if got, err := notification.Match(body, signatures, vectorSecret); got != (notification.Signature{}) || !errors.Is(err, notification.ErrMismatch) {
			t.Errorf("Match = %v, %v, want ErrMismatch", got, err)
		}
	}
}

func FuzzParseSignature(f *testing.F) {
	f.Add(vectorSignature)
	f.Add("sha256=" + vectorSignature)
	f.Add(" " + strings.ToUpper(vectorSignature) + "\r\n")
	f.Add("sha256=")
	f.Add("")
	f.Add("sha256=\v" + vectorSignature)
	f.Add(vectorSignature + "00")
	f.Add(vectorSignature[:62])
	f.Fuzz(func(t *testing.T, header string) {
		s, err := notification.ParseSignature(header)
		form := signatureForm.FindStringSubmatch(strings.TrimSpace(header))
		if form == nil {
			if !errors.Is(err, notification.ErrMalformedSignature) {
				t.Fatalf("ParseSignature(%q): %v, want ErrMalformedSignature", header, err)
			}
			return
		}
		if err != nil || s.String() != strings.ToLower(form[1]) {
			t.Errorf("ParseSignature(%q) = %s, %v", header, s, err)
		}
	})
}

// signatureForm is the reference: 64 hex digits, with or without the prefix.
var signatureForm = regexp.MustCompile(`^(?:[sS][hH][aA]256=[\s\v\p{Z}\x{85}]*)?([0-9a-fA-F]{64})$`)
