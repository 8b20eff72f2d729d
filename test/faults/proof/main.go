// Command proof runs everything that package faults can show, a soak included, and
// writes a report with plots. It exits with 1 when a single notification was lost, a
// forged one let in, or anything else was found.
//
//	go run ./test/faults/proof
//
// The whole takes about half an hour on two cores.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/onepagecrm/nylas-webhooks/test/faults"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	out := flag.String("out", filepath.Join(".local", "faults"), "where the report is written")
	soak := flag.Duration("soak", 10*time.Minute, "how long the soak lasts; 0 leaves it out")
	only := flag.String("only", "", "run only scenarios whose name matches this expression")
	flag.Parse()
	if err := run(ctx, *out, *soak, *only); err != nil {
		fmt.Fprintln(os.Stderr, "proof:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out string, soak time.Duration, only string) error {
	match, err := regexp.Compile(only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	dir, err := os.MkdirTemp("", "faults-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // a rest in the temporary directory does not matter
	root, err := faults.Root(ctx)
	if err != nil {
		return err
	}
	stack, err := faults.ReadStack(root)
	if err != nil {
		return err
	}
	program, err := faults.Build(ctx, root, dir, nil)
	if err != nil {
		return err
	}
	began := time.Now()
	var outcomes []faults.Outcome
	var samples []faults.Sample
	err = prove(ctx, program, stack, soak, match, &outcomes, &samples)
	// Also when it ended early: what was shown until then was shown.
	machine := fmt.Sprintf("%s/%s, %d cores, %v", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), time.Since(began).Round(time.Second))
	if reportErr := faults.WriteReport(out, began, machine, outcomes, samples, err); reportErr != nil {
		return errors.Join(err, reportErr)
	}
	fmt.Println("report:", filepath.Join(out, "report.md"))
	return errors.Join(err, verdict(outcomes))
}

// prove runs everything that matches, and then the soak, unless it is to last no time.
// What came of it is added to outcomes and samples.
func prove(ctx context.Context, program string, stack faults.Stack, soak time.Duration, match *regexp.Regexp, outcomes *[]faults.Outcome, samples *[]faults.Sample) error {
	for _, section := range faults.Proof() {
		section.Scenarios = matching(section.Scenarios, match)
		if len(section.Scenarios) == 0 {
			continue
		}
		results, err := runAll(ctx, program, stack, section)
		*outcomes = append(*outcomes, faults.Outcome{Section: section, Results: results})
		if err != nil {
			return err
		}
	}
	if soak == 0 {
		return nil
	}
	rates, err := faults.Rates(ctx, program, stack)
	if err != nil {
		return err
	}
	fmt.Println("\n== The highest steady rate")
	held, tried, err := faults.Highest(rates, func(sc faults.Scenario) (faults.Result, error) {
		r, err := faults.Run(ctx, program, stack, sc)
		say(sc, r, err)
		return r, err
	})
	*outcomes = append(*outcomes, faults.Outcome{Section: faults.Section{Name: "The highest steady rate"}, Results: tried})
	if err != nil {
		return err
	}
	// What was held for a while may not be for so long; then the next lower one is.
	for i := len(held) - 1; ; i-- {
		*samples = nil
		section := faults.Section{Name: "Soak", Scenarios: []faults.Scenario{faults.Soak(held[i], soak, samples)}, Parallel: 1}
		fmt.Printf("\nat %.0f/s:", held[i])
		results, err := runAll(ctx, program, stack, section)
		isHeld := len(results) == 1 && results[0].Held()
		*outcomes = append(*outcomes, faults.Outcome{Section: section, Results: results})
		if err != nil || isHeld {
			return err
		}
		if i == 0 {
			return errors.New("no rate was held as long as the soak lasts: let nothing else run on the machine, and try again")
		}
		fmt.Printf("%.0f/s was not held for %v\n", held[i], soak)
	}
}

func matching(scenarios []faults.Scenario, match *regexp.Regexp) []faults.Scenario {
	var kept []faults.Scenario
	for _, sc := range scenarios {
		if match.MatchString(sc.Name) {
			kept = append(kept, sc)
		}
	}
	return kept
}

// runAll runs a section's scenarios, says how each went, and returns what came of those
// that could be run.
func runAll(ctx context.Context, program string, stack faults.Stack, section faults.Section) ([]faults.Result, error) {
	fmt.Printf("\n== %s: %d\n", section.Name, len(section.Scenarios))
	results := make([]faults.Result, len(section.Scenarios))
	failures := make([]error, len(section.Scenarios))
	var all sync.WaitGroup
	free := make(chan struct{}, section.Parallel)
	for i, sc := range section.Scenarios {
		free <- struct{}{}
		all.Go(func() {
			defer func() { <-free }()
			r, err := faults.Run(ctx, program, stack, sc)
			failures[i] = err
			if err == nil { // else what there is of it shows nothing
				results[i] = r
			}
			say(sc, r, err)
		})
	}
	all.Wait()
	// One that could not be run has no result.
	results = slices.DeleteFunc(results, func(r faults.Result) bool { return r.Scenario.Name == "" })
	return results, errors.Join(failures...)
}

// say prints a line about a run, and what is wrong with it.
func say(sc faults.Scenario, r faults.Result, err error) {
	if err != nil {
		fmt.Printf("NOT RUN  %s: %v\n", sc.Name, err)
		return
	}
	word := "ok   "
	if len(r.Wrong) > 0 {
		word = "WRONG"
	}
	fmt.Printf("%s %6.1fs  sent %d, refused %d, delivered %d, spilled %d, duplicated %d, given up %d, lost %d  %s\n", word, r.Took.Seconds(),
		r.Account.Sent, r.Account.Refused, r.Account.Delivered, r.Account.Spilled, r.Account.Duplicated, r.Account.GivenUp, r.Account.Lost, sc.Name)
	for i, w := range r.Wrong {
		if i == 5 { // the report has all
			break
		}
		fmt.Println("     ", w)
	}
}

func verdict(outcomes []faults.Outcome) error {
	wrong := 0
	for _, o := range outcomes {
		for _, r := range o.Results {
			if len(r.Wrong) > 0 {
				wrong++
			}
		}
	}
	if wrong > 0 {
		return fmt.Errorf("%d runs have a finding; the report says which", wrong)
	}
	return nil
}
