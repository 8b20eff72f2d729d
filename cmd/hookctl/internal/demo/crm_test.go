package demo

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// The CRM counts a notification once, and only with the right body and signature.
func TestStandInCRM(t *testing.T) {
	const secret = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	crm := &standIn{verifier: verifier, want: map[string][]byte{"a": []byte("1"), "b": []byte("2")}, seen: map[string]bool{}, complete: make(chan struct{})}
	post := func(id, body string, signed bool) int {
		now := time.Now()
		r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader([]byte(body)))
		signature, err := verifier.Sign(id, now, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		if !signed {
			signature = "v1," + strings.Repeat("A", 44)
		}
		r.Header.Set(standardwebhooks.HeaderWebhookID, id)
		r.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
		r.Header.Set(standardwebhooks.HeaderWebhookSignature, signature)
		w := httptest.NewRecorder()
		crm.ServeHTTP(w, r)
		return w.Code
	}
	for _, tt := range []struct {
		id, body string
		signed   bool
		status   int
		seen     int
		others   int
	}{
		{"a", "1", false, 401, 0, 0},
		{"a", "changed", true, 204, 0, 0},
		{"a", "1", true, 204, 1, 0},
		{"a", "1", true, 204, 1, 0},
		{"c", "3", true, 204, 1, 1},
		{"b", "2", true, 204, 2, 1},
	} {
		if got := post(tt.id, tt.body, tt.signed); got != tt.status || len(crm.seen) != tt.seen || crm.others != tt.others {
			t.Errorf("%s %q: answered %d, %d seen, %d others; want %+v", tt.id, tt.body, got, len(crm.seen), crm.others, tt)
		}
	}
	select {
	case <-crm.complete:
	default:
		t.Error("everything was seen, and nobody is told")
	}
}

// A worker that cannot be started, or ends by itself, is a problem with a sentence.
func TestWorkerThatFails(t *testing.T) {
	for program, want := range map[string]string{
		"/does/not/exist": "make run builds it",
		"/bin/false":      "ended by itself",
	} {
		_, _, err := Worker{Program: program, Patience: time.Minute}.Deliver(t.Context(), map[string][]byte{"a": nil})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", program, err, want)
		}
	}
}
