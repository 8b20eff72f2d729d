package consumer

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"time"
)

// gate decides when a message may be received and when a handler may be called. It
// holds what is known of the system behind ([party] all, one party for each grant in
// which something failed lately) and the lines in which messages wait.
//
// New messages go first. What failed before (again) gets every fifth turn and at most
// half of the handlers while there are new ones, so that bad messages, whose number
// nobody knows, cannot take the place of good ones.
type gate struct {
	concurrency        int
	pauseMin, pauseMax time.Duration

	mu           sync.Mutex
	all          *party
	grants       map[string]*party
	tries        tries
	fresh, again []*waiter
	retrying     int     // handlers at work on what failed before
	credit       int     // turns of new messages since the last turn of one that failed
	mended       float64 // the share of these that got through, lately
	average      time.Duration
	failures     int           // attempts that failed, ever
	slow         time.Duration // how long the last of them took
	growing      bool          // a timer is set to raise the limit
	ok           [2]okAt       // the last success, and the last of another party
	convicted    convictions

	// Receiving.
	poller    *poller // waits to receive
	polls     int     // underway
	mostPolls int     // 1, and more while each brings as many as it asked for
	asked     int     // messages that they can bring
	supply    bool    // the queue has new messages
	empty     bool    // the last poll brought nothing
	reserved  bool    // the probe is for what the poll underway brings
	finishing int     // handled, not deleted yet

	held, heldBytes, suspected int
}

// The bounds of what waits here for another attempt. Each message costs a tenth of a
// request to SQS with each heartbeat; 5,000 are 17 requests a second at most.
const (
	maxHeld      = 5000
	maxHeldBytes = 64 << 20
	// maxGrants bounds how many grants are watched. More do not fail at once, or it is
	// everybody's outage.
	maxGrants = 10_000
	// leastMost is for few handlers: ten failures in a row, not one, are a pause.
	leastMost = 10
	// spareHurry is how many probes more than handlers hurry.
	spareHurry = 10
	// While there are new messages, what failed before gets one turn in againGood as
	// long as most of it gets through then, else one in againBad; and any turn once it
	// has waited for againPatience.
	againGood     = 4
	againBad      = 30
	againPatience = 30 * time.Second
	// mostReceives bounds the receives side by side: 8 bring 80 messages in the 10 to
	// 20 ms of a request, some thousand a second.
	mostReceives = 8
	// growAfter is for how long nothing may fail before the limit is doubled without an
	// answer: a refusal takes milliseconds.
	growAfter = 500 * time.Millisecond
	// quick is how long handlers take, on the average, that a next message is waiting
	// for when they are done. A slow one's would wait here, where another process may
	// have a handler free.
	quick = 500 * time.Millisecond
)

// partyS3 is the party of bodies fetched from S3. No grant id begins with a zero byte.
const partyS3 = "\x00s3"

// errFull: so many messages wait here for another attempt that no more fit.
var errFull = errors.New("too many messages wait here already")

type waiter struct {
	m     *message
	turn  turn
	since time.Time
	ready chan struct{} // closed when turn is given
	given bool
}

type poller struct {
	ready chan struct{}
	limit int
	given bool
}

// turn is the right to call the handler once, given back with [gate.done].
type turn struct {
	id, grant           string
	party               *party // counts it as running; nil: it was not watched
	fresh, again, blank bool
	probe, partyProbe   bool
	epoch, partyEpoch   int
	began               time.Time
}

// result is what an attempt says about the system behind.
type result int

const (
	nothing result = iota // the handler was not called, or was broken off
	through               // it got through, whatever came of it
	broke                 // it failed
	asked                 // the system asked for a pause
)

func newGate(c Config) *gate {
	g := &gate{concurrency: c.Concurrency, pauseMin: c.PauseMin, pauseMax: c.PauseMax, grants: map[string]*party{}, mostPolls: 1}
	g.all = g.party()
	// A process begins with a probe: in an outage it takes one message from the queue,
	// not as many as it has handlers.
	g.all.limit, g.all.bounded = 0, true
	return g
}

