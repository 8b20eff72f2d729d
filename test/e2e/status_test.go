package e2e

import (
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

// The rows of the status contract about signatures. good is the signature under the
// stored secret.
func TestSignatures(t *testing.T) {
	secret := sys.secret(t)
	for _, test := range []struct {
		name    string
		headers func(good string) []string
		status  int
	}{
		{"as Nylas sends it", func(good string) []string { return []string{good} }, 200},
		{"upper case", func(good string) []string { return []string{strings.ToUpper(good)} }, 200},
		{"with a prefix", func(good string) []string { return []string{"sha256=" + good} }, 200},
		{"prefix, upper case and blanks", func(good string) []string { return []string{"  SHA256= " + strings.ToUpper(good) + "  "} }, 200},
		{"the header twice", func(good string) []string { return []string{good, good} }, 200},
		{"a good one after a forged one", func(good string) []string { return []string{strings.Repeat("0", 64), good} }, 200},

		{"none", func(string) []string { return nil }, 401},
		{"empty", func(string) []string { return []string{""} }, 401},
		{"63 characters", func(good string) []string { return []string{good[:63]} }, 401},
		{"65 characters", func(good string) []string { return []string{good + "0"} }, 401},
		{"in base64", func(good string) []string {
			raw, err := hex.DecodeString(good)
			if err != nil {
				t.Fatal(err)
			}
			return []string{base64.StdEncoding.EncodeToString(raw)}
		}, 401},
		{"not hex", func(string) []string { return []string{strings.Repeat("g", 64)} }, 401},

		{"of other bytes", func(string) []string { return []string{sign(secret, []byte("other"))} }, 503},
		{"under another secret", func(string) []string { return []string{strings.Repeat("0", 64)} }, 503},
	} {
		t.Run(test.name, func(t *testing.T) {
			body := note{}.json()
			good := sign(secret, body)
			if got := sys.post(t, body, test.headers(good)...); got.status != test.status {
				t.Errorf("answered %d, want %d", got.status, test.status)
			}
			if test.status == 200 {
				sys.received(t, good)
			} else {
				sys.notReceived(t, good)
			}
		})
	}
}

// Nylas's test button signs with a constant that everybody knows.
func TestMockSecret(t *testing.T) {
	body := note{}.json()
	signature := sign(notification.MockSecret, body)
	if got := sys.post(t, body, signature); got.status != http.StatusUnauthorized {
		t.Errorf("answered %d, want 401", got.status)
	}
	sys.notReceived(t, signature)
}

// A REST API of AWS unpacks what is announced as gzip; what the function then sees is
// sent here as it is.
func TestCompressedDelivery(t *testing.T) {
	body := note{}.json()
	signature := sign(sys.secret(t), []byte("the compressed bytes"))
	sys.mustNotLog("a signature", signature)
	line := sys.logged(t, func() {
		got := sys.send(t, http.MethodPost, sys.url, body, http.Header{
			"Content-Type": {"application/json"}, "Content-Encoding": {"gzip"}, notification.SignatureHeader: {signature},
		})
		if got.status != http.StatusServiceUnavailable {
			t.Errorf("answered %d, want 503", got.status)
		}
	})
	if line["reason"] != "compressed_delivery" {
		t.Errorf("logged the reason %v", line["reason"])
	}
	sys.notReceived(t, signature)
}

// The gateway's own answers: no 403, which sends people looking for credentials.
func TestOtherPathsAndMethods(t *testing.T) {
	for _, test := range []struct{ method, address string }{
		{http.MethodPut, sys.url}, {http.MethodDelete, sys.url}, {http.MethodPost, sys.url + "/more"}, {http.MethodGet, strings.TrimSuffix(sys.url, "nylas") + "other"},
	} {
		if got := sys.send(t, test.method, test.address, nil, nil); got.status != http.StatusNotFound {
			t.Errorf("%s %s answered %d, want 404", test.method, test.address, got.status)
		}
	}
}
