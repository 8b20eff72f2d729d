package function

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

var (
	errTimedOut = errors.New("task timed out")
	errReported = errors.New("the program reported an error")
	errEnded    = errors.New("the process ended")
	errInit     = errors.New("the process did not ask for an event in time")
)

// environment is one execution environment: a process and its Runtime API.
type environment struct {
	name     string
	version  int // of the function's configuration
	function *Function
	process  *exec.Cmd
	server   *http.Server
	output   *lines
	next     chan *event
	asked    chan struct{} // closed when the process first asks for an event
	askOnce  sync.Once
	ended    chan struct{} // closed when the process is gone

	mu      sync.Mutex
	current *event
	killed  bool
}

type event struct {
	id       string
	payload  []byte
	deadline time.Time
	result   chan result
}

type result struct {
	answer []byte
	err    error
}

// start starts an environment; the function is locked.
func (f *Function) start(name string) (*environment, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	e := &environment{
		name: name, version: f.version, function: f, output: &lines{name: name, to: f.config.Log},
		next: make(chan *event), asked: make(chan struct{}), ended: make(chan struct{}),
	}
	e.server = &http.Server{Handler: e.api(), ReadHeaderTimeout: time.Minute}
	go func() { _ = e.server.Serve(listener) }() // returns when it is closed

	e.process = exec.Command(f.config.Program)
	if f.dataLimit > 0 {
		e.process = exec.Command("/bin/sh", "-c", `ulimit -d "$1" && exec "$2"`, "sh", strconv.Itoa(f.dataLimit<<10), f.config.Program)
	}
	e.process.Stdout, e.process.Stderr = e.output, e.output
	e.process.Env = variables(f, name, listener.Addr().String())
	if err := e.process.Start(); err != nil {
		_ = e.server.Close()
		return nil, err
	}
	return e, nil
}

// variables is the environment as Lambda sets it.
// docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
func variables(f *Function, name, api string) []string {
	list := []string{
		"AWS_LAMBDA_RUNTIME_API=" + api,
		"AWS_LAMBDA_FUNCTION_NAME=receiver",
		"AWS_LAMBDA_FUNCTION_VERSION=1",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE=" + strconv.Itoa(f.config.Memory),
		"AWS_REGION=us-east-1",
		"AWS_ACCESS_KEY_ID=" + name, // by which the stand-ins know who calls
		"AWS_SECRET_ACCESS_KEY=" + rand.Text(),
		"AWS_SESSION_TOKEN=" + rand.Text(),
		"_HANDLER=bootstrap",
		"LANG=en_US.UTF-8",
		"TZ=:UTC",
	}
	for name, value := range f.variables {
		list = append(list, name+"="+value)
	}
	return list
}

// wait returns when the process is gone.
func (e *environment) wait() {
	_ = e.process.Wait() // how it ended does not matter, Lambda starts another
	close(e.ended)
	_ = e.server.Close()
	e.output.flush()
}

func (e *environment) hasEnded() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	select {
	case <-e.ended:
		return true
	default:
		return e.killed
	}
}

// kill ends the process; it returns false where it was killed before.
func (e *environment) kill() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.killed {
		return false
	}
	e.killed = true
	_ = e.process.Process.Kill() // fails where it has ended by itself
	return true
}

// run gives the process one event and returns its answer.
func (e *environment) run(payload []byte, timeout time.Duration) ([]byte, error) {
	fail := func(err error) ([]byte, error) { return nil, fmt.Errorf("%w: %w", ErrFunction, err) }
	initialized := time.NewTimer(initTimeout)
	defer initialized.Stop()
	select {
	case <-e.asked:
	case <-e.ended:
		return fail(errEnded)
	case <-initialized.C:
		e.kill()
		return fail(errInit)
	}
	current := &event{id: rand.Text(), payload: payload, deadline: time.Now().Add(timeout), result: make(chan result, 1)}
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case e.next <- current:
	case <-e.ended:
		return fail(errEnded)
	case <-timer.C:
		e.kill()
		return fail(errTimedOut)
	}
	select {
	case r := <-current.result:
		if r.err != nil {
			return fail(r.err)
		}
		return r.answer, nil
	case <-e.ended:
	case <-timer.C:
		if e.kill() {
			return fail(errTimedOut)
		}
	}
	select {
	case r := <-current.result: // it answered before it ended
		return r.answer, r.err
	default:
		return fail(errEnded)
	}
}

