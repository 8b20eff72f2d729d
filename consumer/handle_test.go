package consumer

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

// seenStore is a store in which everything gets what begin says, and that remembers the calls.
type seenStore struct {
	claim Claim
	err   error // of Complete and Release
	calls []string
	times []time.Time
	until time.Time
	ctx   []context.Context // of Complete and Release
}

func (s *seenStore) Begin(_ context.Context, id, _ string, until time.Time) (Claim, error) {
	s.until = until
	s.see("begin " + id)
	return s.claim, nil
}

func (s *seenStore) Extend(context.Context, string, string, time.Time) error { return nil }

func (s *seenStore) Complete(ctx context.Context, id, _ string) error {
	s.ctx = append(s.ctx, ctx)
	s.see("complete " + id)
	return s.err
}

func (s *seenStore) Release(ctx context.Context, id, _ string) error {
	s.ctx = append(s.ctx, ctx)
	s.see("release " + id)
	return s.err
}

func (s *seenStore) see(call string) {
	s.calls, s.times = append(s.calls, call), append(s.times, time.Now())
}

// handled is a message that is handled by config alone, without a queue.
func handled(t *testing.T, ctx context.Context, config Config, n notification.Notification, change func(*message)) (Event, []Event) {
	t.Helper()
	var told []Event
	config.Logger, config.Observe = slog.New(slog.DiscardHandler), func(e Event) { told = append(told, e) }
	wire, err := n.Encode()
	if err != nil {
		t.Fatal(err)
	}
	m := &message{id: "m", body: wire.Body, strings: map[string]string{}, receives: 3, grant: n.GrantID, hiddenUntil: time.Now().Add(time.Minute)}
	for name, a := range wire.Attributes {
		m.strings[name] = a.Value
	}
	if change != nil {
		change(m)
	}
	e := config.withDefaults().handle(ctx, t.Context(), t.Context(), m)
	if m.attempt != nil {
		t.Error("the attempt is over, and its lease is extended")
	}
	return e, told
}

func TestHowAnAttemptEnds(t *testing.T) {
	gone := errors.New("gone")
	for name, c := range map[string]struct {
		handler Handler
		claim   Claim
		kind    Kind
		says    string // the error; "": none
		ends    string // the lease; "": not at all
	}{
		"handled":               {answers(nil), Claim{State: Claimed}, Handled, "", "complete"},
		"failed":                {answers(gone), Claim{State: Claimed}, Failed, "gone", "release"},
		"rejected":              {answers(Reject(gone)), Claim{State: Claimed}, Rejected, "rejected: gone", "release"},
		"unavailable":           {answers(Unavailable(gone, 0)), Claim{State: Claimed}, Held, "unavailable: gone", "release"},
		"the goroutine is over": {func(context.Context, notification.Notification) error { runtime.Goexit(); return nil }, Claim{State: Claimed}, Failed, "handler called runtime.Goexit", "release"},
		"a panic":               {func(context.Context, notification.Notification) error { panic("oh") }, Claim{State: Claimed}, Failed, "handler panicked: oh", "release"},
		"completed before":      {answers(gone), Claim{State: Completed}, Duplicate, "", ""},
		"another one's":         {answers(gone), Claim{InProgress, time.Now().Add(time.Hour)}, busy, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			store := &seenStore{claim: c.claim}
			n := note("n")
			e, told := handled(t, t.Context(), Config{Store: store, Handler: c.handler}, n, nil)
			if e.Kind != c.kind || (e.Err == nil) != (c.says == "") || e.Err != nil && e.Err.Error() != c.says || told != nil {
				t.Errorf("%+v; told of %+v", e, told)
			}
			if e.MessageID != "m" || e.Receives != 3 || e.GrantID != "grant-1" || e.NotificationID != "n" || e.Type != "message.created" || !e.ReceivedAt.Equal(n.ReceivedAt.Truncate(time.Millisecond)) {
				t.Errorf("%+v", e)
			}
			calls := []string{"begin n"}
			if c.ends != "" {
				calls = append(calls, c.ends+" n")
			}
			if !slices.Equal(store.calls, calls) {
				t.Errorf("the store was asked to %v", store.calls)
			}
			if wait := e.Delay.Round(time.Minute); (wait == time.Hour) != (c.kind == busy) {
				t.Errorf("to be tried after %s", e.Delay)
			}
		})
	}
}

