package consumer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

func TestDuplicatesAreHandledOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newFakeQueue(t)
		for i := range 100 {
			for range 3 { // Nylas's three attempts, all at once
				q.send(note(fmt.Sprint(i)))
			}
		}
		system := newCRM(func(notification.Notification) (bool, time.Duration) { return false, 0 })
		system.duration = 10 * time.Second
		b := start(t, q, Config{Concurrency: 30, Store: NewMemoryStore(), Handler: system.handle})
		b.drained(10 * time.Minute)
		b.mustStop()
		for id, n := range system.got {
			if n != 1 {
				t.Errorf("%s was handled %d times", id, n)
			}
		}
		if len(system.got) != 100 || b.count(Duplicate) != 200 || q.mostReceives() != 1 {
			t.Errorf("%d handled, %d duplicates, received up to %d times", len(system.got), b.count(Duplicate), q.mostReceives())
		}
	})
}

// A process that dies leaves message and lease; both come back by themselves, and
// waiting for the lease uses up no receive.
func TestLeaseOfADeadProcessEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newFakeQueue(t)
		one := q.send(note("1"))
		store := NewMemoryStore()
		if _, err := store.Begin(t.Context(), "1", "dead", time.Now().Add(45*time.Second)); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		b := start(t, q, Config{Store: store, Handler: func(context.Context, notification.Notification) error { return nil }})
		b.drained(time.Minute)
		b.mustStop()
		if took := time.Since(begin); took < 45*time.Second || len(q.message(one).Received) != 1 {
			t.Errorf("took %s, received %d times", took, len(q.message(one).Received))
		}
	})
}

func TestHandlerIsToldThatItsLeaseIsLost(t *testing.T) {
	for name, err := range map[string]error{"taken": ErrLeaseLost, "store does not answer": errors.New("no answer")} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newFakeQueue(t)
				q.send(note("1"))
				var mu sync.Mutex
				var causes []error
				lost := true
				begin := time.Now()
				b := start(t, q, Config{Store: &failingStore{Store: NewMemoryStore(), extend: func() error {
					if lost {
						return err
					}
					return nil
				}}, HandlerTimeout: time.Hour, Handler: func(ctx context.Context, _ notification.Notification) error {
					select {
					case <-time.After(5 * time.Minute):
						return nil
					case <-ctx.Done():
						mu.Lock()
						defer mu.Unlock()
						lost = false
						causes = append(causes, context.Cause(ctx))
						if took := time.Since(begin); took > 50*time.Second {
							t.Errorf("told after %s, the lease ends after 60 s", took)
						}
						return ctx.Err()
					}
				}})
				b.drained(time.Hour)
				b.mustStop()
				if len(causes) != 1 || !errors.Is(causes[0], ErrLeaseLost) {
					t.Errorf("causes %v", causes)
				}
				b.first(LeaseLost)
				if e := b.first(Failed); !errors.Is(e.Err, ErrLeaseLost) {
					t.Errorf("event %+v", e)
				}
			})
		})
	}
}

func TestSuccessThatCannotBeRecordedIsStillDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newFakeQueue(t)
		one := q.send(note("1"))
		tries := 0
		b := start(t, q, Config{Store: &failingStore{Store: NewMemoryStore(), complete: func() error {
			tries++
			return errors.New("no answer")
		}}, Handler: func(context.Context, notification.Notification) error { return nil }})
		b.drained(time.Minute)
		b.mustStop()
		if len(q.message(one).Received) != 1 || tries != recordTries || b.count(StoreFailed) != 1 || b.count(Handled) != 1 {
			t.Errorf("received %d times, %d tries, %v", len(q.message(one).Received), tries, b.events)
		}
	})
}

func TestMemoryStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewMemoryStore()
		ctx := t.Context()
		begin := func(id, owner string, want State) {
			t.Helper()
			claim, err := s.Begin(ctx, id, owner, time.Now().Add(time.Minute))
			if err != nil || claim.State != want {
				t.Errorf("%s begins %s: %v, %v, not %s", owner, id, claim.State, err, want)
			}
		}
		begin("1", "a", Claimed)
		begin("1", "b", InProgress)
		time.Sleep(61 * time.Second)
		begin("1", "b", Claimed)
		for name, err := range map[string]error{
			"extend": s.Extend(ctx, "1", "a", time.Now()), "complete": s.Complete(ctx, "1", "a"),
			"release": s.Release(ctx, "1", "a"), "unknown": s.Extend(ctx, "2", "a", time.Now()),
		} {
			if !errors.Is(err, ErrLeaseLost) {
				t.Errorf("%s by the old owner: %v", name, err)
			}
		}
		if err := errors.Join(s.Extend(ctx, "1", "b", time.Now().Add(time.Hour)), s.Complete(ctx, "1", "b"), s.Complete(ctx, "1", "b"), s.Release(ctx, "1", "b")); err != nil {
			t.Error(err)
		}
		begin("1", "c", Completed)
		time.Sleep(DefaultRetention + time.Second)
		begin("2", "c", Claimed)
		if len(s.entries) != 1 {
			t.Errorf("%d entries: what has ended was not dropped", len(s.entries))
		}
		if err := s.Release(ctx, "2", "c"); err != nil {
			t.Error(err)
		}
		begin("2", "d", Claimed)
	})
}

// A walk over all entries is made once an hour.
func TestMemoryStoreForgetsWhatHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewMemoryStore()
		begin := func(id string, lease time.Duration, entries int) {
			t.Helper()
			if _, err := s.Begin(t.Context(), id, "a", time.Now().Add(lease)); err != nil || len(s.entries) != entries {
				t.Errorf("%s: %v, %d entries", id, err, len(s.entries))
			}
		}
		begin("1", time.Second, 1)
		begin("long", 3*time.Hour, 2)
		time.Sleep(time.Hour - 1)
		begin("2", time.Second, 3)
		time.Sleep(time.Nanosecond)
		begin("3", time.Second, 3) // without the first, which has ended
		time.Sleep(time.Minute)
		begin("4", time.Second, 4)
		time.Sleep(time.Hour)
		begin("5", time.Second, 2)
	})
}

// panicking is a store that has a bug.
type panicking struct{ Store }

func (panicking) Begin(context.Context, string, string, time.Time) (Claim, error) { panic("begin") }
func (panicking) Extend(context.Context, string, string, time.Time) error         { panic("extend") }
func (panicking) Complete(context.Context, string, string) error                  { panic("complete") }
func (panicking) Release(context.Context, string, string) error                   { panic("release") }

