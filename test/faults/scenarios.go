package faults

import (
	"context"
	"fmt"
	"time"

	"github.com/onepagecrm/nylas-webhooks/lambda/contract"
	"github.com/onepagecrm/nylas-webhooks/test/faults/nylas"
	"github.com/onepagecrm/nylas-webhooks/test/faults/standin"
)

// everyBody has all kinds of bodies, and nothing fails.
func everyBody() Scenario {
	kinds := append(append([]nylas.Kind{}, nylas.Usual...), nylas.Odd...)
	return Scenario{
		Name: "no fault, every kind of body", Notifications: 2 * len(kinds), Kinds: kinds, Parallel: 4,
		Check: func(r *Result, _ *System) []string {
			if r.Account.Spilled > 0 {
				return []string{fmt.Sprintf("%d were spilled, with SQS at work", r.Account.Spilled)}
			}
			return nil
		},
	}
}

// everyBodySpilled is the same while SQS is unavailable.
func everyBodySpilled() Scenario {
	sc := everyBody()
	sc.Name = "SQS unavailable, every kind of body"
	sc.Start, sc.During = outage(0,
		func(s *System) { s.AWS.SQS.Faults.Set(1, 1, standin.Refuse(standin.SQSUnavailable)) },
		func(s *System) { s.AWS.SQS.Faults.Heal() })
	sc.Check = func(r *Result, _ *System) []string {
		if r.Account.Spilled != r.Account.Sent {
			return []string{fmt.Sprintf("%d of %d were spilled", r.Account.Spilled, r.Account.Sent)}
		}
		return nil
	}
	return sc
}

// burst is what one change of shared calendars makes: n event.updated of 20 grants, as
// fast as the sender can.
func burst(n, parallel int) Scenario {
	return Scenario{
		Name:          fmt.Sprintf("%d event.updated of 20 grants at once", n),
		Notifications: n, Parallel: parallel, Kinds: []nylas.Kind{nylas.EventUpdated},
		Compression: 2.5, // Retry-After: 60 is 24 s, longer than the burst takes, as it is in life
		NoOutage:    true, Plot: true,
	}
}

// beyondThrottle is the largest burst that Nylas names, 20,000 within 5 seconds, against
// prod's throttle; all numbers are scaled down by scale, the times are not.
func beyondThrottle(scale int) Scenario {
	return Scenario{
		Name:          fmt.Sprintf("20,000 in 5 s against prod's throttle (1:%d)", scale),
		Notifications: 20_000 / scale, Rate: 4_000 / float64(scale), Kinds: []nylas.Kind{nylas.EventUpdated},
		Compression: 10, // Retry-After: 60 is 6 s, longer than the burst, as it is in life
		NoOutage:    true, Plot: true,
		Start: func(s *System) {
			s.registered()
			s.Gateway.SetThrottle(max(1, s.stack.Rate/scale), max(1, s.stack.Burst/scale))
		},
	}
}

// noisy has one grant that sends nine of ten notifications.
func noisy(n int) Scenario {
	return Scenario{
		Name: "one noisy grant among 20 quiet ones", Notifications: n,
		Grant: func(i int) string {
			if i%10 > 0 {
				return "noisy"
			}
			return fmt.Sprint("quiet-", i/10%20)
		},
		NoOutage: true,
		Check: func(_ *Result, s *System) []string {
			groups := make(map[string]int)
			for _, m := range s.AWS.SQS.Messages() {
				groups[m.GroupID]++
			}
			if len(groups) != 21 || groups["noisy"] != n*9/10 {
				return []string{fmt.Sprintf("the queue has %d groups, the noisy one with %d messages", len(groups), groups["noisy"])}
			}
			return nil
		},
	}
}

// blackHole has SQS answer nothing, at a rate a second that is reached within rampUp and
// then held for so long, with so much concurrency. Of the environments that it takes, so
// many were started before; each of the others is a cold start in the middle of it.
func blackHole(rate int, rampUp, d time.Duration, concurrency, provisioned int) Scenario {
	name := fmt.Sprintf("SQS is a black hole at %d requests/s for %v, concurrency %d, %d of it warm", rate, d, concurrency, provisioned)
	if rampUp > 0 {
		name += fmt.Sprintf(", the rate reached in %v", rampUp)
	}
	return Scenario{
		Name:          name,
		Notifications: int(float64(rate) * (rampUp/2 + d).Seconds()), Rate: float64(rate), RampUp: rampUp, Concurrency: concurrency, Provisioned: provisioned,
		NoOutage: true, Plot: true,
		Start: func(s *System) {
			s.registered()
			s.AWS.SQS.Faults.Set(1, 1, standin.BlackHole())
		},
		Check: func(r *Result, _ *System) []string {
			var wrong []string
			if r.Function.Throttled > 0 {
				wrong = append(wrong, fmt.Sprintf("concurrency ran out: %d requests were refused", r.Function.Throttled))
			}
			if r.Account.Spilled != r.Account.Sent {
				wrong = append(wrong, fmt.Sprintf("%d of %d were spilled", r.Account.Spilled, r.Account.Sent))
			}
			return wrong
		},
	}
}

