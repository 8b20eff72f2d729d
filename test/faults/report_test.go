package faults

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/onepagecrm/nylas-webhooks/lambda/contract"
	"github.com/onepagecrm/nylas-webhooks/test/canary"
	"github.com/onepagecrm/nylas-webhooks/test/faults/function"
	"github.com/onepagecrm/nylas-webhooks/test/faults/ledger"
	"github.com/onepagecrm/nylas-webhooks/test/faults/standin"
)

func result() Result {
	began := time.Date(2026, 1, 5, 10, 0, 0, 0, time.UTC)
	return Result{
		Scenario: Scenario{Name: "SQS < S3", Plot: true},
		Account:  ledger.Account{Sent: 12, Attempts: 34, Refused: 5, Delivered: 6, Spilled: 7, Duplicated: 8, GivenUp: 9, Lost: 10},
		Began:    began, Took: 12 * time.Second,
		Kept:  []Arrival{{began.Add(time.Second), ledger.Queue}, {began.Add(2 * time.Second), ledger.Bucket}},
		Lines: []ledger.Line{{At: began.Add(3 * time.Second), Status: 503}, {At: began.Add(4 * time.Second), Status: 200}},
		Wrong: []string{"10 notifications were lost"},
	}
}

func TestReport(t *testing.T) {
	dir := t.TempDir()
	outcomes := []Outcome{{Section: Section{Name: "Faults"}, Results: []Result{result()}}}
	samples := []Sample{{At: time.Now(), Memory: function.Memory{Processes: 2, Resident: 40e6, Peak: 30e6}}}
	if err := WriteReport(dir, time.Now(), "here", outcomes, samples, errors.New("interrupted")); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "report.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| SQS < S3 | 12 | 34 | 5 | 6 | 7 | 8 | 9 | **10** |", "**wrong**", "- 10 notifications were lost",
		"1 runs, 12 notifications in 34 attempts: 10 lost", "](plot-01.svg)", "| 20.0 | 30.0 |", "Not everything was run: interrupted",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the report lacks %q:\n%s", want, text)
		}
	}
	plot, err := os.ReadFile(filepath.Join(dir, "plot-01.svg"))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range series { // a bar and the legend
		if n := strings.Count(string(plot), `fill="`+s.colour+`"`); n != 2 {
			t.Errorf("the plot has %d shapes for %s", n, s.name)
		}
	}
	if !strings.Contains(string(plot), "SQS &lt; S3") {
		t.Error("the plot's title is not escaped")
	}
}

func TestReportHoldsNoMail(t *testing.T) {
	r := result()
	r.Log = []string{"a line with " + canary.New("subject")}
	err := WriteReport(t.TempDir(), time.Now(), "here", []Outcome{{Results: []Result{r}}}, nil, nil)
	if err == nil || !strings.Contains(err.Error(), "subject") {
		t.Errorf("error %v", err)
	}
}

func TestAnswersAreSearched(t *testing.T) {
	var l log
	l.answer([]byte("map[Content-Type:[text/plain]]refused"))
	if _, leaks, _, _ := l.snapshot(); leaks != nil {
		t.Errorf("%v of a good answer", leaks)
	}
	l.answer([]byte("refused: " + canary.New("body")))
	if _, leaks, _, _ := l.snapshot(); len(leaks) != 1 || leaks[0] != "an answer held [body]" {
		t.Errorf("%v of one that quotes mail", leaks)
	}
}

