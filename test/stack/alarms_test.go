package stack

import (
	"maps"
	"slices"
	"testing"
)

// alarmSeries are, for each alarm, what must set it off and what must not, with what
// it is. They are about prod; of the two alarms that only a stage with known traffic
// has, about "full", whose quietest minute brings 10 notifications.
var alarmSeries = map[string]struct{ must, mustNot map[string]series }{
	"GatewayFaults": {
		must: map[string]series{
			"two minutes next to each other": during(5, 7, 1),
			"two minutes of ten":             together(on(5, 1), on(14, 1)),
		},
		mustNot: map[string]series{
			"no line":                      nil,
			"lines without a fault":        during(0, 90, 0),
			"many in one minute":           on(5, times(50, 1)...),
			"another one a quarter later":  together(on(5, 1), on(20, 1)),
			"one every quarter of an hour": together(on(5, 1), on(20, 1), on(35, 1), on(50, 1)),
		},
	},
	"SendFailed":        counts("a notification that is nowhere safe"),
	"SecretUnavailable": counts("a request that could not be verified"),
	"Faulted":           counts("a panic"),
	"ReceiverErrors":    counts("a crash"),
	"Flood": {
		must: map[string]series{"a little more than 200 a second for a quarter of an hour": together(during(0, 15, times(12_000, 1)...), every(5, 0, 15, 1))},
		mustNot: map[string]series{
			"the largest burst of Nylas's, three times in five minutes": on(7, times(60_000, 1)...),
			"ten minutes":          during(0, 10, times(30_000, 1)...),
			"200 a second, always": during(0, 90, times(12_000, 1)...),
		},
	},
	"Spilled":            counts("a spilled notification"),
	"Mismatch":           counts("a forged signature"),
	"NoSecret":           counts("a request before the secret was stored"),
	"ArchiveFailed":      counts("a notification without a copy"),
	"TestEvent":          counts("a test event"),
	"CompressedDelivery": counts("a compressed delivery"),
	"DeadLetters":        counts("a dead letter"),
	"ReceiverThrottled": {
		must: map[string]series{
			"two minutes next to each other": together(during(0, 60, 0), during(5, 7, 1)),
			"two minutes of five":            together(during(0, 60, 0), on(5, 1), on(9, 1)),
		},
		mustNot: map[string]series{
			"a burst within one minute":                                  together(during(0, 60, 0), on(5, times(500, 1)...)),
			"two bursts, ten minutes apart, and no request between them": together(on(5, 1), on(15, 1)),
		},
	},
	"SpilledMany": {
		must: map[string]series{
			"ten in a minute": on(5, times(10, 1)...),
			"two a minute":    during(5, 10, 1, 1),
			"five, and five more, four minutes after that": together(on(4, times(5, 1)...), on(8, times(5, 1)...)),
		},
		mustNot: map[string]series{
			"one":                                   on(5, 1),
			"nine":                                  on(5, times(9, 1)...),
			"one a minute, for as long as it lasts": during(0, 90, 1),
			"nine, and nine more, five minutes after that": together(on(4, times(9, 1)...), on(9, times(9, 1)...)),
		},
	},
	"SpillWaiting": above(3_600, 1),
	"QueueAge": {
		must: map[string]series{"five minutes": during(5, 10, 301)},
		mustNot: map[string]series{
			"four minutes, however old":                  together(during(0, 5, 1), during(5, 9, 100_000), during(9, 60, 1)),
			"always just young enough":                   during(0, 90, 300),
			"a queue that nobody has used":               nil,
			"a burst that is worked off in four minutes": together(on(5, 60), on(6, 301), on(7, 310), on(8, 305), on(9, 301), during(10, 60, 20)),
		},
	},
	"QueueExpiring": above(302_400, 1),
	"DeadLettersExpiring": {
		must: map[string]series{
			"one that stays for five days and is then handled": together(every(5, 0, 360, 0), every(5, 360, 360+5*24*60, 1), every(5, 360+5*24*60, 7*24*60, 0)),
			"however many, and none of them looked at":         every(5, 0, 5*24*60, 3_000),
			// hookctl dlq ls hides what it looks at, five minutes where it is killed.
			"somebody looks at it every day, and hides it meanwhile": together(every(5, 0, 5*24*60, 1), hidden(600, 2_040, 3_480, 4_920, 6_360)),
		},
		mustNot: map[string]series{
			"an hour less than five days":       together(every(5, 0, 360, 0), every(5, 360, 360+5*24*60-60, 7), every(5, 360+5*24*60-60, 7*24*60, 0)),
			"one every day, worked off in time": together(every(5, 0, 6*24*60, 0), every(5, 60, 6*24*60, 0), on(600, 1), on(2_040, 1)),
			"no dead letter":                    every(5, 0, 6*24*60, 0),
			"a queue that nobody has used":      nil,
		},
	},
	"SignaturesFailing": {
		must: map[string]series{
			"five minutes in which none is good": together(during(0, 5, 1), during(5, 10, 0)),
			"and it goes on for an hour":         during(5, 65, 0, 0, 0),
		},
		mustNot: map[string]series{
			"four minutes": together(during(0, 5, 1), during(5, 9, 0), during(9, 60, 1)),
			"a flood of forged ones beside good ones":   during(0, 60, mixed(1_000, 1, 1, 0)...),
			"five minutes, and a good one among them":   together(during(5, 10, 0), on(7, 1)),
			"nobody signs at all":                       nil,
			"one forged one every two minutes at night": together(on(5, 0), on(7, 0), on(9, 0), on(11, 0), on(13, 0), on(15, 0), on(17, 0)),
		},
	},
	"Silence": {
		must: map[string]series{
			"a quarter of an hour of next to nothing":            together(during(0, 30, times(10, 1)...), during(30, 46, 1), during(46, 90, times(10, 1)...)),
			"nine in every five minutes":                         together(during(0, 30, times(10, 1)...), every(5, 30, 90, times(9, 1)...)),
			"nothing arrives any more":                           during(0, 30, times(10, 1)...),
			"less than the quietest minute brings, in each five": together(during(0, 30, times(10, 1)...), during(30, 90, 1)),
		},
		mustNot: map[string]series{
			"what the quietest hour brings": during(0, 90, times(10, 1)...),
			"ten in every five minutes":     during(0, 90, 1, 1),
			"an outage of ten minutes":      together(during(0, 40, times(10, 1)...), during(50, 90, times(10, 1)...)),
		},
	},
	"ClientErrors": {
		must: map[string]series{"six of a hundred, five minutes": during(5, 10, mixed(100, 6, 1, 0)...)},
		mustNot: map[string]series{
			"five of a hundred": during(0, 90, mixed(100, 5, 1, 0)...),
			"all, four minutes": together(during(0, 5, 0), during(5, 9, 1), during(9, 60, 0)),
			"nobody calls":      nil,
		},
	},
	"ServerErrors": {
		must: map[string]series{"six of a hundred, three minutes": during(5, 8, mixed(100, 6, 1, 0)...)},
		mustNot: map[string]series{
			"five of a hundred": during(0, 90, mixed(100, 5, 1, 0)...),
			"all, two minutes":  together(during(0, 5, 0), during(5, 7, 1), during(7, 60, 0)),
		},
	},
	"Latency":  slow(2_000),
	"Duration": slow(4_000),
	"Concurrency": {
		must: map[string]series{
			"five minutes":        during(5, 10, 801),
			"five minutes of ten": together(during(0, 60, 100), on(5, 801), on(7, 801), on(9, 801), on(11, 801), on(13, 801)),
		},
		mustNot: map[string]series{
			"four minutes":        together(during(0, 60, 100), during(5, 9, 1_000)),
			"four fifths, always": during(0, 90, 800),
		},
	},
	"Backlog": {
		must: map[string]series{"a quarter of an hour": during(5, 20, 20_001)},
		mustNot: map[string]series{
			"one burst of Nylas's, not worked off": during(0, 90, 20_000),
			"14 minutes":                           together(during(0, 5, 0), during(5, 19, 100_000), during(19, 60, 0)),
		},
	},
	"InFlight": {
		must: map[string]series{"five minutes": during(5, 10, 90_001)},
		mustNot: map[string]series{
			"three quarters, always": during(0, 90, 90_000),
			"four minutes":           together(during(0, 5, 0), during(5, 9, 119_000), during(9, 60, 0)),
		},
	},
}

