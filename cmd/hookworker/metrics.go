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
}

// kinds are the events that alerts look at. They are there from the start, as 0: a
// rate cannot see a counter's first appearance.
var kinds = []consumer.Kind{
	consumer.Handled, consumer.Duplicate, consumer.Failed, consumer.Rejected, consumer.Unreadable, consumer.Unverified,
	consumer.Paused, consumer.Resumed, consumer.Stuck, consumer.StoreFailed, consumer.QueueFailed,
}

func newMetrics(registry prometheus.Registerer) *metrics {
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
			Buckets: []float64{0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20},
		}),
	}
	registry.MustRegister(m.events, m.answers, m.duration,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, kind := range kinds {
		m.events.WithLabelValues(string(kind))
	}
	return m
}

// observe is the consumer's observer.
func (m *metrics) observe(e consumer.Event) { m.events.WithLabelValues(string(e.Kind)).Inc() }

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
		{"hookworker_paused", "1 while the CRM is unavailable and nothing is received.", func(s consumer.Status) float64 {
			if s.Paused {
				return 1
			}
			return 0
		}},
		{"hookworker_messages_in_flight", "Messages received and not finished.", func(s consumer.Status) float64 { return float64(s.InFlight) }},
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
