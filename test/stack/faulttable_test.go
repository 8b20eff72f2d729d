package stack

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/onepagecrm/nylas-webhooks/lambda/contract"
	"github.com/onepagecrm/nylas-webhooks/test/faults"
)

// This file computes which alarm tells of which fault, and after how long: of each fault
// that test/faults puts the receiver through, by what it was seen to publish, and of each
// scenario. docs/alarms-by-fault.md is the result. A fault that nothing tells of, and an
// alarm that nothing sets off, stand here with their reason.

const (
	begins = 30 // the minute in which a fault begins
	// lastAttempt: Nylas tries for the third and last time 10 to 20 minutes after the
	// first. https://developer.nylas.com/docs/v3/notifications/
	lastAttempt = 10
	// faultLasts is long enough for what was spilled to wait for an hour, in minutes.
	faultLasts = 75
	perMinute  = 12 // requests; as in usual
)

// enough are the reasons why what happens needs no alarm, or no page before Nylas's last attempt.
var enough = map[string]string{
	"SQS is slow (to 500 ms)":             "nothing is refused: answers take half a second more, and Nylas waits 10 s",
	"S3 is slow (to 500 ms)":              "nothing is refused: answers take half a second more, and Nylas waits 10 s",
	"Secrets Manager is slow (to 500 ms)": "nothing is refused: a start takes half a second more, and Nylas waits 10 s",
	"every request a cold start":          "nothing is refused: a start takes a fraction of the 10 s that Nylas waits",
	"a flood beyond the throttle":         "Nylas reads 429 as well and may lose notifications after the third; strangers can use the throttle up, so it may not page (ADR 6, ADR 11)",
	"gateway throttles":                   "429 tells Nylas when to come back, and strangers can use the throttle up, so it may not page (ADR 6, ADR 11)",

	"no secret is stored":                                          "normal between registering the webhook and storing its secret, and anybody's signature counts meanwhile, so it may not page (ADR 6); a value that was stored and is lost stays in use where it is known",
	"the consumer is deployed, which takes four minutes":           "what waits is worked off",
	"the secret was rotated at Nylas and stored four minutes late": "Nylas's next attempt finds the new one",
}

// silentAlarms are why no fault here sets an alarm off.
var silentAlarms = map[string]string{}

// refusesGenuine are the scenarios in which Nylas's own notifications are refused until
// somebody does something.
var refusesGenuine = []string{
	"no secret is stored", "the secret was rotated at Nylas, and nobody noticed", "the secret was rotated at Nylas and stored four minutes late",
	"SQS and S3 are down for ten minutes", "the account's concurrency is used up for five minutes", "one request crashes the function",
	"a flood beyond the throttle", "compressed_delivery is switched on at Nylas", "the receiver panics on every notification", "the function hangs until the gateway gives up",
}

// entry is a line of the table.
type entry struct {
	what    string
	off     map[string]int // alarms, and after how many minutes
	refuses bool           // Nylas's notifications are refused meanwhile
}

