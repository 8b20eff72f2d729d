// Package gateway is Amazon API Gateway as far as one REST API with one resource needs
// it: HTTP in, a proxy event to the function, the function's answer out, and gateway
// responses where there is none. What it answers is read from the stack's template by
// package faults, its user.
//
// It speaks plain HTTP, has no caches, keys or authorizers, and does not
// write an access log; it counts its own responses by type instead.
package gateway

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/onepagecrm/nylas-webhooks/test/faults/function"
)

// maxBody is API Gateway's limit for a body, in bytes.
// docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-execution-service-limits-table.html
const maxBody = 10 << 20

// Config is what the stack says about the API.
type Config struct {
	Path, Stage        string
	IntegrationTimeout time.Duration
	Rate, Burst        int // requests per second, and at once; the throttle
	// Responses are the gateway responses that the stack sets, by type.
	Responses map[string]Response
	// Invoke is the function.
	Invoke func(payload []byte) ([]byte, error)
}

// Response is one gateway response.
type Response struct {
	Status  int
	Headers map[string]string
}

// own is what API Gateway answers where the stack sets nothing.
// docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
var own = map[string]int{
	"THROTTLED": 429, "INTEGRATION_FAILURE": 504, "INTEGRATION_TIMEOUT": 504, "API_CONFIGURATION_ERROR": 500,
	"DEFAULT_5XX": 500, "REQUEST_TOO_LARGE": 413, "MISSING_AUTHENTICATION_TOKEN": 403, "DEFAULT_4XX": 400,
}

// Gateway is an http.Handler.
type Gateway struct {
	config   Config
	throttle bucket
	requests atomic.Int64

	mu     sync.Mutex
	count  map[string]int
	every  int // so many requests in a row share an extended id
	repeat int // how many more get the last one
	lastID string
}

// New returns a Gateway.
func New(c Config) *Gateway {
	return &Gateway{config: c, throttle: bucket{rate: c.Rate, burst: c.Burst}, count: make(map[string]int)}
}

// Responses returns how often each gateway response was sent.
func (g *Gateway) Responses() map[string]int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return maps.Clone(g.count)
}

// SetThrottle changes the throttle.
func (g *Gateway) SetThrottle(rate, burst int) { g.throttle.set(rate, burst) }

// SetSharedIDs gives the same request id to so many requests in a row; 1 ends that.
// AWS promises nowhere that no two are the same.
func (g *Gateway) SetSharedIDs(requests int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.every = requests
}

// extendedID returns the id of a request: what API Gateway's extended request ids are
// made of, base64 of 11 bytes.
func (g *Gateway) extendedID() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.repeat > 0 {
		g.repeat--
		return g.lastID
	}
	var b [11]byte
	_, _ = rand.Read(b[:]) // never fails
	g.lastID, g.repeat = base64.StdEncoding.EncodeToString(b[:]), max(0, g.every-1)
	return g.lastID
}

// ServeHTTP carries one request to the function and back.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != g.config.Path || r.Method != http.MethodGet && r.Method != http.MethodPost {
		g.respond(w, "MISSING_AUTHENTICATION_TOKEN")
		return
	}
	if !g.throttle.take(time.Now()) {
		g.respond(w, "THROTTLED")
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		panic(http.ErrAbortHandler) // the sender went away
	}
	if len(body) > maxBody {
		g.respond(w, "REQUEST_TOO_LARGE")
		return
	}
	if r.Header.Get("Content-Encoding") == "gzip" {
		// A REST API unpacks what is announced as gzip and leaves the header.
		// docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-make-request-with-compressed-payload.html
		if body, err = unpack(body); err != nil {
			g.respond(w, "DEFAULT_4XX")
			return
		}
	}
	payload := encodeEvent(r, body, g.config, g.extendedID(), g.requests.Add(1)%2 == 0)
	done := make(chan func(), 1)
	go func() {
		answer, err := g.config.Invoke(payload)
		done <- func() { g.answer(w, answer, err) }
	}()
	timer := time.NewTimer(g.config.IntegrationTimeout)
	defer timer.Stop()
	select {
	case answer := <-done:
		answer()
	case <-timer.C:
		g.respond(w, "INTEGRATION_TIMEOUT")
	}
}

// answer sends what the function answered, or why there is nothing to send.
func (g *Gateway) answer(w http.ResponseWriter, text []byte, err error) {
	switch {
	case errors.Is(err, function.ErrTooLarge), errors.Is(err, function.ErrThrottled), errors.Is(err, function.ErrFunction):
		g.respond(w, "INTEGRATION_FAILURE")
		return
	case err != nil:
		g.respond(w, "DEFAULT_5XX")
		return
	}
	var answer struct {
		StatusCode int               `json:"statusCode"`
		Headers    map[string]string `json:"headers"`
		Body       string            `json:"body"`
	}
	if err := json.Unmarshal(text, &answer); err != nil || answer.StatusCode < 100 || answer.StatusCode > 599 {
		g.respond(w, "DEFAULT_5XX") // "Malformed Lambda proxy response"
		return
	}
	for name, value := range answer.Headers {
		w.Header().Set(name, value)
	}
	w.WriteHeader(answer.StatusCode)
	_, _ = io.WriteString(w, answer.Body) // the sender may be gone
}

// respond sends a gateway response: the stack's, the stack's for the class, or the
// gateway's own.
func (g *Gateway) respond(w http.ResponseWriter, kind string) {
	g.mu.Lock()
	g.count[kind]++
	g.mu.Unlock()
	response, ok := g.config.Responses[kind]
	if !ok {
		response = g.config.Responses[fmt.Sprintf("DEFAULT_%dXX", own[kind]/100)]
	}
	if response.Status == 0 {
		response.Status = own[kind]
	}
	for name, value := range response.Headers {
		w.Header().Set(name, value)
	}
	w.Header().Set("X-Amzn-Errortype", kind)
	w.WriteHeader(response.Status)
}

func unpack(body []byte) ([]byte, error) {
	from, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(from, maxBody))
}

func newID() string {
	text := strings.ToLower(rand.Text() + rand.Text())
	return fmt.Sprintf("%s-%s-%s-%s-%s", text[:8], text[8:12], text[12:16], text[16:20], text[20:32])
}
