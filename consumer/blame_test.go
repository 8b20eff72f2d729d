package consumer

import (
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"
)

// history is what happened to new messages, one a second, beginning now.
func (t *tries) history(domain string, oks ...bool) {
	for _, ok := range oks {
		time.Sleep(time.Second)
		t.add(time.Now(), domain, ok)
	}
}

func TestOnlyWhatBeganInBetweenIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tries tries
		begin := time.Now()
		at := func(second int) time.Time { return begin.Add(time.Duration(second) * time.Second) }
		tries.history("a", true, false, false) // at 1, 2, 3
		tries.history("b", true, true)         // 4, 5
		tries.history(domainS3, false, true)   // 6, 7
		for _, c := range []struct {
			after, until int
			domain       string
			all, mine    sample
		}{
			{0, 7, "a", sample{3, 2}, sample{1, 2}},
			{0, 7, "b", sample{3, 2}, sample{2, 0}},
			{0, 7, "c", sample{3, 2}, sample{}},
			{0, 7, domainS3, sample{1, 1}, sample{1, 1}}, // what S3 says is about S3 alone
			{1, 3, "a", sample{0, 2}, sample{0, 2}},      // after the first moment, up to the last
			{0, 1, "a", sample{1, 0}, sample{1, 0}},
			{3, 4, "b", sample{1, 0}, sample{1, 0}},
			{7, 9, "a", sample{}, sample{}},
		} {
			all, mine := tries.between(at(c.after), at(c.until), c.domain)
			if all != c.all || mine != c.mine {
				t.Errorf("%q from %d to %d: %+v and %+v, want %+v and %+v", c.domain, c.after, c.until, all, mine, c.all, c.mine)
			}
		}
		for range 1021 {
			tries.history("b", true)
		}
		if all, mine := tries.between(begin, time.Now(), "a"); all.ok+all.failed != 1022 || mine != (sample{}) {
			t.Errorf("%+v and %+v are remembered, the first ones should be forgotten: 1,022 of the last 1,024 are no fetches", all, mine)
		}
	})
}

func TestRateIsCarefulWithSmallNumbers(t *testing.T) {
	for s, want := range map[sample]float64{{0, 0}: 1, {1, 0}: 0.5, {9, 0}: 0.1, {0, 5}: 1, {1, 1}: 2.0 / 3, {6, 3}: 0.4} {
		if got := s.rate(); math.Abs(got-want) > 1e-9 {
			t.Errorf("%+v: %g, want %g", s, got, want)
		}
	}
}

func TestWhatOthersMetAround(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tries tries
		tries.history("a", true, true) // at 1, 2
		time.Sleep(10 * time.Second)
		f := failing{began: time.Now(), at: time.Now().Add(time.Second), domain: "a"}
		time.Sleep(time.Second)
		look := func(what string, failed int, wantAll, wantMine sample, wantSince bool) {
			t.Helper()
			all, mine, since := tries.around(f, failed)
			if all != wantAll || mine != wantMine || since != wantSince {
				t.Errorf("%s: %+v, %+v, %v", what, all, mine, since)
			}
		}
		time.Sleep(5 * time.Second)
		look("nobody came since, and only those long before", 1, sample{}, sample{}, false)
		time.Sleep(6 * time.Second) // 11 s before it began: the second of the two
		look("nobody came since", 1, sample{1, 0}, sample{1, 0}, false)
		look("others failed with it, so what was before says nothing", 2, sample{}, sample{}, false)
		tries.history("b", false)
		look("one failed since", 1, sample{0, 1}, sample{}, true)
		tries.history("a", true)
		look("and one got through", 2, sample{1, 1}, sample{1, 0}, true)
	})
}

