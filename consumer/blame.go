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

// evidence says how much a failure speaks against its message: minus the logarithm of
// the rate at which others failed since. In a total outage that is nothing, so an
// outage is never a message's fault, however long it lasts; where one in a hundred
// fails by chance, one failure is enough; where one in five does, it takes three.
//
// Where nobody came since, the time before counts, as long as the time since, unless
// another failed as well. Failed is how many new messages did since the last success.
// That is wrong once where an outage begins just then, and costs one receive.
//
// Before is what spoke against it at an earlier receive; it stands where nobody else
// says anything.
//
// Others of the same party count for themselves: where they fail as well and none
// succeeds, the party is unwell, not the message bad. Streak is how many of it failed
// since its last success.
func (t *tries) evidence(f failing, failed, streak int, before float64) (speaks float64, silent bool) {
	now := time.Now()
	all, mine := t.between(f.at, now, f.party)
	if all.ok+all.failed == 0 && failed < 2 {
		all, mine = t.between(f.began.Add(-now.Sub(f.at)), f.began, f.party)
	}
	switch {
	case mine.ok == 0 && streak >= 2:
		return 0, true
	case all.ok+all.failed == 0 && failed < 2:
		return before, true
	case all.ok == 0:
		return 0, true
	}
	rate := all.rate()
	if mine.ok+mine.failed > 0 {
		rate = max(rate, mine.rate())
	}
	return -math.Log(rate), false
}

// silence is what a failure says where nobody else comes, of a message that others have
// outrun before: a little, more where it was twenty of them. It would be tried for hours.
func silence(suspicion float64) float64 {
	switch {
	case suspicion >= math.Log(20):
		return 1
	case suspicion > 0:
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
