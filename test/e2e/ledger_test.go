package e2e

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"testing"
)

// ledger counts every body that was answered 200, and every body that came off a
// queue or lies in the bucket. Nothing may be lost. A duplicate may be made: on a busy
// machine a send takes longer than the receiver waits for it, and is tried again.
type ledger struct {
	mu                sync.Mutex
	accepted, arrived map[[sha256.Size]byte]int
}

func newLedger() *ledger {
	return &ledger{accepted: map[[sha256.Size]byte]int{}, arrived: map[[sha256.Size]byte]int{}}
}

func (l *ledger) accept(body []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.accepted[sha256.Sum256(body)]++
}

func (l *ledger) arrive(body []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.arrived[sha256.Sum256(body)]++
}

// lost counts what was answered 200 and is nowhere.
func (l *ledger) lost() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	lost := 0
	for body, times := range l.accepted {
		lost += max(0, times-l.arrived[body])
	}
	return lost
}

// settle empties the queue and returns what is wrong over the whole suite. What waits
// in the bucket is safe, too.
func (s *system) settle(ctx context.Context) []string {
	var problems []string
	for {
		n, err := s.drain(ctx)
		if err != nil {
			problems = append(problems, err.Error())
		}
		if n == 0 {
			break
		}
	}
	spilled, err := s.spilled(ctx)
	if err != nil {
		problems = append(problems, err.Error())
	}
	for _, n := range spilled {
		s.ledger.arrive(n.Body)
	}
	if lost := s.ledger.lost(); lost > 0 {
		problems = append(problems, fmt.Sprintf("%d notifications were answered 200 and are neither on the queue nor in the bucket", lost))
	}
	return problems
}

// The check at the end of the suite would see something.
func TestLedgerSees(t *testing.T) {
	for _, test := range []struct {
		name              string
		accepted, arrived []string
		lost              int
	}{
		{"all", []string{"a", "b"}, []string{"b", "a"}, 0},
		{"the same twice", []string{"a", "a"}, []string{"a", "a"}, 0},
		{"a duplicate", []string{"a"}, []string{"a", "a"}, 0},
		{"one lost", []string{"a", "b"}, []string{"b"}, 1},
		{"one lost, another twice", []string{"a", "b"}, []string{"b", "b"}, 1},
		{"one of two lost", []string{"a", "a"}, []string{"a"}, 1},
		{"another body", []string{"a"}, []string{"b"}, 1},
	} {
		l := newLedger()
		for _, body := range test.accepted {
			l.accept([]byte(body))
		}
		for _, body := range test.arrived {
			l.arrive([]byte(body))
		}
		if got := l.lost(); got != test.lost {
			t.Errorf("%s: %d lost, want %d", test.name, got, test.lost)
		}
	}
}
