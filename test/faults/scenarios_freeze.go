package faults

import (
	"fmt"
	"sync/atomic"

	"github.com/onepagecrm/nylas-webhooks/test/faults/function"
	"github.com/onepagecrm/nylas-webhooks/test/faults/nylas"
	"github.com/onepagecrm/nylas-webhooks/test/faults/standin"
)

// frozen has one environment that stands still between two events, as on Lambda, while
// what it left open is broken. During the last of these pauses the secret is rotated,
// so that the first request after it needs Secrets Manager too. None may be refused or
// spilled for that: the first request after a thaw has to notice and connect anew.
func frozen(how string, sever func(*standin.Server)) Scenario {
	const notifications = 6
	var pauses atomic.Int32
	return Scenario{
		// One after the other, however long the one before takes: two at once would start a
		// second environment.
		Name: "frozen between requests, connections " + how, Notifications: notifications, Parallel: 1,
		NoOutage: true,
		Start: func(s *System) {
			s.registered()
			s.Function.SetFreezing(true)
			s.Function.SetHook(function.Frozen, func(string) {
				sever(s.AWS)
				if pauses.Add(1) == notifications { // the first is before the first event
					s.AWS.Secrets.Put(s.rotate())
				}
			})
		},
		Check: func(r *Result, _ *System) []string {
			var wrong []string
			if r.Account.Refused > 0 || r.Account.Spilled > 0 {
				wrong = append(wrong, fmt.Sprintf("%d attempts were refused and %d notifications spilled after a thaw", r.Account.Refused, r.Account.Spilled))
			}
			if r.Function.Started != 1 || r.Function.Frozen < notifications {
				wrong = append(wrong, fmt.Sprintf("%d environments were frozen %d times", r.Function.Started, r.Function.Frozen))
			}
			return wrong
		},
	}
}

// frozenAll has each way in which a connection can end while nobody looks.
func frozenAll() []Scenario {
	return []Scenario{
		frozen("reset", (*standin.Server).ResetConnections),
		frozen("closed", (*standin.Server).CloseConnections),
		frozen("silent", (*standin.Server).SilenceConnections),
	}
}

// sharedIDs has every two requests share API Gateway's id while SQS is unavailable, so
// that what is told apart by it alone overwrites, or is taken for, something else.
func sharedIDs() Scenario {
	sc := Scenario{
		Name: "two bodies with one request id, SQS unavailable", Notifications: 40, Parallel: 4,
		Kinds: []nylas.Kind{nylas.EventUpdated, nylas.MessageCreated, nylas.Overflowing, nylas.Overflowing},
	}
	sc.Start, sc.During = outage(0,
		func(s *System) {
			s.Gateway.SetSharedIDs(2)
			s.AWS.SQS.Faults.Set(1, 1, standin.Refuse(standin.SQSUnavailable))
		},
		func(s *System) {
			s.Gateway.SetSharedIDs(1)
			s.AWS.SQS.Faults.Heal()
		})
	return sc
}