func TestSilenceSaysLittle(t *testing.T) {
	for _, c := range []struct {
		outrunBy float64 // so many others
		atHome   bool
		streak   int
		want     float64
	}{
		{0, false, 0, 0},
		{7.9, true, 0, 0},
		{8, false, 0, 0.25},
		{8, false, 1, 0.25},
		{8, false, 2, 0},
		{8, true, 2, 0.5},
		{19.9, true, 9, 0.5},
		{20, true, 9, 1},
		{20, false, 0, 0.25},
	} {
		m := &message{suspicion: math.Log(max(c.outrunBy, 1)), atHome: c.atHome}
		if got := m.silence(c.streak); got != c.want {
			t.Errorf("%+v: %g", c, got)
		}
	}
}

func TestRepeatsAreRememberedUpToABound(t *testing.T) {
	var r repeats
	of := func(id string) float64 { return r.of(id).evidence }
	if of("0") != 0 {
		t.Error("something is known of the first")
	}
	for i := range 10_000 {
		r.add(fmt.Sprint(i), repeated{1, false})
	}
	r.add("0", repeated{2, true}) // known: takes nobody's place
	if r.of("0") != (repeated{2, true}) || of("1") != 1 || of("9999") != 1 {
		t.Errorf("known: %v, %g, %g", r.of("0"), of("1"), of("9999"))
	}
	r.add("new", repeated{3, false})
	r.add("newer", repeated{3, false})
	if of("0") != 0 || of("1") != 0 || of("2") != 1 || of("new") != 3 || of("newer") != 3 {
		t.Errorf("after two more: %g, %g, %g, %g", of("0"), of("1"), of("2"), of("new"))
	}
	if len(r.known) != 10_000 || len(r.order) != 10_000 {
		t.Errorf("%d and %d are kept", len(r.known), len(r.order))
	}
}

