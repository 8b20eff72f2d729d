package faults

import (
	"testing"
	"time"
)

// short are the scenarios of the full proof, with fewer notifications.
func short() []Scenario {
	return append(frozenAll(),
		everyBody(),
		everyBodySpilled(),
		burst(500, 16),
		beyondThrottle(100),
		noisy(200),
		blackHole(20, 4*time.Second, 200, 0),
		longOutage(),
		everythingDown(),
		killedAtRandom(40),
		coldStarts(60),
		secretStoredLate(),
		secretDeleted(),
		rotated(0),
		rotated(30*time.Minute),
		rotated(-30*time.Minute),
		clockOff(time.Hour),
		clockOff(-time.Hour),
		memoryFull(96),
		largestBodies(4),
		flood(100, 600, 50),
		sharedIDs(),
	)
}

func TestScenarios(t *testing.T) {
	for _, sc := range short() {
		t.Run(sc.Name, func(t *testing.T) {
			t.Parallel()
			logAccount(t, pass(t, sc))
		})
	}
}

// Each fault alone: nothing is lost, nothing is given up, nothing leaks.
func TestFaultsAlone(t *testing.T) {
	for _, f := range Faults() {
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			logAccount(t, pass(t, withFaults(f)))
		})
	}
}

func logAccount(t *testing.T, r Result) {
	t.Helper()
	a := r.Account
	a.Problems = nil
	t.Logf("%v: %+v %+v %v %v failing %d, slowest %v", r.Took.Round(time.Millisecond), a, r.Function, r.Metrics, r.Responses, r.Failing, r.Slowest.Round(time.Millisecond))
}
