package nylas

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

// webhook answers with the given statuses, one after the other.
func webhook(t *testing.T, header http.Header, statuses ...int) (*Sender, func() []Attempt) {
	t.Helper()
	var mu sync.Mutex
	next := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		status := statuses[min(next, len(statuses)-1)]
		next++
		mu.Unlock()
		if err := notification.Verify(body, r.Header.Get("X-Nylas-Signature"), "right-secret"); err != nil {
			status = 401
		}
		if status == 0 {
			panic(http.ErrAbortHandler)
		}
		for name, values := range header {
			w.Header()[name] = values
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(server.Close)
	var all []Attempt
	s := &Sender{URL: server.URL, Client: NewClient(10), Compression: 60_000, Observe: func(a Attempt) {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, a)
	}}
	s.SetSecret("right-secret")
	return s, func() []Attempt { mu.Lock(); defer mu.Unlock(); return all }
}

func TestAttempts(t *testing.T) {
	for _, test := range []struct {
		answers []int
		want    string
	}{
		{[]int{200}, "200"},
		{[]int{503, 502, 200}, "503 502 200"},
		{[]int{429, 408, 503, 200}, "429 408 503"}, // three in all
		{[]int{400, 200}, "400"},
		{[]int{401, 200}, "401"},
		{[]int{403, 200}, "403"},
		{[]int{413, 200}, "413"},
		{[]int{500, 200}, "500"},
		{[]int{504, 200}, "504"},
		{[]int{0, 200}, "0"}, // no answer
	} {
		s, all := webhook(t, nil, test.answers...)
		s.Deliver(t.Context(), New(MessageCreated, "grant"), nil)
		var got []string
		for _, a := range all() {
			got = append(got, fmt.Sprint(a.Status))
		}
		if strings.Join(got, " ") != test.want || !all()[len(all())-1].Last {
			t.Errorf("%v: attempts ended with %v, want %s", test.answers, got, test.want)
		}
	}
}

func TestRetryIsAnotherRequest(t *testing.T) {
	s, all := webhook(t, nil, 503, 200)
	s.Deliver(t.Context(), New(MessageCreated, "grant"), nil)
	a, b := all()[0], all()[1]
	if bytes.Equal(a.Body, b.Body) || a.Signature == b.Signature || !bytes.Contains(b.Body, []byte(`"webhook_delivery_attempt":2`)) {
		t.Errorf("second attempt: %s", b.Body)
	}
	if wait := b.Sent.Sub(a.Done); wait < 2*time.Millisecond { // 2.5 to 5 minutes by 60,000 are 2.5 to 5 ms
		t.Errorf("tried again after %v", wait)
	}
}

func TestRetryAfter(t *testing.T) {
	// An hour by 60,000 is 60 ms, ten times longer than the wait without it.
	s, all := webhook(t, http.Header{"Retry-After": {"3600"}}, 429, 200)
	s.Deliver(t.Context(), New(MessageCreated, "grant"), nil)
	if wait := all()[1].Sent.Sub(all()[0].Done); wait < 60*time.Millisecond {
		t.Errorf("tried again after %v", wait)
	}
	s, all = webhook(t, http.Header{"Retry-After": {"3600"}}, 503, 200)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond) // it is not honoured here
	defer cancel()
	s.Deliver(ctx, New(MessageCreated, "grant"), nil)
	if len(all()) != 2 {
		t.Errorf("%d attempts with Retry-After on 503", len(all()))
	}
}

func TestForged(t *testing.T) {
	s, all := webhook(t, nil, 200)
	for seed := range uint64(6) {
		n := New(MessageCreated, "grant")
		n.Forged, n.seed = true, seed
		s.Deliver(t.Context(), n, nil)
	}
	for i, a := range all() {
		if a.Status != 401 {
			t.Errorf("forgery %d was answered %d", i, a.Status)
		}
	}
}

func TestHold(t *testing.T) {
	s, all := webhook(t, nil, 503, 503, 200)
	var held []int
	s.Hold = func(_ context.Context, number int) { held = append(held, number) }
	s.Deliver(t.Context(), New(MessageCreated, "grant"), nil)
	if fmt.Sprint(held) != "[1 2 3]" || len(all()) != 3 {
		t.Errorf("held %v of %d attempts", held, len(all()))
	}
}

func TestFailing(t *testing.T) {
	w := window{length: 15 * time.Minute}
	at := time.Now()
	minutes := func(n int, ok func(i int) bool) (failing int) {
		for i := range n * 10 { // ten results a minute
			at = at.Add(6 * time.Second)
			if w.add(at, ok(i)) {
				failing++
			}
		}
		return failing
	}
	if n := minutes(14, func(int) bool { return false }); n != 0 {
		t.Error("failing before 15 minutes")
	}
	if n := minutes(2, func(int) bool { return false }); n != 1 {
		t.Errorf("failing %d times after 16 minutes of failures", n)
	}
	if minutes(1, func(int) bool { return true }); w.failing {
		t.Error("still failing with 1 of 15 minutes good")
	}
	if n := minutes(30, func(i int) bool { return i%10 == 0 }); n != 0 {
		t.Error("failing at 90 %")
	}
}

func TestKinds(t *testing.T) {
	for _, kind := range append(Usual, Odd...) {
		n := New(kind, "grant")
		one, again, two := n.Body(1), n.Body(1), n.Body(2)
		if !bytes.Equal(one, again) || bytes.Equal(one, two) {
			t.Errorf("%s: an attempt's body is not its own", kind.Name)
		}
		if !bytes.Contains(one, []byte(n.text)) {
			t.Errorf("%s: no canary in it", kind.Name)
		}
		if len(one) > 4_500_000 {
			t.Errorf("%s: %d bytes are more than Lambda takes", kind.Name, len(one))
		}
	}
}
