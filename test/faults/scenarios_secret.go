package faults

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/onepagecrm/nylas-webhooks/lambda/contract"
	"github.com/onepagecrm/nylas-webhooks/test/faults/function"
	"github.com/onepagecrm/nylas-webhooks/test/faults/nylas"
	"github.com/onepagecrm/nylas-webhooks/test/faults/standin"
)

// secretOutage is about the secret alone: a trickle of usual mail.
func secretOutage(name string, begin, heal func(s *System)) Scenario {
	sc := Scenario{Name: name, Notifications: 60, Rate: 60, Plot: true}
	sc.Start, sc.During = outage(refreshInterval, begin, heal)
	return sc
}

// secretStoredLate: Nylas delivers from the moment the webhook is registered, and its
// secret is stored minutes later.
func secretStoredLate() Scenario {
	var secret string
	sc := secretOutage("secret stored minutes late", nil, func(s *System) { s.AWS.Secrets.Put(secret) })
	sc.Start = func(s *System) { secret = s.rotate() }
	sc.Check = func(r *Result, _ *System) []string {
		if r.Metrics[contract.NoSecret] == 0 {
			return []string{"no request was answered for want of a secret"}
		}
		return nil
	}
	return sc
}

// secretDeleted: the secret is marked for deletion, and restored. Environments that
// know it go on.
func secretDeleted() Scenario {
	return secretOutage("secret deleted, then restored",
		func(s *System) { s.AWS.Secrets.SetDeleted(true) }, func(s *System) { s.AWS.Secrets.SetDeleted(false) })
}

// rotated: Nylas signs with a new secret in the middle of the traffic, and it is stored
// minutes later. The first attempts before the rotation fail for another reason, so
// that some of them are tried again with the old signature after the new secret is
// stored: AWSPREVIOUS. clock is by how much the receiver's clock is ahead of AWS's.
func rotated(clock time.Duration) Scenario {
	const before = 20 // attempts of 60
	var secret string
	var handed atomic.Int32
	rotation := make(chan struct{})
	sc := secretOutage("secret rotated in the middle of traffic, stored minutes late",
		func(s *System) {
			s.Function.SetHook(function.Handed, func(environment string) {
				if n := handed.Add(1); n <= before {
					s.Function.Kill(environment)
				} else if n == before+1 {
					close(rotation)
				}
			})
		},
		func(s *System) {
			s.AWS.Secrets.Put(secret)
			s.AWS.Secrets.ShiftCreated(-clock)
		})
	if clock != 0 {
		sc.Name += fmt.Sprintf(", clock off by %v", clock)
	}
	store := sc.During
	sc.During = func(ctx context.Context, s *System) error {
		select {
		case <-rotation:
		case <-ctx.Done():
		}
		secret = s.rotate()
		return store(ctx, s)
	}
	return sc
}

// clockOff has the receiver's clock off by an hour, so that AWS refuses what it signs.
// The SDK corrects that by the answer's Date; SQS is unavailable, so that the bucket
// has to be reached that way too.
func clockOff(d time.Duration) Scenario {
	return Scenario{
		Name: fmt.Sprintf("clock off by %v, SQS unavailable", d), Notifications: 40, NoOutage: true,
		Start: func(s *System) {
			s.registered()
			s.AWS.SetClock(d)
			s.AWS.SQS.Faults.Set(1, 1, standin.Refuse(standin.SQSUnavailable))
		},
	}
}

// memoryFull lets processes end for want of memory while they work on the largest
// bodies; limit in MiB.
func memoryFull(limit int) Scenario {
	sc := Scenario{
		Name: fmt.Sprintf("not more than %d MiB of data", limit), Notifications: 21, Parallel: 4, Crashes: true,
		Kinds: append(slices.Repeat(nylas.Usual, 3), nylas.Largest),
		Check: func(r *Result, _ *System) []string {
			if r.Function.Errors == 0 {
				return []string{"no process ended for want of memory"}
			}
			return nil
		},
	}
	sc.Start, sc.During = outage(0,
		func(s *System) { s.Function.SetDataLimit(limit) }, func(s *System) { s.Function.SetDataLimit(0) })
	return sc
}

// largestBodies goes on with the largest bodies that Lambda takes, in a function of the
// deployed size.
func largestBodies(n int) Scenario {
	return Scenario{
		Name: fmt.Sprintf("%d bodies of 4 MB", n), Notifications: n, Parallel: 2, NoOutage: true,
		Kinds: []nylas.Kind{nylas.Largest},
		Check: func(r *Result, s *System) []string {
			if limit := s.stack.Memory << 20; r.Memory.Peak > limit {
				return []string{fmt.Sprintf("a process held %d MB, the function has %d", r.Memory.Peak>>20, limit>>20)}
			}
			return nil
		},
	}
}

// flood has forged requests beside signed traffic: they are refused, buy at most one
// read of the secret per 10 seconds and environment, and move nothing that pages.
func flood(genuine, forged int, rate float64) Scenario {
	return Scenario{
		Name:          fmt.Sprintf("%d forged among %d", forged, genuine),
		Notifications: genuine, Forged: forged, Rate: rate, NoOutage: true, Plot: true,
		Provisioned: 64, // hundreds of cold starts at once are another scenario
		Check: func(r *Result, s *System) []string {
			return append(pagesMoved(r, s.stack), readsTooOften(s.AWS.Secrets.Reads())...)
		},
	}
}

// pagesMoved says which of the metrics that page were moved, or kept from moving.
func pagesMoved(r *Result, stack Stack) []string {
	var wrong []string
	for _, name := range stack.Pages {
		moved := r.Metrics[name]
		switch name {
		case contract.Accepted, contract.Verified: // an alarm waits for their absence
			if moved < r.Account.Sent {
				wrong = append(wrong, fmt.Sprintf("%s is %d for %d genuine notifications", name, moved, r.Account.Sent))
			}
		default:
			if moved > 0 {
				wrong = append(wrong, fmt.Sprintf("%s, which pages, is %d", name, moved))
			}
		}
	}
	if r.Function.Errors > 0 || r.Function.Throttled > 0 {
		wrong = append(wrong, fmt.Sprintf("Lambda counted %d errors and %d throttles, which page", r.Function.Errors, r.Function.Throttled))
	}
	for _, kind := range []string{"INTEGRATION_FAILURE", "INTEGRATION_TIMEOUT", "API_CONFIGURATION_ERROR", "DEFAULT_5XX"} {
		if n := r.Responses[kind]; n > 0 {
			wrong = append(wrong, fmt.Sprintf("the gateway answered %s %d times, which pages", kind, n))
		}
	}
	return wrong
}

// readsTooOften says which environments read the secret again within 10 seconds. The
// first read, at the start, does not count.
func readsTooOften(reads []standin.Read) []string {
	const interval = 9 * time.Second // of 10: they are timed here, where a busy machine lets the first of two come late
	var wrong []string
	last := make(map[string]time.Time)
	seen := make(map[string]int)
	for _, read := range reads {
		if read.Stage != "AWSCURRENT" {
			continue // part of the same read
		}
		if n := seen[read.Environment]; n > 1 && read.At.Sub(last[read.Environment]) < interval {
			wrong = append(wrong, fmt.Sprintf("%s read the secret again after %v", read.Environment, read.At.Sub(last[read.Environment])))
		}
		seen[read.Environment]++
		last[read.Environment] = read.At
	}
	return wrong
}
