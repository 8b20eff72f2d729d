package faults

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/onepagecrm/nylas-webhooks/test/faults/function"
	"github.com/onepagecrm/nylas-webhooks/test/faults/nylas"
	"github.com/onepagecrm/nylas-webhooks/test/faults/standin"
)

// Section is a part of the proof, and of its report.
type Section struct {
	Name      string
	Scenarios []Scenario
	// Parallel is how many of them run at once.
	Parallel int
}

// Proof returns everything there is to show but the soak.
func Proof() []Section {
	return []Section{
		{"Load", []Scenario{
			burst(20_000, 64),
			noisy(2_000),
			// AWS's default concurrency of an account. A process's start and its first spill need
			// about 10 ms of CPU each: two cores that play AWS too do neither 200 times a second.
			blackHole(200, 10*time.Second, 20*time.Second, 1000, 600),
			blackHole(100, 0, 20*time.Second, 500, 300), // half of it, at once
			blackHole(50, 0, 20*time.Second, 250, 0),    // a quarter of it, all cold
			flood(500, 5_000, 250),
			killedAtRandom(1_000),
			coldStarts(1_000),
		}, 1},
		{"Outages, secret, clock and memory", []Scenario{
			everyBody(), everyBodySpilled(), longOutage(), everythingDown(), beyondThrottle(20),
			secretStoredLate(), secretDeleted(), rotated(0), rotated(30 * time.Minute), rotated(-30 * time.Minute),
			clockOff(time.Hour), clockOff(-time.Hour), memoryFull(96), largestBodies(40), sharedIDs(),
		}, 3},
		{"Freeze and thaw", frozenAll(), 3},
		{"Faults, each alone", alone(), 4},
		{"Faults in pairs", pairs(), 6}, // they mostly wait
	}
}

func alone() []Scenario {
	var all []Scenario
	for _, f := range Faults() {
		all = append(all, withFaults(f))
	}
	return all
}

func pairs() []Scenario {
	var all []Scenario
	faults := Faults()
	for i, f := range faults {
		for _, g := range faults[i+1:] {
			all = append(all, withFaults(f, g))
		}
	}
	return all
}

// soakFaults are what one of twenty calls of each service meets in the soak.
func soakFaults() (sqs, s3, secrets []standin.Fault) {
	sqs = []standin.Fault{
		standin.Refuse(standin.SQSThrottled), standin.Refuse(standin.SQSUnavailable), standin.Refuse(standin.SQSInternal),
		standin.Refuse(standin.SQSKeyThrottled), standin.BlackHole(), standin.Late(500 * time.Millisecond), standin.DoneLate(tooLate),
		standin.Cut(), standin.ResetBefore(), standin.ResetAfter(), standin.NotAWS(http.StatusOK), standin.WrongSum(),
	}
	s3 = []standin.Fault{standin.Refuse(standin.S3SlowDown), standin.Refuse(standin.S3Internal), standin.ResetAfter(), standin.BlackHole()}
	secrets = []standin.Fault{standin.Refuse(standin.SecretsInternal), standin.Refuse(standin.SecretsThrottled), standin.ResetBefore(), standin.BlackHole()}
	return sqs, s3, secrets
}

// Sample is how much memory the processes held at a time.
type Sample struct {
	At time.Time
	function.Memory
}

// Soak delivers at a steady rate a second for so long, while 5 % of the calls of every
// service meet a random fault. In the first third one process a second is killed; those
// of the other two live on, so that their memory can be compared. samples are added to
// while it runs.
func Soak(rate float64, d time.Duration, samples *[]Sample) Scenario {
	return Scenario{
		Name: fmt.Sprintf("soak: %.0f/s for %v, 5 %% faults", rate, d),
		Rate: rate, Kinds: nylas.Usual, Compression: 60, // 10 to 20 minutes are 10 to 20 s
		Provisioned: 64,                                             // steady from the start: hundreds of cold starts at once are another scenario
		Concurrency: 200,                                            // more than two cores can run at once; beyond it Lambda refuses
		NoOutage:    true, Plot: true, Crashes: true, GivesUp: true, // who is hit three times in a row
		Start: func(s *System) {
			s.registered()
			sqs, s3, secrets := soakFaults()
			s.AWS.SQS.Faults.Set(1, 0.05, sqs...)
			s.AWS.S3.Faults.Set(2, 0.05, s3...)
			s.AWS.Secrets.Faults.Set(3, 0.05, secrets...)
		},
		During: func(ctx context.Context, s *System) error {
			random, began := seeded(4), time.Now()
			tick := time.NewTicker(time.Second)
			defer tick.Stop()
			for end := time.After(d); ; {
				select {
				case now := <-tick.C:
					if now.Sub(began) < d/3 {
						s.Function.KillOne(random)
					}
					*samples = append(*samples, Sample{now, s.Function.Memory()})
				case <-end:
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			}
		},
		Check: func(_ *Result, s *System) []string { return memoryGrew(*samples, s.stack.Memory) },
	}
}

// memoryGrew compares the most that a process ever held by the end of the last third
// with that of the second. Lambda gives an event to the environment that was used last,
// so one process gets a large share of all, and what it leaks with each event adds up.
// limit is the function's size in MiB.
func memoryGrew(samples []Sample, limit int) []string {
	third := len(samples) / 3
	if third == 0 || samples[0].Processes == 0 {
		return nil // no /proc here, or too short to say
	}
	var wrong []string
	before, after := highest(samples[third:2*third]), highest(samples[2*third:])
	if after > before*11/10 { // what is left of garbage collection's swing
		wrong = append(wrong, fmt.Sprintf("a process held up to %.1f MB in the second third and %.1f in the last", float64(before)/1e6, float64(after)/1e6))
	}
	if most := highest(samples); most > limit<<20 {
		wrong = append(wrong, fmt.Sprintf("a process held %d MB, the function has %d", most>>20, limit))
	}
	return wrong
}

func highest(samples []Sample) int {
	most := 0
	for _, s := range samples {
		most = max(most, s.Peak)
	}
	return most
}