func (g *gate) party() *party {
	most := max(g.concurrency, leastMost)
	return &party{most: most, limit: float64(most), hurry: g.concurrency + spareHurry, pauseMin: g.pauseMin, pauseMax: g.pauseMax}
}

// join puts the message into its line. With errFull, nothing was done.
func (g *gate) join(m *message) (*waiter, error) {
	w := &waiter{m: m, since: time.Now(), ready: make(chan struct{})}
	g.mu.Lock()
	defer g.mu.Unlock()
	defer g.dispatch()
	w.turn = turn{
		id: m.id, grant: m.grant,
		fresh: m.tries == 0 && m.receives == 1,
		again: m.tries > 0 || m.receives > 1,
		blank: m.suspicion < outrun && g.convicted.of(m.id) == 0,
	}
	p := g.grants[m.grant]
	switch {
	case g.reserved && m.tries == 0:
		g.reserved = false
		g.give(w, true)
	case p != nil && p.paused() && !p.open(w.since, w.turn.fresh):
		if !g.hold(m) {
			return nil, errFull
		}
		p.line = append(p.line, w)
	default:
		g.queue(w)
	}
	return w, nil
}

// await returns when the message may be tried, or with the context's error.
func (g *gate) await(ctx context.Context, w *waiter) (turn, error) {
	select {
	case <-w.ready:
		return w.turn, nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	defer g.dispatch()
	if w.given {
		g.finish(w.turn, nothing, 0, 0)
	} else {
		g.leaveLines(w)
	}
	return turn{}, context.Cause(ctx)
}

func (g *gate) leaveLines(w *waiter) {
	g.remove(w)
	if p := g.grants[w.m.grant]; p != nil && w.turn.partyProbe {
		p.probing = false
		g.release(p)
	}
}

// remove takes the waiter out of whatever line it is in.
func (g *gate) remove(w *waiter) {
	without := func(line []*waiter) []*waiter {
		if i := slices.Index(line, w); i >= 0 {
			return slices.Delete(line, i, i+1)
		}
		return line
	}
	g.fresh, g.again = without(g.fresh), without(g.again)
	if p := g.grants[w.m.grant]; p != nil {
		p.line = without(p.line)
	}
}

// queue puts the message into its line.
func (g *gate) queue(w *waiter) {
	if w.turn.again {
		g.again = append(g.again, w)
	} else {
		g.fresh = append(g.fresh, w)
	}
}

// release moves what waits for the grant into the lines: all of it when the pause has
// ended, one as the probe when it is time for that.
func (g *gate) release(p *party) {
	if len(p.line) == 0 {
		return
	}
	if !p.paused() {
		for _, w := range p.line {
			g.queue(w)
		}
		p.line = nil
		return
	}
	// A message that was not tried yet, if there is one.
	w := p.line[longest(p.line)]
	if p.open(time.Now(), w.turn.fresh) {
		g.remove(w)
		w.turn.partyProbe, p.probing = true, true
		if w.turn.again {
			g.again = append([]*waiter{w}, g.again...)
		} else {
			g.fresh = append([]*waiter{w}, g.fresh...)
		}
	}
}

// first is the first in the line whose grant lets it pass. What waits for a grant that
// is paused goes to the grant's line.
func (g *gate) first(line *[]*waiter, now time.Time) *waiter {
	for i := 0; i < len(*line); {
		w := (*line)[i]
		p := g.grants[w.m.grant]
		switch {
		case p == nil || w.turn.partyProbe || p.open(now, w.turn.fresh):
			return w
		case p.paused():
			*line = slices.Delete(*line, i, i+1)
			g.hold(w.m)
			p.line = append(p.line, w)
		default:
			g.hold(w.m)
			i++
		}
	}
	return nil
}

func untried(line []*waiter) (n int) {
	for _, w := range line {
		if w.m.tries == 0 {
			n++
		}
	}
	return n
}

// longest is the index of the message whose last attempt is the longest ago; one that was
// not tried yet comes first.
func longest(line []*waiter) int {
	best := 0
	for i, w := range line {
		if w.lastTry().Before(line[best].lastTry()) {
			best = i
		}
	}
	return best
}

func (w *waiter) lastTry() time.Time {
	if w.m.failing == nil {
		return time.Time{}
	}
	return w.m.failing.at
}

// dispatch gives turns to whoever may have one. It is called with the lock held, after
// everything that changes what may be.
func (g *gate) dispatch() {
	for now := time.Now(); g.next(now); {
	}
}

func (g *gate) next(now time.Time) bool {
	if g.all.paused() {
		if g.all.pauses == 0 {
			g.growLater()
		}
		return g.nextProbe(now)
	}
	free := min(int(g.all.limit), g.concurrency) - g.all.running
	if free <= 0 {
		g.growLater()
		return g.poll(free)
	}
	if w := g.first(&g.fresh, now); w != nil {
		g.give(w, false)
		return true
	}
	again := g.first(&g.again, now)
	if again != nil && g.mayAgain(again, now) {
		g.give(again, false)
		return true
	}
	if g.poll(free) {
		return true
	}
	if again != nil && g.polls == 0 { // nothing else can come
		g.give(again, false)
		return true
	}
	return false
}

// nextProbe gives the one turn after a pause: to a new message where there is one, or
// a message that the system can never take would hold up all the others. Else to the
// one that has waited longest.
func (g *gate) nextProbe(now time.Time) bool {
	if !g.all.open(now, true) || g.all.running >= g.concurrency {
		return false
	}
	if len(g.fresh) > 0 {
		g.give(g.fresh[0], true)
		return true
	}
	if g.poller != nil && g.polls == 0 && g.held < maxHeld {
		g.receive(1)
		if !g.empty {
			g.reserved, g.all.probing = true, true
			return true
		}
	}
	if !g.all.open(now, false) {
		return false
	}
	var best *waiter
	better := func(line []*waiter) {
		if len(line) > 0 {
			if w := line[longest(line)]; best == nil || w.lastTry().Before(best.lastTry()) {
				best = w
			}
		}
	}
	better(g.again)
	for _, p := range g.grants {
		better(p.line)
	}
	if best == nil {
		return false
	}
	g.give(best, true)
	return true
}

// mayAgain: new messages go first, where there are any.
func (g *gate) mayAgain(w *waiter, now time.Time) bool {
	share := againBad
	if g.mended > 0.5 {
		share = againGood
	}
	return !g.supply || g.credit >= share-1 && 2*(g.retrying+1) <= int(g.all.limit) ||
		now.Sub(w.since) >= againPatience
}

// poll lets the receive loop ask for as many messages as there will be handlers for.
func (g *gate) poll(free int) bool {
	if g.poller == nil || g.polls >= g.mostPolls || g.held >= maxHeld || g.finishing > g.concurrency+10*batchSize {
		return false
	}
	n := free - g.asked
	for _, w := range g.fresh {
		if p := g.grants[w.m.grant]; p == nil || !p.sick() {
			n--
		}
	}
	if g.average > 0 && g.average < quick {
		n += int(g.all.limit) / 2
	}
	for _, p := range g.grants {
		// Not those of a grant that is unwell alone. But where nothing got through since,
		// it may be everybody's outage that begins.
		if g.all.failed > 0 {
			n -= untried(p.line)
		}
	}
	if free > 0 && g.polls == 0 {
		n = max(n, 1) // or nobody would find what can be taken
	}
	if n < 1 {
		return false
	}
	g.receive(min(n, batchSize))
	return true
}

func (g *gate) receive(n int) {
	p := g.poller
	p.limit, p.given = n, true
	g.poller = nil
	g.polls++
	g.asked += n
	close(p.ready)
}

// give gives the turn.
func (g *gate) give(w *waiter, probe bool) {
	g.remove(w)
	if p := g.grants[w.m.grant]; p != nil {
		w.turn.party, w.turn.partyEpoch = p, p.epoch
		p.running++
		if p.paused() {
			w.turn.partyProbe, p.probing = true, true
		}
	}
	g.unhold(w.m)
	w.turn.probe, w.turn.epoch, w.turn.began = probe, g.all.epoch, time.Now()
	g.all.probing = g.all.probing || probe
	g.all.running++
	if w.turn.again {
		g.retrying++
		g.credit = 0
	} else {
		g.credit++
	}
	w.given = true
	close(w.ready)
}

// growLater doubles the limit when nothing fails for a while: no answer is no refusal
// either, where handlers take their time.
func (g *gate) growLater() {
	if g.growing || g.all.limit >= float64(g.all.most) {
		return
	}
	g.growing = true
	epoch, failures := g.all.epoch, g.failures
	time.AfterFunc(max(growAfter, 2*g.slow), func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.growing = false
		if epoch == g.all.epoch && failures == g.failures && g.all.running > 0 && g.all.running >= min(int(g.all.limit), g.concurrency) {
			g.all.limit = min(2*max(g.all.limit, 1), float64(g.all.most))
		}
		g.dispatch()
	})
}

