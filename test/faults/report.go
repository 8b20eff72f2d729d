package faults

import (
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/onepagecrm/nylas-webhooks/test/canary"
)

// Outcome is a section with its results, in the order of its scenarios.
type Outcome struct {
	Section Section
	Results []Result
}

// WriteReport writes report.md and its plots into dir. It writes nothing that a
// notification held; should a result hold such a thing, it is an error. early is why the
// proof ended before its end, nil where it did not.
func WriteReport(dir string, at time.Time, machine string, outcomes []Outcome, soak []Sample, early error) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	var b strings.Builder
	writeHead(&b, at, machine, outcomes)
	if early != nil {
		fmt.Fprintf(&b, "\n**Not everything was run: %v.**\n", early)
	}
	plots := 0
	for _, o := range outcomes {
		fmt.Fprintf(&b, "\n## %s\n\n", o.Section.Name)
		writeTable(&b, o.Results)
		for _, r := range o.Results {
			if !r.Scenario.Plot {
				continue
			}
			plots++
			name := fmt.Sprintf("plot-%02d.svg", plots)
			if err := os.WriteFile(filepath.Join(dir, name), []byte(Plot(r)), 0o600); err != nil {
				return fmt.Errorf("write plot: %w", err)
			}
			fmt.Fprintf(&b, "\n![%s](%s)\n", r.Scenario.Name, name)
		}
		writeWrong(&b, o.Results)
	}
	writeMemory(&b, soak)
	if found := canary.Find([]byte(b.String())); len(found) > 0 {
		return fmt.Errorf("write report: it would hold %v of a notification", found)
	}
	if err := os.WriteFile(filepath.Join(dir, "report.md"), []byte(b.String()), 0o600); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

func writeHead(w io.Writer, at time.Time, machine string, outcomes []Outcome) {
	sent, attempts, lost, letIn, wrong, runs := 0, 0, 0, 0, 0, 0
	for _, o := range outcomes {
		for _, r := range o.Results {
			runs++
			sent, attempts = sent+r.Account.Sent, attempts+r.Account.Attempts
			lost, letIn = lost+r.Account.Lost, letIn+r.Account.LetIn
			if len(r.Wrong) > 0 {
				wrong++
			}
		}
	}
	fmt.Fprintf(w, `# Nothing is lost, nobody gets in

%s, %s. The real receiver ran behind a Lambda and an API Gateway of the test's own, with
the timeouts, limits and gateway responses of prod's template, against SQS, Secrets
Manager and S3 that fail on purpose. Nylas was played as it documents itself, with the
time between attempts shortened.

**%d runs, %d notifications in %d attempts: %d lost, %d forged ones let in, %d runs with a finding.**

- *refused*: attempts that were not answered 200. *delivered*: notifications on the queue.
  *spilled*: only in the bucket, to be replayed. *duplicated*: copies beyond the first.
  *given up*: refused three times by an answer that says "try again", and kept nowhere.
- *lost*: answered 200 and not kept byte for byte, or refused in a way after which Nylas
  does not try again.
- A fault lasts from the first notification until each has met it, so less than the 10
  minutes after which Nylas tries for the last time, unless the name says otherwise.
`, at.UTC().Format("2 January 2006 15:04 UTC"), machine, runs, sent, attempts, lost, letIn, wrong)
}

func writeTable(w io.Writer, results []Result) {
	fmt.Fprintln(w, "| fault | sent | attempts | refused | delivered | spilled | duplicated | given up | **lost** | forged | let in | starts | killed | most at once | slowest answer | |")
	fmt.Fprintln(w, "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|")
	for _, r := range results {
		verdict := "ok"
		if len(r.Wrong) > 0 {
			verdict = "**wrong**"
		}
		a, f := r.Account, r.Function
		fmt.Fprintf(w, "| %s | %d | %d | %d | %d | %d | %d | %d | **%d** | %d | %d | %d | %d | %d | %.1f s | %s |\n",
			r.Scenario.Name, a.Sent, a.Attempts, a.Refused, a.Delivered, a.Spilled, a.Duplicated, a.GivenUp, a.Lost,
			a.Forged, a.LetIn, f.Started, f.Killed, f.Peak, r.Slowest.Seconds(), verdict)
	}
}

func writeWrong(w io.Writer, results []Result) {
	for _, r := range results {
		if len(r.Wrong) == 0 {
			continue
		}
		fmt.Fprintf(w, "\n### %s\n\n", r.Scenario.Name)
		for _, line := range r.Wrong {
			fmt.Fprintf(w, "- %s\n", line)
		}
		var met []string
		for _, name := range slices.Sorted(maps.Keys(r.Met)) {
			met = append(met, fmt.Sprintf("%s: %d", name, r.Met[name]))
		}
		fmt.Fprintf(w, "\nCalls that met a fault: %s. The end of the log:\n\n```\n%s\n```\n", strings.Join(met, ", "), strings.Join(r.Log, "\n"))
	}
}

func writeMemory(w io.Writer, samples []Sample) {
	if len(samples) == 0 || samples[0].Processes == 0 {
		return
	}
	fmt.Fprintf(w, "\n## Memory of the receiver's processes during the soak\n\n| after | processes | MB of one, on average | MB, the most one ever had |\n|--:|--:|--:|--:|\n")
	for i := range 11 { // the start and ten tenths
		s := samples[min(len(samples)-1, i*len(samples)/10)]
		fmt.Fprintf(w, "| %v | %d | %.1f | %.1f |\n", s.At.Sub(samples[0].At).Round(time.Second), s.Processes,
			float64(s.Resident)/float64(max(1, s.Processes))/1e6, float64(s.Peak)/1e6)
	}
}
