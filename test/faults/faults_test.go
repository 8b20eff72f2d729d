package faults

import (
	"encoding/json"
	"os"
	"sync"
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
		blackHole(20, 0, 4*time.Second, 200, 0),
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

// anew says how what faults publish is written down again.
const anew = "UPDATE_SNAPSHOTS=1 make faults, then make snapshots, for the table that is computed from it"

// Each fault alone: nothing is lost, nothing is given up, nothing leaks, and CloudWatch
// gets to see what test/stack evaluates the alarms over.
func TestFaultsAlone(t *testing.T) {
	root, err := Root(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	update := os.Getenv("UPDATE_SNAPSHOTS") != ""
	want, err := ReadPublished(root)
	if err != nil && !update {
		t.Fatal(err)
	}
	if update && os.Getenv("CI") != "" {
		t.Fatal("testdata/published.json is not updated in CI: a person reads what changed, and commits it")
	}
	if !update && len(want) != len(Faults()) {
		t.Errorf("testdata/published.json has %d faults of %d; %s", len(want), len(Faults()), anew)
	}
	var mu sync.Mutex
	all := make(map[string]Published)
	for _, f := range Faults() {
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			r := pass(t, withFaults(f))
			logAccount(t, r)
			published := want[f.Name]
			if differs := published.differs(r.Counts, r.Counted); len(differs) > 0 {
				published = newPublished(f, r.Counts, r.Counted)
				if !update {
					t.Errorf("testdata/published.json is not true: %v. If that should be so, %s", differs, anew)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			all[f.Name] = published
		})
	}
	t.Cleanup(func() {
		if !update {
			return
		}
		text, err := json.MarshalIndent(all, "", "  ")
		if err == nil {
			err = os.WriteFile(publishedFile(root), append(text, '\n'), 0o600)
		}
		if err != nil {
			t.Error(err)
		}
	})
}

func logAccount(t *testing.T, r Result) {
	t.Helper()
	a := r.Account
	a.Problems = nil
	t.Logf("%v: %+v %+v %v %v failing %d, slowest %v", r.Took.Round(time.Millisecond), a, r.Function, r.Metrics, r.Responses, r.Failing, r.Slowest.Round(time.Millisecond))
}
