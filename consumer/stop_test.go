package consumer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

func TestStopLetsHandlersFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newFakeQueue(t)
		for i := range 50 {
			q.send(note(fmt.Sprint(i)))
		}
		b := start(t, q, Config{Handler: func(context.Context, notification.Notification) error {
			time.Sleep(8 * time.Second)
			return nil
		}})
		time.Sleep(12 * time.Second) // the second round is at work
		begin := time.Now()
		b.mustStop()
		if took := time.Since(begin); took > 9*time.Second {
			t.Errorf("took %s", took)
		}
		handled := b.count(Handled)
		if handled < 11 || handled > 20 { // two rounds; the first begins with one and grows
			t.Errorf("%d handled", handled)
		}
		if q.Left() != 50-handled {
			t.Errorf("%d left: something finished was not deleted", q.Left())
		}
		for _, m := range q.Messages() {
			if !m.Deleted && len(m.Received) > 0 && m.Visible.After(time.Now()) {
				t.Errorf("%s was received and not given back", m.ID)
			}
		}
	})
}

func TestStopOfAnIdleConsumerIsQuick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, newFakeQueue(t), Config{Handler: func(context.Context, notification.Notification) error { return nil }})
		time.Sleep(5 * time.Second)
		begin := time.Now()
		b.mustStop()
		if took := time.Since(begin); took > lastPoll {
			t.Errorf("took %s", took)
		}
		if b.consumer.lasting.Err() == nil {
			t.Error("Run has returned, and calls may go on")
		}
	})
}

func TestStopGivesBackWhatThePollBrought(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newFakeQueue(t)
		b := start(t, q, Config{Handler: func(context.Context, notification.Notification) error {
			t.Error("handled after the stop")
			return nil
		}})
		time.Sleep(5 * time.Second)
		b.cancel()
		synctest.Wait()
		late := q.send(note("late"))
		b.mustStop()
		m := q.message(late)
		if len(m.Received) != 1 || m.Visible.After(time.Now()) {
			t.Errorf("received %d times, visible %s", len(m.Received), m.Visible)
		}
		b.first(Released)
	})
}

func TestStopBreaksOffWhatTakesTooLong(t *testing.T) {
	for name, obeys := range map[string]bool{"handler obeys": true, "handler does not": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newFakeQueue(t)
				long := q.send(note("long"))
				store := NewMemoryStore()
				b := start(t, q, Config{Store: store, HandlerTimeout: time.Hour, StopTimeout: 10 * time.Second, Handler: func(ctx context.Context, _ notification.Notification) error {
					if obeys {
						<-ctx.Done()
						return ctx.Err()
					}
					time.Sleep(10 * time.Minute)
					return nil
				}})
				time.Sleep(time.Second)
				begin := time.Now()
				err := b.stop()
				// Of the 10 s, a handler has 8 and what it leaves behind another.
				if took, want := time.Since(begin), map[bool]time.Duration{true: 8 * time.Second, false: 9 * time.Second}[obeys]; took < want || took > want+100*time.Millisecond {
					t.Errorf("took %s, want %s", took, want)
				}
				claim, _ := store.Begin(t.Context(), "long", "next", time.Now().Add(time.Minute))
				if obeys {
					if m := q.message(long); err != nil || m.Visible.After(time.Now()) || claim.State != Claimed {
						t.Errorf("%v; visible %s; the next attempt finds it %s", err, m.Visible, claim.State)
					}
					return
				}
				if !errors.Is(err, ErrUnfinished) {
					t.Errorf("Run: %v", err)
				}
				if claim.State != InProgress {
					t.Errorf("a second handling could begin beside the first: %s", claim.State)
				}
				time.Sleep(10 * time.Minute) // for the bubble: the handler ends
			})
		})
	}
}

// hungStore is a store whose calls return when somebody lets them, whatever their context says.
type hungStore struct {
	Store
	free chan struct{}
}

func (s hungStore) Begin(context.Context, string, string, time.Time) (Claim, error) {
	<-s.free
	return Claim{}, errors.New("late")
}

// The promise is the whole stop, also where a store or a client does not return.
func TestStopDoesNotWaitForWhatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newFakeQueue(t)
		q.send(note("1"))
		store := hungStore{NewMemoryStore(), make(chan struct{})}
		b := start(t, q, Config{Store: store, StopTimeout: 10 * time.Second, Handler: nothing})
		time.Sleep(time.Second)
		begin := time.Now()
		err := b.stop()
		if took := time.Since(begin); took < 10*time.Second || took > 10100*time.Millisecond {
			t.Errorf("took %s, want 10 s", took)
		}
		if !errors.Is(err, ErrUnfinished) || !strings.Contains(err.Error(), "a store or client does not return") {
			t.Errorf("Run: %v", err)
		}
		close(store.free) // for the bubble
	})
}

