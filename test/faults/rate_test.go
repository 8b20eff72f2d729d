package faults

import (
	"errors"
	"slices"
	"testing"
)

func TestHighest(t *testing.T) {
	const holds = 250 // a second
	try := func(finding string) func(Scenario) (Result, error) {
		return func(sc Scenario) (Result, error) {
			r := Result{Scenario: sc}
			r.Account.Attempts, r.Function.Throttled = 1000, 10 // a hiccup
			if sc.Rate > holds {
				r.Function.Throttled, r.Unanswered = 11, 3
				r.Wrong = []string{r.unanswered()}
			}
			if finding != "" {
				r.Wrong = append(r.Wrong, finding)
			}
			return r, nil
		}
	}
	held, results, err := Highest([]float64{100, 200, 300, 400}, try(""))
	if err != nil || !slices.Equal(held, []float64{100, 200}) || len(results) != 3 {
		t.Errorf("%v held after %d tries, %v; want 100 and 200 after 3", held, len(results), err)
	}
	if slices.ContainsFunc(results, func(r Result) bool { return len(r.Wrong) > 0 }) {
		t.Error("that a rate is too much is a finding")
	}
	if _, results, _ = Highest([]float64{100, 300}, try("1 notifications were lost")); len(results[0].Wrong) != 1 || len(results[1].Wrong) != 1 {
		t.Errorf("a lost notification is no finding: %v, %v", results[0].Wrong, results[1].Wrong)
	}
	if _, _, err = Highest([]float64{300}, try("")); !errors.Is(err, errTooBusy) {
		t.Errorf("error %v where no rate is held", err)
	}
}