func TestBlame(t *testing.T) {
	unwell := func(n int) []string { return make([]string, n) }
	for name, c := range map[string]struct {
		failing   failing
		tries     int
		suspicion float64 // before
		others    []bool  // of grant a, since
		elsewhere []bool  // of grant b, since
		everybody int     // failed in a row, of all
		grant     int     // of grant a
		repeats   float64 // what its failures said, the last time
		silent    bool    // nobody got through then
		atHome    bool

		want  bool
		after float64
		alone int
	}{
		"busy is never its fault": {failing: failing{busy: true}, tries: 9, suspicion: 99, others: []bool{true}, after: 99},

		"a plain error is its fault":                    {failing: failing{plain: true}, tries: 1, want: true, alone: 1},
		"with four others":                              {failing: failing{plain: true}, tries: 1, everybody: 4, grant: 4, want: true, alone: 1},
		"not with five others":                          {failing: failing{plain: true}, tries: 1, everybody: 5, alone: 1},
		"nor with five of its grant":                    {failing: failing{plain: true}, tries: 1, grant: 5, alone: 1},
		"nobody else came":                              {tries: 5, everybody: 2, alone: 1},
		"nobody got through":                            {tries: 5, others: []bool{false}, elsewhere: []bool{false}, alone: 1},
		"nobody else came, and it is outrun":            {tries: 5, everybody: 2, suspicion: math.Log(9), after: math.Log(9) + 0.25, alone: 1},
		"nobody else came, and it is known":             {tries: 5, everybody: 2, repeats: 3, after: 3, alone: 1},
		"known from silence, which speaks once":         {tries: 5, everybody: 2, repeats: 3, silent: true, suspicion: math.Log(9), after: math.Log(9), alone: 1},
		"known, and little is said":                     {tries: 5, everybody: 2, repeats: 3, suspicion: math.Log(9), after: math.Log(9) + 3, alone: 1},
		"one got through":                               {tries: 5, others: []bool{true}, after: math.Log(2)},
		"nine got through":                              {tries: 5, others: yes(9), after: math.Log(10)},
		"one elsewhere":                                 {tries: 5, elsewhere: []bool{true}, after: math.Log(2)},
		"its grant is worse than the rest":              {tries: 5, others: []bool{true, false}, elsewhere: yes(7), after: math.Log(1.5)},
		"one of its grant failed as well, and no other": {tries: 5, others: []bool{false}, elsewhere: yes(7), grant: 1},
		"the rest is worse than its grant":              {tries: 5, others: yes(1), elsewhere: []bool{true, false, false}, after: math.Log(5.0 / 3)},
		"its grant is unwell":                           {tries: 5, elsewhere: yes(99), grant: 2},
		"its grant is unwell, perhaps":                  {tries: 5, elsewhere: yes(9), grant: 1, after: math.Log(10)},
		"its grant was unwell":                          {tries: 5, others: yes(9), grant: 2, after: math.Log(10)},
		"once is not enough":                            {tries: 1, suspicion: 99, others: yes(9), after: 99 + math.Log(10)},
		"twice is, when it is improbable":               {tries: 2, suspicion: math.Log(5001), others: yes(9), after: math.Log(50_010), want: true},
		"not quite":                                     {tries: 2, suspicion: math.Log(4999), others: yes(9), after: math.Log(49_990)},
		"silence can be the last word":                  {tries: 4, everybody: 2, suspicion: math.Log(49_999), atHome: true, after: math.Log(49_999) + 1, want: true, alone: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGate(Config{Concurrency: 10, PauseMin: time.Second, PauseMax: time.Minute})
				g.all.unwell = unwell(c.everybody)
				if c.grant > 0 {
					g.watch("a").unwell = unwell(c.grant)
				}
				m := &message{id: "m", grant: "a", tries: c.tries, suspicion: c.suspicion, atHome: c.atHome}
				if c.repeats > 0 {
					g.repeats.add("m", repeated{c.repeats, c.silent})
				}
				f := c.failing
				f.began, f.at, f.domain = time.Now(), time.Now(), "a"
				g.tries.history("a", c.others...)
				g.tries.history("b", c.elsewhere...)
				if got := g.blames(m, f); got != c.want {
					t.Errorf("blamed: %v", got)
				}
				if math.Abs(m.suspicion-c.after) > 1e-9 || m.alone != c.alone {
					t.Errorf("suspicion %g, alone %d, want %g and %d", m.suspicion, m.alone, c.after, c.alone)
				}
				if wasHome := len(c.others) > 0 && c.others[0] && !f.busy; m.atHome != (wasHome || c.atHome) {
					t.Errorf("outrun by its own: %v", m.atHome)
				}
				if suspected := c.suspicion == 0 && c.after > 0; (g.suspected == 1) != suspected {
					t.Errorf("%d suspected", g.suspected)
				}
				if r := g.repeats.of("m"); c.want && !f.plain && (math.Abs(r.evidence-c.after/float64(c.tries)) > 1e-9 || r.silent != (len(c.others) == 0)) {
					t.Errorf("its failures are remembered as %+v", r)
				}
			})
		})
	}
}

func yes(n int) []bool {
	all := make([]bool, n)
	for i := range all {
		all[i] = true
	}
	return all
}

// equivalent mutant: blames: m.suspicion < blameAt -> m.suspicion <= blameAt
// A sum of logarithms that is exactly the border's does not occur.

// equivalent mutant: blames: 0 -> 1
// Of a grant that nothing failed in lately: one that fails alone is judged as none.

// What a fetch from S3 says is remembered at a message's first attempt alone.
func TestFetchesAreRemembered(t *testing.T) {
	g := newGate(Config{Concurrency: 1, PauseMin: time.Second, PauseMax: time.Minute})
	began := time.Now()
	g.fetched(&message{}, began, false)
	g.fetched(&message{tries: 1}, began, true)
	g.fetched(&message{tries: 2}, began, true)
	if all, mine := g.tries.between(began.Add(-1), began, domainS3); all != (sample{0, 1}) || mine != all {
		t.Errorf("%+v, %+v", all, mine)
	}
}