func TestAStoresPanicIsAnError(t *testing.T) {
	s := guarded{panicking{}}
	_, err := s.Begin(t.Context(), "1", "a", time.Now())
	for want, err := range map[string]error{
		"Store.Begin: panicked: begin":       err,
		"Store.Extend: panicked: extend":     s.Extend(t.Context(), "1", "a", time.Now()),
		"Store.Complete: panicked: complete": s.Complete(t.Context(), "1", "a"),
		"Store.Release: panicked: release":   s.Release(t.Context(), "1", "a"),
	} {
		var panicked *panicError
		if err == nil || err.Error() != want || !errors.As(err, &panicked) || len(panicked.stack) == 0 {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestRetention(t *testing.T) {
	if MinRetention != 3*24*time.Hour || DefaultRetention != 14*24*time.Hour {
		t.Errorf("%s and %s: Nylas sends again for 72 hours, and a dead letter is kept for 14 days", MinRetention, DefaultRetention)
	}
}

// scriptedTable answers every call with one error. What DynamoDB makes of the
// conditions is tested against a real engine, in test/consumer.
type scriptedTable struct {
	err    error
	update *dynamodb.UpdateItemInput
}

func (s *scriptedTable) PutItem(context.Context, *dynamodb.PutItemInput, ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error) {
	return &dynamodb.PutItemOutput{}, s.err
}

func (s *scriptedTable) UpdateItem(_ context.Context, in *dynamodb.UpdateItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error) {
	s.update = in
	return &dynamodb.UpdateItemOutput{}, s.err
}

func (s *scriptedTable) DeleteItem(context.Context, *dynamodb.DeleteItemInput, ...func(*dynamodb.Options)) (*dynamodb.DeleteItemOutput, error) {
	return &dynamodb.DeleteItemOutput{}, s.err
}

func TestDynamoDBStoreReadsRefusals(t *testing.T) {
	until := time.UnixMilli(time.Now().Add(time.Minute).UnixMilli())
	refused := func(state State, owner string) error {
		return fmt.Errorf("operation error: %w", &types.ConditionalCheckFailedException{Item: map[string]types.AttributeValue{
			tableState: text(string(state)), tableOwner: text(owner), tableUntil: number(until.UnixMilli()),
		}})
	}
	for name, c := range map[string]struct {
		err    error
		claim  Claim
		begin  string // in the error of Begin; "": none
		change string // in the error of the others
	}{
		"accepted":         {nil, Claim{State: Claimed}, "", ""},
		"another's lease":  {refused(InProgress, "other"), Claim{State: InProgress, Until: until}, "", "lease on the notification was lost"},
		"completed before": {refused(Completed, "other"), Claim{State: Completed}, "", "lease on the notification was lost"},
		"our own, retried": {refused(InProgress, "me"), Claim{State: Claimed}, "", "lease on the notification was lost"},
		"our own record":   {refused(Completed, "me"), Claim{State: Completed}, "", ""},
		"no item":          {&types.ConditionalCheckFailedException{}, Claim{}, "lease_until", "lease on the notification was lost"},
		"table is gone":    {&types.ResourceNotFoundException{Message: aws.String("no table")}, Claim{}, "begin in table seen", "in table seen"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := NewDynamoDBStore(&scriptedTable{err: c.err}, "seen", 0)
			if err != nil {
				t.Fatal(err)
			}
			claim, err := s.Begin(t.Context(), "1", "me", until)
			if claim != c.claim || (err == nil) != (c.begin == "") || err != nil && !strings.Contains(err.Error(), c.begin) {
				t.Errorf("Begin: %v, %v", claim, err)
			}
			for verb, err := range map[string]error{
				"extend": s.Extend(t.Context(), "1", "me", until), "complete": s.Complete(t.Context(), "1", "me"), "release": s.Release(t.Context(), "1", "me"),
			} {
				if (err == nil) != (c.change == "") || err != nil && !strings.Contains(err.Error(), c.change) {
					t.Errorf("%s: %v", verb, err)
				}
			}
		})
	}
}

// What is no refused condition is no lost lease, and the handler goes on.
func TestDynamoDBStorePassesOnWhatIsNoRefusal(t *testing.T) {
	s, err := NewDynamoDBStore(&scriptedTable{err: &types.ResourceNotFoundException{Message: aws.String("no table")}}, "seen", 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Begin(t.Context(), "1", "me", time.Now())
	for verb, err := range map[string]error{
		"begin": err, "extend": s.Extend(t.Context(), "1", "me", time.Now()), "complete": s.Complete(t.Context(), "1", "me"), "release": s.Release(t.Context(), "1", "me"),
	} {
		var gone *types.ResourceNotFoundException
		if errors.Is(err, ErrLeaseLost) || !errors.As(err, &gone) {
			t.Errorf("%s: %v", verb, err)
		}
	}
}

func TestNewDynamoDBStoreNamesEveryProblem(t *testing.T) {
	if _, err := NewDynamoDBStore(&scriptedTable{}, "", 0); err == nil {
		t.Error("one problem is none")
	}
	if _, err := NewDynamoDBStore(&scriptedTable{}, "seen", MinRetention); err != nil {
		t.Errorf("the shortest retention: %v", err)
	}
	_, err := NewDynamoDBStore(nil, "", time.Hour)
	for _, says := range []string{"client", "table", "72h"} {
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q is not in: %v", says, err)
		}
	}
}

// failingStore fails where a function says so.
type failingStore struct {
	Store
	begin, extend, complete, release func() error
}

func failure(f func() error) error {
	if f == nil {
		return nil
	}
	return f()
}

func (s *failingStore) Begin(ctx context.Context, id, owner string, until time.Time) (Claim, error) {
	if err := failure(s.begin); err != nil {
		return Claim{}, err
	}
	return s.Store.Begin(ctx, id, owner, until)
}

func (s *failingStore) Extend(ctx context.Context, id, owner string, until time.Time) error {
	if err := failure(s.extend); err != nil {
		return err
	}
	return s.Store.Extend(ctx, id, owner, until)
}

func (s *failingStore) Complete(ctx context.Context, id, owner string) error {
	if err := failure(s.complete); err != nil {
		return err
	}
	return s.Store.Complete(ctx, id, owner)
}

func (s *failingStore) Release(ctx context.Context, id, owner string) error {
	if err := failure(s.release); err != nil {
		return err
	}
	return s.Store.Release(ctx, id, owner)
}
