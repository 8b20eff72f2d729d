package main

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

func TestHeadersOfEveryDelivery(t *testing.T) {
	var got http.Header
	crm := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header }))
	defer crm.Close()
	s, err := load(environment(map[string]string{crmVar: crm.URL, headersVar: write(t, "# of the gateway\r\nAuthorization: Bearer a:b \r\n\nX-Tag: one\nx-tag: two\n")}))
	if err != nil {
		t.Fatal(err)
	}
	d, err := newDeliverer(s, newMetrics(prometheus.NewRegistry(), s.timeout))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.deliver(t.Context(), notification.Notification{ID: "1", Body: []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	if got.Get("Authorization") != "Bearer a:b" || strings.Join(got.Values("X-Tag"), ",") != "one,two" || got.Get("Webhook-Id") != "1" {
		t.Errorf("the CRM got %v", got)
	}
	if err := d.deliver(t.Context(), notification.Notification{ID: "2", Body: []byte("{}")}); err != nil || len(got.Values("X-Tag")) != 2 {
		t.Errorf("%v; the second delivery has %v", err, got.Values("X-Tag"))
	}
}

// What a delivery has anyway, a file cannot set. The names are those of a real delivery, with
// every attribute that a notification can have, so that none is forgotten.
func TestHeadersThatADeliveryHasAnyway(t *testing.T) {
	server, got := crm(t, func(http.ResponseWriter, *http.Request) {})
	d, _ := worker(t, server.URL, nil)
	n := note([]byte("{}"))
	for i, field := range reflect.ValueOf(n).Fields() {
		if field.IsZero() {
			if i.Type.Kind() != reflect.String {
				t.Fatalf("this test gives no value to the notification's %s", i.Name)
			}
			reflect.ValueOf(&n).Elem().FieldByName(i.Name).SetString("x-1")
		}
	}
	if err := d.deliver(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	names := slices.Collect(maps.Keys((<-got).header))
	if len(names) < 12 || !slices.Contains(names, headerReplay) {
		t.Errorf("a whole delivery has only %v", names)
	}
	for _, name := range append(names, "Host", "Transfer-Encoding", "Connection", "Keep-Alive", "Proxy-Connection", "Expect", "Idempotency-Key") {
		if _, err := parseHeaders(name + ": 1"); err == nil || !strings.Contains(err.Error(), "is set by hookworker itself") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// All of them at once, as with the other settings.
func TestEveryLineThatIsWrongIsNamed(t *testing.T) {
	_, err := load(environment(map[string]string{headersVar: write(t, "X-Tag: 1\nnone\nHost: a\n"), timeoutVar: "20"}))
	for _, says := range []string{"line 2 is not", "line 3: Host", timeoutVar} {
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q is not in: %v", says, err)
		}
	}
}

func TestHeadersThatCannotBe(t *testing.T) {
	const value = "very-secret-value"
	for text, says := range map[string]string{
		"Authorization " + value:          "line 1 is not of the form",
		"ok: 1\nBad Name: " + value:       "line 2 is not of the form",
		": " + value:                      "line 1 is not of the form",
		"X-Tag:":                          "line 1 has no value",
		value + ":":                       "line 1 has no value", // a key that was taken for a name
		"X-Tag: " + value + "\x00":        "line 1 has no value that a header can hold",
		"X-Tag: " + value + "\rX-Evil: 1": "line 1 has no value that a header can hold",
		"host: " + value:                  "Host is set by hookworker itself",
		"Content-Length: 1":               "Content-Length is set by hookworker itself",
		"WEBHOOK-SIGNATURE: " + value:     "webhook-signature is set by hookworker itself",
		"x-nylas-signature: " + value:     "X-Nylas-Signature is set by hookworker itself",
		"Nylas-Notification-Id: " + value: "Nylas-Notification-Id is set by hookworker itself",
	} {
		headers, err := parseHeaders(text)
		if err == nil || !strings.Contains(err.Error(), says) || headers != nil {
			t.Errorf("%q: %v, want %q", text, err, says)
		} else if strings.Contains(err.Error(), value) {
			t.Errorf("the error repeats the value: %v", err)
		}
	}
}
