package consumer

import (
	"math/rand/v2"
	"slices"
	"time"
)

// domain is a failure domain, where attempts succeed or fail together: the whole system behind the
// handler, or one grant's part of it (a mailbox, a tenant, its shard).
//
// Its limit is how many attempts may run at once. It shrinks by a step with each that
// fails and grows by a part of a step with each that gets through: it stays up while
// most get through, and where a system takes so many at once and no more, that is where
// the limit settles.
//
// A domain is paused when as many attempts failed in a row as the limit can be.
// Then there is one attempt, the probe, after each pause, until one gets through. From
// there on it is 2, 4, 8 at once.
type domain struct {
	most               int // of the limit, while all is well
	hurry              int // so many probes by new messages come quickly, see pause
	pauseMin, pauseMax time.Duration

	limit      float64   // below 1: paused
	until      time.Time // end of the pause
	soon       time.Time // end of the pause for a new message
	probing    bool      // the probe is out
	pauses     int       // in a row, without a success
	hurried    int       // of those
	epoch      int       // pauses ever: what began before the last one says nothing about now
	unwell     []string  // messages that failed in a row, nothing speaking against them; the first few
	failed     int       // attempts that failed in a row, of messages that nothing speaks against
	running    int
	lowered    bool // the limit was, since the last success
	recovering bool // nothing failed since the pause
	bounded    bool // the limit holds; a grant's only after a pause, until it is well again

	// A grant's:
	line     []*waiter // messages that wait for its pause to end
	askedAt  time.Time // when the system last asked for a pause
	failedAt time.Time // or something failed
}

func (p *domain) paused() bool { return p.limit < 1 }

// open tells whether one more attempt may begin, of a new message or not.
func (p *domain) open(now time.Time, fresh bool) bool {
	if p.paused() {
		return !p.probing && (!now.Before(p.until) || fresh && !now.Before(p.soon))
	}
	if p.sick() {
		return p.running < max(1, p.most/4)
	}
	return !p.bounded || p.running < int(p.limit)
}

// sick: it fails, perhaps slowly, and is not paused yet. Of a grant this must not hold
// all the handlers.
func (p *domain) sick() bool { return p.failed >= sickAt }

// sickAt is how many failures in a row make a grant sick.
const sickAt = 3

// step is by how much one answer moves the limit: a tenth, so that a limit of 1,000
// moves as quickly as one of 10.
func (p *domain) step() float64 { return max(1, p.limit/10) }

// succeeded counts an attempt that got through, and tells whether it ended a pause.
// Epoch and probe are the attempt's.
func (p *domain) succeeded(epoch int, probe bool) (resumed bool) {
	if !p.counts(epoch, probe) {
		return false
	}
	resumed = p.paused()
	p.unwell, p.failed, p.lowered, p.pauses, p.hurried = nil, 0, false, 0, 0
	growth := p.step() * growBy
	if p.recovering = p.recovering || resumed; p.recovering {
		growth = 1 // doubles with each round
	}
	p.limit = min(float64(p.most), max(p.limit, 1)+growth)
	return resumed
}

// failure counts an attempt that failed, and returns the length of the pause that this
// began, or 0. Fresh says that the message is new, blank that nothing speaks against it.
// One that others have outrun begins no pause, or a few bad ones would look like an
// outage; it lowers the limit once for each success.
func (p *domain) failure(epoch int, probe, fresh, blank bool, id string) time.Duration {
	if !p.counts(epoch, probe) {
		return 0
	}
	probe = probe && p.paused() // not the first attempt of all, where more have begun since
	p.recovering = false
	switch {
	case fresh, blank:
		if len(p.unwell) < unwellAt && !slices.Contains(p.unwell, id) {
			p.unwell = append(p.unwell, id)
		}
		if p.failed++; probe || p.failed >= p.most {
			return p.pause(fresh, 0)
		}
	case probe || p.lowered:
		return 0
	}
	p.limit, p.lowered = max(p.limit-p.step(), 1), true
	return 0
}

// growBy is how much of a step a success is worth: the limit stays up while four in
// seven get through.
const growBy = 0.75

// counts tells whether an attempt says anything about now: it did not begin before the
// last pause, or it is the probe.
func (p *domain) counts(epoch int, probe bool) bool {
	if probe {
		p.probing = false
	}
	return epoch == p.epoch && (probe || !p.paused())
}

// pause closes the domain, for asked if that is not 0, else twice as long each time. For
// new messages the first pauses are short: what is in front of the queue may be bad,
// and behind it wait good ones. Fresh says that a new one has just failed.
func (p *domain) pause(fresh bool, asked time.Duration) time.Duration {
	now := time.Now()
	pause := asked
	if asked == 0 {
		if fresh && p.pauses > 0 && p.hurried < p.hurry {
			p.hurried++
		}
		pause = jitter(doubled(p.pauseMin, p.pauseMax, p.pauses-p.hurried))
	}
	p.until, p.soon = now.Add(pause), now.Add(pause)
	if asked == 0 && p.pauses > 0 && p.hurried < p.hurry {
		p.soon = now.Add(min(pause, jitter(p.pauseMin/10)))
	}
	p.limit, p.probing, p.bounded = 0, false, true
	p.pauses++
	p.epoch++
	return pause
}

// doubled is base, twice for each time, and at most limit.
func doubled(base, limit time.Duration, times int) time.Duration {
	for range times {
		if base >= limit/2 {
			return limit
		}
		base *= 2
	}
	return min(base, limit)
}

// jitter returns between half of d and d, so that messages and processes that
// failed together do not come back together.
func jitter(d time.Duration) time.Duration {
	return d/2 + rand.N(d/2+1) //nolint:gosec // nobody gains by guessing it
}