// api is the Runtime API.
func (e *environment) api() http.Handler {
	const base = "/2018-06-01/runtime/"
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+base+"invocation/next", e.handNext)
	mux.HandleFunc("POST "+base+"invocation/{id}/response", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the process was killed while it answered
		}
		e.function.call(Answered, e.name)
		e.finish(w, r.PathValue("id"), result{answer: body})
	})
	mux.HandleFunc("POST "+base+"invocation/{id}/error", func(w http.ResponseWriter, r *http.Request) {
		e.finish(w, r.PathValue("id"), result{err: errReported})
	})
	mux.HandleFunc("POST "+base+"init/error", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusAccepted)
		e.kill()
	})
	return mux
}

func (e *environment) handNext(w http.ResponseWriter, r *http.Request) {
	e.askOnce.Do(func() { close(e.asked) })
	if e.function.freezes() {
		e.freeze()
		defer e.thaw() // also where the process is to end
		e.function.call(Frozen, e.name)
	}
	select {
	case current := <-e.next:
		e.thaw()
		e.mu.Lock()
		e.current = current
		e.mu.Unlock()
		e.function.call(Handed, e.name)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Lambda-Runtime-Aws-Request-Id", current.id)
		w.Header().Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(current.deadline.UnixMilli(), 10))
		w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:123456789012:function:receiver:live")
		w.Header().Set("Lambda-Runtime-Trace-Id", "Root=1-00000000-000000000000000000000000;Sampled=0")
		_, _ = w.Write(current.payload) // a process that is gone is noticed by run
	case <-r.Context().Done():
	case <-e.ended:
	}
}

// freeze stops the process and returns when it stands still.
func (e *environment) freeze() {
	_ = e.process.Process.Signal(syscall.SIGSTOP) // fails where it has ended
	for !e.hasEnded() && !stopped(e.process.Process.Pid) {
		time.Sleep(100 * time.Microsecond) // the kernel tells nobody but who waits for the process's end
	}
}

// thaw lets it go on; one that runs does anyway.
func (e *environment) thaw() { _ = e.process.Process.Signal(syscall.SIGCONT) }

// stopped tells whether a process stands still, as /proc/PID/stat says after its name:
// man 5 proc_pid_stat. Where the system has no /proc it is taken for granted.
func stopped(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return true
	}
	_, state, _ := bytes.Cut(stat, []byte(") "))
	return bytes.HasPrefix(state, []byte("T"))
}

// finish gives the result to whoever invoked, unless the process was killed meanwhile:
// then its answer is lost with it.
func (e *environment) finish(w http.ResponseWriter, id string, r result) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.killed:
	case e.current == nil || e.current.id != id:
		http.Error(w, `{"errorType":"InvalidRequestID"}`, http.StatusBadRequest)
	default:
		w.WriteHeader(http.StatusAccepted)
		e.current.result <- r
		e.current = nil
	}
}

// lines cuts what the program writes into lines.
type lines struct {
	name string
	to   func(environment string, line []byte)
	rest []byte
}

func (l *lines) Write(p []byte) (int, error) {
	l.rest = append(l.rest, p...)
	for {
		i := bytes.IndexByte(l.rest, '\n')
		if i < 0 {
			return len(p), nil
		}
		l.to(l.name, bytes.Clone(l.rest[:i]))
		l.rest = l.rest[i+1:]
	}
}

// flush passes on what was cut off by the end of the process.
func (l *lines) flush() {
	if rest := strings.TrimSpace(string(l.rest)); rest != "" {
		l.to(l.name, []byte(rest))
	}
}
