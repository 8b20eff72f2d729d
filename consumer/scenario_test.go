package consumer

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

// measured is what a scenario found.
type measured struct {
	share float64 // of the ideal; 1 is all
	dead  int     // dead letters that the system would have taken
	note  string
}

// scenario is one row of the table.
type scenario struct {
	name, ideal string
	run         func(w *world) measured // in a bubble
	least       float64                 // share that a test asks for; the table says what is reached
}

func everyNth(n int, typ string) func(int, *notification.Notification) {
	return func(i int, one *notification.Notification) {
		if n > 0 && i%n == n/2 {
			one.Type = typ
		}
	}
}

func inSeconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

// timed is the share of a scenario whose ideal is a time.
func timed(w *world, taken int, ideal, limit time.Duration) measured {
	took := w.until(taken, limit)
	if w.system.count() < taken {
		return measured{share: 0, dead: w.deadGood(), note: fmt.Sprintf("%d of %d after %s", w.system.count(), taken, limit)}
	}
	return measured{share: ideal.Seconds() / took.Seconds(), dead: w.deadGood(), note: inSeconds(took)}
}

func backlogWithBad(percent int) scenario {
	const messages, latency = 5000, 50 * time.Millisecond
	return scenario{
		name: fmt.Sprintf("backlog of 5,000, %d %% always refused", percent), ideal: "one try each: 25 s", least: 0.7,
		run: func(w *world) measured {
			w.system.latency, w.system.rules = latency, []rule{never}
			every := 100 / percent
			w.backlog(messages, everyNth(every, bad))
			w.run(Config{})
			return timed(w, messages-messages/every, messages*latency/10, time.Hour)
		},
	}
}

// refusedFirst is a burst of bad messages in front of good ones, of which more come, one
// a second.
func refusedFirst(n int) scenario {
	return scenario{
		name: fmt.Sprintf("%d always refused, then 200 good", n), ideal: "the good in 1 s; the bad in 5 receives", least: 0.01,
		run: func(w *world) measured {
			w.system.latency, w.system.rules = 50*time.Millisecond, []rule{never}
			w.backlog(n, everyNth(1, bad))
			w.run(Config{})
			w.backlog(200, nil)
			m := timed(w, 200, time.Second, time.Hour)
			begin := time.Now()
			for w.queue.deadLetters() < n && time.Since(begin) < 2*time.Hour {
				w.steady(1, time.Minute, nil)
			}
			m.note += fmt.Sprintf("; %d of the bad dead letters after %s", w.queue.deadLetters(), time.Since(begin).Round(time.Minute))
			return m
		},
	}
}

// firstTryFails is a backlog of which so many of each thousand fail at their first try.
func firstTryFails(perMille int) scenario {
	const messages, latency = 5000, 50 * time.Millisecond
	return scenario{
		name: fmt.Sprintf("%d of each 1,000 fail once, in one burst", perMille), ideal: "200 tries a second", least: 0.2,
		run: func(w *world) measured {
			failed := map[string]bool{}
			w.system.latency = latency
			w.system.rules = []rule{func(n notification.Notification, _ int) (error, bool) {
				first := n.Type == bad && !failed[n.ID]
				failed[n.ID] = true
				return Unavailable(errUnavailable, 0), first
			}}
			w.backlog(messages, func(i int, n *notification.Notification) {
				if i%1000 < perMille {
					n.Type = bad
				}
			})
			w.run(Config{})
			m := timed(w, messages, messages*latency/10, time.Hour)
			m.dead = w.queue.deadLetters()
			return m
		},
	}
}

func hiccups(percent, messages int) scenario {
	const latency = 50 * time.Millisecond
	least := 0.7
	if percent >= 20 {
		least = 0.25 // one that fails six times in a row, in every fifth run, is hidden for 10 s and 20 s
	}
	return scenario{
		name: fmt.Sprintf("%d %% random 503", percent), ideal: "200 tries a second", least: least,
		run: func(w *world) measured {
			p := float64(percent) / 100
			w.system.latency, w.system.rules = latency, []rule{byChance(p)}
			w.backlog(messages, nil)
			w.run(Config{})
			return timed(w, messages, time.Duration(float64(messages)/(1-p))*latency/10, time.Hour)
		},
	}
}