func TestWhatAHandlerCanKnow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got context.Context
		store := &seenStore{claim: Claim{State: Claimed}}
		sent := time.Now().Add(-time.Hour)
		config := Config{Store: store, MaxReceives: 3, HandlerTimeout: 20 * time.Second, Handler: func(ctx context.Context, _ notification.Notification) error {
			got = ctx
			if !within(ctx, 20*time.Second) {
				t.Error("it has not the time that it should have")
			}
			time.Sleep(5 * time.Second)
			return ctx.Err()
		}}
		e, _ := handled(t, t.Context(), config, note("n"), func(m *message) { m.sent = sent })
		if d := DeliveryOf(got); d != (Delivery{MessageID: "m", Receives: 3, Last: true, FirstSent: sent}) {
			t.Errorf("%+v", d)
		}
		if e.Kind != Handled || e.Duration != 5*time.Second || got.Err() == nil || !store.until.Equal(time.Now().Add(55*time.Second)) {
			t.Errorf("%+v; its context: %v; the lease was until %s", e, got.Err(), store.until)
		}
		config.MaxReceives = 4
		handled(t, t.Context(), config, note("n"), nil)
		if DeliveryOf(got).Last {
			t.Error("it is no dead letter after 3 receives of 4")
		}
	})
}

func TestAHandlerHasItsTimeAndNoMore(t *testing.T) {
	ends := func(ctx context.Context, _ notification.Notification) error { <-ctx.Done(); return ctx.Err() }
	for name, c := range map[string]struct {
		handler Handler
		hide    time.Duration // how long SQS can hide the message; 0: it does not say
		took    time.Duration
		kind    Kind
		says    string
	}{
		"it obeys":          {ends, 0, 30 * time.Second, Failed, "handler did not finish within 30s: context deadline exceeded"},
		"hidden for longer": {ends, time.Hour, 30 * time.Second, Failed, "handler did not finish within 30s"},
		"cannot be hidden":  {ends, 7 * time.Second, 7 * time.Second, Failed, "handler did not finish within 7s"},
		"it has its own words": {func(ctx context.Context, _ notification.Notification) error {
			<-ctx.Done()
			return errors.New("own words")
		}, 0, 30 * time.Second, Failed, "own words"},
		"it succeeds all the same": {func(ctx context.Context, _ notification.Notification) error { <-ctx.Done(); return nil }, 0, 30 * time.Second, Handled, ""},
		"with its last breath": {func(ctx context.Context, _ notification.Notification) error {
			<-ctx.Done()
			time.Sleep(5*time.Second - 1)
			return nil
		}, 0, 35*time.Second - 1, Handled, ""},
		"it does not obey": {func(context.Context, notification.Notification) error { time.Sleep(time.Minute); return nil }, 0, 35 * time.Second, Stuck,
			"handler ignores that its context ended (35s after it was called): it keeps its place until it returns"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &seenStore{claim: Claim{State: Claimed}}
				begin := time.Now()
				e, _ := handled(t, t.Context(), Config{Store: store, Handler: c.handler}, note("n"), func(m *message) {
					if c.hide > 0 {
						m.hideUntil = time.Now().Add(c.hide)
					}
				})
				took := time.Since(begin)
				if took != c.took || e.Duration != took || e.Kind != c.kind || (e.Err == nil) != (c.says == "") || e.Err != nil && !strings.HasPrefix(e.Err.Error(), c.says) {
					t.Errorf("%+v after %s", e, took)
				}
				if ended := len(store.calls) > 1; ended != (c.kind != Stuck) {
					t.Errorf("the lease has ended: %v", ended)
				}
				var stuck *stuckError
				if errors.As(e.Err, &stuck) {
					if err := <-stuck.returned; err != nil || time.Since(begin) != time.Minute {
						t.Errorf("it returned %v after %s", err, time.Since(begin))
					}
				}
			})
		})
	}
	// Why its context has ended is in the error.
	ctx, cancel := context.WithCancelCause(t.Context())
	e, _ := handled(t, ctx, Config{Handler: func(ctx context.Context, _ notification.Notification) error {
		cancel(ErrLeaseLost)
		return ctx.Err()
	}}, note("n"), nil)
	if e.Err.Error() != "context canceled ("+ErrLeaseLost.Error()+")" || !errors.Is(e.Err, context.Canceled) || !errors.Is(e.Err, ErrLeaseLost) {
		t.Errorf("%v", e.Err)
	}
}

func TestTheStoreGetsThreeTries(t *testing.T) {
	for name, c := range map[string]struct {
		err     error
		handler error
		kind    Kind
		says    string
		calls   []string
	}{
		"a success is to be recorded": {errors.New("no answer"), nil, StoreFailed, "record that the notification was handled: no answer", []string{"begin n", "complete n", "complete n", "complete n"}},
		"the lease is lost":           {ErrLeaseLost, nil, LeaseLost, "record that the notification was handled: lease on the notification was lost", []string{"begin n", "complete n"}},
		"a lease is to be ended":      {errors.New("no answer"), errors.New("gone"), StoreFailed, "release lease: no answer", []string{"begin n", "release n"}},
		"and is lost":                 {ErrLeaseLost, errors.New("gone"), LeaseLost, "release lease: lease on the notification was lost", []string{"begin n", "release n"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &seenStore{claim: Claim{State: Claimed}, err: c.err}
				begin := time.Now()
				e, told := handled(t, t.Context(), Config{Store: store, Handler: func(context.Context, notification.Notification) error {
					time.Sleep(time.Second)
					return c.handler
				}}, note("n"), nil)
				if len(told) != 1 || told[0].Kind != c.kind || told[0].Err.Error() != c.says || told[0].Duration != 0 || told[0].NotificationID != "n" {
					t.Errorf("told of %+v", told)
				}
				if !slices.Equal(store.calls, c.calls) || (e.Kind == Handled) != (c.handler == nil) {
					t.Errorf("%s; the store was asked to %v", e.Kind, store.calls)
				}
				if wait := store.times[1].Sub(begin); wait != time.Second {
					t.Errorf("the first try is %s after the handler", wait-time.Second)
				}
				for i := 2; i < len(store.times); i++ {
					if wait := store.times[i].Sub(store.times[i-1]); wait < time.Second/2 || wait > time.Second {
						t.Errorf("try %d is %s after the one before", i, wait)
					}
				}
				for _, ctx := range store.ctx {
					if end, ok := ctx.Deadline(); !ok || end.After(time.Now().Add(recordTimeout)) || ctx.Err() == nil {
						t.Error("a call may take for ever, or its context has not ended with it")
					}
				}
			})
		})
	}
}

