package consumer

import (
	"time"
)

// ask closes everything for as long as the system asked, or only the grant, where few
// are asked, again and again, while others get through.
func (g *gate) ask(t turn, retryAfter time.Duration) []change {
	now := time.Now()
	if p := g.watch(t.grant); p != nil {
		p.probing = p.probing && !t.domainProbe
		if p.paused() && !t.domainProbe && !g.all.paused() { // begun before
			p.until = maxTime(p.until, now.Add(retryAfter))
			p.soon = p.until
			g.later(retryAfter, t.grant)
			return nil
		}
		again := now.Sub(p.askedAt) < askedMemory && g.othersOK(t.grant).After(p.askedAt)
		p.askedAt = now
		if again && !t.probe && g.askers(now) <= fewAskers {
			pause := p.pause(false, retryAfter)
			g.later(pause, t.grant)
			return []change{{GrantPaused, t.grant, pause}}
		}
	}
	if g.all.paused() && !t.probe {
		if until := now.Add(retryAfter); until.After(g.all.until) {
			g.all.until, g.all.soon = until, until
			g.later(retryAfter, "")
		}
		return nil
	}
	pause := g.all.pause(false, retryAfter)
	g.later(pause, "")
	return []change{{Paused, "", pause}}
}

const (
	// askedMemory is for how long it is remembered that a grant was asked for a pause.
	askedMemory = 5 * time.Minute
	// fewAskers is how many grants can have a limit of their own at once. Where more are
	// asked, it is everybody's.
	fewAskers = 10
)

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

type okAt struct {
	domain string
	at     time.Time
}

func (g *gate) noteOK(domain string) {
	if g.ok[0].domain != domain {
		g.ok[1] = g.ok[0]
	}
	g.ok[0] = okAt{domain, time.Now()}
}

// othersOK is when another domain last succeeded.
func (g *gate) othersOK(domain string) time.Time {
	if g.ok[0].domain != domain {
		return g.ok[0].at
	}
	return g.ok[1].at
}

func (g *gate) askers(now time.Time) (n int) {
	for _, p := range g.grants {
		if now.Sub(p.askedAt) < askedMemory {
			n++
		}
	}
	return n
}
