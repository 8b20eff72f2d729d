package gaps

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// before is how far ahead of a gap Nylas is asked: a provider's change reaches Nylas,
// and a notification leaves it, minutes later.
const before = 15 * time.Minute

// Call is a request to the Nylas API that lists what may have been missed.
type Call struct {
	// Types are the notification types, by prefix, that it stands for.
	Types   string `json:"types"`
	Request string `json:"request,omitempty"` // empty: there is none
	Note    string `json:"note,omitempty"`
	Docs    string `json:"documentation,omitempty"`
}

const reference = "https://developer.nylas.com/docs/reference/api/"

// listing is a call and the prefixes of the types that it stands for.
type listing struct {
	prefixes []string
	call     Call
}

// has tells whether the type begins with one of the prefixes: Nylas stacks suffixes on
// types, as in message.created.cleaned.truncated.
func (l listing) has(typ string) bool {
	return slices.ContainsFunc(l.prefixes, func(p string) bool { return typ == p || strings.HasPrefix(typ, p+".") })
}

// known are the list calls of Nylas v3. From and to of a gap, in seconds, are put in
// the place of {from} and {to}. The parameters are those of the API reference (Docs).
var known = []listing{
	{[]string{"message.opened", "message.link_clicked", "thread.replied"}, Call{
		Types: "message.opened, message.link_clicked, thread.replied",
		Note:  "Nylas has no call that lists tracking events: they are lost.",
	}},
	{[]string{"message.bounce_detected", "message.send_success", "message.send_failed", "message.transactional", "message.delivered", "message.bounced", "message.complaint", "message.rejected"}, Call{
		Types:   "message.send_success, message.send_failed, message.bounce_detected",
		Request: "GET /v3/grants/{grant_id}/messages/schedules",
		Note:    "For scheduled sends. Bounces come as mail into the mailbox, so the next call has them.",
		Docs:    reference + "messages/",
	}},
	{[]string{"message"}, Call{
		Types:   "message.created, message.updated",
		Request: "GET /v3/grants/{grant_id}/messages?received_after={from}&received_before={to}&limit=200",
		Note:    "Finds new messages. No call finds messages by when they were changed or deleted: compare those that matter.",
		Docs:    reference + "messages/",
	}},
	{[]string{"event"}, Call{
		Types:   "event.created, event.updated, event.deleted",
		Request: "GET /v3/grants/{grant_id}/events?calendar_id={calendar_id}&updated_after={from}&updated_before={to}&show_cancelled=true&limit=200",
		Note:    "For each calendar of GET /v3/grants/{grant_id}/calendars. updated_after works for Google, Microsoft and EWS. start and end default to the month from now: set them to what you keep.",
		Docs:    reference + "events/",
	}},
	{[]string{"calendar"}, Call{
		Types: "calendar.*", Request: "GET /v3/grants/{grant_id}/calendars", Note: "All of them; compare.", Docs: reference + "calendar/",
	}},
	{[]string{"contact"}, Call{
		Types: "contact.*", Request: "GET /v3/grants/{grant_id}/contacts", Note: "All of them; no filter by time. Compare.", Docs: reference + "contacts/",
	}},
	{[]string{"folder"}, Call{
		Types: "folder.*", Request: "GET /v3/grants/{grant_id}/folders", Note: "All of them; compare.", Docs: reference + "folders/",
	}},
	{[]string{"grant"}, Call{
		Types:   "grant.*",
		Request: "GET /v3/grants?since={from}&before={to}&limit=200",
		Note:    "Finds new grants. Expired ones: GET /v3/grants?grant_status=invalid",
		Docs:    reference + "manage-grants/",
	}},
	{[]string{"booking"}, Call{
		Types: "booking.*", Note: "Nylas has no call that lists bookings; each made or changed an event, so the events have them.", Docs: reference + "bookings/",
	}},
	{[]string{"notetaker"}, Call{
		Types: "notetaker.*", Request: "GET /v3/grants/{grant_id}/notetakers", Docs: reference + "notetaker/",
		Note: "All of them; compare their state. Standalone ones, which belong to no grant: GET /v3/notetakers",
	}},
}

// Range is a time for which Nylas is asked.
type Range struct {
	From  time.Time `json:"from"`
	To    time.Time `json:"to"`
	Calls []Call    `json:"calls"`
}

// Fill returns the times to ask Nylas for, and the calls: those of the types that were
// seen, or all where none was.
func (r Report) Fill() []Range {
	var ranges []Range
	gaps := slices.SortedFunc(slices.Values(r.Gaps), func(a, b Gap) int { return a.From.Compare(b.From) })
	for _, g := range gaps {
		from, to := g.From.Add(-before), g.To.Add(time.Minute)
		if n := len(ranges); n > 0 && !from.After(ranges[n-1].To) {
			ranges[n-1].To = latest(ranges[n-1].To, to)
			continue
		}
		ranges = append(ranges, Range{From: from, To: to})
	}
	for i := range ranges {
		ranges[i].Calls = calls(r.Types, ranges[i].From, ranges[i].To)
	}
	return ranges
}

func calls(types []string, from, to time.Time) []Call {
	in := strings.NewReplacer("{from}", fmt.Sprint(from.Unix()), "{to}", fmt.Sprint(to.Unix()))
	wanted := make([]bool, len(known))
	for _, t := range types {
		i := slices.IndexFunc(known, func(l listing) bool { return l.has(t) })
		if i >= 0 {
			wanted[i] = true
		}
	}
	var all []Call
	for i, k := range known {
		if wanted[i] || len(types) == 0 {
			k.call.Request = in.Replace(k.call.Request)
			all = append(all, k.call)
		}
	}
	return all
}
