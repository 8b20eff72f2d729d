// Package gaps says, from the access log and the receiver's log, in which minutes
// notifications were lost or may have been, and which calls to Nylas list what
// happened meanwhile.
//
// hookctl gaps calls it. It reads no log itself, knows no AWS and fetches nothing from
// Nylas.
//
// What Nylas does, which all of this rests on (developer.nylas.com/docs/v3/notifications/):
// a delivery that is answered 408, 429, 502, 503 or 504 is tried again, three times in
// all, the last time 10 to 20 minutes after the first; any other answer but 200 loses it
// at once.
package gaps

import (
	"slices"
	"strconv"
	"time"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/logs"
	"github.com/onepagecrm/nylas-webhooks/lambda/contract"
	"github.com/onepagecrm/nylas-webhooks/notification"
)

const (
	// lastTry is after how long Nylas gives up at the earliest, giveUp at the latest.
	lastTry = 10 * time.Minute
	giveUp  = 20 * time.Minute
)

// Minute counts what was answered to POSTs in one minute.
type Minute struct {
	Start    time.Time `json:"start"`
	Accepted int       `json:"accepted"` // 200: on the queue, or spilled to be replayed
	// Again were answered so that Nylas tries again; Recovered of them are known to have
	// been accepted later.
	Again     int `json:"tried_again"`
	Recovered int `json:"recovered"`
	// Lost were answered so that Nylas does not try again.
	Lost int `json:"lost_at_once"`
	// Strangers are not from Nylas: unsigned, or signed with a public constant.
	Strangers int            `json:"strangers"`
	Answers   map[string]int `json:"answers"` // by status, of all but the strangers
	mismatch  int            // of Again, those whose signature matched no secret and may be strangers
}

// Kind of a gap.
type Kind string

// The kinds, the surest first.
const (
	LostAtOnce   Kind = "lost at once"
	Unaccepted   Kind = "not accepted" // by their ids: failed, and not accepted since
	PossiblyLost Kind = "possibly lost"
	Silent       Kind = "silent"
)

// Gap is a span in which something was lost or may have been.
type Gap struct {
	Kind Kind      `json:"kind"`
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// Count is how many requests (of Unaccepted: notifications) it concerns.
	Count   int            `json:"count"`
	Answers map[string]int `json:"answers,omitempty"`
	Says    string         `json:"says"`
	// IDs are the notifications', where the log has them.
	IDs []string `json:"notification_ids,omitempty"`
}

// Report is what the logs say.
type Report struct {
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	Minutes []Minute  `json:"minutes"`
	Gaps    []Gap     `json:"gaps"`
	// Types and Grants are those that were seen, to know what to ask Nylas for.
	Types  []string `json:"types"`
	Grants int      `json:"grants"`
	// NoAccessLog: the receiver has lines and the access log has none.
	NoAccessLog bool `json:"no_access_log"`
}

// Find reads the logs' lines of the time from one to the other.
func Find(from, to time.Time, access []logs.Access, requests []logs.Request) Report {
	from, to = from.UTC().Truncate(time.Minute), to.UTC()
	r := Report{From: from, To: to, Gaps: []Gap{}, Types: []string{}}
	byID := map[string]logs.Request{}
	for _, q := range requests {
		byID[q.RequestID] = q
	}
	if len(access) == 0 && len(requests) > 0 {
		r.NoAccessLog = true
		for _, q := range requests {
			access = append(access, logs.Access{Time: q.Time, RequestID: q.RequestID, Method: method(q), Status: q.Status})
		}
	}
	later := accepted(requests)
	r.Minutes = make([]Minute, to.Sub(from)/time.Minute+1)
	for i := range r.Minutes {
		r.Minutes[i] = Minute{Start: from.Add(time.Duration(i) * time.Minute), Answers: map[string]int{}}
	}
	for _, a := range access {
		i := int(a.Time.Sub(from) / time.Minute)
		if a.Method != "POST" || a.Time.Before(from) || i >= len(r.Minutes) {
			continue
		}
		q, known := byID[a.RequestID]
		r.Minutes[i].add(a, q, known, later)
	}
	r.seen(requests)
	r.Gaps = append(r.Gaps, lostAtOnce(r.Minutes)...)
	r.Gaps = append(r.Gaps, unaccepted(requests, later, to)...)
	r.Gaps = append(r.Gaps, failing(r.Minutes)...)
	r.Gaps = append(r.Gaps, silent(r.Minutes)...)
	return r
}

// method of a request that only the receiver's log has.
func method(q logs.Request) string {
	switch contract.Reason(q.Reason) {
	case contract.ReasonNoChallenge, contract.ReasonBadChallenge, contract.ReasonBadMethod:
		return "GET"
	}
	if q.Outcome == string(contract.Challenged) {
		return "GET"
	}
	return "POST"
}

func taken(q logs.Request) bool {
	return q.Outcome == string(contract.Accepted) || q.Outcome == string(contract.Spilled)
}

// accepted returns when each notification was accepted last.
func accepted(requests []logs.Request) map[string]time.Time {
	at := map[string]time.Time{}
	for _, q := range requests {
		if taken(q) && q.NotificationID != "" && q.Time.After(at[q.NotificationID]) {
			at[q.NotificationID] = q.Time
		}
	}
	return at
}

func recovered(q logs.Request, later map[string]time.Time) bool {
	return q.NotificationID != "" && later[q.NotificationID].After(q.Time)
}

// add counts one POST.
func (m *Minute) add(a logs.Access, q logs.Request, known bool, later map[string]time.Time) {
	if known && q.Type == notification.SmokeTestType {
		return // our own
	}
	if known && (q.Outcome == string(contract.Refused) || q.Outcome == string(contract.TestEvent)) || a.Status == 404 || a.Status == 405 {
		m.Strangers++ // no or no proper signature, Nylas's test button, another path
		return
	}
	m.Answers[strconv.Itoa(a.Status)]++
	switch a.Status {
	case 200:
		m.Accepted++
	case 408, 429, 502, 503, 504:
		m.Again++
		if known && recovered(q, later) {
			m.Recovered++
		} else if q.Outcome == string(contract.Mismatch) {
			m.mismatch++
		}
	default:
		m.Lost++
	}
}

// failed tells whether something failed in m that is not known to have come through.
// A mismatch beside accepted notifications is somebody else's: the secret works.
func (m Minute) failed() bool {
	open := m.Again - m.Recovered - m.mismatch
	return open > 0 || m.mismatch > 0 && m.Accepted == 0
}

func (m Minute) quiet() bool { return m.Accepted+m.Again+m.Lost == 0 }

func (r *Report) seen(requests []logs.Request) {
	grants := map[string]bool{}
	for _, q := range requests {
		if q.Type != "" && q.Type != notification.SmokeTestType && !slices.Contains(r.Types, q.Type) {
			r.Types = append(r.Types, q.Type)
		}
		if q.GrantID != "" {
			grants[q.GrantID] = true
		}
	}
	slices.Sort(r.Types)
	r.Grants = len(grants)
}
