package gaps

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/logs"
)

// lostAtOnce returns the spans of minutes with answers that Nylas does not try again.
func lostAtOnce(minutes []Minute) []Gap {
	var all []Gap
	for _, run := range runs(minutes, func(m Minute) bool { return m.Lost > 0 }) {
		g := gap(LostAtOnce, run)
		for _, m := range run {
			g.Count += m.Lost
		}
		g.keep(func(status string) bool { return status != "200" && !again(status) })
		g.Says = fmt.Sprintf("Nylas does not try again after these answers: %s", list(g.Answers))
		all = append(all, g)
	}
	return all
}

func again(status string) bool {
	return slices.Contains([]string{"408", "429", "502", "503", "504"}, status)
}

// failing returns the spans in which deliveries failed for longer than Nylas's tries
// may last. A span ends with a minute in which something was accepted and nothing
// failed.
func failing(minutes []Minute) []Gap {
	var all []Gap
	for i := 0; i < len(minutes); i++ {
		if !minutes[i].failed() {
			continue
		}
		last := i
		for j := i; j < len(minutes) && (minutes[j].failed() || minutes[j].Accepted == 0); j++ {
			if minutes[j].failed() {
				last = j
			}
		}
		run := minutes[i : last+1]
		if length := time.Duration(len(run)) * time.Minute; length > lastTry {
			g := gap(PossiblyLost, run)
			for _, m := range run {
				g.Count += m.Again - m.Recovered
			}
			g.keep(again)
			sure := "Nylas's last try comes 10 to 20 minutes after the first, so some may be lost"
			if length > giveUp {
				sure = "Nylas's last try comes within 20 minutes of the first, so what came at the beginning is lost"
			}
			g.Says = fmt.Sprintf("%d minutes of %s. %s", len(run), list(g.Answers), sure)
			all = append(all, g)
		}
		i = last
	}
	return all
}

// silent returns the spans without any delivery that are longer than Nylas's tries.
func silent(minutes []Minute) []Gap {
	var all []Gap
	for _, run := range runs(minutes, Minute.quiet) {
		// Nothing at all is no news of what was missed, however short the time.
		if len(run) > int(giveUp/time.Minute) || len(run) == len(minutes) {
			g := gap(Silent, run)
			g.Answers = nil
			g.Says = fmt.Sprintf("%d minutes without any delivery: a quiet time, or nothing got here (DNS, certificate, the webhook paused or failed at Nylas)", len(run))
			all = append(all, g)
		}
	}
	return all
}

// unaccepted returns the notifications, known by their ids, that failed and were not
// accepted since.
func unaccepted(requests []logs.Request, later map[string]time.Time, end time.Time) []Gap {
	g := Gap{Kind: Unaccepted}
	last := map[string]logs.Request{}
	for _, q := range requests {
		if q.NotificationID == "" || taken(q) || recovered(q, later) {
			continue
		}
		if _, twice := last[q.NotificationID]; !twice {
			g.IDs = append(g.IDs, q.NotificationID)
		}
		last[q.NotificationID] = q
		if g.From.IsZero() || q.Time.Before(g.From) {
			g.From = q.Time
		}
		g.To = latest(g.To, q.Time)
	}
	if len(g.IDs) == 0 {
		return nil
	}
	waiting := 0
	for _, q := range last {
		if q.Attempt < 3 && end.Sub(q.Time) < giveUp {
			waiting++
		}
	}
	g.Count = len(g.IDs)
	g.Says = fmt.Sprintf("%d notifications failed and were not accepted since", g.Count)
	if waiting > 0 {
		g.Says += fmt.Sprintf("; Nylas may still try %d of them again", waiting)
	}
	return []Gap{g}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// runs returns the longest stretches of minutes that fit.
func runs(minutes []Minute, fits func(Minute) bool) [][]Minute {
	var all [][]Minute
	for i := 0; i < len(minutes); i++ {
		start := i
		for i < len(minutes) && fits(minutes[i]) {
			i++
		}
		if i > start {
			all = append(all, minutes[start:i])
		}
	}
	return all
}

// gap spans the minutes of run and adds up their answers.
func gap(kind Kind, run []Minute) Gap {
	g := Gap{Kind: kind, From: run[0].Start, To: run[len(run)-1].Start.Add(time.Minute), Answers: map[string]int{}}
	for _, m := range run {
		for status, n := range m.Answers {
			g.Answers[status] += n
		}
	}
	return g
}

func (g *Gap) keep(status func(string) bool) {
	maps.DeleteFunc(g.Answers, func(s string, _ int) bool { return !status(s) })
}

// list writes answers as "429 (3), 503 (12)".
func list(answers map[string]int) string {
	var parts []string
	for _, status := range slices.Sorted(maps.Keys(answers)) {
		parts = append(parts, fmt.Sprintf("%s (%d)", status, answers[status]))
	}
	return strings.Join(parts, ", ")
}

// Span is a stretch of minutes of one sort.
type Span struct {
	From, To  time.Time
	Sort      string
	Accepted  int
	Again     int
	Lost      int
	Strangers int
}

// Spans puts minutes of the same sort that follow each other together.
func (r Report) Spans() []Span {
	sort := func(m Minute) string {
		switch {
		case m.Lost > 0:
			return "loses"
		case m.failed() || m.Again > 0 && m.Accepted == 0:
			return "fails"
		case m.quiet():
			return "silent"
		default:
			return "works"
		}
	}
	var all []Span
	for _, m := range r.Minutes {
		if s := sort(m); len(all) == 0 || all[len(all)-1].Sort != s {
			all = append(all, Span{From: m.Start, Sort: s})
		}
		last := &all[len(all)-1]
		last.To = m.Start.Add(time.Minute)
		last.Accepted += m.Accepted
		last.Again += m.Again
		last.Lost += m.Lost
		last.Strangers += m.Strangers
	}
	return all
}
