package consumer

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/onepagecrm/nylas-webhooks/consumer"
)

// TestDynamoDBStore shows that the conditions say to the table what the interface
// says to its reader.
func TestDynamoDBStore(t *testing.T) {
	table := newTable(t)
	store, err := consumer.NewDynamoDBStore(dynamodb.NewFromConfig(worker(t).AWS), table, 0)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	lease := 2 * time.Second
	begin := func(owner string, want consumer.State) consumer.Claim {
		t.Helper()
		claim, err := store.Begin(ctx, "1", owner, time.Now().Add(lease))
		if err != nil || claim.State != want {
			t.Fatalf("%s begins: %v, %v, not %s", owner, claim, err, want)
		}
		return claim
	}
	lost := func(owner string) {
		t.Helper()
		for verb, err := range map[string]error{
			"extend":   store.Extend(ctx, "1", owner, time.Now().Add(lease)),
			"complete": store.Complete(ctx, "1", owner),
			"release":  store.Release(ctx, "1", owner),
		} {
			if !errors.Is(err, consumer.ErrLeaseLost) {
				t.Errorf("%s %ss: %v", owner, verb, err)
			}
		}
	}
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}

	lost("nobody")
	begin("a", consumer.Claimed)
	claim := begin("b", consumer.InProgress)
	if left := time.Until(claim.Until); left <= 0 || left > lease {
		t.Errorf("a's lease ends in %s", left)
	}
	begin("a", consumer.Claimed) // as the SDK's retry does
	lost("b")
	ok(store.Release(ctx, "1", "a"))
	begin("b", consumer.Claimed)
	ok(store.Extend(ctx, "1", "b", time.Now().Add(2*lease)))
	time.Sleep(lease + lease/2)
	claim = begin("c", consumer.InProgress) // the extended lease is alive
	time.Sleep(time.Until(claim.Until) + 10*time.Millisecond)
	begin("c", consumer.Claimed)
	lost("b")
	ok(store.Complete(ctx, "1", "c"))
	ok(store.Complete(ctx, "1", "c")) // as the SDK's retry does
	ok(store.Extend(ctx, "1", "c", time.Now().Add(lease)))
	ok(store.Release(ctx, "1", "c")) // and does not take the record away
	begin("d", consumer.Completed)
	lost("d")
}

func TestDynamoDBStoreHasOneWinner(t *testing.T) {
	table := newTable(t)
	store, err := consumer.NewDynamoDBStore(dynamodb.NewFromConfig(worker(t).AWS), table, 0)
	if err != nil {
		t.Fatal(err)
	}
	for round := range 20 {
		id := fmt.Sprint(round)
		var mu sync.Mutex
		states := map[consumer.State]int{}
		var racers sync.WaitGroup
		for racer := range 16 {
			racers.Go(func() {
				claim, err := store.Begin(t.Context(), id, fmt.Sprint(racer), time.Now().Add(time.Minute))
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				states[claim.State]++
			})
		}
		racers.Wait()
		if states[consumer.Claimed] != 1 || states[consumer.InProgress] != 15 {
			t.Fatalf("round %d: %v", round, states)
		}
	}
}
