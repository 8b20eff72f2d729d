package faults

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// calibration is how long the machine shows what it holds at its busiest.
	calibration = 3 * time.Second
	// trial is how long a rate is tried; what piles up shows within seconds.
	trial = 40 * time.Second
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

// Highest tries the soak at one rate after the other and returns the last that was
// held, and what each try came to. A rate is held while the requests at once stay
// below the function's concurrency: beyond, they come faster than they are done.
func Highest(rates []float64, run func(Scenario) (Result, error)) (highest float64, results []Result, err error) {
	for _, rate := range rates {
		sc := Soak(rate, trial, new([]Sample))
		sc.Name, sc.Plot, sc.Check = fmt.Sprintf("%.0f/s for %v, 5 %% faults", rate, trial), false, nil
		r, err := run(sc)
		if err != nil {
			return 0, results, err
		}
		held := r.Function.Throttled == 0 && len(r.Wrong) == 0
		if !held {
			r.Scenario.Name += " (not held)"
			if r.Account.Lost == 0 && r.Account.LetIn == 0 {
				r.Wrong = nil // that it is too much is what was asked
			}
		}
		results = append(results, r)
		if !held {
			break
		}
		highest = rate
	}
	if highest == 0 {
		return 0, results, errTooBusy
	}
	return highest, results, nil
}
