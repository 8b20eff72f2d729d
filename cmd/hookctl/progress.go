package main

import "time"

// beat is how often something that takes time says so.
const beat = 2 * time.Second

// progress tells on standard error how far a command is, at most once per beat, so
// that what is done within two seconds says nothing.
type progress struct {
	s    streams
	last time.Time
}

func newProgress(s streams) *progress { return &progress{s, time.Now()} }

func (p *progress) tellf(format string, args ...any) {
	if time.Since(p.last) < beat {
		return
	}
	p.last = time.Now()
	p.s.stderrf(format, args...)
}
