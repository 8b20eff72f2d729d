package stack

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
)

// This file evaluates alarms as CloudWatch does, which no engine here can:
//
//   - A datapoint is the statistic over one period; the window of periods slides on
//     with each evaluation, every minute:
//     docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation-window.html
//   - Of the last N datapoints M have to breach:
//     docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html
//   - CloudWatch looks back further than N periods, and puts in what missing data means
//     only where it does not find N real datapoints there. How much further is not
//     documented; in the page's examples it is two periods:
//     docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html

// series are a metric's values by the minute in which they were published.
type series map[int][]float64

// on is values in one minute.
func on(minute int, values ...float64) series { return series{minute: values} }

// during is the same values in every minute from one to before another.
func during(from, to int, values ...float64) series {
	s := make(series)
	for minute := from; minute < to; minute++ {
		s[minute] = values
	}
	return s
}

// every is values in each so many minutes.
func every(step, from, to int, values ...float64) series {
	s := make(series)
	for minute := from; minute < to; minute += step {
		s[minute] = values
	}
	return s
}

// times is a value n times.
func times(n int, value float64) []float64 { return slices.Repeat([]float64{value}, n) }

// mixed is n values, of which so many are the first and the rest the second.
func mixed(n, first int, value, rest float64) []float64 {
	return append(times(first, value), times(n-first, rest)...)
}

// together is what is published when all of the series are.
func together(all ...series) series {
	sum := make(series)
	for _, s := range all {
		for minute, values := range s {
			sum[minute] = slices.Concat(sum[minute], values)
		}
	}
	return sum
}

// watch is an alarm's condition.
type watch struct {
	statistic string
	period    int // minutes
	m, n      int
	operator  string
	threshold float64
	missing   string
}

func watchOf(p object) watch {
	number := func(name string) float64 {
		value, _ := p.at(name).(float64)
		return value
	}
	text := func(name string) string {
		value, _ := p.at(name).(string)
		return value
	}
	return watch{
		statistic: cmp.Or(text("Statistic"), text("ExtendedStatistic")), period: int(number("Period")) / 60,
		m: int(number("DatapointsToAlarm")), n: int(number("EvaluationPeriods")),
		operator: text("ComparisonOperator"), threshold: number("Threshold"), missing: text("TreatMissingData"),
	}
}

// statistics by CloudWatch's names; docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Statistics-definitions.html
var statistics = map[string]func([]float64) float64{
	"Sum": func(values []float64) float64 {
		var sum float64
		for _, v := range values {
			sum += v
		}
		return sum
	},
	"Maximum": slices.Max[[]float64],
	"Minimum": slices.Min[[]float64],
	"Average": func(values []float64) float64 {
		var sum float64
		for _, v := range values {
			sum += v
		}
		return sum / float64(len(values))
	},
	"p90": func(values []float64) float64 {
		sorted := slices.Sorted(slices.Values(values))
		return sorted[int(math.Ceil(0.9*float64(len(sorted))))-1]
	},
}

// breaches tells whether a datapoint is beyond the threshold.
func (w watch) breaches(datapoint float64) bool {
	switch w.operator {
	case "GreaterThanThreshold":
		return datapoint > w.threshold
	case "GreaterThanOrEqualToThreshold":
		return datapoint >= w.threshold
	case "LessThanThreshold":
		return datapoint < w.threshold
	case "LessThanOrEqualToThreshold":
		return datapoint <= w.threshold
	}
	panic("unknown operator " + w.operator)
}

// alarmsAt tells the state at the end of a minute, if CloudWatch looks back over this
// many periods.
func (w watch) alarmsAt(s series, minute, lookBack int) bool {
	compute, ok := statistics[w.statistic]
	if !ok {
		panic("unknown statistic " + w.statistic)
	}
	found, breaching := 0, 0
	for i := 0; i < lookBack && found < w.n; i++ {
		var values []float64
		end := minute + 1 - i*w.period
		for m := end - w.period; m < end; m++ {
			values = append(values, s[m]...)
		}
		if len(values) == 0 {
			continue
		}
		found++
		if w.breaches(compute(values)) {
			breaching++
		}
	}
	if w.missing == "breaching" {
		breaching += w.n - found
	}
	return breaching >= w.m
}

// window is how many minutes of a series are looked at.
const window = 90

// furthest is how many periods CloudWatch may look back beyond N.
const furthest = 2

// state tells whether the alarm goes off within the window, whatever CloudWatch's way
// of looking back; undecided where that makes the difference.
func (w watch) state(s series) string {
	end := max(window, (w.n+furthest)*w.period)
	for minute := range s {
		end = max(end, minute+1)
	}
	state, _ := w.within(s, end)
	return state
}

