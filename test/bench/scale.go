package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"html"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// burst is how many notifications Nylas says one shared calendar can cause within seconds.
const burst = 20_000

// The environments among which the burst is divided. Lambda gives each one event at a time.
var environments = []int{1, 2, 4, 8, 16, 32}

// answersAfter is how long SQS takes to answer: at once, which shows what this machine can do,
// and as long as on AWS, which shows how environments wait. 15 ms is what a send and a
// receive took together in the middle of 1,024 tries in eu-west-1,
// https://bitesizedserverless.com
var answersAfter = []time.Duration{0, 15 * time.Millisecond}

// Step is the burst through some environments.
type Step struct {
	Environments int     `json:"environments"`
	AnswerMS     float64 `json:"sqs_answers_after_ms"`
	PerSecond    float64 `json:"notifications_per_second"`
	CPU          float64 `json:"cpu_us"`         // of the functions, per notification
	HarnessCPU   float64 `json:"harness_cpu_us"` // of everything else, per notification
	Busy         float64 `json:"cpus_busy"`      // of those of the machine
}

// scale sends the burst through more and more environments of the receiver.
func scale(ctx context.Context, p Program) ([]Step, error) {
	c := standard(sizes[0], 2)
	payload, err := c.payload(c.body())
	if err != nil {
		return nil, err
	}
	aws := newAWS()
	defer aws.Close()
	var steps []Step
	for _, after := range answersAfter {
		aws.after = after
		for _, n := range environments {
			events := burst
			if after > 0 {
				events = min(burst, 1000*n) // one environment would take five minutes for all
			}
			aws.expect(c.body())
			s, err := step(ctx, p, aws, payload, n, events)
			if err != nil {
				return nil, fmt.Errorf("%d environments: %w", n, err)
			}
			if taken, err := aws.received(); err != nil || taken != events {
				return nil, fmt.Errorf("%d environments: SQS has %d of %d: %w", n, taken, events, err)
			}
			s.AnswerMS = milliseconds(after)
			steps = append(steps, s)
			fmt.Printf("bench: %d environments, SQS answers after %v: %.0f a second\n", n, after, s.PerSecond)
		}
	}
	return steps, nil
}

// step divides events among n processes.
func step(ctx context.Context, p Program, aws *awsStandIn, payload []byte, n, events int) (s Step, err error) {
	apis, pids := make([]*runtimeAPI, n), make([]int, n)
	for i := range apis {
		apis[i] = newRuntimeAPI()
		defer apis[i].Close()
		defer apis[i].CloseClientConnections()
		cmd := exec.CommandContext(ctx, p.Command[0], p.Command[1:]...)
		cmd.Dir, cmd.Env = p.dir, append(environment(apis[i], aws), p.Env...)
		if err := cmd.Start(); err != nil {
			return s, err
		}
		go func() {
			_ = cmd.Wait() // that it ended is told by whoever waits for an answer
			close(apis[i].ended)
		}()
		defer func() { _ = cmd.Process.Kill(); <-apis[i].ended }()
		pids[i] = cmd.Process.Pid
	}
	for _, api := range apis {
		if _, err := wait(ctx, api, api.asked); err != nil {
			return s, err
		}
	}
	used := func() (functions time.Duration, err error) {
		for _, pid := range pids {
			t, err := cpuTime(pid)
			if err != nil {
				return 0, err
			}
			functions += t
		}
		return functions, nil
	}
	before, err := used()
	if err != nil {
		return s, err
	}
	own := ownCPU()
	began := time.Now()
	if err := all(ctx, apis, payload, events); err != nil {
		return s, err
	}
	took := time.Since(began)
	after, err := used()
	if err != nil {
		return s, err
	}
	harness := ownCPU() - own
	return Step{
		Environments: n, PerSecond: float64(events) / took.Seconds(),
		CPU: microseconds(after-before) / float64(events), HarnessCPU: microseconds(harness) / float64(events),
		Busy: (after - before + harness).Seconds() / took.Seconds(),
	}, nil
}