// A body takes its room in memory while it is needed.
func TestRoomIsGivenBack(t *testing.T) {
	const all = notification.MaxBodyBytes + 10
	n := note("n")
	n.Body = []byte("{\x00}") // travels encoded, so nobody knows before how large it is
	n.Signature = notification.Sign(secret, n.Body)
	decoded := semaphore.NewWeighted(all)
	config := Config{decoded: decoded, Handler: func(context.Context, notification.Notification) error {
		if !decoded.TryAcquire(all-3) || decoded.TryAcquire(1) {
			t.Error("while it is handled, the body takes another room than its size")
		}
		decoded.Release(all - 3)
		return nil
	}}
	if e, _ := handled(t, t.Context(), config, n, nil); e.Kind != Handled {
		t.Errorf("%+v", e)
	}
	if !decoded.TryAcquire(all) {
		t.Error("after it, room is taken")
	}
	// There is none until the stop.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if e, _ := handled(t, ctx, config, n, nil); e.Kind != Held || !errors.Is(e.Err, context.Canceled) || e.NotificationID != "" {
		t.Errorf("%+v", e)
	}
}

func TestSignaturesAreVerifiedWhereThereAreSecrets(t *testing.T) {
	forged := note("n")
	forged.Body = []byte("{}")
	for name, c := range map[string]struct {
		secrets func(context.Context) ([]string, error)
		n       notification.Notification
		kind    Kind
		says    string
	}{
		"none are given":      {nil, forged, Handled, ""},
		"genuine":             {func(context.Context) ([]string, error) { return []string{"old", secret}, nil }, note("n"), Handled, ""},
		"forged":              {func(context.Context) ([]string, error) { return []string{secret}, nil }, forged, Unverified, "verify signature: "},
		"they cannot be read": {func(context.Context) ([]string, error) { return nil, errors.New("denied") }, note("n"), Held, "verify signature: unavailable: read secrets: denied"},
		"there are none":      {func(context.Context) ([]string, error) { return nil, nil }, note("n"), Held, "verify signature: unavailable: "},
		"reading panics":      {func(context.Context) ([]string, error) { panic("oh") }, note("n"), Held, "verify signature: unavailable: read secrets: Secrets: panicked: oh"},
	} {
		e, _ := handled(t, t.Context(), Config{Secrets: c.secrets, Handler: nothing}, c.n, nil)
		if e.Kind != c.kind || (e.Err == nil) != (c.says == "") || e.Err != nil && !strings.HasPrefix(e.Err.Error(), c.says) {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

func TestWhatSQSSaysOfAMessage(t *testing.T) {
	for text, want := range map[string]int{"": 1, "0": 1, "1": 1, "2": 2, "17": 17, "many": 1, "-3": 1} {
		if got := receives(map[string]string{"ApproximateReceiveCount": text}); got != want {
			t.Errorf("%q: received %d times, want %d", text, got, want)
		}
	}
	for text, want := range map[string]time.Time{"": {}, "soon": {}, "1700000000123": time.UnixMilli(1_700_000_000_123)} {
		if got := sent(map[string]string{"SentTimestamp": text}); !got.Equal(want) {
			t.Errorf("%q: sent %s, want %s", text, got, want)
		}
	}
}

func TestRetryAfterOfAnError(t *testing.T) {
	for err, want := range map[error]time.Duration{errors.New("x"): 0, Unavailable(errors.New("x"), 0): 0, Unavailable(errors.New("x"), time.Minute): time.Minute} {
		if got := retryAfter(err); got != want {
			t.Errorf("%v: %s, want %s", err, got, want)
		}
	}
}

// equivalent mutant: handle: defer a.cancel(nil) -> (nothing)
// equivalent mutant: call: defer cancel() -> (nothing)
// The handler's context has both as parents, so one of them ends it. What is left where one
// is missing is a timer until it fires.

// equivalent mutant: call: 1 -> 2
// One handler sends one answer.
