package gateway

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/onepagecrm/nylas-webhooks/test/faults/function"
)

func newGateway(invoke func(payload []byte) ([]byte, error)) *Gateway {
	return New(Config{
		Path: "/nylas", Stage: "prod", IntegrationTimeout: 50 * time.Millisecond, Rate: 1000, Burst: 1000,
		Responses: map[string]Response{
			"THROTTLED":           {429, map[string]string{"Retry-After": "60"}},
			"INTEGRATION_FAILURE": {503, nil}, "INTEGRATION_TIMEOUT": {503, nil}, "DEFAULT_5XX": {503, nil},
			"MISSING_AUTHENTICATION_TOKEN": {404, nil},
		},
		Invoke: invoke,
	})
}

func serve(g *Gateway, method, target string, body string, header http.Header) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header = header
	w := httptest.NewRecorder()
	g.ServeHTTP(w, r)
	return w
}

func TestEvent(t *testing.T) {
	var payload []byte
	g := newGateway(func(p []byte) ([]byte, error) {
		payload = p
		return []byte(`{"statusCode":200,"headers":{"X-Test":"1"},"body":"hello"}`), nil
	})
	body := "\xff\x00{\"a\":1}"
	var names []string
	for range 2 {
		w := serve(g, "POST", "/nylas?a=1&a=2", body, http.Header{"X-Nylas-Signature": {"one", "two"}})
		if w.Code != 200 || w.Body.String() != "hello" || w.Header().Get("X-Test") != "1" {
			t.Errorf("answered %d %q %v", w.Code, w.Body, w.Header())
		}
		var e event
		if err := json.Unmarshal(payload, &e); err != nil {
			t.Fatal(err)
		}
		decoded, err := base64.StdEncoding.DecodeString(*e.Body)
		if err != nil || string(decoded) != body || !e.IsBase64Encoded {
			t.Errorf("body %q, %v, %v", decoded, e.IsBase64Encoded, err)
		}
		if e.HTTPMethod != "POST" || e.RequestContext.RequestID == "" || fmt.Sprint(e.MultiValueQueryStringParameters["a"]) != "[1 2]" {
			t.Errorf("event %+v", e)
		}
		for name, values := range e.MultiValueHeaders {
			if strings.EqualFold(name, "X-Nylas-Signature") {
				names = append(names, name)
				if fmt.Sprint(values) != "[one two]" || e.Headers[name] != "two" {
					t.Errorf("header %v, %s", values, e.Headers[name])
				}
			}
		}
	}
	if fmt.Sprint(names) != "[X-Nylas-Signature x-nylas-signature]" {
		t.Errorf("header names %v, want one of each case", names)
	}
}

func TestSharedIDs(t *testing.T) {
	var ids []string
	g := newGateway(func(payload []byte) ([]byte, error) {
		var e event
		if err := json.Unmarshal(payload, &e); err != nil {
			return nil, err
		}
		ids = append(ids, e.RequestContext.ExtendedRequestID)
		return []byte(`{"statusCode":200}`), nil
	})
	g.SetSharedIDs(2)
	for range 4 {
		serve(g, "POST", "/nylas", "", http.Header{})
	}
	if ids[0] != ids[1] || ids[2] != ids[3] || ids[1] == ids[2] {
		t.Errorf("ids %v, want two pairs", ids)
	}
}

func TestGatewayResponses(t *testing.T) {
	answer := func(text string, err error) func([]byte) ([]byte, error) {
		return func([]byte) ([]byte, error) { return []byte(text), err }
	}
	large := string(bytes.Repeat([]byte("x"), maxBody+1))
	for name, test := range map[string]struct {
		method, path, body string
		invoke             func([]byte) ([]byte, error)
		want               int
		kind               string
	}{
		"crashed":      {"POST", "/nylas", "", answer("", fmt.Errorf("%w: ended", function.ErrFunction)), 503, "INTEGRATION_FAILURE"},
		"throttled":    {"POST", "/nylas", "", answer("", function.ErrThrottled), 503, "INTEGRATION_FAILURE"},
		"event's size": {"POST", "/nylas", "", answer("", function.ErrTooLarge), 503, "INTEGRATION_FAILURE"},
		"unknown":      {"POST", "/nylas", "", answer("", errors.New("?")), 503, "DEFAULT_5XX"},
		"malformed":    {"POST", "/nylas", "", answer("hello", nil), 503, "DEFAULT_5XX"},
		"no status":    {"POST", "/nylas", "", answer("{}", nil), 503, "DEFAULT_5XX"},
		"slow": {"POST", "/nylas", "", func([]byte) ([]byte, error) {
			time.Sleep(time.Second)
			return nil, nil
		}, 503, "INTEGRATION_TIMEOUT"},
		"too large":    {"POST", "/nylas", large, answer(`{"statusCode":200}`, nil), 413, "REQUEST_TOO_LARGE"},
		"other path":   {"POST", "/", "", nil, 404, "MISSING_AUTHENTICATION_TOKEN"},
		"other method": {"PUT", "/nylas", "", nil, 404, "MISSING_AUTHENTICATION_TOKEN"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(test.invoke)
			w := serve(g, test.method, test.path, test.body, http.Header{})
			if w.Code != test.want || g.Responses()[test.kind] != 1 {
				t.Errorf("answered %d, counted %v, want %d, %s", w.Code, g.Responses(), test.want, test.kind)
			}
		})
	}
}

func TestThrottle(t *testing.T) {
	g := newGateway(func([]byte) ([]byte, error) { return []byte(`{"statusCode":200}`), nil })
	g.SetThrottle(1, 2)
	var codes []int
	for range 3 {
		w := serve(g, "GET", "/nylas", "", http.Header{})
		codes = append(codes, w.Code)
		if w.Code == 429 && w.Header().Get("Retry-After") != "60" {
			t.Errorf("Retry-After %q", w.Header().Get("Retry-After"))
		}
	}
	if fmt.Sprint(codes) != "[200 200 429]" {
		t.Errorf("answered %v", codes)
	}
	b := bucket{rate: 10, burst: 1}
	now := time.Now()
	if !b.take(now) || b.take(now) || !b.take(now.Add(100*time.Millisecond)) {
		t.Error("the bucket does not fill at its rate")
	}
}
