package consumer

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"
)

// Store remembers which notifications were handled and which are being handled, by
// notification id (and for a replay by that of the replay, too), so that a notification that arrives twice (Nylas and SQS both
// deliver at least once) is handled once.
//
// An attempt begins with a lease that ends by itself, so that a process that dies
// blocks nobody for long. Owner is new for every attempt: a store changes a lease
// only for the owner that holds it, and tells any other [ErrLeaseLost].
// [NewMemoryStore] and [NewDynamoDBStore] are the implementations here.
type Store interface {
	// Begin takes the lease on id for owner until the given time, unless the
	// notification is completed or another owner's lease has not ended. Both are
	// answers, not errors.
	Begin(ctx context.Context, id, owner string, until time.Time) (Claim, error)
	// Extend moves the end of owner's lease.
	Extend(ctx context.Context, id, owner string, until time.Time) error
	// Complete ends owner's lease with a record that lasts as long as the store's
	// retention. It may be called twice.
	Complete(ctx context.Context, id, owner string) error
	// Release ends owner's lease without a record: the next Begin gets it.
	Release(ctx context.Context, id, owner string) error
}

// MinRetention is the shortest time a [Store] may remember a completed
// notification: Nylas sends the notifications of a grant that was re-authenticated
// within 72 hours again. https://developer.nylas.com/docs/v3/notifications/
const MinRetention = 72 * time.Hour

// DefaultRetention is as long as a copy can rest in the dead-letter queue (14 days)
// before somebody redrives it.
const DefaultRetention = 14 * 24 * time.Hour

// Claim is the answer of [Store.Begin].
type Claim struct {
	State State
	// Until is when the other owner's lease ends, if State is [InProgress].
	Until time.Time
}

// State is what a [Store] knows of a notification.
type State string

// The answers of [Store.Begin].
const (
	Claimed    State = "claimed"     // the lease is yours
	InProgress State = "in_progress" // another owner has it
	Completed  State = "completed"   // nothing to do
)

// noStore claims everything and remembers nothing.
type noStore struct{}

func (noStore) Begin(context.Context, string, string, time.Time) (Claim, error) {
	return Claim{State: Claimed}, nil
}
func (noStore) Extend(context.Context, string, string, time.Time) error { return nil }
func (noStore) Complete(context.Context, string, string) error          { return nil }
func (noStore) Release(context.Context, string, string) error           { return nil }

// guarded makes an error of a panic in a store: a bug in it must not end the process.
type guarded struct{ Store }

func (s guarded) Begin(ctx context.Context, id, owner string, until time.Time) (claim Claim, err error) {
	defer recovered("Store.Begin", &err)
	return s.Store.Begin(ctx, id, owner, until)
}

func (s guarded) Extend(ctx context.Context, id, owner string, until time.Time) (err error) {
	defer recovered("Store.Extend", &err)
	return s.Store.Extend(ctx, id, owner, until)
}

func (s guarded) Complete(ctx context.Context, id, owner string) (err error) {
	defer recovered("Store.Complete", &err)
	return s.Store.Complete(ctx, id, owner)
}

func (s guarded) Release(ctx context.Context, id, owner string) (err error) {
	defer recovered("Store.Release", &err)
	return s.Store.Release(ctx, id, owner)
}

// recovered is deferred around what the program gave us.
func recovered(what string, err *error) {
	if value := recover(); value != nil {
		*err = fmt.Errorf("%s: %w", what, &panicError{value, debug.Stack()})
	}
}

// Prefixed returns a store that puts prefix before every id, so that two applications
// that each handle the same notifications can share a table.
func Prefixed(store Store, prefix string) Store { return prefixed{store, prefix} }

type prefixed struct {
	store  Store
	prefix string
}

func (p prefixed) Begin(ctx context.Context, id, owner string, until time.Time) (Claim, error) {
	return p.store.Begin(ctx, p.prefix+id, owner, until)
}

func (p prefixed) Extend(ctx context.Context, id, owner string, until time.Time) error {
	return p.store.Extend(ctx, p.prefix+id, owner, until)
}

func (p prefixed) Complete(ctx context.Context, id, owner string) error {
	return p.store.Complete(ctx, p.prefix+id, owner)
}

func (p prefixed) Release(ctx context.Context, id, owner string) error {
	return p.store.Release(ctx, p.prefix+id, owner)
}
