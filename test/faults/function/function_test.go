package function

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
)

// The test binary is also the program that is run: a Lambda function with AWS's own
// runtime client, which does what its event says.
func TestMain(m *testing.M) {
	if os.Getenv("AWS_LAMBDA_RUNTIME_API") == "" {
		os.Exit(m.Run())
	}
	if os.Getenv("CRASH") != "" {
		os.Exit(1)
	}
	held := [][]byte{}
	lambda.Start(func(_ context.Context, what string) (string, error) {
		fmt.Println("log " + what)
		switch what {
		case "hang":
			time.Sleep(time.Minute)
		case "fail":
			return "", errors.New("as told")
		case "exit":
			os.Exit(1)
		case "work":
			time.Sleep(50 * time.Millisecond)
		case "hold":
			held = append(held, bytes.Repeat([]byte("x"), 32<<20))
		case "reserve":
			held = append(held, make([]byte, 8<<30))
		}
		return fmt.Sprintf("%s by %s in %s, %d", what, os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("PLACE"), len(held)), nil
	})
}

func newFunction(t *testing.T) (*Function, func() string) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var log []string
	f := New(Config{
		Program: program, Variables: map[string]string{"PLACE": "here"}, Memory: 256, Concurrency: 3,
		Timeout: 2 * time.Second, // enough for everything but "hang"
		Log: func(_ string, line []byte) {
			mu.Lock()
			defer mu.Unlock()
			log = append(log, string(line))
		},
	})
	t.Cleanup(f.Close)
	return f, func() string {
		mu.Lock()
		defer mu.Unlock()
		return strings.Join(log, "\n")
	}
}

func invoke(t *testing.T, f *Function, what string) string {
	t.Helper()
	answer, err := f.Invoke([]byte(`"` + what + `"`))
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	return string(answer)
}

func TestEnvironmentsAreReused(t *testing.T) {
	f, log := newFunction(t)
	for range 3 {
		if got := invoke(t, f, "hello"); got != `"hello by ENV000001 in here, 0"` {
			t.Errorf("answered %s", got)
		}
	}
	f.SetVariable("PLACE", "there")
	if got := invoke(t, f, "hello"); got != `"hello by ENV000002 in there, 0"` {
		t.Errorf("after the kill: %s", got)
	}
	f.SetSingleUse(true)
	invoke(t, f, "hello")
	if got := invoke(t, f, "hello"); !strings.Contains(got, "ENV000003") {
		t.Errorf("single use: %s", got)
	}
	if s := f.Stats(); s.Started != 3 || s.Invoked != 6 || s.Errors != 0 || s.Peak != 1 {
		t.Errorf("stats %+v", s)
	}
	f.Close()
	if strings.Count(log(), "log hello") != 6 {
		t.Errorf("log: %s", log())
	}
}

func TestFunctionErrors(t *testing.T) {
	f, _ := newFunction(t)
	for what, want := range map[string]error{"fail": errReported, "exit": errEnded, "hang": errTimedOut} {
		if _, err := f.Invoke([]byte(`"` + what + `"`)); !errors.Is(err, ErrFunction) || !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
		invoke(t, f, "hello") // the next one works
	}
	if s := f.Stats(); s.Errors != 3 || s.TimedOut != 1 {
		t.Errorf("stats %+v", s)
	}
	if _, err := f.Invoke(make([]byte, 6<<20+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
	f.SetVariable("CRASH", "1")
	if _, err := f.Invoke([]byte(`"hello"`)); !errors.Is(err, errEnded) {
		t.Errorf("crash while starting: %v", err)
	}
}

func TestConcurrency(t *testing.T) {
	f, _ := newFunction(t)
	var all sync.WaitGroup
	var mu sync.Mutex
	var throttled int
	for range 5 {
		all.Go(func() {
			if _, err := f.Invoke([]byte(`"work"`)); errors.Is(err, ErrThrottled) {
				mu.Lock()
				throttled++
				mu.Unlock()
			} else if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if s := f.Stats(); throttled != 2 || s.Throttled != 2 || s.Peak != 3 || s.Started != 3 {
		t.Errorf("%d throttled, stats %+v", throttled, s)
	}
}

func TestKillAtEachPoint(t *testing.T) {
	for _, p := range []Point{Handed, Answered} {
		f, _ := newFunction(t)
		f.SetHook(p, f.Kill)
		if _, err := f.Invoke([]byte(`"hello"`)); !errors.Is(err, errEnded) {
			t.Errorf("point %d: %v", p, err)
		}
		f.SetHook(p, nil)
		invoke(t, f, "hello")
		if s := f.Stats(); s.Killed != 1 || s.Errors != 1 || s.Started != 2 {
			t.Errorf("point %d: %+v", p, s)
		}
	}
}

// Between two events the process stands still, and it answers the next.
func TestFreezing(t *testing.T) {
	f, _ := newFunction(t)
	f.SetFreezing(true)
	frozen := make(chan bool, 10)
	f.SetHook(Frozen, func(environment string) {
		f.mu.Lock()
		pid := f.all[environment].process.Process.Pid
		f.mu.Unlock()
		frozen <- stopped(pid)
	})
	for range 3 {
		if got := invoke(t, f, "hello"); got != `"hello by ENV000001 in here, 0"` {
			t.Errorf("answered %s", got)
		}
	}
	for range 4 { // once before the first event
		if !<-frozen {
			t.Error("the process is said to be frozen and is not")
		}
	}
	if s := f.Stats(); s.Frozen != 4 || s.Started != 1 {
		t.Errorf("stats %+v", s)
	}
	f.KillIdle()
	if got := invoke(t, f, "hello"); !strings.Contains(got, "ENV000002") {
		t.Errorf("after a frozen one was killed: %s", got)
	}
}

func TestProvision(t *testing.T) {
	f, _ := newFunction(t)
	if err := f.Provision(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	invoke(t, f, "hello")
	if s := f.Stats(); s.Started != 2 || s.Invoked != 1 {
		t.Errorf("stats %+v", s)
	}
	f.SetVariable("CRASH", "1")
	if err := f.Provision(t.Context(), 1); !errors.Is(err, errEnded) {
		t.Errorf("a program that ends at once: %v", err)
	}
}

func TestMemory(t *testing.T) {
	f, log := newFunction(t)
	invoke(t, f, "hold")
	if _, err := os.Stat("/proc/self/status"); err == nil {
		if m := f.Memory(); m.Processes != 1 || m.Resident < 32<<20 || m.Peak < m.Resident {
			t.Errorf("memory %+v of a process that holds 32 MiB", m)
		}
	}
	f.SetDataLimit(4 << 10)
	invoke(t, f, "hello")
	if _, err := f.Invoke([]byte(`"reserve"`)); !errors.Is(err, errEnded) {
		t.Errorf("8 GiB within 4: %v", err)
	}
	f.Close()
	if !strings.Contains(log(), "out of memory") && !strings.Contains(log(), "failed to allocate") { // the latter with -race
		t.Errorf("log: %.300s", log())
	}
}