// quickHandlers are as quick as SQS lets them be.
func quickHandlers(deletesTake time.Duration, rate int, because string) scenario {
	const messages = 20_000
	return scenario{
		name:  fmt.Sprintf("20,000, handlers of 1 ms, concurrency 200, deletes of %s", deletesTake+10*time.Millisecond),
		ideal: fmt.Sprintf("%d a second: %s", rate, because), least: 0.2,
		run: func(w *world) measured {
			w.system.latency, w.queue.slow = time.Millisecond, deletesTake
			w.backlog(messages, nil)
			w.run(Config{Concurrency: 200})
			m := timed(w, messages, time.Duration(messages/rate)*time.Second, time.Hour)
			w.gone(time.Minute)
			m.note += fmt.Sprintf(", %d in flight at most", w.queue.MostInFlight())
			return m
		},
	}
}

func capacity(most int) scenario {
	const messages, latency = 1000, 50 * time.Millisecond
	return scenario{
		name: fmt.Sprintf("takes %d at once, concurrency 10", most), ideal: "always so many at once", least: 0.6,
		run: func(w *world) measured {
			w.system.latency, w.system.rules = latency, []rule{atOnce(most)}
			w.backlog(messages, nil)
			w.run(Config{})
			return timed(w, messages, time.Duration(messages)*latency/time.Duration(most), time.Hour)
		},
	}
}

func rateLimit(rate float64) scenario {
	const messages = 600
	return scenario{
		name: fmt.Sprintf("three workers, the system allows %g a second and says Retry-After: 1", rate), ideal: "all that it allows", least: 0.8,
		run: func(w *world) measured {
			w.system.latency, w.system.rules = 50*time.Millisecond, []rule{perSecond(rate, time.Second)}
			w.backlog(messages, nil)
			for range 3 {
				w.run(Config{})
			}
			return timed(w, messages, time.Duration(messages/rate*float64(time.Second)), 3*time.Hour)
		},
	}
}

// steadyBad is steady traffic of which some is always refused, for d.
func steadyBad(rate, percent int, d time.Duration) scenario {
	return scenario{
		name: fmt.Sprintf("%d a second, %d %% always refused, for %s", rate, percent, d), ideal: "every good one at once", least: 0.97, // a pause of 5 s, now and then, is at the end, and those of its time come after it
		run: func(w *world) measured {
			w.system.latency, w.system.rules = 50*time.Millisecond, []rule{never}
			w.run(Config{})
			every := 100 / percent
			w.steady(rate, d, everyNth(every, bad))
			sent := int(d.Seconds()) * rate
			good := sent - sent/every
			time.Sleep(time.Second)
			return measured{share: float64(w.system.count()) / float64(good), dead: w.deadGood(),
				note: fmt.Sprintf("%d of %d good, the slowest after %s; %d bad waiting", w.system.count(), good, w.system.lag(), w.queue.Left())}
		},
	}
}

// shard is an outage of three of ten grants for an hour.
func shard(d time.Duration) scenario {
	return scenario{
		name: fmt.Sprintf("three of ten grants down for %s", d), ideal: "the healthy at full rate", least: 0.99,
		run: func(w *world) measured {
			sick := func(n notification.Notification) bool { return n.GrantID < "grant-3" }
			w.system.latency = 20 * time.Millisecond
			w.system.rules = []rule{down(w.begin, w.begin.Add(d), sick)}
			w.run(Config{})
			sent := 0
			w.steady(2, d, func(i int, n *notification.Notification) {
				if n.GrantID = fmt.Sprintf("grant-%d", i%10); !sick(*n) {
					sent++
				}
			})
			healthy := w.system.count()
			empty := w.gone(2 * time.Hour)
			return measured{share: float64(healthy) / float64(sent), dead: w.queue.deadLetters(),
				note: fmt.Sprintf("%d of %d; the rest %s after the end", healthy, sent, empty.Round(time.Second))}
		},
	}
}

