package gaps

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/logs"
)

var noon = time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)

// traffic are both logs of some requests.
type traffic struct {
	access   []logs.Access
	requests []logs.Request
}

// post adds a POST in the given minute after noon. An empty outcome is a request that
// the receiver did not get.
func (t *traffic) post(minute, status int, outcome string, more ...string) *traffic {
	id := fmt.Sprintf("r-%d", len(t.access))
	at := noon.Add(time.Duration(minute)*time.Minute + time.Duration(len(t.access)%50)*time.Second)
	t.access = append(t.access, logs.Access{Time: at, RequestID: id, Method: "POST", Status: status})
	if outcome != "" {
		q := logs.Request{Time: at, RequestID: id, Status: status, Outcome: outcome, Attempt: 1}
		for _, m := range more {
			switch name, value, _ := strings.Cut(m, "="); name {
			case "id":
				q.NotificationID = value
			case "type":
				q.Type = value
			case "third":
				q.Attempt = 3
			}
		}
		t.requests = append(t.requests, q)
	}
	return t
}

// works adds an accepted notification to every minute from one to the other.
func (t *traffic) works(from, to int) *traffic { return t.every(from, to, 200, "Accepted") }

func (t *traffic) every(from, to, status int, outcome string) *traffic {
	for m := from; m < to; m++ {
		t.post(m, status, outcome)
	}
	return t
}

func TestFind(t *testing.T) {
	for _, test := range []struct {
		name string
		t    *traffic
		want []string // kind, first and last minute, count
	}{
		{"all is well", new(traffic).works(0, 60), nil},
		{"500 from the gateway", new(traffic).works(0, 60).post(5, 500, "").post(6, 500, ""), []string{"lost at once 5-7 2"}},
		{"403 of a firewall", new(traffic).works(0, 60).post(5, 403, ""), []string{"lost at once 5-6 1"}},
		{"413 and 400", new(traffic).works(0, 60).post(5, 413, "").post(9, 400, ""), []string{"lost at once 5-6 1", "lost at once 9-10 1"}},
		{"401 to a signed one", new(traffic).works(0, 60).post(5, 401, ""), []string{"lost at once 5-6 1"}},
		{"401 to strangers", new(traffic).works(0, 60).post(5, 401, "Refused").post(6, 401, "TestEvent").post(7, 400, "Refused"), nil},
		{"another path", new(traffic).works(0, 60).post(5, 404, ""), nil},
		{"503 for 5 minutes", new(traffic).works(0, 10).every(10, 15, 503, "Faulted").works(15, 60), nil},
		{"503 for 12 minutes", new(traffic).works(0, 10).every(10, 22, 503, "Faulted").works(22, 60), []string{"possibly lost 10-22 12"}},
		{"429 beside accepted ones for 25 minutes", new(traffic).works(0, 60).every(10, 35, 429, ""), []string{"possibly lost 10-35 25"}},
		{"503 with pauses", new(traffic).works(0, 10).post(10, 503, "").post(20, 503, "").post(31, 503, "").works(32, 60), []string{"possibly lost 10-32 3"}},
		{"a rotated secret", new(traffic).works(0, 10).every(10, 40, 503, "Mismatch").works(40, 60), []string{"possibly lost 10-40 30"}},
		{"a stranger's signatures", new(traffic).works(0, 60).every(10, 40, 503, "Mismatch"), nil},
		{"silence", new(traffic).works(0, 10).works(40, 60), []string{"silent 10-40 0"}},
		{"a short silence", new(traffic).works(0, 10).works(29, 60), nil},
		{"silence but for strangers and our smoke test", new(traffic).works(0, 10).works(40, 60).post(20, 401, "Refused").post(30, 200, "Accepted", "type=smoke.test"), []string{"silent 10-40 0"}},
		{"not sent, and again", new(traffic).works(0, 60).post(5, 503, "SendFailed", "id=a").post(6, 200, "Accepted", "id=a"), nil},
		{"not sent, and spilled", new(traffic).works(0, 60).post(5, 503, "SendFailed", "id=a").post(6, 200, "Spilled", "id=a"), nil},
		{"not sent", new(traffic).works(0, 60).post(5, 503, "SendFailed", "id=a").post(9, 503, "SendFailed", "id=a", "third="), []string{"not accepted 5-9 1"}},
		{"not sent for long, all accepted later", func() *traffic {
			tr := new(traffic)
			for m := range 30 {
				tr.post(m, 503, "SendFailed", fmt.Sprint("id=", m))
			}
			for m := range 30 {
				tr.post(30+m, 200, "Accepted", fmt.Sprint("id=", m))
			}
			return tr
		}(), nil},
		{"GETs do not count", &traffic{access: append(new(traffic).works(0, 60).access, logs.Access{Time: noon, Method: "GET", Status: 500})}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := Find(noon, noon.Add(59*time.Minute+30*time.Second), test.t.access, test.t.requests)
			var got []string
			for _, g := range r.Gaps {
				got = append(got, fmt.Sprintf("%s %d-%d %d", g.Kind, int(g.From.Sub(noon).Minutes()), int(g.To.Sub(noon).Minutes()), g.Count))
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q\n%+v", got, test.want, r.Gaps)
			}
		})
	}
}