// hidden is a queue in which nothing is visible for five minutes, from each of these on.
func hidden(from ...int) series {
	s := make(series)
	for _, minute := range from {
		s = together(s, during(minute, minute+5, 0))
	}
	return s
}

// counts is for alarms that one of something sets off.
func counts(one string) (s struct{ must, mustNot map[string]series }) {
	s.must = map[string]series{one: on(5, 1), one + " among requests without": together(during(0, 60, 0, 0, 0), on(30, 1))}
	s.mustNot = map[string]series{"nobody calls": nil, "requests without": during(0, 90, 0, 0, 0)}
	return s
}

// above is for alarms on a value that one datapoint above the limit sets off.
func above(limit, least float64) (s struct{ must, mustNot map[string]series }) {
	s.must = map[string]series{"just above": on(5, limit+least)}
	s.mustNot = map[string]series{"at the limit, always": during(0, 90, limit), "no datapoint": nil}
	return s
}

// slow is for alarms on what one in ten requests takes, in milliseconds.
func slow(limit float64) (s struct{ must, mustNot map[string]series }) {
	s.must = map[string]series{"eleven of a hundred, five minutes": during(5, 10, mixed(100, 11, limit+1, 20)...)}
	s.mustNot = map[string]series{
		"nine of a hundred, very":   during(0, 90, mixed(100, 9, 9_000, 20)...),
		"all, four minutes":         together(during(0, 5, 20), during(5, 9, 9_000), during(9, 60, 20)),
		"all, at the limit, always": during(0, 90, limit),
	}
	return s
}

// wrong returns what a condition does otherwise than a table says.
func wrong(w watch, must, mustNot map[string]series) (found findings) {
	for want, cases := range map[string]map[string]series{"ALARM": must, "OK": mustNot} {
		for what, s := range cases {
			if got := w.state(s); got != want {
				found.addf("%s: %s, want %s", what, got, want)
			}
		}
	}
	return found
}

