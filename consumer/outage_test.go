package consumer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

func TestTwoHoursOfOutageUseUpNoReceives(t *testing.T) {
	const messages, concurrency = 10_000, 20
	for name, c := range map[string]struct {
		before time.Duration // how long all is well first
		flaps  bool          // up for a second every five minutes
	}{
		"down from the start":        {},
		"goes down while busy":       {before: 3 * time.Second},
		"comes up for moments":       {before: time.Second, flaps: true},
		"moments, down at the start": {flaps: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newFakeQueue(t)
				for i := range messages {
					q.send(note(fmt.Sprint(i)))
				}
				begin := time.Now().Add(c.before)
				end := begin.Add(2 * time.Hour)
				system := newCRM(func(notification.Notification) (bool, time.Duration) {
					now := time.Now()
					up := now.Before(begin) || !now.Before(end) || c.flaps && now.Sub(begin)%(5*time.Minute) < time.Second
					return !up, 0
				})
				b := start(t, q, Config{Concurrency: concurrency, Store: NewMemoryStore(), Handler: system.handle})
				b.drained(3 * time.Hour)
				b.mustStop()
				if q.deadLetters() != 0 {
					t.Errorf("%d dead letters", q.deadLetters())
				}
				if most := q.mostReceives(); most > 1 {
					t.Errorf("a message was received %d times", most)
				}
				for id, n := range system.got {
					if n != 1 {
						t.Errorf("%s was handled %d times", id, n)
					}
				}
				if len(system.got) != messages {
					t.Errorf("%d of %d handled", len(system.got), messages)
				}
				// Down: one probe a minute, at most two by the jitter; the seconds of the
				// moments and the doubling pauses after them come on top.
				if n := system.during(begin.Add(time.Minute), end); !c.flaps && n > 240 {
					t.Errorf("%d calls during the outage", n)
				}
				// The probes that hurry, 120, and what a moment lets through: 20 handlers of 50 ms
				// for a second.
				if q.MostInFlight() > 2*concurrency+120+400 {
					t.Errorf("%d were in flight", q.MostInFlight())
				}
				if b.count(Paused) == 0 || b.count(Resumed) == 0 {
					t.Error("not told of")
				}
			})
		})
	}
}

func TestRestartDuringAnOutageCostsOneReceive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newFakeQueue(t)
		for i := range 100 {
			q.send(note(fmt.Sprint(i)))
		}
		system := newCRM(func(notification.Notification) (bool, time.Duration) { return true, 0 })
		for range 3 {
			b := start(t, q, Config{Handler: system.handle})
			time.Sleep(500 * time.Millisecond) // the first probe, and not the second
			b.mustStop()
		}
		received := 0
		for _, m := range q.Messages() {
			if len(m.Received) > 1 {
				t.Errorf("%s was received %d times", m.ID, len(m.Received))
			}
			received += len(m.Received)
		}
		if received != 3 {
			t.Errorf("%d receives by 3 starts", received)
		}
	})
}

func TestRetryAfterIsHonoured(t *testing.T) {
	for asked, atLeast := range map[time.Duration]time.Duration{
		7 * time.Minute: 7 * time.Minute,
		72 * time.Hour:  time.Hour, // bounded
	} {
		synctest.Test(t, func(t *testing.T) {
			q := newFakeQueue(t)
			for i := range 100 {
				q.send(note(fmt.Sprint(i)))
			}
			var told time.Time
			system := newCRM(func(notification.Notification) (bool, time.Duration) {
				if told.IsZero() {
					told = time.Now()
					return true, asked
				}
				return false, 0
			})
			b := start(t, q, Config{Handler: system.handle})
			b.drained(2 * time.Hour)
			b.mustStop()
			if n := system.during(told, told.Add(atLeast)); n != 0 {
				t.Errorf("%d calls within %s", n, atLeast)
			}
			if e := b.first(Paused); e.Delay != atLeast || !strings.Contains(e.Err.Error(), "503") {
				t.Errorf("event %+v", e)
			}
		})
	}
}

// What is received, or waits for a slot, when the outage begins, is not tried before
// the pause is over.
func TestNothingBeginsWhilePaused(t *testing.T) {
	for _, concurrency := range []int{1, 4, 20} {
		synctest.Test(t, func(t *testing.T) {
			q := newFakeQueue(t)
			for i := range 500 {
				q.send(note(fmt.Sprint(i)))
			}
			begin := time.Now().Add(333 * time.Millisecond) // busy
			var told time.Time
			system := newCRM(func(notification.Notification) (bool, time.Duration) {
				if time.Now().Before(begin) || !told.IsZero() && time.Since(told) > 5*time.Minute {
					return false, 0
				}
				if told.IsZero() {
					told = time.Now()
				}
				return true, 10 * time.Minute
			})
			system.duration = 15 * time.Millisecond
			b := start(t, q, Config{Concurrency: concurrency, Handler: system.handle})
			b.drained(time.Hour)
			b.mustStop()
			if n := system.during(told.Add(time.Millisecond), told.Add(10*time.Minute)); n != 0 {
				t.Errorf("%d handlers: %d calls in the pause", concurrency, n)
			}
			if q.mostReceives() != 1 {
				t.Errorf("%d handlers: received up to %d times", concurrency, q.mostReceives())
			}
		})
	}
}

