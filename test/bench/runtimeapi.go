package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"time"
)

// runtimeAPI is Lambda's Runtime API for one process.
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
type runtimeAPI struct {
	*httptest.Server
	asked    chan time.Time // the process asks for an event
	events   chan []byte    // and gets this one
	answered chan invoked
	ended    chan struct{}             // closed when the process has
	failed   chan error                // the process says that it failed
	handed   atomic.Pointer[time.Time] // when the event under way began to be written
}

// invoked is the answer to an event.
type invoked struct {
	took   time.Duration // from the first byte of the event to the last of the answer
	answer []byte
}

func newRuntimeAPI() *runtimeAPI {
	a := &runtimeAPI{asked: make(chan time.Time), events: make(chan []byte), answered: make(chan invoked), ended: make(chan struct{}), failed: make(chan error, 10)}
	const base = "/2018-06-01/runtime/"
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+base+"invocation/next", a.next)
	mux.HandleFunc("POST "+base+"invocation/{id}/response", a.response)
	mux.HandleFunc("POST "+base+"invocation/{id}/error", a.fail)
	mux.HandleFunc("POST "+base+"init/error", a.fail)
	mux.HandleFunc("GET "+base+"restore/next", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	a.Server = httptest.NewServer(mux)
	return a
}

// address is AWS_LAMBDA_RUNTIME_API.
func (a *runtimeAPI) address() string { return strings.TrimPrefix(a.URL, "http://") }

func (a *runtimeAPI) next(w http.ResponseWriter, r *http.Request) {
	select {
	case a.asked <- time.Now():
	case <-r.Context().Done():
		return
	}
	select {
	case payload := <-a.events:
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("Lambda-Runtime-Aws-Request-Id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd")
		h.Set("Lambda-Runtime-Deadline-Ms", fmt.Sprint(time.Now().Add(8*time.Second).UnixMilli())) // the function's time-out
		h.Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:123456789012:function:receiver:live")
		h.Set("Lambda-Runtime-Trace-Id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0")
		h.Set("Content-Length", fmt.Sprint(len(payload)))
		now := time.Now()
		a.handed.Store(&now)
		_, _ = w.Write(payload) // a process that is gone is noticed by who waits for its answer
	case <-r.Context().Done():
	}
}

func (a *runtimeAPI) response(w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return // the process has ended
	}
	took := time.Since(*a.handed.Load())
	w.WriteHeader(http.StatusAccepted)
	select {
	case a.answered <- invoked{took, text}:
	case <-r.Context().Done():
	}
}

func (a *runtimeAPI) fail(w http.ResponseWriter, r *http.Request) {
	text, _ := io.ReadAll(r.Body) // what there is of it
	w.WriteHeader(http.StatusAccepted)
	select {
	case a.failed <- fmt.Errorf("the program reports an error: %s", bytes.TrimSpace(text)):
	default:
	}
}