func TestAlarmSeries(t *testing.T) {
	prod, full := alarmsByRole(stacks["prod"]), alarmsByRole(stacks["full"])
	for _, name := range slices.Sorted(maps.Keys(full)) {
		alarm := stacks["full"].template.Resources[full[name]]
		if id, ok := prod[name]; ok {
			alarm = stacks["prod"].template.Resources[id]
		}
		cases := alarmSeries[name]
		if len(cases.must) == 0 || len(cases.mustNot) == 0 {
			t.Errorf("%s: say in alarmSeries what must set it off, and what must not", name)
			continue
		}
		w := watchOf(alarm.Properties)
		for _, finding := range wrong(w, cases.must, cases.mustNot) {
			t.Errorf("%s: %s", name, finding)
		}
		for change, changed := range mutatedWatches(w) {
			if len(wrong(changed, cases.must, cases.mustNot)) == 0 {
				t.Errorf("%s: no series notices if it were %s", name, change)
			}
		}
	}
	for name := range alarmSeries {
		if full[name] == "" {
			t.Errorf("there is no alarm %s", name)
		}
	}
}

// mutatedWatches are conditions that are a little wrong.
func mutatedWatches(w watch) map[string]watch {
	step := 1.0
	if w.threshold > 0 && w.threshold < 1 { // a rate
		step = 0.01
	}
	higher, lower, stricter, equal, missing := w, w, w, w, w
	higher.threshold += step
	lower.threshold -= step
	stricter.m, stricter.n = w.m+1, w.n+1
	equal.operator = map[string]string{
		"GreaterThanThreshold": "GreaterThanOrEqualToThreshold", "GreaterThanOrEqualToThreshold": "GreaterThanThreshold",
		"LessThanThreshold": "LessThanOrEqualToThreshold",
	}[w.operator]
	missing.missing = map[string]string{"breaching": "notBreaching", "notBreaching": "breaching"}[w.missing]
	mutated := map[string]watch{
		"higher": higher, "lower": lower, "one period later": stricter,
		"other at the threshold itself": equal, "other where data is missing": missing,
	}
	if w.m > 1 {
		looser := w
		looser.m--
		mutated["one period sooner"] = looser
	}
	return mutated
}

// Where a stage reserves concurrency, its own limit counts.
func TestConcurrencyOfItsOwn(t *testing.T) {
	d := stacks["full"]
	w := watchOf(d.template.Resources[alarmsByRole(d)["Concurrency"]].Properties)
	limit := 0.8 * float64(d.stage.ReservedConcurrency)
	if got := w.state(during(5, 10, limit+1)); got != "ALARM" {
		t.Errorf("five minutes above %v: %s", limit, got)
	}
	if got := w.state(during(0, 90, limit)); got != "OK" {
		t.Errorf("always %v: %s", limit, got)
	}
}

// Lambda publishes a count of errors for every minute in which the function ran, 0 as
// well, and the one of a crash may come two minutes late: by then CloudWatch has found
// the later minutes' zeros, and looks at no minute beyond the alarm's own.
// https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics.html
func TestLateErrorsAreSeen(t *testing.T) {
	d := stacks["prod"]
	w := watchOf(d.template.Resources[alarmsByRole(d)["ReceiverErrors"]].Properties)
	const crash, late = 30, 2
	known := during(0, crash, 0)
	off := false
	for minute := crash; minute < window; minute++ {
		if minute == crash+late {
			known = together(known, on(crash, 1))
		}
		if minute != crash {
			known = together(known, on(minute, 0))
		}
		off = off || w.alarmsAt(known, minute, w.n)
	}
	if !off {
		t.Errorf("a crash whose datapoint comes %d minutes late sets nothing off", late)
	}
}

// A stage that says how little is usual learns of a flood that another would not notice.
func TestFloodWhereTrafficIsKnown(t *testing.T) {
	full, prod := stacks["full"], stacks["prod"] // 10 a minute in the quietest hour; not known
	limit := func(d deployment) watch { return watchOf(d.template.Resources[alarmsByRole(d)["Flood"]].Properties) }
	for _, c := range []struct {
		what       string
		published  series
		full, prod string
	}{
		{"a hundred times the quietest hour's", during(0, window, times(1_000, 1)...), "OK", "OK"},
		{"a little more, for a quarter of an hour", during(30, 45, times(1_001, 1)...), "ALARM", "OK"},
		{"one burst of Nylas's", on(30, times(20_000, 1)...), "OK", "OK"},
		{"five minutes", during(30, 35, times(30_000, 1)...), "OK", "OK"},
		{"a flood for any stage", during(30, 45, times(12_001, 1)...), "ALARM", "ALARM"},
	} {
		if got := limit(full).state(c.published); got != c.full {
			t.Errorf("where 10 a minute are usual, %s: %s, want %s", c.what, got, c.full)
		}
		if got := limit(prod).state(c.published); got != c.prod {
			t.Errorf("where it is not known, %s: %s, want %s", c.what, got, c.prod)
		}
	}
}
