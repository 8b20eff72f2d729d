package consumer

import (
	"math"
	"time"
)

// blameAt is how improbable the failures of a message must be, by the rate at which
// others fail, before they are its own fault: less than one in 50,000, as a natural
// logarithm. A message that the system would take is a dead letter only when that
// happens at each of its five receives.
var blameAt = math.Log(50_000)

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
	began  time.Time
	domain string
	ok     bool
}

func (t *tries) add(began time.Time, domain string, ok bool) {
	t.ring[t.next%len(t.ring)] = try{began, domain, ok}
	t.next++
}

// between counts the attempts that began after the one time and not after the other:
// all, and those of one domain.
func (t *tries) between(after, until time.Time, domain string) (all, mine sample) {
	for i := t.next - 1; i >= 0 && i > t.next-1-len(t.ring); i-- {
		// They are in the order of their ends: a longer one before may have begun later.
		one := t.ring[i%len(t.ring)]
		if !one.began.After(after) || one.began.After(until) {
			continue
		}
		if one.domain != domainS3 {
			all.add(one.ok)
		}
		if one.domain == domain {
			mine.add(one.ok)
		}
	}
	if domain == domainS3 {
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
	all, mine = t.between(f.at, now, f.domain)
	if since = all.ok+all.failed > 0; !since && failed < 2 {
		all, mine = t.between(f.began.Add(-now.Sub(f.at)), f.began, f.domain)
	}
	return all, mine, since
}

// silence is what a failure says where nobody else comes: nothing, unless others have
// outrun the message before. Then a little, or it would be tried for hours; more where
// twenty of its own domain did. Streak is how many of its domain failed since the last
// success.
func (m *message) silence(streak int) float64 {
	switch {
	case m.suspicion < outrun:
		return 0
	case m.atHome && m.suspicion >= math.Log(20):
		return 1
	case m.atHome:
		return 0.5
	case streak < 2:
		return 0.25
	}
	return 0
}

// repeats remembers the last messages that went back to the queue by their own
// fault.
type repeats struct {
	known map[string]repeated
	order []string
}

// repeated is what is known of one: what each of its failures said, on the average, and
// whether nobody got through meanwhile. Silence uses up one receive and no more: it may be
// a long outage of its mailbox.
type repeated struct {
	evidence float64
	silent   bool
}

// maxRepeats bounds it to about a megabyte.
const maxRepeats = 10_000

// of is zero for a message that is not known.
func (c *repeats) of(id string) repeated { return c.known[id] }

func (c *repeats) add(id string, r repeated) {
	if c.known == nil {
		c.known = map[string]repeated{}
	}
	if _, known := c.known[id]; !known {
		if len(c.order) == maxRepeats {
			delete(c.known, c.order[0])
			c.order = c.order[1:]
		}
		c.order = append(c.order, id)
	}
	c.known[id] = r
}

// blames says whether the message's last failure was its own fault, before it is tried
// again. What others met since decides.
func (g *gate) blames(m *message, f failing) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	streak := 0 // others of the grant that failed, with no success since
	if p := g.grants[f.domain]; p != nil {
		streak = len(p.unwell)
	}
	if f.busy {
		return false
	}
	if f.plain {
		m.alone++
		return max(streak, len(g.all.unwell)) < unwellAt
	}
	all, mine, since := g.tries.around(f, len(g.all.unwell))
	silent := all.ok+all.failed == 0 || all.ok == 0
	speaks := 0.0
	switch {
	case silent:
		if known := g.repeats.of(m.id); !known.silent {
			speaks = max(known.evidence, m.silence(streak))
		}
		m.alone++
	case mine.ok == 0 && streak >= 2: // its domain is unwell
	default:
		rate := all.rate()
		if mine.ok+mine.failed > 0 {
			rate = max(rate, mine.rate())
		}
		speaks = -math.Log(rate)
		m.witnessed = true
		m.atHome = m.atHome || since && mine.ok > 0
	}
	if speaks > 0 && m.suspicion == 0 {
		g.suspected++
	}
	m.suspicion += speaks
	if m.suspicion < blameAt || m.tries < 2 {
		return false
	}
	g.repeats.add(m.id, repeated{m.suspicion / float64(m.tries), !m.witnessed})
	return true
}

// fetched notes how the fetch of a new message's body from S3 ended.
func (g *gate) fetched(m *message, began time.Time, ok bool) {
	if m.tries > 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tries.add(began, domainS3, ok)
}
