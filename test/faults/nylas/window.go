package nylas

import "time"

// window is the sliding window in which failures are counted.
type window struct {
	length  time.Duration
	since   time.Time // of the first result ever
	results []result
	failed  int // of results
	failing bool
}

type result struct {
	at time.Time
	ok bool
}

// add counts a result and returns true when it makes the webhook failing: at least
// 95 % of a whole window were not answered 200. The webhook recovers when that is no
// longer so.
func (w *window) add(at time.Time, ok bool) bool {
	if w.since.IsZero() {
		w.since = at
	}
	w.results = append(w.results, result{at, ok})
	if !ok {
		w.failed++
	}
	for len(w.results) > 0 && at.Sub(w.results[0].at) > w.length {
		if !w.results[0].ok {
			w.failed--
		}
		w.results = w.results[1:]
	}
	was := w.failing
	w.failing = at.Sub(w.since) >= w.length && w.failed*100 >= 95*len(w.results)
	return w.failing && !was
}