// all hands the events to whichever process asks next.
func all(ctx context.Context, apis []*runtimeAPI, payload []byte, events int) error {
	var left atomic.Int64
	left.Store(int64(events))
	failures := make([]error, len(apis))
	var workers sync.WaitGroup
	for i, api := range apis {
		workers.Go(func() {
			for left.Add(-1) >= 0 {
				api.events <- payload
				answer, err := wait(ctx, api, api.answered)
				if err == nil && !bytes.Contains(answer.answer, []byte(`"statusCode":200`)) {
					err = fmt.Errorf("it was answered %.200s", answer.answer)
				}
				if err == nil {
					_, err = wait(ctx, api, api.asked)
				}
				if err != nil {
					failures[i] = err
					return
				}
			}
		})
	}
	workers.Wait()
	return errors.Join(failures...)
}

// ownCPU is what this process has used.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0 // it never fails for oneself
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func (r Results) scaling() string {
	var b strings.Builder
	b.WriteString("| SQS answers after | environments | notifications a second | CPU µs each, the functions | CPU µs each, all else | CPUs busy |\n| ---: | ---: | ---: | ---: | ---: | ---: |\n")
	for _, s := range r.Scale {
		fmt.Fprintf(&b, "| %g ms | %d | %.0f | %.0f | %.0f | %.1f |\n", s.AnswerMS, s.Environments, s.PerSecond, s.CPU, s.HarnessCPU, s.Busy)
	}
	return b.String()
}

// scalePlot draws notifications a second over environments, a line for each answer time.
func (r Results) scalePlot() string {
	const title, left, top, width, height = "A burst of 20,000 through environments of the receiver, notifications a second", 70, 50, 620, 220
	most := 0.0
	for _, s := range r.Scale {
		most = max(most, s.PerSecond)
	}
	at := func(s Step) (x, y float64) {
		position := 0
		for i, n := range environments {
			if n == s.Environments {
				position = i
			}
		}
		return left + width*float64(position)/float64(len(environments)-1), top + height*(1-s.PerSecond/most)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" font-family="sans-serif" font-size="13" role="img">`+"\n", plotWidth, top+height+50)
	fmt.Fprintf(&b, `<title>%s</title><rect width="100%%" height="100%%" rx="6" fill="#ffffff" stroke="#d0d7de"/>`+"\n", html.EscapeString(title))
	fmt.Fprintf(&b, `<text x="12" y="26" fill="#1f2328" font-weight="bold">%s</text><path d="M%d %dV%dH%d" stroke="#8c959f" fill="none"/>`+"\n", html.EscapeString(title), left, top, top+height, left+width)
	for i, after := range answersAfter {
		colour := []string{"#0969da", "#bc4c00"}[i]
		path, verb := "", "M"
		for _, s := range r.Scale {
			if s.AnswerMS != milliseconds(after) {
				continue
			}
			x, y := at(s)
			path += fmt.Sprintf("%s%.1f %.1f", verb, x, y)
			verb = "L"
			fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="3.5" fill="%s"/><text x="%.1f" y="%.1f" text-anchor="middle" fill="%s">%.0f</text>`, x, y, colour, x, y-9, colour, s.PerSecond)
		}
		fmt.Fprintf(&b, `<path d="%s" stroke="%s" stroke-width="2" fill="none"/><text x="%d" y="%d" text-anchor="end" fill="%s">SQS answers after %g ms</text>`+"\n", path, colour, left+width-180*i, top+height+40, colour, milliseconds(after))
	}
	for i, n := range environments {
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" text-anchor="middle" fill="#1f2328">%d</text>`, left+width*float64(i)/float64(len(environments)-1), top+height+20, n)
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d" fill="#1f2328">environments</text>`+"\n", left, top+height+40)
	return b.String() + "</svg>\n"
}
