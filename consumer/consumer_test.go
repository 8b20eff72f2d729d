package consumer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onepagecrm/nylas-webhooks/notification"
	"github.com/onepagecrm/nylas-webhooks/test/canary"
)

func TestEveryEncodingArrivesAsSigned(t *testing.T) {
	bodies := map[string][]byte{
		"text":           []byte(`{"subject":"` + canary.New("subject") + ` 🎉 über \/ "}`),
		"not for SQS":    []byte("{\"subject\":\"" + canary.New("subject") + " \x00 \uFFFE\"}"),
		"not UTF-8":      append([]byte(canary.New("body")), 0xff, 0xfe),
		"large":          append([]byte(canary.New("body")), bytes.Repeat([]byte("a"), notification.MaxMessageBytes)...),
		"empty":          {},
		"odd whitespace": []byte("{\t\"subject\" :\r\n \"" + canary.New("subject") + "\"  }\n"),
	}
	synctest.Test(t, func(t *testing.T) {
		q := newFakeQueue(t)
		for name, body := range bodies {
			n := note(name)
			n.Body, n.Signature = body, notification.Sign(secret, body)
			q.send(n)
		}
		var mu sync.Mutex
		got := map[string][]byte{}
		b := start(t, q, Config{
			Secrets: func(context.Context) ([]string, error) { return []string{"another", secret}, nil },
			Handler: func(_ context.Context, n notification.Notification) error {
				mu.Lock()
				defer mu.Unlock()
				got[n.ID] = n.Body
				return nil
			},
		})
		b.drained(time.Minute)
		b.mustStop()
		for name, body := range bodies {
			if !bytes.Equal(got[name], body) {
				t.Errorf("%s: %d bytes arrived, %d were signed", name, len(got[name]), len(body))
			}
		}
		if e := b.first(Handled); e.NotificationID == "" || e.Type != "message.created" || e.Receives != 1 {
			t.Errorf("event %+v", e)
		}
	})
}

func TestConcurrencyIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newFakeQueue(t)
		for i := range 200 {
			q.send(note(fmt.Sprint(i)))
		}
		var mu sync.Mutex
		running, most := 0, 0
		begin := time.Now()
		b := start(t, q, Config{Concurrency: 7, Handler: func(context.Context, notification.Notification) error {
			mu.Lock()
			running++
			most = max(most, running)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			running--
			mu.Unlock()
			return nil
		}})
		b.drained(time.Minute)
		took := time.Since(begin)
		b.mustStop()
		if most != 7 {
			t.Errorf("%d handlers ran at once, not 7", most)
		}
		// 1 s for the first alone, then 199 by sevens, and the latency of each receive; half a
		// second more where the second began while the first was at work, see growAfter.
		if took > 31600*time.Millisecond {
			t.Errorf("took %s: handlers were idle", took)
		}
		if q.MostInFlight() > 2*7 { // seven at work, seven about to be deleted
			t.Errorf("%d were in flight: received without a handler", q.MostInFlight())
		}
		if q.extends != 0 {
			t.Errorf("%d heartbeats for handlers of a second", q.extends)
		}
		if q.deletes > 64 { // two a second: there are those that began on the half second
			t.Errorf("%d requests to delete 200 messages: no batches", q.deletes)
		}
	})
}

func TestHeartbeatHidesWhileTheHandlerWorks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newFakeQueue(t)
		long := q.send(note("long"))
		failures := 0
		q.fault = func(action, _ string) error {
			// Every other beat fails, in one or the other way.
			if action != "ChangeMessageVisibilityBatch" {
				return nil
			}
			if failures++; failures%2 == 0 {
				return map[bool]error{true: partial{code: "InternalError"}, false: errors.New("no answer")}[failures%4 == 0]
			}
			return nil
		}
		b := start(t, q, Config{Store: NewMemoryStore(), HandlerTimeout: time.Hour, Handler: func(ctx context.Context, _ notification.Notification) error {
			select {
			case <-time.After(30 * time.Minute):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}})
		b.drained(time.Hour)
		b.mustStop()
		if n := len(q.message(long).Received); n != 1 {
			t.Errorf("received %d times", n)
		}
		if q.extends > 200 {
			t.Errorf("%d beats in 30 minutes", q.extends)
		}
	})
}