func TestWithoutAnAccessLog(t *testing.T) {
	tr := new(traffic).works(0, 60).every(10, 25, 503, "Faulted")
	tr.requests = append(tr.requests, logs.Request{Time: noon, Status: 400, Outcome: "Refused", Reason: "no_challenge"}, logs.Request{Time: noon, Status: 200, Outcome: "Challenged"})
	r := Find(noon, noon.Add(59*time.Minute), nil, tr.requests)
	if !r.NoAccessLog || len(r.Gaps) != 1 || r.Gaps[0].Kind != PossiblyLost || r.Minutes[0].Accepted != 1 {
		t.Errorf("%v, %+v, first minute %+v", r.NoAccessLog, r.Gaps, r.Minutes[0])
	}
}

func TestFill(t *testing.T) {
	r := Report{
		Types: []string{"message.created.cleaned.truncated", "event.updated", "thread.replied", "something.new"},
		Gaps: []Gap{
			{From: noon.Add(time.Hour), To: noon.Add(70 * time.Minute)},
			{From: noon, To: noon.Add(10 * time.Minute)},
			{From: noon.Add(20 * time.Minute), To: noon.Add(25 * time.Minute)}, // with the time ahead it meets the one before
		},
	}
	ranges := r.Fill()
	if len(ranges) != 2 || !ranges[0].From.Equal(noon.Add(-15*time.Minute)) || !ranges[0].To.Equal(noon.Add(26*time.Minute)) {
		t.Fatalf("ranges %+v", ranges)
	}
	var got []string
	for _, c := range ranges[0].Calls {
		got = append(got, c.Request)
	}
	want := []string{
		"",
		"GET /v3/grants/{grant_id}/messages?received_after=1767613500&received_before=1767615960&limit=200",
		"GET /v3/grants/{grant_id}/events?calendar_id={calendar_id}&updated_after=1767613500&updated_before=1767615960&show_cancelled=true&limit=200",
	}
	if !slices.Equal(got, want) {
		t.Errorf("calls\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	r.Types = nil
	if n := len(r.Fill()[0].Calls); n != len(known) {
		t.Errorf("%d calls where no type was seen, want all %d", n, len(known))
	}
}

func TestFillListsStandaloneNotetakers(t *testing.T) {
	r := Report{Types: []string{"notetaker.media"}, Gaps: []Gap{{From: noon, To: noon.Add(time.Hour)}}}
	calls := r.Fill()[0].Calls
	if len(calls) != 1 || !strings.HasSuffix(calls[0].Request, "/v3/grants/{grant_id}/notetakers") || !strings.Contains(calls[0].Note, "GET /v3/notetakers") {
		t.Errorf("%+v", calls)
	}
}

// Ten minutes without a line are silent, too, where they are all that was looked at.
func TestNothingAtAllIsSilent(t *testing.T) {
	r := Find(noon, noon.Add(9*time.Minute), nil, nil)
	if len(r.Gaps) != 1 || r.Gaps[0].Kind != Silent {
		t.Errorf("%+v", r.Gaps)
	}
}
