package main

import (
	"net/http"
	"net/http/httptest"
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

func TestHeadersThatCannotBe(t *testing.T) {
	const value = "very-secret-value"
	for text, says := range map[string]string{
		"Authorization " + value:          "line 1 is not of the form",
		"ok: 1\nBad Name: " + value:       "line 2 is not of the form",
		": " + value:                      "line 1 is not of the form",
		"X-Tag:":                          "line 1: X-Tag has no value",
		"X-Tag: " + value + "\x00":        "line 1: X-Tag has no value that a header can hold",
		"host: " + value:                  "host is set by hookworker itself",
		"Content-Length: 1":               "Content-Length is set by hookworker itself",
		"WEBHOOK-SIGNATURE: " + value:     "WEBHOOK-SIGNATURE is set by hookworker itself",
		"x-nylas-signature: " + value:     "x-nylas-signature is set by hookworker itself",
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
