package consumer

import (
	"math/rand/v2"
	"time"
)

// party is whoever attempts succeed or fail at together: the whole system behind the
// handler, or one grant's part of it (a mailbox, a tenant, its shard). It says how
// many attempts may run at once. That number, the limit, grows by a step with each
// success and shrinks by a step with each failure, so it stays up while more than
// half get through, and stays below the number that the system refuses. Below 1 the party is paused: one attempt, the probe, after each
// pause, until one gets through.
type party struct {
	most               float64 // the limit of a party that is well
	hurry              int     // so many probes by new messages come quickly, see pause
	pauseMin, pauseMax time.Duration

	limit   float64
	edge    int       // the limit at which one was refused, and none below; 0: not known
	until   time.Time // end of the pause
	probing bool      // the probe is out
	pauses  int       // in a row, without a success
	hurried int       // of those
	epoch   int       // pauses ever: what began before the last one says nothing about now
	streak  int       // different messages that failed in a row
	failed  int       // attempts that failed in a row
	running int
	bounded bool // the limit holds; a grant's only after a pause, until it is well again

	// A grant's:
	line    []*waiter // messages that wait for its pause to end
	asked   int       // times in a row that the system asked for a pause
	askedAt time.Time // the last of them
}

func (p *party) paused() bool { return p.limit < 1 }

// open tells whether one more attempt may begin.
func (p *party) open(now time.Time) bool {
	if p.paused() {
		return !p.probing && !now.Before(p.until)
	}
	return !p.bounded || p.running < int(p.limit)
}

// step is by how much one answer moves the limit: a tenth, so that a limit of 1,000
// comes down as quickly as one of 10.
func (p *party) step() float64 { return max(1, p.limit/10) }

// succeeded counts an attempt that got through, and tells whether it ended a pause.
func (p *party) succeeded(t turn, epoch int, probe bool) (resumed bool) {
	if probe {
		p.probing = false
	}
	if p.paused() && !probe || epoch != p.epoch {
		return false // began before the pause
	}
	p.streak, p.failed, p.pauses, p.hurried = 0, 0, 0, 0
	resumed = p.paused()
	p.limit = min(p.most, max(p.limit, 1)+p.growth())
	return resumed
}

// growth is a step, but near the edge, where a system takes so many at once and no
// more, as much as makes one step of a whole round.
func (p *party) growth() float64 {
	if p.edge > 0 && int(p.limit+p.step()) >= p.edge {
		return 1 / max(p.limit, 1)
	}
	return p.step()
}

// failure counts an attempt that failed. The limit shrinks with new messages only: a
// message that fails again and again is counted once, or a few bad ones would look
// like an outage. It returns the length of the pause that this began, or 0.
func (p *party) failure(t turn, epoch int, probe bool) time.Duration {
	if probe {
		p.probing = false
	}
	if p.paused() && !probe || epoch != p.epoch {
		return 0 // began before the pause
	}
	p.failed++
	if t.fresh {
		p.streak++
		if at := int(p.limit); p.edge > 0 && at < p.edge {
			p.edge = 0 // it fails below it as well, so it is none
		} else {
			p.edge = at
		}
		p.limit -= p.step()
	}
	if !probe && p.limit >= 1 && p.failed < 2*int(p.most) {
		return 0
	}
	return p.pause(t.fresh, 0)
}

// pause closes the party, for asked if that is not 0. The first probes hurry while
// they are new messages: what is in front of the queue may be bad, and behind it wait
// good ones. Then each pause is twice as long as the one before.
func (p *party) pause(fresh bool, asked time.Duration) time.Duration {
	pause := asked
	switch {
	case asked > 0:
	case fresh && p.hurried < p.hurry && p.pauses > 0:
		p.hurried++
		pause = jitter(p.pauseMin / 4)
	default:
		pause = jitter(doubled(p.pauseMin, p.pauseMax, p.pauses-p.hurried))
	}
	p.limit, p.probing, p.bounded = 0, false, true
	p.pauses++
	p.epoch++
	p.until = time.Now().Add(pause)
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
