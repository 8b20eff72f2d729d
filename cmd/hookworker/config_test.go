package main

import (
	"encoding/base64"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/onepagecrm/nylas-webhooks/consumer"
)

const signingSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// environment is a right one, with changes; a change to "" unsets.
func environment(changes map[string]string) (environ []string) {
	all := map[string]string{
		queueVar: "https://queue", deadVar: "https://dead", crmVar: "http://crm.internal/hooks", secretsVar: signingSecret,
	}
	maps.Copy(all, changes)
	for name, value := range all {
		environ = append(environ, name+"="+value)
	}
	return environ
}

func TestLoad(t *testing.T) {
	s, err := load(environment(nil))
	if err != nil {
		t.Fatal(err)
	}
	if s.queueURL != "https://queue" || s.deadLetterQueueURL != "https://dead" || s.crm.String() != "http://crm.internal/hooks" ||
		len(s.signers) != 1 || s.concurrency != 10 || s.timeout != 20*time.Second || s.listen != ":8080" || s.table != "" {
		t.Errorf("defaults: %+v", s)
	}
	s, err = load(environment(map[string]string{
		secretsVar: signingSecret + " \n " + signingSecret, tableVar: "seen", concurrencyVar: "50", timeoutVar: "1m", listenVar: "127.0.0.1:0",
	}))
	if err != nil {
		t.Fatal(err)
	}
	if len(s.signers) != 2 || s.table != "seen" || s.concurrency != 50 || s.timeout != time.Minute || s.listen != "127.0.0.1:0" {
		t.Errorf("all set: %+v", s)
	}
}

func TestLoadNamesEveryProblemAndNoSecret(t *testing.T) {
	short := "whsec_" + base64.StdEncoding.EncodeToString([]byte("canary"))
	for name, c := range map[string]struct {
		changes map[string]string
		says    []string
	}{
		"nothing set": {map[string]string{queueVar: "", deadVar: "", crmVar: "", secretsVar: ""},
			[]string{queueVar, deadVar, crmVar, secretsVar, "QueueUrl", "openssl"}},
		"all wrong": {map[string]string{crmVar: "ftp://crm", secretsVar: "canary whsec_canary! " + short, concurrencyVar: "0", timeoutVar: "20"},
			[]string{crmVar, "number 1: it does not begin", "number 2: it is not base64", "number 3: it has 6 bytes", concurrencyVar, timeoutVar}},
		"password in the address": {map[string]string{crmVar: "https://user:canary@crm"}, []string{crmVar, "user name"}},
		"address with blanks":     {map[string]string{crmVar: "https://crm canary/"}, []string{crmVar}},
	} {
		_, err := load(environment(c.changes))
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		for _, text := range c.says {
			if !strings.Contains(err.Error(), text) {
				t.Errorf("%s: %q is not in: %v", name, text, err)
			}
		}
		if strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: a value is in: %v", name, err)
		}
	}
}

// The README's table has every variable, and every metric that its alerts name exists.
func TestREADME(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	names := []string{headerType, headerID, headerGrant, headerAttempt, headerReceivedAt, headerRequestID, headerReplay}
	for _, v := range variables {
		names = append(names, v.name)
	}
	for _, name := range names {
		if !strings.Contains(string(text), "`"+name+"`") {
			t.Errorf("README.md does not name %s", name)
		}
	}
	// An alert on what is not there never rings.
	registry := prometheus.NewRegistry()
	m := newMetrics(registry, time.Second)
	m.watch(registry, func() consumer.Status { return consumer.Status{} })
	m.answered("200", 0)
	w := httptest.NewRecorder()
	pages(registry, nil, 1).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	_, alerts, _ := strings.Cut(string(text), "## Watching it")
	rules := strings.Count(alerts, "- alert: ")
	metrics, kinds := regexp.MustCompile(`hookworker_\w+`).FindAllString(alerts, -1), regexp.MustCompile(`kind=~?"([^"]+)"`).FindAllStringSubmatch(alerts, -1)
	if rules == 0 || strings.Count(alerts, " expr: ") != rules || len(metrics) < rules || len(kinds) == 0 {
		t.Errorf("%d alerts, %d metrics, %d kinds of events in README.md", rules, len(metrics), len(kinds))
	}
	for _, name := range metrics {
		if !strings.Contains(w.Body.String(), "\n"+name+"{") && !strings.Contains(w.Body.String(), "\n"+name+" ") {
			t.Errorf("README.md has an alert on %s, which is no metric", name)
		}
	}
	for _, kind := range kinds {
		for one := range strings.SplitSeq(kind[1], "|") {
			if !strings.Contains(w.Body.String(), `hookworker_events_total{kind="`+one+`"} 0`) {
				t.Errorf("README.md has an alert on events of kind %q, which are not counted from the start", one)
			}
		}
	}
}
