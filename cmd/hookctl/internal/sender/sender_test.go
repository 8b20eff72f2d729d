package sender

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/onepagecrm/nylas-webhooks/internal/awserror"
	"github.com/onepagecrm/nylas-webhooks/notification"
)

func TestPostSendsTheExactBytes(t *testing.T) {
	body := []byte("{\"a\": \"\xff\u00fc\\/\"}\r\n ")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, _ := io.ReadAll(r.Body)
		if string(got) != string(body) || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("the webhook got %q as %s", got, r.Header.Get("Content-Type"))
		}
		if len(r.Header.Values(notification.SignatureHeader)) == 0 {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	defer server.Close()
	s := New(server.URL, 1)
	for signature, want := range map[string]int{"abc": http.StatusOK, "": http.StatusUnauthorized} {
		answer, err := s.Post(t.Context(), body, signature)
		if err != nil || answer.Status != want {
			t.Errorf("signature %q: status %d, error %v; want %d", signature, answer.Status, err, want)
		}
	}
}

func TestChallengeIsEscaped(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.URL.Query().Get("challenge"))
	}))
	defer server.Close()
	const value = `a&b=c "<ü>"+ %20`
	answer, err := New(server.URL+"/nylas?x=1", 1).Challenge(t.Context(), value)
	if err != nil || string(answer.Body) != value {
		t.Errorf("echoed %q, error %v; want %q", answer.Body, err, value)
	}
}

func TestRedirectIsAnAnswer(t *testing.T) {
	server := httptest.NewServer(http.RedirectHandler("/elsewhere", http.StatusFound))
	defer server.Close()
	answer, err := New(server.URL, 1).Post(t.Context(), nil, "")
	if err != nil || answer.Status != http.StatusFound {
		t.Errorf("status %d, error %v; want 302", answer.Status, err)
	}
}

// What comes instead of an answer may hold the notification, and Go quotes it.
func TestBrokenAnswerIsNotQuoted(t *testing.T) {
	const mail = "CANARY"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = io.WriteString(conn, mail+"\r\n\r\n")
		_ = conn.Close()
	}))
	defer server.Close()
	_, err := New(server.URL, 1).Post(t.Context(), []byte(mail), "")
	if err == nil || strings.Contains(awserror.Text(err), mail) || !strings.HasPrefix(awserror.Text(err), "send to the webhook: ") {
		t.Errorf("%v", err)
	}
}

func TestNoAnswerInTime(t *testing.T) {
	hold := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hold }))
	defer server.Close()
	defer close(hold)
	s := New(server.URL, 1)
	s.Timeout = 20 * time.Millisecond
	if _, err := s.Post(t.Context(), nil, ""); !errors.Is(err, ErrTimeout) {
		t.Errorf("error %v, want ErrTimeout", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Post(ctx, nil, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want the caller's end", err)
	}
}
