package main

import (
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/onepagecrm/nylas-webhooks/consumer"
)

// silence is how long SQS may leave a receive unanswered before the worker is not
// ready: three long polls of 20 s.
const silence = time.Minute

// pages are what the outside asks a worker:
//
//   - /livez: the process runs. A restart mends nothing that this does not see, least
//     of all an outage of SQS or of the CRM.
//   - /readyz: the queue can be read; what a rollout should wait for. Waiting for the
//     CRM is ready: so does a worker that does its job in an outage.
//   - /metrics: Prometheus.
func pages(registry *prometheus.Registry, status func() consumer.Status, concurrency int) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		code, text := ready(status(), concurrency, time.Now())
		w.WriteHeader(code)
		fmt.Fprintln(w, text)
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	return mux
}

func ready(s consumer.Status, concurrency int, now time.Time) (code int, text string) {
	switch {
	case s.Polled.IsZero():
		return http.StatusServiceUnavailable, "the queue has not answered yet"
	case s.Paused:
		return http.StatusOK, "ok; the CRM is unavailable, waiting for it"
	case s.Running < concurrency && now.Sub(s.Polled) > silence:
		return http.StatusServiceUnavailable, fmt.Sprintf("the queue has not answered for %s", now.Sub(s.Polled).Round(time.Second))
	}
	return http.StatusOK, "ok"
}
