package consumer

import (
	"errors"
)

// The bounds of what waits here for another attempt. Each message costs a tenth of a
// request to SQS with each heartbeat; 5,000 are 17 requests a second at most.
const (
	maxHeld      = 5000
	maxHeldBytes = 64 << 20
)

// errFull: so many messages wait here for another attempt that no more fit.
var errFull = errors.New("too many messages wait here already")

// hold counts the message among those that wait here, if there is room.
func (g *gate) hold(m *message) bool {
	if m.held {
		return true
	}
	if g.held >= maxHeld || g.heldBytes+m.size > maxHeldBytes {
		return false
	}
	m.held = true
	g.held++
	g.heldBytes += m.size
	return true
}

func (g *gate) unhold(m *message) {
	if m.held {
		m.held = false
		g.held--
		g.heldBytes -= m.size
	}
}

// keep is hold from outside.
func (g *gate) keep(m *message) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.hold(m)
}

// forget: the message's way here has ended.
func (g *gate) forget(m *message) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.unhold(m)
	if m.suspicion > 0 {
		g.suspected--
	}
}