func TestMemoryGrew(t *testing.T) {
	samples := func(megabytes ...int) []Sample {
		var all []Sample
		for _, mb := range megabytes {
			all = append(all, Sample{Memory: function.Memory{Processes: 1, Resident: mb << 20, Peak: mb << 20}})
		}
		return all
	}
	for _, test := range []struct {
		megabytes []int
		want      string
	}{
		{[]int{5, 9, 20, 20, 21, 20}, ""}, // warming up
		{[]int{20, 20, 20, 20, 25, 30}, "in the second third"},
		{[]int{20, 20, 20, 20, 20, 20, 300, 20, 20, 20, 20, 20}, "the function has 256"},
		{[]int{20}, ""},
	} {
		if got := strings.Join(memoryGrew(samples(test.megabytes...), 256), "\n"); !strings.Contains(got, test.want) || (got == "") != (test.want == "") {
			t.Errorf("%v: %q, want %q", test.megabytes, got, test.want)
		}
	}
}

func TestReadsTooOften(t *testing.T) {
	at := func(environment, stage string, seconds float64) standin.Read {
		return standin.Read{Environment: environment, Stage: stage, At: time.Unix(0, 0).Add(time.Duration(seconds * float64(time.Second)))}
	}
	const current, previous = "AWSCURRENT", "AWSPREVIOUS"
	for name, test := range map[string]struct {
		reads []standin.Read
		wrong int
	}{
		"start, then first mismatch": {[]standin.Read{at("a", current, 0), at("a", previous, 0.1), at("a", current, 1), at("a", previous, 1.1)}, 0},
		"ten seconds apart":          {[]standin.Read{at("a", current, 0), at("a", current, 1), at("a", current, 11)}, 0},
		"too soon":                   {[]standin.Read{at("a", current, 0), at("a", current, 1), at("a", current, 9)}, 1},
		"another environment":        {[]standin.Read{at("a", current, 0), at("a", current, 1), at("b", current, 2), at("b", current, 3)}, 0},
	} {
		if got := readsTooOften(test.reads); len(got) != test.wrong {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestPagesMoved(t *testing.T) {
	quiet := func() *Result {
		return &Result{Account: ledger.Account{Sent: 3}, Metrics: map[contract.Metric]int{contract.Accepted: 3, contract.Mismatch: 9}}
	}
	s := Stack{Pages: []contract.Metric{contract.Accepted, contract.SendFailed}}
	for name, test := range map[string]struct {
		change func(r *Result)
		wrong  int
	}{
		"forged requests":  {func(*Result) {}, 0},
		"a page metric":    {func(r *Result) { r.Metrics[contract.SendFailed] = 1 }, 1},
		"silence":          {func(r *Result) { r.Metrics[contract.Accepted] = 2 }, 1},
		"Lambda's errors":  {func(r *Result) { r.Function.Errors = 1 }, 1},
		"Lambda throttles": {func(r *Result) { r.Function.Throttled = 1 }, 1},
		"gateway faults":   {func(r *Result) { r.Responses = map[string]int{"INTEGRATION_FAILURE": 1} }, 1},
		"a 404":            {func(r *Result) { r.Responses = map[string]int{"MISSING_AUTHENTICATION_TOKEN": 1} }, 0},
	} {
		r := quiet()
		test.change(r)
		if got := pagesMoved(r, s); len(got) != test.wrong {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestMetricsOf(t *testing.T) {
	line := `{"Stage":"prod","Accepted":1,"Verified":0,"_aws":{"CloudWatchMetrics":[{"Namespace":"NylasWebhooks","Metrics":[{"Name":"Accepted"},{"Name":"Verified"}]}]}}`
	got, err := metricsOf([]byte(line))
	if err != nil || got[contract.Accepted] != 1 || len(got) != 2 {
		t.Errorf("%v, %v", got, err)
	}
	for _, line := range []string{"no JSON", strings.Replace(line, `"Accepted":1`, `"Accepted":"1"`, 1), strings.Replace(line, "NylasWebhooks", "Other", 1)} {
		if _, err := metricsOf([]byte(line)); err == nil {
			t.Errorf("no error for %s", line)
		}
	}
	if got, err := metricsOf([]byte(`{"level":"WARN"}`)); err != nil || len(got) != 0 {
		t.Errorf("a line without metrics: %v, %v", got, err)
	}
}