// What obeys the end of its context gets a moment to return.
func TestStopWaitsAMoment(t *testing.T) {
	for late, unfinished := range map[time.Duration]bool{99 * time.Millisecond: false, 101 * time.Millisecond: true} {
		synctest.Test(t, func(t *testing.T) {
			q := newFakeQueue(t)
			q.send(note("1"))
			store := hungStore{NewMemoryStore(), make(chan struct{})}
			b := start(t, q, Config{Store: store, StopTimeout: 10 * time.Second, Handler: nothing})
			time.Sleep(time.Second)
			time.AfterFunc(10*time.Second+late, func() { close(store.free) })
			if err := b.stop(); errors.Is(err, ErrUnfinished) != unfinished {
				t.Errorf("a store that returns %s late: %v", late, err)
			}
			time.Sleep(time.Second) // for the bubble
		})
	}
}

func TestStuckHandlersKeepTheirPlaceUntilNoneIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newFakeQueue(t)
		free := make(chan struct{})
		b := start(t, q, Config{Concurrency: 2, Store: NewMemoryStore(), Handler: func(_ context.Context, n notification.Notification) error {
			if strings.HasPrefix(n.ID, "stuck") {
				<-free
			}
			return nil
		}})
		first := q.send(note("stuck-1"))
		time.Sleep(36 * time.Second) // timeout and grace
		if e := b.first(Stuck); e.MessageID != first {
			t.Errorf("event %+v", e)
		}
		for i := range 20 {
			q.send(note(fmt.Sprint(i)))
		}
		time.Sleep(time.Second)
		if n := b.count(Handled); n != 20 {
			t.Errorf("%d of 20 handled beside a stuck one", n)
		}
		q.send(note("stuck-2"))
		if err := <-b.ended; !errors.Is(err, ErrStuck) {
			t.Errorf("Run: %v", err)
		}
		close(free)
	})
}

func TestStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newFakeQueue(t)
		var down, hung atomic.Bool
		hang := make(chan struct{})
		b := start(t, q, Config{HandlerTimeout: time.Minute, Handler: func(_ context.Context, n notification.Notification) error {
			switch {
			case n.ID == "hang" && !hung.Swap(true):
				<-hang
			case down.Load():
				return Unavailable(errors.New("503"), 0)
			}
			return nil
		}})
		if polled := b.consumer.Status().Polled; !polled.IsZero() {
			t.Errorf("polled %s, before SQS has answered", polled)
		}
		status := func(want Status) {
			t.Helper()
			time.Sleep(21 * time.Second) // a poll
			got := b.consumer.Status()
			if age := time.Since(got.Polled); !want.Paused && age > 21*time.Second {
				t.Errorf("polled %s ago", age)
			}
			if got.Polled = want.Polled; got != want {
				t.Errorf("%+v, not %+v", got, want)
			}
		}
		status(Status{}) // idle
		q.send(note("1"))
		status(Status{})
		q.send(note("hang"))
		status(Status{InFlight: 1, Running: 1})
		time.Sleep(45 * time.Second) // timeout and grace
		status(Status{Running: 1, Stuck: 1})
		close(hang)
		status(Status{})
		down.Store(true)
		q.send(note("2"))
		status(Status{InFlight: 1, Held: 1}) // one alone is no outage
		down.Store(false)
		b.drained(2 * time.Minute)
		status(Status{})
		b.mustStop()
	})
}

func TestReceiveFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newFakeQueue(t)
		q.send(note("1"))
		end := time.Now().Add(10 * time.Minute)
		q.fault = func(action, _ string) error {
			if action == "ReceiveMessage" && time.Now().Before(end) {
				return errors.New("connection refused")
			}
			return nil
		}
		b := start(t, q, Config{Handler: func(context.Context, notification.Notification) error { return nil }})
		b.drained(11 * time.Minute)
		if n := b.count(QueueFailed); n < 20 || n > 60 {
			t.Errorf("%d tries in 10 minutes", n)
		}
		q.mu.Lock()
		q.fault = func(string, string) error { return &types.QueueDoesNotExist{} }
		q.mu.Unlock()
		q.send(note("2"))
		err := <-b.ended
		var gone *types.QueueDoesNotExist
		if !errors.As(err, &gone) || !strings.Contains(err.Error(), "receive from queue") {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestDeletePartialFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newFakeQueue(t)
		for i := range 40 {
			q.send(note(fmt.Sprint(i)))
		}
		tries := map[string]int{}
		q.fault = func(action, handle string) error {
			if action != "DeleteMessageBatch" {
				return nil
			}
			tries[handle]++
			switch handle {
			case "message-3/1": // once
				if tries[handle] == 1 {
					return partial{code: "InternalError"}
				}
			case "message-4/1": // three times: received again
				return partial{code: "InternalError"}
			case "message-5/1": // no use trying again
				return partial{code: "InvalidIdFormat", senderFault: true}
			case "message-30/1": // the whole request
				if tries[handle] == 1 {
					return errors.New("connection reset")
				}
			}
			return nil
		}
		handled := map[string]int{}
		b := start(t, q, Config{Concurrency: 1, Store: NewMemoryStore(), Handler: func(_ context.Context, n notification.Notification) error {
			handled[n.ID]++
			return nil
		}})
		b.drained(5 * time.Minute)
		b.mustStop()
		for id, n := range handled {
			if n != 1 {
				t.Errorf("%s was handled %d times", id, n)
			}
		}
		for handle, want := range map[string]int{"message-3/1": 2, "message-4/1": 3, "message-5/1": 1} {
			if tries[handle] != want {
				t.Errorf("%s was tried %d times, not %d", handle, tries[handle], want)
			}
		}
		if len(handled) != 40 || b.count(Duplicate) != 2 || b.count(QueueFailed) != 2 {
			t.Errorf("%d handled, %d duplicates, %d failures told of", len(handled), b.count(Duplicate), b.count(QueueFailed))
		}
	})
}