// change is what [gate.done] tells of: a pause that began, or ended.
type change struct {
	kind  Kind
	grant string
	pause time.Duration
}

// done gives the turn back and says what came of it.
func (g *gate) done(t turn, r result, retryAfter time.Duration) []change {
	g.mu.Lock()
	defer g.mu.Unlock()
	changes := g.finish(t, r, retryAfter, time.Since(t.began))
	g.dispatch()
	return changes
}

func (g *gate) finish(t turn, r result, retryAfter, took time.Duration) (changes []change) {
	g.all.running--
	if t.again {
		g.retrying--
		switch r {
		case through:
			g.mended += (1 - g.mended) / 16
		case broke:
			g.mended -= g.mended / 16
		}
	}
	if t.party != nil {
		t.party.running--
	}
	p := g.grants[t.grant]
	if r != nothing {
		if g.average == 0 {
			g.average = took
		}
		g.average += (took - g.average) / 8
	}
	switch r {
	case nothing:
		g.all.probing = g.all.probing && !t.probe
		if p != nil {
			p.probing = p.probing && !t.partyProbe
		}
	case through:
		g.noteOK(t.grant)
		if t.fresh {
			g.tries.add(t.began, t.grant, true)
		}
		starting := g.all.pauses == 0
		if g.all.succeeded(t.epoch, t.probe) && !starting {
			changes = append(changes, change{kind: Resumed})
		}
		if p != nil {
			if p.succeeded(t.partyEpoch, t.partyProbe) {
				changes = append(changes, change{kind: GrantResumed, grant: t.grant})
			}
			g.unwatch(t.grant, p)
		}
	case broke:
		g.failures++
		g.slow = took
		if t.fresh {
			g.tries.add(t.began, t.grant, false)
		}
		p = g.watch(t.grant)
		known := p != nil && p.paused() && g.all.failed == 0 && !t.probe // a grant's own pause is not everybody's
		if p != nil {
			if pause := p.failure(t.partyEpoch, t.partyProbe, t.fresh, t.blank, t.id); pause > 0 {
				changes = append(changes, change{GrantPaused, t.grant, pause})
				g.later(pause, t.grant)
				g.later(time.Until(p.soon), t.grant)
			}
		}
		if !known {
			if pause := g.all.failure(t.epoch, t.probe, t.fresh, t.blank, t.id); pause > 0 {
				changes = append(changes, change{Paused, "", pause})
				g.later(pause, "")
				g.later(time.Until(g.all.soon), "")
			}
		}
	case asked:
		changes = g.ask(t, p, retryAfter)
	}
	if p != nil {
		g.release(p)
	}
	return changes
}

