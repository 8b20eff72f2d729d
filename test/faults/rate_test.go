package faults

import (
	"errors"
	"slices"
	"testing"
)

func TestHighest(t *testing.T) {
	const holds = 250 // a second
	try := func(lost int) func(Scenario) (Result, error) {
		return func(sc Scenario) (Result, error) {
			r := Result{Scenario: sc}
			if sc.Rate > holds {
				r.Function.Throttled = 1
				r.Wrong = []string{"3 requests had no answer"}
				r.Account.Lost = lost
			}
			return r, nil
		}
	}
	rate, results, err := Highest([]float64{100, 200, 300, 400}, try(0))
	if err != nil || rate != 200 || len(results) != 3 {
		t.Errorf("%.0f/s after %d tries, %v; want 200/s after 3", rate, len(results), err)
	}
	if slices.ContainsFunc(results, func(r Result) bool { return len(r.Wrong) > 0 }) {
		t.Error("that a rate is too much is a finding")
	}
	if _, results, _ = Highest([]float64{100, 300}, try(1)); len(results[1].Wrong) == 0 {
		t.Error("a lost notification is no finding")
	}
	if _, _, err = Highest([]float64{300}, try(0)); !errors.Is(err, errTooBusy) {
		t.Errorf("error %v where no rate is held", err)
	}
}