// Nor is what waited out an outage, when the next begins at once.
func TestNothingBeginsWhenTheSystemGoesDownAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newFakeQueue(t)
		for i := range 100 {
			q.send(note(fmt.Sprint(i)))
		}
		up := time.Now().Add(10 * time.Minute)
		calls := 0 // after that
		var told time.Time
		system := newCRM(func(notification.Notification) (bool, time.Duration) {
			if time.Now().Before(up) {
				return true, 0
			}
			if calls++; calls != 2 {
				return false, 0
			}
			told = time.Now()
			return true, 10 * time.Minute
		})
		b := start(t, q, Config{Concurrency: 1, Handler: system.handle})
		b.drained(time.Hour)
		b.mustStop()
		if n := system.during(told.Add(time.Millisecond), told.Add(10*time.Minute)); n != 0 {
			t.Errorf("%d calls in the second pause", n)
		}
	})
}

// A message for which the system always looks unavailable must neither hold up the
// others nor stay for ever: it fails by itself, like any other.
func TestMessageThatTheSystemNeverTakesIsFoundOut(t *testing.T) {
	for _, concurrency := range []int{1, 2, 10} {
		for _, bad := range []int{1, 2, 5} {
			t.Run(fmt.Sprintf("%d of 500, %d handlers", bad, concurrency), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					q := newFakeQueue(t)
					for i := range 500 {
						n := note(fmt.Sprint(i))
						if i < bad {
							n.Type = "bad"
						}
						q.send(n)
					}
					system := newCRM(func(n notification.Notification) (bool, time.Duration) { return n.Type == "bad", 0 })
					begin := time.Now()
					b := start(t, q, Config{Concurrency: concurrency, Handler: system.handle})
					for len(system.copied()) < 500-bad {
						time.Sleep(time.Second)
						if time.Since(begin) > 10*time.Minute {
							t.Fatalf("%d of %d handled", len(system.copied()), 500-bad)
						}
					}
					// 500 calls of 50 ms by the handlers; the rest is pauses.
					if limit := 25*time.Second/time.Duration(concurrency) + 3*time.Minute; time.Since(begin) > limit {
						t.Errorf("took %s", time.Since(begin))
					}
					// It takes others that get through to tell it from an outage.
					for i := 0; q.Left() > 0 && i < 500; i++ {
						q.send(note(fmt.Sprintf("later-%d", i)))
						time.Sleep(5 * time.Second)
					}
					b.drained(time.Minute)
					b.mustStop()
					if q.deadLetters() != bad {
						t.Errorf("%d dead letters", q.deadLetters())
					}
				})
			})
		}
	}
}

// Failing messages say nothing about the system, so in an outage they do not end
// the pause.
func TestFailureDuringAnOutageIsNoProof(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newFakeQueue(t)
		for i := range 50 {
			n := note(fmt.Sprint(i))
			if i%2 == 1 {
				n.Type = "bad"
			}
			q.send(n)
		}
		begin := time.Now()
		end := begin.Add(time.Hour)
		system := newCRM(func(notification.Notification) (bool, time.Duration) { return time.Now().Before(end), 0 })
		b := start(t, q, Config{Handler: func(ctx context.Context, n notification.Notification) error {
			if n.Type == "bad" {
				return errors.New("cannot be read")
			}
			return system.handle(ctx, n)
		}})
		b.drained(2 * time.Hour)
		b.mustStop()
		if q.deadLetters() != 25 || len(system.got) != 25 || b.count(Resumed) != 1 {
			t.Errorf("%d dead letters, %d handled, resumed %d times", q.deadLetters(), len(system.got), b.count(Resumed))
		}
		if n := system.during(begin, end); n > 130 { // two probes a minute, by the jitter, and the first minute's
			t.Errorf("%d calls during the outage", n)
		}
	})
}

// What the store and the secrets come from is a system behind as well.
func TestStoreAndSecretsOutagePauses(t *testing.T) {
	for name, config := range map[string]func(down func() error) Config{
		"store": func(down func() error) Config {
			return Config{Store: &failingStore{Store: NewMemoryStore(), begin: down}}
		},
		"secrets": func(down func() error) Config {
			return Config{Secrets: func(context.Context) ([]string, error) { return []string{secret}, down() }}
		},
		"no secrets": func(down func() error) Config {
			return Config{Secrets: func(context.Context) ([]string, error) {
				if down() != nil {
					return nil, nil
				}
				return []string{secret}, nil
			}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newFakeQueue(t)
				for i := range 50 {
					q.send(note(fmt.Sprint(i)))
				}
				end := time.Now().Add(time.Hour)
				c := config(func() error {
					if time.Now().Before(end) {
						return errors.New("no answer")
					}
					return nil
				})
				c.Handler = func(context.Context, notification.Notification) error { return nil }
				b := start(t, q, c)
				b.drained(2 * time.Hour)
				b.mustStop()
				if q.mostReceives() != 1 || b.count(Handled) != 50 {
					t.Errorf("received up to %d times, %d handled", q.mostReceives(), b.count(Handled))
				}
			})
		})
	}
}

// What SQS cannot hide any longer is given back.
func TestOutageLongerThanSQSCanHide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newFakeQueue(t)
		for i := range 100 {
			q.send(note(fmt.Sprint(i)))
		}
		end := time.Now().Add(26 * time.Hour)
		system := newCRM(func(notification.Notification) (bool, time.Duration) { return time.Now().Before(end), 0 })
		b := start(t, q, Config{Concurrency: 2, Handler: system.handle})
		b.drained(30 * time.Hour)
		b.mustStop()
		if most := q.mostReceives(); most > 3 || q.deadLetters() != 0 || len(system.got) != 100 {
			t.Errorf("received up to %d times, %d dead letters, %d handled", most, q.deadLetters(), len(system.got))
		}
	})
}
