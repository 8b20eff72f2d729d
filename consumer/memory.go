package consumer

import (
	"cmp"
	"context"
	"sync"
	"time"
)

// MemoryStore is a [Store] for tests and for a single process that may forget when
// it restarts. It holds one small entry for every notification of the last
// [MemoryStore.Retention].
type MemoryStore struct {
	// Retention is how long a completed notification is remembered; 0 is
	// [DefaultRetention]. Set it before the first use.
	Retention time.Duration

	mu      sync.Mutex
	entries map[string]entry
	swept   time.Time
}

type entry struct {
	owner     string
	completed bool
	until     time.Time // end of the lease, or of the record
}

// NewMemoryStore returns an empty store.
func NewMemoryStore() *MemoryStore {
	return &MemoryStore{entries: map[string]entry{}, swept: time.Now()}
}

// Begin implements [Store].
func (s *MemoryStore) Begin(_ context.Context, id, owner string, until time.Time) (Claim, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.sweep(now)
	if e, ok := s.entries[id]; ok && now.Before(e.until) {
		if e.completed {
			return Claim{State: Completed}, nil
		}
		return Claim{State: InProgress, Until: e.until}, nil
	}
	s.entries[id] = entry{owner: owner, until: until}
	return Claim{State: Claimed}, nil
}

// Extend implements [Store].
func (s *MemoryStore) Extend(_ context.Context, id, owner string, until time.Time) error {
	return s.change(id, owner, func(e entry) { e.until = until; s.entries[id] = e })
}

// Complete implements [Store].
func (s *MemoryStore) Complete(_ context.Context, id, owner string) error {
	return s.change(id, owner, func(e entry) {
		e.completed, e.until = true, time.Now().Add(cmp.Or(s.Retention, DefaultRetention))
		s.entries[id] = e
	})
}

// Release implements [Store].
func (s *MemoryStore) Release(_ context.Context, id, owner string) error {
	return s.change(id, owner, func(entry) { delete(s.entries, id) })
}

// change applies f to owner's entry. A completed one stays as it is.
func (s *MemoryStore) change(id, owner string, f func(entry)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.entries[id]
	if !ok || e.owner != owner {
		return ErrLeaseLost
	}
	if !e.completed {
		f(e)
	}
	return nil
}

// sweep drops what has ended, once an hour: a walk over millions of entries on
// every call would cost more than the memory it frees.
func (s *MemoryStore) sweep(now time.Time) {
	if now.Sub(s.swept) < time.Hour {
		return
	}
	s.swept = now
	for id, e := range s.entries {
		if now.After(e.until) {
			delete(s.entries, id)
		}
	}
}