func TestFailureBacksOffAndEndsInTheDeadLetterQueue(t *testing.T) {
	outcomes := map[string]struct {
		handler Handler
		kind    Kind
		says    string
	}{
		"error": {func(context.Context, notification.Notification) error { return errors.New("no such contact") }, Failed, "no such contact"},
		"panic": {func(context.Context, notification.Notification) error { panic("nil map") }, Failed, "handler panicked: nil map"},
		"hang": {func(ctx context.Context, _ notification.Notification) error { <-ctx.Done(); return ctx.Err() },
			Failed, "handler did not finish within 30s"},
		"reject without a queue for it": {func(context.Context, notification.Notification) error { return Reject(errors.New("gone")) }, Failed, "rejected: gone"},
	}
	for name, o := range outcomes {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newFakeQueue(t)
				bad := q.send(note("bad"))
				for i := range 50 {
					q.send(note(fmt.Sprint(i)))
				}
				store := NewMemoryStore()
				b := start(t, q, Config{Store: store, Handler: func(ctx context.Context, n notification.Notification) error {
					if n.ID == "bad" {
						return o.handler(ctx, n)
					}
					return nil
				}})
				b.drained(10 * time.Minute)
				b.mustStop()
				if q.deadLetters() != 1 || b.count(Handled) != 50 {
					t.Fatalf("%d dead letters, %d handled", q.deadLetters(), b.count(Handled))
				}
				if e := b.first(o.kind); !strings.Contains(e.Err.Error(), o.says) {
					t.Errorf("error %q", e.Err)
				}
				low := 5 * time.Second // half of RetryMin, by the jitter
				received := q.message(bad).Received
				for i := 1; i < len(received); i, low = i+1, 2*low {
					gap := received[i].Sub(received[i-1])
					if gap < low || gap > 2*low+42*time.Second { // the handler's 30 s, a second's rounding, a poll
						t.Errorf("receive %d came %s after the one before", i+1, gap)
					}
				}
				if claim, _ := store.Begin(t.Context(), "bad", "redrive", time.Now().Add(time.Minute)); claim.State != Claimed {
					t.Errorf("a redrive would find it %s", claim.State)
				}
			})
		})
	}
}

func TestUnreadableAndUnverifiedAreLeftToTheRedrivePolicy(t *testing.T) {
	good, err := note("x").Encode()
	if err != nil {
		t.Fatal(err)
	}
	with := func(change func(*notification.Wire)) notification.Wire {
		w := notification.Wire{Body: good.Body, Attributes: map[string]notification.Attribute{}}
		for name, a := range good.Attributes {
			w.Attributes[name] = a
		}
		change(&w)
		return w
	}
	for name, c := range map[string]struct {
		wire notification.Wire
		kind Kind
	}{
		"no attributes": {with(func(w *notification.Wire) { clear(w.Attributes) }), Unreadable},
		"not gzip": {with(func(w *notification.Wire) {
			w.Attributes[notification.AttrEncoding] = notification.Attribute{DataType: "String", Value: notification.EncodingGzipBase64}
		}), Unreadable},
		"tampered": {with(func(w *notification.Wire) { w.Body += " " }), Unverified},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newFakeQueue(t)
				q.SendWire(c.wire)
				b := start(t, q, Config{
					Secrets: func(context.Context) ([]string, error) { return []string{secret}, nil },
					Handler: func(context.Context, notification.Notification) error {
						t.Error("handled")
						return nil
					},
				})
				b.drained(10 * time.Minute)
				b.mustStop()
				if q.deadLetters() != 1 || b.count(c.kind) != 5 {
					t.Errorf("%d dead letters, %d times %s", q.deadLetters(), b.count(c.kind), c.kind)
				}
				if !strings.Contains(b.logged.String(), `"level":"ERROR"`) {
					t.Error("not logged as an error")
				}
			})
		})
	}
}

func TestSmokeTestIsDeletedUnhandled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newFakeQueue(t)
		n := note("smoke")
		n.Type = notification.SmokeTestType
		q.send(n)
		b := start(t, q, Config{Handler: func(context.Context, notification.Notification) error {
			t.Error("handled")
			return nil
		}})
		b.drained(time.Minute)
		b.mustStop()
		b.first(SmokeTest)
	})
}

func TestReject(t *testing.T) {
	for name, failure := range map[string]error{"moved": nil, "dead-letter queue refuses": errors.New("AccessDenied"), "a proxy answers 200": errNotSQS} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newFakeQueue(t)
				id := q.send(note("bad"))
				q.fault = func(action, _ string) error {
					if action == "SendMessage" {
						return failure
					}
					return nil
				}
				store := NewMemoryStore()
				b := start(t, q, Config{Store: store, DeadLetterQueueURL: "https://dead", Handler: func(context.Context, notification.Notification) error {
					return Reject(errors.New("410 Gone"))
				}})
				b.drained(10 * time.Minute)
				b.mustStop()
				if failure != nil {
					if q.deadLetters() != 1 {
						t.Error("not dead-lettered by the redrive policy")
					}
					return
				}
				m := q.message(id)
				if len(q.Rejected()) != 1 || len(m.Received) != 1 || b.count(Rejected) != 1 {
					t.Fatalf("sent %d times, received %d times, %d events", len(q.Rejected()), len(m.Received), b.count(Rejected))
				}
				sent := q.Rejected()[0]
				if *sent.QueueUrl != "https://dead" || *sent.MessageBody != m.Wire.Body || *sent.MessageGroupId != "grant-1" {
					t.Errorf("sent %v", sent)
				}
				for name, a := range m.Wire.Attributes {
					if got := sent.MessageAttributes[name]; *got.StringValue != a.Value || *got.DataType != a.DataType {
						t.Errorf("attribute %s: %v", name, got)
					}
				}
				if claim, _ := store.Begin(t.Context(), "bad", "redrive", time.Now().Add(time.Minute)); claim.State != Claimed {
					t.Errorf("a redrive would find it %s", claim.State)
				}
			})
		})
	}
}
