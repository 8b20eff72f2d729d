// Package ledger follows every notification from the sender to where it is safe: it
// writes down each attempt and its answer, and afterwards looks for each in the queue
// and in the bucket, as a consumer and a replay would read them. Package faults is the
// user.
//
// The rules: an attempt that was answered 200 is kept, byte for byte, with the right
// attributes; a genuine notification arrives unless the sender gave it up after honest
// refusals; a forged one is refused and kept nowhere. It knows nothing of
// how the receiver works.
package ledger

import (
	"crypto/sha256"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/onepagecrm/nylas-webhooks/test/faults/nylas"
)

// Ledger is what one run's sender has seen. It is safe for concurrent use.
type Ledger struct {
	mu       sync.Mutex
	entries  map[string]*entry             // by notification
	attempts map[[sha256.Size]byte]attempt // by body
	log      []Line
}

// entry is one notification.
type entry struct {
	notification nylas.Notification
	attempts     []attempt
	over         bool // the sender does not try again
}

type attempt struct {
	key       string
	number    int
	digest    [sha256.Size]byte
	signature string
	status    int
}

// Line is one answer, for a plot.
type Line struct {
	At     time.Time
	Took   time.Duration
	Status int
	Forged bool
}

// New returns an empty Ledger.
func New() *Ledger {
	return &Ledger{entries: make(map[string]*entry), attempts: make(map[[sha256.Size]byte]attempt)}
}

// Record writes down an attempt that is over; it is a [nylas.Sender]'s Observe.
func (l *Ledger) Record(a nylas.Attempt) {
	one := attempt{a.Notification.Key, a.Number, sha256.Sum256(a.Body), a.Signature, a.Status}
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entries[one.key]
	if e == nil {
		e = &entry{notification: a.Notification}
		l.entries[one.key] = e
	}
	e.attempts = append(e.attempts, one)
	e.over = a.Last
	l.attempts[one.digest] = one
	l.log = append(l.log, Line{a.Done, a.Done.Sub(a.Sent), a.Status, a.Notification.Forged})
}

// Lines returns every answer so far, in order.
func (l *Ledger) Lines() []Line {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.log)
}

// Account is the balance of a run. Of genuine notifications,
// Sent = Delivered + Spilled + GivenUp + Lost.
type Account struct {
	Sent       int // genuine notifications
	Attempts   int // to deliver them
	Refused    int // attempts that were not answered 200
	Delivered  int // notifications that are on the queue
	Spilled    int // that are only in the bucket, to be replayed
	Duplicated int // copies beyond the first
	Overflowed int // messages whose body is in the bucket
	GivenUp    int // refused honestly three times, and kept nowhere
	Lost       int
	Forged     int // forged notifications
	LetIn      int // of these, kept somewhere or answered 200
	Garbled    int // copies that are nothing that was sent
	// Problems says what each of Lost, LetIn and every wrong attribute is about; never
	// what was in it.
	Problems []string
}

// Balance looks for everything that was sent among the copies that are kept.
func (l *Ledger) Balance(kept []Copy) Account {
	l.mu.Lock()
	defer l.mu.Unlock()
	var a Account
	found := make(map[[sha256.Size]byte]int) // copies by attempt
	where := make(map[string][]Place)        // by notification
	for _, c := range kept {
		one, ok := l.attempts[sha256.Sum256(c.Notification.Body)]
		if c.Err != nil || !ok {
			a.Garbled++
			continue
		}
		found[one.digest]++
		where[one.key] = append(where[one.key], c.Place)
		if c.Overflowed {
			a.Overflowed++
		}
		a.problems(one.key, c.check(l.entries[one.key].notification, one)...)
	}
	for _, key := range slices.Sorted(maps.Keys(l.entries)) {
		e := l.entries[key]
		if e.notification.Forged {
			a.forged(e, len(where[key]))
		} else {
			a.genuine(e, found, where[key])
		}
	}
	return a
}

func (a *Account) problems(key string, what ...string) {
	for _, w := range what {
		a.Problems = append(a.Problems, key+": "+w)
	}
}

func (a *Account) forged(e *entry, copies int) {
	a.Forged++
	letIn := copies > 0
	for _, one := range e.attempts {
		letIn = letIn || one.status == http.StatusOK
	}
	if letIn {
		a.LetIn++
		a.problems(e.notification.Key, "forged, and let in")
	}
}

func (a *Account) genuine(e *entry, found map[[sha256.Size]byte]int, places []Place) {
	a.Sent++
	a.Attempts += len(e.attempts)
	lost := ""
	honest := e.over // every answer told the sender to try again
	for _, one := range e.attempts {
		if one.status != http.StatusOK {
			a.Refused++
			honest = honest && (one.status == http.StatusServiceUnavailable || one.status == http.StatusTooManyRequests)
		} else if found[one.digest] == 0 {
			lost = "answered 200, and kept nowhere" // even if another attempt is: the receiver said it had this one
		}
	}
	switch {
	case lost == "" && len(places) == 0 && honest:
		a.GivenUp++
		return
	case lost == "" && len(places) == 0:
		lost = "never answered so that the sender tries again, and kept nowhere"
		if !e.over {
			lost = "the run ended before the sender did"
		}
	}
	switch {
	case lost != "":
		a.Lost++
		a.problems(e.notification.Key, lost)
	case slices.Contains(places, Queue):
		a.Delivered++
	default:
		a.Spilled++
	}
	a.Duplicated += max(0, len(places)-1)
}
