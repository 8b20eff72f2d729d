package consumer

import "testing"

func TestSoManyMessagesWaitHere(t *testing.T) {
	g := aGate()
	m := &message{size: 100}
	hold := func(what string, want bool, held, bytes int) {
		t.Helper()
		if g.keep(m) != want || g.held != held || g.heldBytes != bytes || m.held != want {
			t.Errorf("%s: held %v, %d of %d bytes", what, m.held, g.held, g.heldBytes)
		}
	}
	hold("the first", true, 1, 100)
	hold("once more", true, 1, 100)
	g.unhold(m)
	g.unhold(m)
	if g.held != 0 || g.heldBytes != 0 || m.held {
		t.Errorf("%d of %d bytes, after it began", g.held, g.heldBytes)
	}
	g.held = maxHeld
	hold("too many", false, maxHeld, 0)
	g.held, g.heldBytes = maxHeld-1, maxHeldBytes-99
	hold("too large", false, maxHeld-1, maxHeldBytes-99)
	g.heldBytes--
	hold("just fits", true, maxHeld, maxHeldBytes)
	g.suspected = 2
	g.forget(m)
	if g.held != maxHeld-1 || g.heldBytes != maxHeldBytes-100 || g.suspected != 2 {
		t.Errorf("%d of %d bytes, %d suspected, after it is gone", g.held, g.heldBytes, g.suspected)
	}
	m.suspicion = 0.5
	if g.forget(m); g.suspected != 1 {
		t.Errorf("%d suspected, of two, after one is gone", g.suspected)
	}
}