func scenarios(long bool) []scenario {
	hours, hour, hiccup, outage := 5*time.Minute, 10*time.Minute, 3000, 2000
	if long {
		hours, hour, hiccup, outage = 3*time.Hour, time.Hour, 20_000, 10_000
	}
	all := []scenario{
		refusedFirst(20), refusedFirst(100),
		backlogWithBad(1), backlogWithBad(5), backlogWithBad(10), backlogWithBad(20),
		steadyBad(2, 10, hours), steadyBad(10, 5, hours),
		hiccups(1, hiccup), hiccups(5, hiccup), hiccups(20, hiccup), firstTryFails(65),
		quickHandlers(0, 8000, "80 received in 10 ms"), quickHandlers(990*time.Millisecond, 160, "160 deleted in 1 s"),
		capacity(9), capacity(3),
		rateLimit(1), rateLimit(2),
		shard(hour),
		{name: "ten jobs of 5 minutes, cold start", ideal: "5 minutes", least: 0.95, run: func(w *world) measured {
			w.system.latency = 5 * time.Minute
			w.backlog(10, nil)
			w.run(Config{HandlerTimeout: time.Hour})
			return timed(w, 10, 5*time.Minute, 2*time.Hour)
		}},
		{name: "S3 away for 3 minutes, 20 bodies there", ideal: "all, in 3 minutes", least: 0.5, run: func(w *world) measured {
			w.system.latency = 50 * time.Millisecond
			end := w.begin.Add(3 * time.Minute)
			for i := range 20 {
				n := note(fmt.Sprint(i))
				n.Body = append(n.Body, 0) // travels encoded, as what overflows does
				wire, err := n.Encode()
				if err == nil {
					wire, err = wire.Overflow(notification.Pointer{Bucket: "b", Key: "overflow/" + n.ID})
				}
				if err != nil {
					w.t.Fatal(err)
				}
				w.queue.SendWire(wire)
			}
			w.run(Config{Bucket: "b", S3: awayUntil{end, w}})
			return timed(w, 20, 3*time.Minute, time.Hour)
		}},
		{name: "1,000 handlers of 10 minutes, 20 ms for each call of the store", ideal: "each once", least: 0.95, run: func(w *world) measured {
			w.system.latency = 10 * time.Minute
			w.backlog(1000, nil)
			w.run(Config{Concurrency: 1000, HandlerTimeout: time.Hour, Store: slowStore{NewMemoryStore()}})
			m := timed(w, 1000, 10*time.Minute, 3*time.Hour)
			m.note += fmt.Sprintf(", %d calls of the handler", w.system.tried())
			if w.system.tried() > 1000 {
				m.share = 0 // some were cancelled
			}
			return m
		}},
		{name: "total outage of 2 hours", ideal: "no receive used", least: 0.5, run: func(w *world) measured {
			w.system.latency = 50 * time.Millisecond
			end := w.begin.Add(2 * time.Hour)
			w.system.rules = []rule{down(w.begin.Add(10*time.Second), end, nil)}
			w.backlog(outage, nil)
			w.run(Config{})
			m := timed(w, outage, 2*time.Hour+time.Duration(outage-2000)*5*time.Millisecond, 5*time.Hour)
			m.note += fmt.Sprintf(", received at most %d times", w.queue.mostReceives())
			return m
		}},
		{name: "a release that fails for an hour with plain errors", ideal: "no dead letter", least: 0.5, run: func(w *world) measured {
			w.system.latency = 50 * time.Millisecond
			end := w.begin.Add(time.Hour)
			w.system.rules = []rule{func(notification.Notification, int) (error, bool) {
				return errors.New("column does not exist"), time.Now().Before(end)
			}}
			w.backlog(1000, nil)
			w.run(Config{})
			m := timed(w, 1000, time.Hour, 3*time.Hour)
			m.note += fmt.Sprintf(", received at most %d times", w.queue.mostReceives())
			return m
		}},
		{name: "one of 50 grants answers after 20 s, with a timeout", ideal: "the others at once", least: 0.95, run: func(w *world) measured {
			w.system.latency = 50 * time.Millisecond
			w.system.rules = []rule{func(n notification.Notification, _ int) (error, bool) {
				return &slowError{20 * time.Second, Unavailable(errors.New("timeout"), 0)}, n.GrantID == "grant-0"
			}}
			w.run(Config{})
			w.steady(10, hour/6, func(i int, n *notification.Notification) { n.GrantID = fmt.Sprintf("grant-%d", i%50) })
			time.Sleep(time.Second)
			return measured{share: float64(w.system.count()) / (hour.Seconds() / 6 * 10 * 49 / 50), dead: w.queue.deadLetters(), note: fmt.Sprintf("the slowest after %s", w.system.lag())}
		}},
		{name: "one of 50 grants is limited to one in 10 s, Retry-After: 10", ideal: "the others at once", least: 0.95, run: func(w *world) measured {
			w.system.latency = 50 * time.Millisecond
			last := time.Time{}
			w.system.rules = []rule{func(n notification.Notification, busy int) (error, bool) {
				if n.GrantID != "grant-0" {
					return nil, false
				}
				if time.Since(last) < 10*time.Second {
					return Unavailable(errors.New("429"), 10*time.Second), true
				}
				last = time.Now()
				return nil, true
			}}
			w.run(Config{})
			others := 0
			w.steady(10, hour/6, func(i int, n *notification.Notification) {
				if n.GrantID = fmt.Sprintf("grant-%d", i%50); i%50 != 0 {
					others++
				}
			})
			time.Sleep(time.Second)
			w.system.mu.Lock()
			defer w.system.mu.Unlock()
			got := 0
			for i := range int(hour.Seconds() / 6 * 10) {
				if i%50 != 0 && w.system.taken[fmt.Sprint(i)] > 0 {
					got++
				}
			}
			return measured{share: float64(got) / float64(others), dead: w.queue.deadLetters(), note: fmt.Sprintf("%d of %d others", got, others)}
		}},
	}
	return all
}

