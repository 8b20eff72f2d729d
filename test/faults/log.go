package faults

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/onepagecrm/nylas-webhooks/lambda/contract"
	"github.com/onepagecrm/nylas-webhooks/test/canary"
)

// maxKept is how many of a receiver's last lines are kept, to explain a failure.
const maxKept = 20

// log is everything that the receiver's processes write and answer. It reads the metrics as
// CloudWatch does, and looks for what may not be there.
type log struct {
	mu      sync.Mutex
	lines   int
	metrics map[contract.Metric]int
	last    []string
	leaks   []string // what was found, not the finding itself
	strange []string // lines that are no JSON object
}

func (l *log) add(environment string, line []byte) {
	leaks := canary.Find(line)
	values, err := metricsOf(line)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines++
	if len(leaks) > 0 {
		l.leaks = append(l.leaks, fmt.Sprintf("%s wrote %v into its log", environment, leaks))
		return // nothing of that line goes into a report
	}
	if err != nil {
		l.strange = append(l.strange, fmt.Sprintf("%s: %.200s", environment, line))
	}
	for name, value := range values {
		if l.metrics == nil {
			l.metrics = make(map[contract.Metric]int)
		}
		l.metrics[name] += value
	}
	if len(l.last) == maxKept {
		l.last = l.last[1:]
	}
	l.last = append(l.last, fmt.Sprintf("%s: %s", environment, line))
}

// answer takes an answer to the sender.
func (l *log) answer(text []byte) {
	if leaks := canary.Find(text); len(leaks) > 0 {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.leaks = append(l.leaks, fmt.Sprintf("an answer held %v", leaks))
	}
}

func (l *log) snapshot() (metrics map[contract.Metric]int, leaks, strange, last []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.metrics), slices.Clone(l.leaks), slices.Clone(l.strange), slices.Clone(l.last)
}

// metricsOf reads a line in CloudWatch's embedded metric format; a line without
// metrics has none. Each counts by its value.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
func metricsOf(line []byte) (map[contract.Metric]int, error) {
	var directive struct {
		AWS struct {
			CloudWatchMetrics []struct {
				Namespace string
				Metrics   []struct{ Name contract.Metric }
			}
		} `json:"_aws"`
	}
	if err := json.Unmarshal(line, &directive); err != nil {
		return nil, err
	}
	var all map[string]any
	if err := json.Unmarshal(line, &all); err != nil {
		return nil, err
	}
	values := make(map[contract.Metric]int)
	for _, d := range directive.AWS.CloudWatchMetrics {
		for _, m := range d.Metrics {
			value, ok := all[string(m.Name)].(float64)
			if !ok || d.Namespace != contract.MetricNamespace {
				return nil, fmt.Errorf("metric %s of namespace %s has no value", m.Name, d.Namespace)
			}
			values[m.Name] += int(value)
		}
	}
	return values, nil
}