func TestRunTwiceIsAnError(t *testing.T) {
	c, err := New(Config{Handler: func(context.Context, notification.Notification) error { return nil }, SQS: newFakeQueue(t), QueueURL: "https://queue"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Run(ctx); err != nil {
		t.Error(err)
	}
	if err := c.Run(ctx); err == nil {
		t.Error("ran twice")
	}
}

func TestEveryProblemOfTheConfigurationIsNamed(t *testing.T) {
	_, err := New(Config{Concurrency: 5000, HandlerTimeout: -1, Visibility: 1500 * time.Millisecond,
		RetryMin: time.Minute, RetryMax: time.Second, PauseMin: -1, StopTimeout: -1})
	for _, field := range []string{"Handler", "Concurrency", "HandlerTimeout", "SQS", "QueueURL", "Visibility", "RetryMax", "PauseMin", "StopTimeout"} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s is not named in: %v", field, err)
		}
	}
	_, err = New(Config{Handler: func(context.Context, notification.Notification) error { return nil }, SQS: newFakeQueue(t),
		QueueURL: "https://queue", DeadLetterQueueURL: "https://queue", RetryMin: 13 * time.Hour})
	for _, says := range []string{"DeadLetterQueueURL", "SQS hides a message"} {
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s is not named in: %v", says, err)
		}
	}
	if _, err := LambdaHandler(Config{}); err == nil || !strings.Contains(err.Error(), "Handler") || strings.Contains(err.Error(), "SQS") {
		t.Errorf("LambdaHandler: %v", err)
	}
}

// equivalent mutant: Run: defer abandon() -> (nothing)
// equivalent mutant: Run: defer abort() -> (nothing)
// Both contexts are made of lasting, which ends with Run.

// equivalent mutant: Run: defer c.fail(nil) -> (nothing)
// equivalent mutant: Run: defer endHeartbeat() -> (nothing)
// Run does not return before both have ended: no more is received only when stopping is done,
// and whoever has deleted all ends the heartbeat. go vet asks for a call on every way.

// What is given back at the stop is for others. This consumer's own last receives take none of
// it: each would use up one of the five receives after which a message is a dead letter. So
// it is where the stop has less time than a last receive usually gets.
func TestWhatIsGivenBackIsNotReceivedAgain(t *testing.T) {
	for _, timeout := range []time.Duration{25 * time.Second, time.Second} {
		t.Run(timeout.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { stopWithASickGrant(t, timeout) })
		})
	}
}

// stopWithASickGrant stops a consumer that holds the messages of a mailbox which is down, while
// several of its receives wait for messages.
func stopWithASickGrant(t *testing.T, timeout time.Duration) {
	q := newFakeQueue(t)
	for i := range 300 {
		n := note(fmt.Sprint(i))
		n.GrantID = fmt.Sprint("grant-", i%10)
		q.send(n)
	}
	b := start(t, q, Config{StopTimeout: timeout, Handler: func(_ context.Context, n notification.Notification) error {
		if n.GrantID == "grant-0" {
			return Unavailable(errors.New("this mailbox is down"), 0)
		}
		time.Sleep(20 * time.Millisecond)
		return nil
	}})
	for q.Left() > 30 {
		time.Sleep(time.Millisecond)
	}
	if b.consumer.Status().Held == 0 {
		t.Fatal("nothing is held, so nothing can be given back")
	}
	b.mustStop()
	for _, m := range q.Messages() {
		if len(m.Received) > 1 || m.Dead {
			t.Errorf("%s was received %d times, dead: %v", m.ID, len(m.Received), m.Dead)
		}
		if wait := time.Until(m.Visible); !m.Deleted && wait > 15*time.Second { // 10 s and a half more are the first pause
			t.Errorf("%s stays hidden for %v", m.ID, wait)
		}
	}
}

// A client of SQS that never returns keeps nothing from being given back.
func TestAReceiveThatDoesNotReturn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newParts(t, Config{})
		p.pollsEnded = make(chan struct{})
		hidden := false
		p.sqs.hide = func(context.Context, *sqs.ChangeMessageVisibilityInput) error { hidden = true; return nil }
		m := p.got(t, "n")
		p.stop(nil)
		done := make(chan struct{})
		go func() { defer close(done); p.giveBack(m, context.Canceled) }()
		synctest.Wait()
		if hidden {
			t.Error("given back while a receive is underway")
		}
		p.abort()
		<-done
		if !hidden {
			t.Error("not given back")
		}
	})
}