// longOutage has SQS down for longer than Nylas's patience: three attempts, and its 15
// minutes after which a webhook is failing.
func longOutage() Scenario {
	return Scenario{
		Name: "SQS down for an hour", Notifications: 120, Rate: 60,
		Compression: 1800, // so 2 s are an hour
		Provisioned: 64,   // hundreds of cold starts at once are another scenario
		NoOutage:    true, Plot: true,
		Start: func(s *System) {
			s.registered()
			s.AWS.SQS.Faults.Set(1, 1, standin.Refuse(standin.SQSUnavailable))
		},
		Check: func(r *Result, _ *System) []string {
			if r.Failing > 0 || r.Account.Refused > 0 {
				return []string{fmt.Sprintf("refused %d, marked as failing %d times; the bucket is there to prevent that", r.Account.Refused, r.Failing)}
			}
			return nil
		},
	}
}

// everythingDown has both durable places down for longer than Nylas's patience: the one
// thing that is not promised. What was answered 200 is kept all the same, and the rest
// was refused three times.
func everythingDown() Scenario {
	return Scenario{
		Name: "SQS and S3 down for an hour (not promised)", Notifications: 120, Rate: 60,
		Compression: 1800, NoOutage: true, Plot: true, GivesUp: true,
		Start: func(s *System) {
			s.registered()
			s.AWS.SQS.Faults.Set(1, 1, standin.Refuse(standin.SQSUnavailable))
			s.AWS.S3.Faults.Set(1, 1, standin.Refuse(standin.S3SlowDown))
		},
		Check: func(r *Result, _ *System) []string {
			var wrong []string
			if r.Account.GivenUp != r.Account.Sent || r.Account.Refused != 3*r.Account.Sent {
				wrong = append(wrong, fmt.Sprintf("given up %d of %d after %d refusals", r.Account.GivenUp, r.Account.Sent, r.Account.Refused))
			}
			if r.Failing == 0 {
				wrong = append(wrong, "the simulator did not mark the webhook as failing")
			}
			if r.Metrics[contract.SendFailed] < r.Account.Refused {
				wrong = append(wrong, fmt.Sprintf("%s counted %d of %d", contract.SendFailed, r.Metrics[contract.SendFailed], r.Account.Refused))
			}
			return wrong
		},
	}
}

// killedAtRandom kills an environment that is at work, at kills random moments. SQS
// and S3 are slow, so that the moments fall everywhere.
func killedAtRandom(kills int) Scenario {
	return Scenario{
		Name: fmt.Sprintf("killed at %d random moments", kills), Parallel: 16,
		NoOutage: true, Plot: true, Crashes: true, // a line may be cut
		GivesUp: true, // who is hit three times in a row
		Start: func(s *System) {
			s.registered()
			s.AWS.SQS.Faults.Set(1, 1, standin.Late(60*time.Millisecond))
			s.AWS.S3.Faults.Set(1, 1, standin.Late(60*time.Millisecond))
		},
		During: func(ctx context.Context, s *System) error {
			random := seeded(1)
			for done := 0; done < kills; {
				select {
				case <-time.After(time.Duration(random.Int64N(int64(40 * time.Millisecond)))):
				case <-ctx.Done():
					return ctx.Err()
				}
				if s.Function.KillOne(random) {
					done++
				}
			}
			return nil
		},
		Check: func(r *Result, _ *System) []string {
			if r.Function.Killed < kills {
				return []string{fmt.Sprintf("only %d were killed", r.Function.Killed)}
			}
			return nil
		},
	}
}

// coldStarts makes every request one.
func coldStarts(n int) Scenario {
	return Scenario{
		Name: fmt.Sprintf("%d requests, each a cold start", n), Notifications: n, Parallel: 8, NoOutage: true,
		Start: func(s *System) {
			s.registered()
			s.Function.SetSingleUse(true)
		},
		Check: func(r *Result, _ *System) []string {
			if r.Function.Started < n {
				return []string{fmt.Sprintf("%d environments were started", r.Function.Started)}
			}
			return nil
		},
	}
}
