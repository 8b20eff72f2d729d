package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/onepagecrm/nylas-webhooks/consumer"
	"github.com/onepagecrm/nylas-webhooks/notification"
	"github.com/onepagecrm/nylas-webhooks/notification/samples"
)

// worker is a deliverer to a CRM at that address.
func worker(t *testing.T, address string, changes map[string]string) (*deliverer, *prometheus.Registry) {
	t.Helper()
	s, err := load(environment(changes))
	if err != nil {
		t.Fatal(err)
	}
	if s.crm, err = url.Parse(address); err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	d, err := newDeliverer(s, newMetrics(registry, 20*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	return d, registry
}

func note(body []byte) notification.Notification {
	return notification.Notification{Body: body, ID: "n-1", Type: "message.created", GrantID: "grant-1", Attempt: 2,
		ReceivedAt: time.Date(2026, 11, 24, 20, 0, 0, 123_000_000, time.UTC), Signature: notification.Sign("s", body), RequestID: "r-1"}
}

// received is what a CRM got.
type received struct {
	method string
	header http.Header
	body   []byte
}

func crm(t *testing.T, answer http.HandlerFunc) (*httptest.Server, <-chan received) {
	t.Helper()
	got := make(chan received, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got <- received{r.Method, r.Header, body}
		answer(w, r)
	}))
	t.Cleanup(server.Close)
	return server, got
}

