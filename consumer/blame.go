package consumer

import (
	"math"
	"time"
)

// blameAt is how improbable the failures of a message must be, by the rate at which
// others fail, before they are its own fault: less than one in 5,000, as a natural
// logarithm. A message that the system would take is a dead letter only when that
// happens at each of its five receives.
var blameAt = math.Log(5000)

// outrun is the suspicion from which on a message says nothing about the system: seven
// others got through where it did not.
var outrun = math.Log(8)

// unwellAt is how many different messages fail in a row, with no success between,
// before a plain error is no longer taken for the message's own.
const unwellAt = 5

// tries remembers how the last attempts at new messages ended. Only new ones count,
// each once: what fails again and again says nothing new about the system.
type tries struct {
	ring [1024]try // enough for the second after a failure at 1,000 a second
	next int
}

type try struct {
	began time.Time
	party string
	ok    bool
}

func (t *tries) add(began time.Time, party string, ok bool) {
	t.ring[t.next%len(t.ring)] = try{began, party, ok}
	t.next++
}

// between counts the attempts that began after the one time and not after the other:
// all, and those of one party.
func (t *tries) between(after, until time.Time, party string) (all, mine sample) {
	for i := t.next - 1; i >= 0 && i > t.next-1-len(t.ring); i-- {
		// They are in the order of their ends: a longer one before may have begun later.
		one := t.ring[i%len(t.ring)]
		if !one.began.After(after) || one.began.After(until) {
			continue
		}
		if one.party != partyS3 {
			all.add(one.ok)
		}
		if one.party == party {
			mine.add(one.ok)
		}
	}
	if party == partyS3 {
		all = mine
	}
	return all, mine
}

type sample struct{ ok, failed int }

func (s *sample) add(ok bool) {
	if ok {
		s.ok++
	} else {
		s.failed++
	}
}

// rate is the share that failed, careful with small numbers: 1 where none is known.
func (s sample) rate() float64 { return float64(s.failed+1) / float64(s.ok+s.failed+1) }

// around counts the attempts since the failure, or where there was none, and no other
// failed with it, those just before, for as long as since. Failed is how many new
// messages failed since the last success. Since says which of the two it was.
func (t *tries) around(f failing, failed int) (all, mine sample, since bool) {
	now := time.Now()
	all, mine = t.between(f.at, now, f.party)
	if since = all.ok+all.failed > 0; !since && failed < 2 {
		all, mine = t.between(f.began.Add(-now.Sub(f.at)), f.began, f.party)
	}
	return all, mine, since
}

// silence is what a failure says where nobody else comes: nothing, unless others have
// outrun the message before. Then a little, or it would be tried for hours; more where
// twenty of its own party did. Streak is how many of its party failed since the last
// success.
func (m *message) silence(streak int) float64 {
	switch {
	case m.atHome && m.suspicion >= math.Log(20):
		return 1
	case m.atHome:
		return 0.5
	case m.suspicion > 0 && streak < 2:
		return 0.25
	}
	return 0
}

// convictions remembers the last messages that went back to the queue by their own
// fault, and what each of their failures said, on the average.
type convictions struct {
	evidence map[string]float64
	order    []string
}

// maxConvictions bounds it to about a megabyte.
const maxConvictions = 10_000

// of is 0 for a message that is not known.
func (c *convictions) of(id string) float64 { return c.evidence[id] }

func (c *convictions) add(id string, evidence float64) {
	if c.evidence == nil {
		c.evidence = map[string]float64{}
	}
	if _, known := c.evidence[id]; !known {
		if len(c.order) == maxConvictions {
			delete(c.evidence, c.order[0])
			c.order = c.order[1:]
		}
		c.order = append(c.order, id)
	}
	c.evidence[id] = evidence
}
