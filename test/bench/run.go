package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"time"

	"github.com/onepagecrm/nylas-webhooks/lambda/contract"
)

const (
	functionCPU, harnessCPU = 1, 0
	// functionMemory is the function's in infra/webhooks/receiver.go, in MiB.
	functionMemory = "256"
	// patience is how long a process may take to start or to answer; none is near it.
	patience = 20 * time.Second
)

// events is how many events a run has: first some that are not counted, in which just-in-time
// compilers do their work, then those that are.
func (c Case) events() (warmUp, counted int) {
	switch {
	case c.Bytes < 10_000:
		return 500, 1000
	case c.Bytes < 100_000:
		return 150, 300
	}
	return 30, 60
}

// Sample is what one run measured.
type Sample struct {
	CPU   float64 `json:"cpu_us"` // of the process, per event
	P50   float64 `json:"p50_us"` // from event to answer
	P99   float64 `json:"p99_us"`
	Peak  float64 `json:"peak_mb"`
	Start float64 `json:"start_ms"` // from the process's start until it asks for an event
	First float64 `json:"first_ms"` // the first event
}

// run measures one program with one case, in a process of its own.
func run(ctx context.Context, p Program, c Case, aws *awsStandIn) (s Sample, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s, %v: %w", p.Name, c, err)
		}
	}()
	body := c.body()
	payload, err := c.payload(body)
	if err != nil {
		return s, err
	}
	aws.expect(body)
	api := newRuntimeAPI()
	defer api.Close()
	defer api.CloseClientConnections()
	var output bytes.Buffer
	cmd := exec.CommandContext(ctx, p.Command[0], p.Command[1:]...)
	cmd.Dir, cmd.Env, cmd.Stderr = p.dir, append(environment(api, aws), p.Env...), &output
	cpus := []int{functionCPU}
	if c.CPUs == 2 {
		cpus = []int{harnessCPU, functionCPU}
	}
	began := time.Now()
	if err := startOn(cmd, cpus); err != nil {
		return s, fmt.Errorf("start it: %w", err)
	}
	go func() {
		_ = cmd.Wait() // that it ended is told by whoever waits for an answer
		close(api.ended)
	}()
	s, err = invokeAll(ctx, api, cmd.Process.Pid, began, payload, c)
	_ = cmd.Process.Kill() // it waits for an event that does not come
	<-api.ended
	if err != nil {
		return s, fmt.Errorf("%w\n%s", err, tail(output.Bytes()))
	}
	warmUp, counted := c.events()
	taken, err := aws.received()
	if err == nil && p.Sends && taken != warmUp+counted {
		err = fmt.Errorf("SQS has %d messages of %d", taken, warmUp+counted)
	}
	return s, err
}

// invokeAll hands the process its events.
func invokeAll(ctx context.Context, api *runtimeAPI, pid int, began time.Time, payload []byte, c Case) (s Sample, err error) {
	asked, err := wait(ctx, api, api.asked)
	if err != nil {
		return s, err
	}
	s.Start = milliseconds(asked.Sub(began))
	warmUp, counted := c.events()
	var before time.Duration
	var took []time.Duration
	for i := range warmUp + counted {
		if i == warmUp {
			if before, err = cpuTime(pid); err != nil {
				return s, err
			}
		}
		api.events <- payload
		answer, err := wait(ctx, api, api.answered)
		if err != nil {
			return s, err
		}
		if !bytes.Contains(bytes.ReplaceAll(answer.answer, []byte(" "), nil), []byte(`"statusCode":200`)) {
			return s, fmt.Errorf("event %d was answered %.200s", i, answer.answer)
		}
		if i == 0 {
			s.First = milliseconds(answer.took)
		}
		if i >= warmUp {
			took = append(took, answer.took)
		}
		if _, err := wait(ctx, api, api.asked); err != nil {
			return s, err
		}
	}
	after, err := cpuTime(pid)
	if err != nil {
		return s, err
	}
	peak, err := peakMemory(pid)
	if err != nil {
		return s, err
	}
	slices.Sort(took)
	s.CPU = microseconds((after - before) / time.Duration(counted))
	s.P50, s.P99 = microseconds(took[len(took)/2]), microseconds(took[len(took)*99/100])
	s.Peak = float64(peak) / 1e6
	return s, nil
}

func microseconds(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }
func milliseconds(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }

// wait returns what comes next from the process.
func wait[T any](ctx context.Context, api *runtimeAPI, from <-chan T) (T, error) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	var none T
	select {
	case got := <-from:
		return got, nil
	case err := <-api.failed:
		return none, err
	case <-api.ended:
		return none, errors.New("the process has ended")
	case <-timer.C:
		return none, fmt.Errorf("nothing came from the process for %v", patience)
	case <-ctx.Done():
		return none, errors.New("interrupted")
	}
}

// tail is the end of what a process has said.
func tail(text []byte) []byte { return text[max(0, len(text)-2000):] }

// environment is what Lambda and the stack tell the function.
// https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
func environment(api *runtimeAPI, aws *awsStandIn) []string {
	list := []string{
		"AWS_LAMBDA_RUNTIME_API=" + api.address(), "AWS_LAMBDA_FUNCTION_NAME=receiver", "AWS_LAMBDA_FUNCTION_VERSION=1",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE=" + functionMemory, "AWS_LAMBDA_LOG_GROUP_NAME=receiver", "AWS_LAMBDA_LOG_STREAM_NAME=bench",
		"AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1",
		"AWS_ACCESS_KEY_ID=id", "AWS_SECRET_ACCESS_KEY=key", "AWS_SESSION_TOKEN=token", // the stand-ins check no signature
		"AWS_ENDPOINT_URL=" + aws.URL, "BENCH_SECRET=" + secret,
		"_HANDLER=bootstrap", "LANG=en_US.UTF-8", "TZ=:UTC", "PATH=" + os.Getenv("PATH"),
	}
	vars := contract.Config{Stage: "prod", QueueURL: aws.URL + "/123456789012/q", SecretARN: "arn", Bucket: "bucket"}.Vars()
	for name, value := range vars {
		list = append(list, name+"="+value)
	}
	return list
}