// within is state for a window of so many minutes, and the minute by whose end the alarm
// has gone off at the latest.
func (w watch) within(s series, minutes int) (state string, latest int) {
	begin := 0
	if w.missing == "breaching" {
		begin = (w.n + furthest) * w.period // before, the silence is the series' own beginning
	}
	step := 1
	if w.period >= 60 {
		step = 60 // CloudWatch may look in between; that finds it an hour earlier at most
	}
	went := make(map[bool]bool)
	for lookBack := w.n; lookBack <= w.n+furthest; lookBack++ {
		off := false
		for minute := begin + step - 1; minute < minutes && !off; minute += step {
			if off = w.alarmsAt(s, minute, lookBack); off {
				latest = max(latest, minute)
			}
		}
		went[off] = true
	}
	switch {
	case went[true] && went[false]:
		return "undecided", 0
	case went[true]:
		return "ALARM", latest
	}
	return "OK", 0
}

// The tables of AWS's page on missing data: five periods, the newest last; X breaches,
// 0 does not, - is missing.
func TestMissingDataAsAWSDocumentsIt(t *testing.T) {
	for _, c := range []struct {
		m, n                    int
		periods                 string
		breaching, notBreaching bool // what the alarm is if missing data is treated so
	}{
		{3, 3, "0-X-X", false, false},
		{3, 3, "----0", false, false},
		{3, 3, "-----", true, false},
		{3, 3, "0XX-X", true, true},
		{3, 3, "--X--", true, false},
		{2, 3, "0-X-X", true, true},
		{2, 3, "00X0X", true, true},
		{2, 3, "0-X--", true, false},
		{2, 3, "----0", true, false},
		{2, 3, "----X", true, false},
	} {
		s := make(series)
		for minute, sign := range c.periods {
			switch sign {
			case 'X':
				s[minute] = []float64{1}
			case '0':
				s[minute] = []float64{0}
			}
		}
		for missing, want := range map[string]bool{"breaching": c.breaching, "notBreaching": c.notBreaching} {
			w := watch{statistic: "Sum", period: 1, m: c.m, n: c.n, operator: "GreaterThanThreshold", missing: missing}
			if got := w.alarmsAt(s, 4, len(c.periods)); got != want {
				t.Errorf("%d of %d, %s, missing is %s: alarm %t, want %t", c.m, c.n, c.periods, missing, got, want)
			}
		}
	}
}

// A window of five minutes slides: what falls on both sides of a full five minutes
// counts together.
func TestWindowSlides(t *testing.T) {
	w := watch{statistic: "Sum", period: 5, m: 1, n: 1, operator: "GreaterThanOrEqualToThreshold", threshold: 10, missing: "notBreaching"}
	if got := w.state(together(on(4, 5), on(6, 5))); got != "ALARM" {
		t.Errorf("five in minute 4 and five in minute 6: %s", got)
	}
	if got := w.state(together(on(4, 5), on(9, 5))); got != "OK" {
		t.Errorf("five in minute 4 and five in minute 9: %s", got)
	}
}

// reads names the metric an alarm reads: "Accepted", "AWS/Lambda/Errors", and of a
// queue "AWS/SQS/ApproximateAgeOfOldestMessage of DeadLetters".
func reads(t template, id string) string {
	p := t.Resources[id].Properties
	name := strings.TrimPrefix(metric(p), "NylasWebhooks/")
	if p.is("AWS/SQS", "Namespace") {
		queue := references(p.at("Dimensions"))[0]
		name += " of " + queue[:len(queue)-8] // without the CDK's hash
	}
	return name
}

// alarmsByRole returns the ids of a stage's alarms.
func alarmsByRole(d deployment) map[string]string {
	ids := make(map[string]string)
	for _, id := range d.template.of(alarmType) {
		ids[role(d, id)] = id
	}
	return ids
}

// goOff returns the minute in which each alarm that goes off does so at the latest, by
// role. It looks at as many minutes as there is something published, a window at least.
func goOff(d deployment, published map[string]series) (minutes map[string]int, err error) {
	last := window
	for _, s := range published {
		for minute := range s {
			last = max(last, minute+1)
		}
	}
	minutes = make(map[string]int)
	known := make(map[string]bool)
	for name, id := range alarmsByRole(d) {
		known[reads(d.template, id)] = true
		switch state, minute := watchOf(d.template.Resources[id].Properties).within(published[reads(d.template, id)], last); state {
		case "ALARM":
			minutes[name] = minute
		case "undecided":
			return nil, fmt.Errorf("whether %s goes off depends on how far CloudWatch looks back", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(published)) {
		if !known[name] && !unwatched[name] {
			return nil, fmt.Errorf("no alarm reads %s", name)
		}
	}
	return minutes, nil
}