// entries are the faults of test/faults, and the scenarios.
func entries(d deployment) ([]entry, error) {
	published, err := faults.ReadPublished(root)
	if err != nil {
		return nil, err
	}
	var all []entry
	for _, f := range faults.Faults() {
		p := published[f.Name]
		all = append(all, entry{what: f.Name, refuses: refuses(p)})
		if all[len(all)-1].off, err = goOff(d, whileFault(p)); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	for _, s := range scenarios()[1:] { // the first is that nothing happens
		all = append(all, entry{what: s.name, refuses: slices.Contains(refusesGenuine, s.name)})
		if all[len(all)-1].off, err = goOff(d, s.published); err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
	}
	for _, e := range all {
		for name, minute := range e.off {
			if minute < begins {
				return nil, fmt.Errorf("%s: %s goes off in minute %d, and what happens has to begin in minute %d", e.what, name, minute, begins)
			}
			e.off[name] = minute + 1 - begins // by the end of that minute
		}
	}
	return all, nil
}

// refusals are the outcomes that the receiver answers 503.
var refusals = []contract.Metric{
	contract.Mismatch, contract.CompressedDelivery, contract.NoSecret, contract.SecretUnavailable, contract.SendFailed, contract.Faulted,
}

// refuses tells whether some request is answered so that Nylas has to come again.
func refuses(p faults.Published) bool {
	for name := range p {
		if name != string(contract.Accepted) && name != string(contract.Spilled) && name != string(contract.ArchiveFailed) {
			return true
		}
	}
	return false
}

// whileFault is what is published while a fault lasts that does this to the twelve
// requests of a minute: "some" is one of them, "all" the rest, and Accepted, too.
func whileFault(p faults.Published) map[string]series {
	end := begins + faultLasts
	some := 0
	for name, share := range p {
		if share == faults.Some && name != string(contract.Accepted) && name != string(contract.ArchiveFailed) {
			some++
		}
	}
	requests := func(name string) int {
		switch share := p[name]; {
		case share == "":
			return 0
		case share == faults.Some && name != string(contract.Accepted):
			return 1
		}
		return perMinute - some
	}
	all := usualFor(end)
	meanwhile := func(metric string, values ...float64) {
		all[metric] = together(before(all[metric]), during(begins, end, values...))
	}
	meanwhile("Accepted")
	for _, outcome := range contract.Outcomes {
		meanwhile(string(outcome), times(requests(string(outcome)), 1)...)
	}
	meanwhile(string(contract.ArchiveFailed), times(requests(string(contract.ArchiveFailed)), 1)...)
	failed := 0
	for _, outcome := range refusals {
		failed += requests(string(outcome))
	}
	ended, throttled := requests(faults.LambdaErrors), requests(faults.LambdaThrottles)
	gateway := ended + throttled + requests(faults.GatewayTimeout)
	good := requests("Accepted") + requests("Spilled") + requests("SendFailed")
	meanwhile("Verified", mixed(good+requests("Mismatch")+requests("CompressedDelivery"), good, 1, 0)...)
	meanwhile("GatewayFaults", times(gateway, 1)...)
	meanwhile(gateway4xx, share(gateway+requests(faults.GatewayThrottled))...) // a remapped 503 counts here
	meanwhile(gateway5xx, share(failed)...)
	meanwhile(lambdaErrors, share(ended)...)
	meanwhile(lambdaThrottle, share(throttled)...)
	if requests("Spilled") > 0 {
		all[noticesAge] = ages(begins, end)
	}
	return all
}

// before is what of a series comes before the fault.
func before(s series) series {
	kept := make(series)
	for minute, values := range s {
		if minute < begins {
			kept[minute] = values
		}
	}
	return kept
}

// share is a minute's requests, of which so many count.
func share(n int) []float64 { return mixed(perMinute, min(n, perMinute), 1, 0) }

// severities says by role whether an alarm is a page or a ticket.
func severities(d deployment) map[string]string {
	all := make(map[string]string)
	for name, id := range alarmsByRole(d) {
		all[name] = description.FindStringSubmatch(literal(d.template.Resources[id].Properties.at("AlarmDescription")))[1]
	}
	return all
}

// firstPage is after how many minutes somebody is woken; false: nobody is.
func (e entry) firstPage(severity map[string]string) (minutes int, ok bool) {
	for name, after := range e.off {
		if severity[name] == "page" && (!ok || after < minutes) {
			minutes, ok = after, true
		}
	}
	return minutes, ok
}

// problem says what is wrong with a line that has no reason.
func (e entry) problem(severity map[string]string) string {
	minutes, paged := e.firstPage(severity)
	switch {
	case len(e.off) == 0:
		return "no alarm tells of it"
	case e.refuses && !paged:
		return "Nylas's notifications are refused, and no page tells of it"
	case e.refuses && minutes > lastAttempt:
		return fmt.Sprintf("Nylas's notifications are refused, and the first page comes after %d minutes; Nylas may give up after %d", minutes, lastAttempt)
	}
	return ""
}

// problems says what has no alarm in time, and which alarm nothing sets off.
func problems(d deployment) (all []entry, found findings, err error) {
	if all, err = entries(d); err != nil {
		return nil, nil, err
	}
	severity := severities(d)
	rung := make(map[string]bool)
	unused := maps.Clone(enough)
	for _, e := range all {
		for name := range e.off {
			rung[name] = true
		}
		delete(unused, e.what)
		switch problem, reason := e.problem(severity), enough[e.what]; {
		case problem != "" && reason == "":
			found.addf("%s: %s", e.what, problem)
		case problem == "" && reason != "":
			found.addf("%s: it has its alarm in time, so it needs no reason", e.what)
		}
	}
	for what := range unused {
		found.addf("%s: there is a reason for it, and it is no fault and no scenario", what)
	}
	for name := range severity {
		switch reason := silentAlarms[name]; {
		case !rung[name] && reason == "":
			found.addf("alarm %s: nothing here sets it off", name)
		case rung[name] && reason != "":
			found.addf("alarm %s: something sets it off, so it needs no reason", name)
		}
	}
	return all, found, nil
}

func TestEveryFaultHasItsAlarm(t *testing.T) {
	d := stacks["full"]
	all, found, err := problems(d)
	if err != nil {
		t.Fatal(err)
	}
	for _, finding := range found {
		t.Errorf("%s. Mend that, or say in faulttable_test.go why it is right.", finding)
	}
	keepComputed(t, "alarms-by-fault.md", renderTable(all, severities(d)))
}

// An alarm that comes later than Nylas's last attempt is noticed, and one that nothing
// sets off.
func TestFaultTableNotices(t *testing.T) {
	for name, change := range map[string]func(object){
		"SendFailed":        func(p object) { p["DatapointsToAlarm"], p["EvaluationPeriods"] = 11.0, 11.0 },
		"SecretUnavailable": func(p object) { p["DatapointsToAlarm"], p["EvaluationPeriods"] = 11.0, 11.0 },
		"SignaturesFailing": func(p object) { p["Period"] = 180.0 }, // 15 minutes
		"Backlog":           func(p object) { p["Threshold"] = 1e6 },
	} {
		d := deployment{stage: stacks["full"].stage, template: stacks["full"].template.clone()}
		change(d.template.Resources[alarmsByRole(d)[name]].Properties)
		if _, found, err := problems(d); err != nil || len(found) == 0 {
			t.Errorf("%s: nobody notices: %v, %v", name, found, err)
		}
	}
}

// renderTable writes the lines, those of the same alarms in one.
func renderTable(all []entry, severity map[string]string) string {
	var order []string
	names := make(map[string][]string)
	for _, e := range all {
		minutes, paged := e.firstPage(severity)
		inTime := "nothing is refused"
		switch {
		case enough[e.what] != "":
			inTime = enough[e.what]
		case e.refuses && paged && minutes <= lastAttempt:
			inTime = "yes"
		}
		cells := fmt.Sprintf("%s | %s | %s", alarmsOf(e.off, severity, "page"), alarmsOf(e.off, severity, "ticket"), inTime)
		if names[cells] == nil {
			order = append(order, cells)
		}
		names[cells] = append(names[cells], e.what)
	}
	var b strings.Builder
	b.WriteString("| what happens | pages, after minutes | tickets | a page before Nylas's last attempt? |\n| --- | --- | --- | --- |\n")
	for _, cells := range order {
		fmt.Fprintf(&b, "| %s | %s |\n", strings.Join(names[cells], "; "), cells)
	}
	return b.String()
}

// alarmsOf are the alarms of a severity, the first to go off first.
func alarmsOf(off map[string]int, severity map[string]string, of string) string {
	var alarms []string
	for name := range off {
		if severity[name] == of {
			alarms = append(alarms, name)
		}
	}
	slices.SortFunc(alarms, func(a, b string) int {
		if off[a] != off[b] {
			return off[a] - off[b]
		}
		return strings.Compare(a, b)
	})
	for i, name := range alarms {
		alarms[i] = fmt.Sprintf("[%s](runbook.md#%s) %s", name, strings.ToLower(name), duration(off[name]))
	}
	return strings.Join(alarms, ", ")
}

// duration of so many minutes, in days where there are some.
func duration(minutes int) string {
	if minutes >= 24*60 {
		return fmt.Sprintf("%.1f days", float64(minutes)/24/60)
	}
	return fmt.Sprint(minutes)
}
