package consumer

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

func TestInflight(t *testing.T) {
	f := inflight{messages: map[*message]struct{}{}}
	a, b := &message{}, &message{}
	f.add(a)
	f.add(b)
	if all := f.all(); len(all) != 2 || f.count() != 2 || !slices.Contains(all, a) || !slices.Contains(all, b) {
		t.Errorf("%d of %v", f.count(), all)
	}
	f.remove(a)
	if all := f.all(); len(all) != 1 || f.count() != 1 || all[0] != b {
		t.Errorf("%d of %v", f.count(), all)
	}
}

func TestTheHeartBeatsFourTimesInVisibility(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		leases := 0
		p := newParts(t, Config{Store: &failingStore{Store: NewMemoryStore(), extend: func() error { leases++; return nil }}})
		var beats []time.Duration
		begin := time.Now()
		lost := p.got(t, "lost") // it has nothing to be hidden, and a lease at each beat
		lost.lost = true
		lost.setAttempt(&attempt{key: "n", owner: "o", until: lost.hiddenUntil, cancel: func(error) {}})
		if _, err := p.config.Store.Begin(t.Context(), "n", "o", lost.hiddenUntil); err != nil {
			t.Fatal(err)
		}
		p.sqs.extend = func(ctx context.Context, in *sqs.ChangeMessageVisibilityBatchInput) (*sqs.ChangeMessageVisibilityBatchOutput, error) {
			beats = append(beats, time.Since(begin))
			if !within(ctx, 15*time.Second) {
				t.Error("a beat may last longer than to the next")
			}
			if e := in.Entries[0]; *in.QueueUrl != p.config.QueueURL || *e.ReceiptHandle != "m" || e.VisibilityTimeout != 60 {
				t.Errorf("asked for %+v", e)
			}
			return &sqs.ChangeMessageVisibilityBatchOutput{}, nil
		}
		m := p.got(t, "m")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute-1)
		defer cancel()
		p.heartbeat(ctx)
		const s = time.Second
		if !slices.Equal(beats, []time.Duration{15 * s, 30 * s, 45 * s}) || leases != 3 || time.Since(begin) != time.Minute-1 {
			t.Errorf("at %v, and %d times a lease, ended after %s", beats, leases, time.Since(begin))
		}
		if m.hiddenUntil != begin.Add(45*s+time.Minute) {
			t.Errorf("hidden for %s", m.hiddenUntil.Sub(begin))
		}
	})
}

func TestABeatTakesWhatIsDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newParts(t, Config{})
		due, later, lost := p.got(t, "due"), p.got(t, "later"), p.got(t, "lost")
		due.hiddenUntil = time.Now().Add(45 * time.Second)
		later.hiddenUntil = time.Now().Add(45*time.Second + 1)
		lost.hiddenUntil, lost.lost = time.Now(), true
		var asked []string
		var ended context.Context
		p.sqs.extend = func(ctx context.Context, in *sqs.ChangeMessageVisibilityBatchInput) (*sqs.ChangeMessageVisibilityBatchOutput, error) {
			ended = ctx
			for _, e := range in.Entries {
				asked = append(asked, *e.ReceiptHandle)
			}
			return &sqs.ChangeMessageVisibilityBatchOutput{}, nil
		}
		p.beat(t.Context())
		if !slices.Equal(asked, []string{"due"}) || !due.hiddenUntil.Equal(time.Now().Add(time.Minute)) {
			t.Errorf("asked for %v", asked)
		}
		if !lost.hiddenUntil.Equal(time.Now().Add(time.Minute)) {
			t.Error("the lease of a lost one does not go on")
		}
		if ended.Err() == nil {
			t.Error("the beat's context has not ended with it")
		}
	})
}

// Requests go side by side, so many and no more; leases follow what they have reached.
func TestABeatIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var now, most struct{ extends, leases int }
		begin := time.Now()
		p := newParts(t, Config{Store: &failingStore{Store: NewMemoryStore(), extend: func() error {
			mu.Lock()
			now.leases++
			most.leases = max(most.leases, now.leases)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			now.leases--
			mu.Unlock()
			return nil
		}}})
		p.sqs.extend = func(_ context.Context, in *sqs.ChangeMessageVisibilityBatchInput) (*sqs.ChangeMessageVisibilityBatchOutput, error) {
			mu.Lock()
			now.extends++
			most.extends = max(most.extends, now.extends)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			now.extends--
			mu.Unlock()
			if len(in.Entries) > 10 {
				t.Errorf("%d in one request", len(in.Entries))
			}
			return &sqs.ChangeMessageVisibilityBatchOutput{}, nil
		}
		var leases []*attempt
		for range 200 {
			m := p.got(t, "m")
			m.hiddenUntil = time.Now().Add(time.Second)
			a := &attempt{key: "n", owner: "o", until: m.hiddenUntil, cancel: func(error) {}}
			leases = append(leases, a)
			m.setAttempt(a)
		}
		for i, a := range leases {
			a.key = "n" + string(rune('a'+i%26)) + strings.Repeat("x", i/26)
			if _, err := p.config.Store.Begin(t.Context(), a.key, a.owner, a.until.Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
		p.beat(t.Context())
		if most.extends != 10 || most.leases != 64 {
			t.Errorf("%d requests to SQS at once, %d to the store", most.extends, most.leases)
		}
		if took := time.Since(begin); took != 6*time.Second { // 20 by tens, 200 by 64s
			t.Errorf("took %s", took)
		}
		for _, a := range leases {
			if left := a.until.Sub(begin); left < time.Minute {
				t.Fatalf("a lease ends %s after the beat began", left)
			}
		}
	})
}

