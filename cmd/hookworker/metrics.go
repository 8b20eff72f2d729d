package main

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/onepagecrm/nylas-webhooks/consumer"
)

// metrics is what Prometheus gets. README.md beside this file has the alerts.
type metrics struct {
	events   *prometheus.CounterVec
	answers  *prometheus.CounterVec
	duration prometheus.Histogram
	lag      prometheus.Histogram
}

// kinds are the events that alerts look at. They are there from the start, as 0: a
// rate cannot see a counter's first appearance.
var kinds = []consumer.Kind{
	consumer.Handled, consumer.Duplicate, consumer.SmokeTest, consumer.Failed, consumer.Rejected, consumer.Unreadable,
	consumer.Unverified, consumer.Released, consumer.Held, consumer.Paused, consumer.Resumed, consumer.GrantPaused,
	consumer.GrantResumed, consumer.Stuck, consumer.LeaseLost, consumer.StoreFailed, consumer.QueueFailed,
}

func newMetrics(registry prometheus.Registerer, timeout time.Duration) *metrics {
	m := &metrics{
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hookworker_events_total",
			Help: "What happened to messages and to the worker, by kind.",
		}, []string{"kind"}),
		answers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hookworker_crm_answers_total",
			Help: "Deliveries to the CRM by the status it answered, or none. 400, 410, 413, 415 and 422 are why a notification is rejected.",
		}, []string{"status"}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "hookworker_crm_seconds",
			Help:    "How long the CRM took to answer a delivery.",
			Buckets: prometheus.ExponentialBucketsRange(0.01, timeout.Seconds(), 12), // the last one is what ended by the time limit
		}),
		lag: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "hookworker_lag_seconds",
			Help:    "From the front door to the CRM: how old a notification was when the CRM had taken it.",
			Buckets: []float64{0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 6 * 3600, 24 * 3600, 7 * 24 * 3600}, // 7 days is what the queue keeps
		}),
	}
	registry.MustRegister(m.events, m.answers, m.duration, m.lag, collectors.NewBuildInfoCollector(),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, kind := range kinds {
		m.events.WithLabelValues(string(kind))
	}
	return m
}

// observe is the consumer's observer.
func (m *metrics) observe(e consumer.Event) {
	m.events.WithLabelValues(string(e.Kind)).Inc()
	if e.Kind == consumer.Handled && !e.ReceivedAt.IsZero() {
		m.lag.Observe(time.Since(e.ReceivedAt).Seconds())
	}
}

// answered counts a delivery; status is "none" where no answer came.
func (m *metrics) answered(status string, took time.Duration) {
	m.answers.WithLabelValues(status).Inc()
	m.duration.Observe(took.Seconds())
}

// watch adds what the consumer can be asked for at any time.
func (m *metrics) watch(registry prometheus.Registerer, status func() consumer.Status) {
	for _, gauge := range []struct {
		name, help string
		value      func(consumer.Status) float64
	}{
		{"hookworker_paused", "1 while the CRM takes nothing and one delivery probes.", func(s consumer.Status) float64 {
			if s.Paused {
				return 1
			}
			return 0
		}},
		{"hookworker_messages_in_flight", "Messages received and not finished.", func(s consumer.Status) float64 { return float64(s.InFlight) }},
		{"hookworker_messages_held", "Of those, the ones that failed and wait here for another attempt.", func(s consumer.Status) float64 { return float64(s.Held) }},
		{"hookworker_messages_suspected", "Of those, the ones that failed where others get through.", func(s consumer.Status) float64 { return float64(s.Suspected) }},
		{"hookworker_grants_paused", "Grants of which the CRM takes nothing, while it takes others.", func(s consumer.Status) float64 { return float64(s.PausedGrants) }},
		{"hookworker_deliveries_stuck", "Deliveries that did not end when told to.", func(s consumer.Status) float64 { return float64(s.Stuck) }},
		{"hookworker_last_poll_timestamp_seconds", "When SQS last answered a receive; 0 before the first.", func(s consumer.Status) float64 {
			if s.Polled.IsZero() {
				return 0
			}
			return float64(s.Polled.UnixMilli()) / 1000
		}},
	} {
		registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: gauge.name, Help: gauge.help},
			func() float64 { return gauge.value(status()) }))
	}
}