// ask closes everything for as long as the system asked, or only the grant, where few
// are asked, again and again, while others get through.
func (g *gate) ask(t turn, p *party, retryAfter time.Duration) []change {
	now := time.Now()
	if p = g.watch(t.grant); p != nil {
		p.probing = p.probing && !t.partyProbe
		if p.paused() && !t.partyProbe && !g.all.paused() { // begun before
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
	party string
	at    time.Time
}

func (g *gate) noteOK(party string) {
	if g.ok[0].party != party {
		g.ok[1] = g.ok[0]
	}
	g.ok[0] = okAt{party, time.Now()}
}

// othersOK is when another party last succeeded.
func (g *gate) othersOK(party string) time.Time {
	if g.ok[0].party != party {
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

// watch returns the grant's party, which exists from its first failure on.
func (g *gate) watch(grant string) *party {
	if grant == "" {
		return nil
	}
	p := g.grants[grant]
	if p == nil && len(g.grants) < maxGrants {
		p = g.party()
		g.grants[grant] = p
	}
	return p
}

// unwatch ends that, for a grant that is well and was not asked for a pause lately.
func (g *gate) unwatch(grant string, p *party) {
	if p.limit >= float64(p.most) {
		p.bounded = false
		if time.Since(p.askedAt) >= askedMemory && len(p.line) == 0 {
			delete(g.grants, grant)
		}
	}
}

// later looks again after the pause.
func (g *gate) later(pause time.Duration, grant string) {
	time.AfterFunc(pause, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if p := g.grants[grant]; p != nil {
			g.release(p)
		}
		g.dispatch()
	})
}

// blames says whether the message's last failure was its own fault, before it is tried
// again. What others met since decides.
func (g *gate) blames(m *message, f failing) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	streak := 0 // others of the grant that failed, with no success since
	if p := g.grants[f.party]; p != nil {
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
		speaks = max(g.convicted.of(m.id), m.silence(streak))
		m.alone++
	case mine.ok == 0 && streak >= 2: // its party is unwell
	default:
		rate := all.rate()
		if mine.ok+mine.failed > 0 {
			rate = max(rate, mine.rate())
		}
		speaks = -math.Log(rate)
		m.atHome = m.atHome || since && mine.ok > 0
	}
	if speaks > 0 && m.suspicion == 0 {
		g.suspected++
	}
	m.suspicion += speaks
	if m.suspicion < blameAt || m.tries < 2 {
		return false
	}
	g.convicted.add(m.id, m.suspicion/float64(m.tries))
	return true
}

// fetched notes how the fetch of a new message's body from S3 ended.
func (g *gate) fetched(m *message, began time.Time, ok bool) {
	if m.tries > 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tries.add(began, partyS3, ok)
}

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

// turnToReceive returns how many messages may be asked for, once it is at least one.
func (g *gate) turnToReceive(ctx context.Context) (limit int, err error) {
	p := &poller{ready: make(chan struct{})}
	g.mu.Lock()
	g.poller = p
	g.dispatch()
	g.mu.Unlock()
	select {
	case <-p.ready:
		return p.limit, nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.poller = nil
	if p.given {
		g.answered(p.limit, nil)
	}
	return 0, context.Cause(ctx)
}

// noAnswer: a poll has brought nothing for a while, so the queue has nothing, and what
// waits here can have the turns.
func (g *gate) noAnswer() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.unreserve()
	g.supply, g.empty = false, true
	g.dispatch()
}

func (g *gate) unreserve() {
	if g.reserved {
		g.reserved, g.all.probing = false, false
	}
}

// received ends what turnToReceive began. The messages have joined before.
func (g *gate) received(limit int, messages []*message) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.answered(limit, messages)
	g.dispatch()
}

func (g *gate) answered(limit int, messages []*message) {
	g.unreserve()
	g.polls--
	g.asked -= limit
	g.empty = len(messages) == 0
	full := len(messages) == limit
	g.supply = full && slices.ContainsFunc(messages, func(m *message) bool { return m.receives == 1 })
	if full {
		g.mostPolls = min(2*g.mostPolls, mostReceives)
	} else {
		g.mostPolls = 1
	}
}

// finished counts the messages that are handled and not deleted yet.
func (g *gate) finished(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.finishing += n
	g.dispatch()
}

func (g *gate) status() (paused bool, held, suspected, grants int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range g.grants {
		if p.paused() {
			grants++
		}
	}
	// A pause that is over, and nothing to try, is none.
	paused = g.all.paused() && g.all.pauses > 0 && (g.held > 0 || time.Now().Before(g.all.until))
	return paused, g.held, g.suspected, grants
}