func TestDeliveryIsWhatNylasSignedAndVerifies(t *testing.T) {
	server, got := crm(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	other := "whsec_" + strings.Repeat("b3RoZXIg", 5)
	d, _ := worker(t, server.URL, map[string]string{secretsVar: signingSecret + " " + other})
	bodies := [][]byte{{}, {0, 0xff, '\n'}, bytes.Repeat([]byte("ü"), 500_000)}
	for _, s := range samples.All() {
		bodies = append(bodies, s.Body)
	}
	for _, body := range bodies {
		n := note(body)
		if err := d.deliver(t.Context(), n); err != nil {
			t.Fatal(err)
		}
		r := <-got
		if r.method != http.MethodPost || !bytes.Equal(r.body, body) {
			t.Fatalf("%s of %d bytes, %d were signed", r.method, len(r.body), len(body))
		}
		// During a rotation, old and new verify.
		for _, secret := range []string{signingSecret, other} {
			verifier, err := standardwebhooks.NewWebhook(secret)
			if err != nil {
				t.Fatal(err)
			}
			if err := verifier.Verify(r.body, r.header); err != nil {
				t.Errorf("%d bytes: %v", len(body), err)
			}
			if err := verifier.Verify(append(r.body, ' '), r.header); err == nil {
				t.Error("a changed body verifies")
			}
		}
		for name, want := range map[string]string{
			"webhook-id": "n-1", headerID: "n-1", headerType: "message.created", headerGrant: "grant-1", headerAttempt: "2",
			headerReceivedAt: "2026-11-24T20:00:00.123Z", headerRequestID: "r-1", notification.SignatureHeader: n.Signature.String(),
			"Content-Type": "application/json",
		} {
			if value := r.header.Get(name); value != want {
				t.Errorf("%s: %q, not %q", name, value, want)
			}
		}
	}
}

// A CRM that drops what it had by webhook-id takes a replay again, and once.
func TestReplayHasAnIdOfItsOwn(t *testing.T) {
	n := notification.Notification{Body: []byte("{}"), ID: "n-1"}
	first := deliveryID(n)
	n.ReplayID = "k2m4q6s8"
	if id := deliveryID(n); id != "n-1.replay-k2m4q6s8" || id == first {
		t.Errorf("webhook-id %q, then %q", first, id)
	}
	server, got := crm(t, func(http.ResponseWriter, *http.Request) {})
	d, _ := worker(t, server.URL, nil)
	if err := d.deliver(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	if h := (<-got).header; h.Get(headerReplay) != "k2m4q6s8" || h.Get(headerID) != "n-1" {
		t.Errorf("%s %q, %s %q", headerReplay, h.Get(headerReplay), headerID, h.Get(headerID))
	}
}

func TestAttributesThatAreNoHeaders(t *testing.T) {
	server, got := crm(t, func(http.ResponseWriter, *http.Request) {})
	d, _ := worker(t, server.URL, nil)
	n := notification.Notification{Body: []byte("{}"), ID: "a\r\nX-Evil: 1", Type: "über"}
	for range 2 {
		if err := d.deliver(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}
	first, second := <-got, <-got
	for name := range first.header {
		if strings.HasPrefix(name, "Nylas-") || name == "X-Evil" || name == notification.SignatureHeader {
			t.Errorf("%s: %v", name, first.header[name])
		}
	}
	id := first.header.Get("webhook-id")
	if !strings.HasPrefix(id, "sha256-") || id != second.header.Get("webhook-id") {
		t.Errorf("webhook-id %q, then %q", id, second.header.Get("webhook-id"))
	}
}

// classify says in a word what the consumer will do.
func classify(t *testing.T, err error) string {
	t.Helper()
	text := "done"
	if err != nil {
		text, _, _ = strings.Cut(err.Error(), ":")
		if text != "rejected" && text != "unavailable" {
			text = "failed"
		}
	}
	return text
}

func TestWhatTheAnswerMeans(t *testing.T) {
	want := map[int]string{
		200: "done", 201: "done", 202: "done", 204: "done", 299: "done",
		400: "rejected", 410: "rejected", 413: "rejected", 415: "rejected", 422: "rejected",
	}
	for status := 200; status < 600; status++ {
		response := &http.Response{StatusCode: status, Header: http.Header{}}
		expected := want[status]
		if expected == "" {
			expected = "unavailable"
			if status < 300 {
				expected = "done"
			}
		}
		err := outcome(response, rejections, time.Now())
		if got := classify(t, err); got != expected {
			t.Errorf("%d is %s, not %s", status, got, expected)
		}
		if err != nil && !strings.Contains(err.Error(), strconv.Itoa(status)) {
			t.Errorf("%d is not in %v", status, err)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 24, 20, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "120": 2 * time.Minute, " 7 ": 7 * time.Second, "0": 0, "-5": 0, "soon": 0, "1.5": 0, "99999999999999999999": 24 * time.Hour, "-99999999999999999999": 0, "3000000000": 24 * time.Hour,
		"Tue, 24 Nov 2026 20:10:00 GMT": 10 * time.Minute,
		"Tue, 24 Nov 2026 19:10:00 GMT": 0,
	} {
		if got := retryAfter(value, now); got != want {
			t.Errorf("%q is %s, not %s", value, got, want)
		}
	}
}

func TestCRMThatIsNotThere(t *testing.T) {
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		says   string
	}{
		"redirects": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/")
			w.WriteHeader(http.StatusFound)
		}, "302"},
		"does not answer": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "deadline exceeded"},
		"hangs up":        {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "EOF"},
		"answers without limit": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(500)
			_, _ = w.Write(bytes.Repeat([]byte("canary"), 1<<20))
		}, "500"},
	} {
		t.Run(name, func(t *testing.T) {
			server, _ := crm(t, c.answer)
			d, registry := worker(t, server.URL+"/canary?canary", map[string]string{timeoutVar: "300ms", headersVar: write(t, "X-Key: canary")})
			err := d.deliver(t.Context(), note([]byte(`"canary"`)))
			if classify(t, err) != "unavailable" || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "canary") {
				t.Errorf("error %v", err)
			}
			if name == "does not answer" || name == "hangs up" {
				w := httptest.NewRecorder()
				pages(registry, nil, 1).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
				if !strings.Contains(w.Body.String(), `hookworker_crm_answers_total{status="none"} 1`) {
					t.Error("not counted")
				}
			}
		})
	}
	t.Run("refuses", func(t *testing.T) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address := "http://" + listener.Addr().String()
		if err := listener.Close(); err != nil {
			t.Fatal(err)
		}
		d, _ := worker(t, address, nil)
		if err := d.deliver(t.Context(), note(nil)); classify(t, err) != "unavailable" {
			t.Errorf("error %v", err)
		}
	})
}

// A delivery that the worker breaks off says nothing about the CRM.
func TestBrokenOffIsNotUnavailable(t *testing.T) {
	server, got := crm(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	d, _ := worker(t, server.URL, nil)
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-got
		cancel(consumer.ErrLeaseLost)
	}()
	err := d.deliver(ctx, note(nil))
	if classify(t, err) != "failed" || !errors.Is(err, consumer.ErrLeaseLost) {
		t.Errorf("error %v", err)
	}
}

func TestPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		registry := prometheus.NewRegistry()
		m := newMetrics(registry, 20*time.Second)
		var s consumer.Status
		status := func() consumer.Status { return s }
		m.watch(registry, status)
		m.observe(consumer.Event{Kind: consumer.Rejected})
		m.answered("422", time.Second)
		get := func(path string) (int, string) {
			w := httptest.NewRecorder()
			pages(registry, status, 2).ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
			return w.Code, w.Body.String()
		}
		for name, c := range map[string]struct {
			status consumer.Status
			code   int
			says   string
		}{
			"not yet polled":         {consumer.Status{}, 503, "not answered yet"},
			"idle":                   {consumer.Status{Polled: now.Add(-25 * time.Second)}, 200, "ok"},
			"queue is silent":        {consumer.Status{Polled: now.Add(-2 * time.Minute)}, 503, "2m0s"},
			"every delivery is busy": {consumer.Status{Polled: now.Add(-2 * time.Minute), Running: 2}, 200, "ok"},
			"CRM is down":            {consumer.Status{Polled: now.Add(-2 * time.Hour), Paused: true}, 200, "waiting"},
		} {
			s = c.status
			if code, text := get("/readyz"); code != c.code || !strings.Contains(text, c.says) {
				t.Errorf("%s: %d %s", name, code, text)
			}
			if code, _ := get("/livez"); code != 200 {
				t.Errorf("%s: live is %d", name, code)
			}
		}
		s = consumer.Status{Paused: true, InFlight: 3, Held: 2, Suspected: 1, PausedGrants: 4, Stuck: 1, Polled: now}
		_, text := get("/metrics")
		for _, line := range []string{
			`hookworker_events_total{kind="rejected"} 1`, `hookworker_events_total{kind="handled"} 0`, `hookworker_crm_answers_total{status="422"} 1`,
			"hookworker_messages_held 2", "hookworker_messages_suspected 1", "hookworker_grants_paused 4", "go_build_info", `hookworker_events_total{kind="grant_paused"} 0`,
			"hookworker_paused 1", "hookworker_messages_in_flight 3", "hookworker_deliveries_stuck 1", "hookworker_crm_seconds_count 1",
			"hookworker_last_poll_timestamp_seconds 9.466848e+08", "go_goroutines",
		} {
			if !strings.Contains(text, line) {
				t.Errorf("not among the metrics: %s", line)
			}
		}
	})
}

func TestRunNamesWhatIsWrong(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	t.Setenv("AWS_REGION", "us-east-1")
	err = run(t.Context(), nil, environment(map[string]string{listenVar: taken.Addr().String()}), io.Discard, io.Discard)
	if err == nil || !strings.Contains(err.Error(), listenVar) {
		t.Errorf("port in use: %v", err)
	}
	if err := run(t.Context(), nil, environment(map[string]string{queueVar: ""}), io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), queueVar) {
		t.Errorf("no queue: %v", err)
	}
}

// A CRM closes a connection that was idle at the moment a delivery comes by it. That is
// no outage: the delivery goes by another connection.
func TestConnectionThatTheCRMHasJustClosed(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			lines := bufio.NewReader(c)
			for first := true; ; first = false {
				request, err := http.ReadRequest(lines)
				if err != nil || !first { // the second one is read and not answered
					break
				}
				if _, err := io.Copy(io.Discard, request.Body); err != nil || request.Header.Values("Idempotency-Key") != nil {
					break
				}
				_, _ = io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
			}
			_ = c.Close()
		}
	}()
	d, _ := worker(t, "http://"+listener.Addr().String(), nil)
	for i := range 5 {
		if err := d.deliver(t.Context(), note([]byte("{}"))); err != nil {
			t.Errorf("delivery %d: %v", i, err)
		}
	}
}

// The signature is over the id as the header carries it.
func TestIDsThatAHeaderWouldChange(t *testing.T) {
	server, got := crm(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	d, _ := worker(t, server.URL, nil)
	verifier, err := standardwebhooks.NewWebhook(signingSecret)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"n-1", " n-1", "n-1 ", "n\t1", "nü", ""} {
		n := note([]byte("{}"))
		n.ID = id
		if err := d.deliver(t.Context(), n); err != nil {
			t.Fatal(err)
		}
		delivery := <-got
		if err := verifier.Verify(delivery.body, delivery.header); err != nil {
			t.Errorf("%q: %v", id, err)
		}
	}
}

// 429 says that the CRM is busy, also where it says no time.
func TestTooManyRequestsIsBusy(t *testing.T) {
	for header, want := range map[string]time.Duration{"": time.Second, "0": time.Second, "5": 5 * time.Second} {
		err := outcome(&http.Response{StatusCode: 429, Header: http.Header{"Retry-After": {header}}}, rejections, time.Now())
		if !reflect.DeepEqual(err, consumer.Unavailable(fmt.Errorf("the CRM answered %d %s", 429, "Too Many Requests"), want)) {
			t.Errorf("Retry-After %q: %#v, want a pause of %s", header, err, want)
		}
	}
}