var (
	repeat = flag.Int("repeat", 1, "how often TestScenarios runs each scenario, in its long version from 2 on")
	table  = flag.String("table", "", "the `file` between whose marks TestScenarios writes what was reached")
)

// TestScenarios is the short version of the table in docs/consumer.md, with wide margins;
// make bench-consumer runs the long one.
func TestScenarios(t *testing.T) {
	var rows strings.Builder
	for _, s := range scenarios(*repeat > 1) {
		t.Run(s.name, func(t *testing.T) {
			low, high, last := math.Inf(1), 0.0, measured{}
			for range *repeat {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, 0)
					last = s.run(w)
					w.stop()
				})
				low, high = min(low, last.share), max(high, last.share)
				if last.share < s.least || last.dead > 0 {
					t.Errorf("%.0f %% of the ideal, want %.0f at least; %s; %d dead letters that would have been taken", 100*last.share, 100*s.least, last.note, last.dead)
				}
			}
			t.Logf("%.0f to %.0f %% of the ideal; %s", 100*low, 100*high, last.note)
			fmt.Fprintf(&rows, "| %s | %s | %.0f to %.0f %% | %s |\n", s.name, s.ideal, math.Floor(100*low), math.Floor(100*high), last.note)
		})
	}
	if *table == "" || t.Failed() {
		return
	}
	text, err := os.ReadFile(*table)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- computed: make bench-consumer -->\n", "<!-- end -->"
	before, rest, found := strings.Cut(string(text), begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("%s has no lines %q and %q", *table, begin, end)
	}
	head := fmt.Sprintf("| scenario | ideal | reached, %d runs | the last run |\n| --- | --- | --- | --- |\n", *repeat)
	if err := os.WriteFile(*table, []byte(before+begin+head+rows.String()+end+after), 0o600); err != nil { //nolint:gosec // the file that the flag names
		t.Fatal(err)
	}
}
