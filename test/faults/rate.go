package faults

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

const (
	// calibration is how long the machine shows what it holds at its busiest.
	calibration = 3 * time.Second
	// trial is how long a rate is tried: most that are too high show it. The soak shows
	// the rest.
	trial = 40 * time.Second
	// hiccups is which share of the attempts may find the concurrency used up at a rate
	// that is held: at 1,000 a second a pause of the machine of 200 ms is enough for some.
	hiccups = 0.01
)

// shares of what the machine holds at its busiest are tried in this order. What plays
// Nylas and AWS needs the same cores, so at the whole of it everything piles up.
var shares = []float64{0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1}

// Rates returns the rates to try, in notifications a second: shares of what sixteen
// connections get through while nothing fails.
func Rates(ctx context.Context, program string, stack Stack) ([]float64, error) {
	r, err := Run(ctx, program, stack, Scenario{
		Name: "calibration", NoOutage: true,
		During: func(ctx context.Context, _ *System) error {
			select {
			case <-time.After(calibration):
			case <-ctx.Done():
			}
			return nil
		},
	})
	if err != nil {
		return nil, err
	}
	if len(r.Wrong) > 0 {
		return nil, fmt.Errorf("calibrate: %s", r.Wrong[0])
	}
	var rates []float64
	for _, share := range shares {
		rates = append(rates, share*float64(r.Account.Sent)/calibration.Seconds())
	}
	return rates, nil
}

// errTooBusy: not even the first of the rates was held.
var errTooBusy = errors.New("the machine holds no steady rate at all: let nothing else run on it, and try again")

// Held tells whether the rate of a run was held: requests that come faster than they
// are done pile up to the function's concurrency, and the rest is refused. Where it was not, that some had no
// answer in time is no finding, and the scenario's name says so.
func (r *Result) Held() bool {
	if float64(r.Function.Throttled) <= hiccups*float64(r.Account.Attempts) {
		return true
	}
	r.Scenario.Name += " (not held)"
	r.Wrong = slices.DeleteFunc(r.Wrong, func(w string) bool { return w == r.unanswered() })
	return false
}

// Highest tries the soak at one rate after the other until one is not held, and returns
// those that were, and what each try came to.
func Highest(rates []float64, run func(Scenario) (Result, error)) (held []float64, results []Result, err error) {
	for _, rate := range rates {
		sc := Soak(rate, trial, new([]Sample))
		sc.Name, sc.Plot, sc.Check = fmt.Sprintf("%.0f/s for %v, 5 %% faults", rate, trial), false, nil
		r, err := run(sc)
		if err != nil {
			return nil, results, err
		}
		holds := r.Held()
		results = append(results, r)
		if !holds {
			break
		}
		held = append(held, rate)
	}
	if len(held) == 0 {
		return nil, results, errTooBusy
	}
	return held, results, nil
}