func TestWhatSQSAnswersToABeat(t *testing.T) {
	for name, c := range map[string]struct {
		code     string // of the entry; "": it succeeds
		err      error  // of the request
		finished bool
		ctx      time.Duration // -1: it is cancelled; else its end
		says     string        // the event; "": none
		hidden   bool
		lost     bool
	}{
		"fine":                        {hidden: true},
		"not this time":               {code: "InternalError", says: "extend visibility: InternalError"},
		"it is another's":             {code: "ReceiptHandleIsInvalid", lost: true, says: "extend visibility: ReceiptHandleIsInvalid"},
		"it was just deleted":         {code: "ReceiptHandleIsInvalid", finished: true},
		"finished, and not deleted":   {code: "InternalError", finished: true, says: "extend visibility: InternalError"},
		"no answer":                   {err: errors.New("no answer"), says: "extend the visibility of 1 messages: no answer"},
		"no answer in time":           {err: errors.New("too late"), ctx: time.Second, says: "too late"},
		"the consumer stopped":        {err: errors.New("cancelled"), ctx: -1},
		"the answer came before that": {ctx: -1, hidden: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newParts(t, Config{})
				m := p.got(t, "m")
				m.finished = c.finished
				before := time.Now().Add(10 * time.Second)
				m.hiddenUntil = before
				asked := time.Now()
				p.sqs.extend = func(context.Context, *sqs.ChangeMessageVisibilityBatchInput) (*sqs.ChangeMessageVisibilityBatchOutput, error) {
					time.Sleep(2 * time.Second)
					out := &sqs.ChangeMessageVisibilityBatchOutput{}
					if c.code != "" {
						out.Failed = []types.BatchResultErrorEntry{{Id: aws.String("0"), Code: &c.code, Message: aws.String("")}}
					}
					return out, c.err
				}
				ctx, cancel := context.WithTimeout(t.Context(), max(c.ctx, time.Second))
				defer cancel()
				if c.ctx == -1 {
					cancel()
				}
				if c.ctx == 0 {
					ctx = t.Context()
				}
				p.extend(ctx, []*message{m})
				want := before
				if c.hidden {
					want = asked.Add(time.Minute)
				}
				if !m.hiddenUntil.Equal(want) || m.lost != c.lost {
					t.Errorf("hidden for %s, lost: %v", m.hiddenUntil.Sub(asked), m.lost)
				}
				if c.says == "" {
					if told := p.told(); told != nil {
						t.Errorf("told of %v", told)
					}
					return
				}
				if e := p.only(t, QueueFailed); !strings.Contains(e.Err.Error(), c.says) {
					t.Errorf("%v, want %q", e.Err, c.says)
				}
			})
		})
	}
}

func TestWhatALeaseMeets(t *testing.T) {
	refused, lost := errors.New("no answer"), ErrLeaseLost
	for name, c := range map[string]struct {
		noStore, none bool          // there is no store, no attempt
		hidden        time.Duration // the message's visibility from now, so far
		lease         time.Duration // the lease, from now
		err           error         // the store's
		returned      bool          // the handler has meanwhile
		extended      bool
		says          string // to the handler; "": nothing
	}{
		"extended":                             {hidden: 60, lease: 45, extended: true},
		"no attempt":                           {none: true, hidden: 60, lease: 45},
		"no store, and nothing was extended":   {noStore: true, hidden: 1, lease: 1},
		"no answer, the next beat tries again": {hidden: 60, lease: 31, err: refused},
		"no answer, half of the time is over":  {hidden: 60, lease: 30, err: refused, says: "no answer"},
		"no answer, and the handler is done":   {hidden: 60, lease: 30, err: refused, returned: true},
		"it is another's":                      {hidden: 60, lease: 59, err: lost, says: "lost"},
		"not hidden for longer, yet":           {hidden: 45, lease: 45},
		"nor when it is time":                  {hidden: 30, lease: 30, says: "the message's visibility was not extended"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var p *parts
				var m *message
				store := &failingStore{Store: NewMemoryStore(), extend: func() error {
					if c.returned {
						m.setAttempt(nil)
					}
					return c.err
				}}
				config := Config{Store: store}
				if c.noStore {
					config.Store = nil
				}
				p = newParts(t, config)
				m = p.got(t, "m")
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				until := time.Now().Add(c.lease * time.Second)
				m.hiddenUntil = time.Now().Add(c.hidden * time.Second)
				a := &attempt{key: "n", owner: "o", until: until, cancel: cancel}
				if _, err := store.Store.Begin(t.Context(), "n", "o", until); err != nil {
					t.Fatal(err)
				}
				if !c.none {
					m.setAttempt(a)
				}
				p.extendLease(t.Context(), m)
				want := until
				if c.extended {
					want = m.hiddenUntil
				}
				claim, _ := store.Store.Begin(t.Context(), "n", "other", until)
				if !a.until.Equal(want) || !claim.Until.Equal(want) {
					t.Errorf("the lease is until %s, in the store until %s, want %s", a.until, claim.Until, want)
				}
				if c.says == "" {
					if told := p.told(); told != nil || ctx.Err() != nil {
						t.Errorf("told of %v; the handler: %v", told, context.Cause(ctx))
					}
					return
				}
				if cause := context.Cause(ctx); !errors.Is(cause, ErrLeaseLost) || !strings.Contains(cause.Error(), c.says) {
					t.Errorf("the handler is told %v", cause)
				}
				if e := p.only(t, LeaseLost); e.MessageID != "m" || e.Receives != 1 || e.NotificationID != "n" || !strings.HasPrefix(e.Err.Error(), "extend lease: ") {
					t.Errorf("%+v", e)
				}
			})
		})
	}
}
