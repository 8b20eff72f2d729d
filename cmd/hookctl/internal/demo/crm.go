package demo

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

// CRM is the end of the way; a [Worker] is one.
type CRM interface {
	// Deliver returns how many of the wanted notifications (body by id) arrived, byte for
	// byte and verified, and how many others.
	Deliver(ctx context.Context, want map[string][]byte) (arrived, others int, err error)
}

// Worker runs hookworker between the queue and a small stand-in for the CRM.
type Worker struct {
	Program            string // path of the built hookworker
	QueueURL           string
	DeadLetterQueueURL string
	Patience           time.Duration // how long everything may take
}

const (
	// stopGrace is what hookworker gets to end after SIGTERM: it waits up to 20 s for
	// deliveries, and there are none left.
	stopGrace = 25 * time.Second
	// crmLimit is more than the largest notification.
	crmLimit = notification.MaxBodyBytes
)

// Deliver implements [CRM].
func (w Worker) Deliver(ctx context.Context, want map[string][]byte) (arrived, others int, err error) {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails, by its documentation
	secret := "whsec_" + base64.StdEncoding.EncodeToString(key)
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return 0, 0, fmt.Errorf("start the stand-in CRM: %w", err)
	}
	crm := &standIn{verifier: verifier, want: want, seen: make(map[string]bool), complete: make(chan struct{})}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, 0, fmt.Errorf("start the stand-in CRM: %w", err)
	}
	server := &http.Server{Handler: crm, ReadHeaderTimeout: 5 * time.Second}
	go server.Serve(listener) //nolint:errcheck // it ends with the Close below
	defer server.Close()      //nolint:errcheck // nobody is left to tell

	err = w.run(ctx, "http://"+listener.Addr().String(), secret, crm.complete)
	crm.mu.Lock()
	defer crm.mu.Unlock()
	return len(crm.seen), crm.others, err
}

// run starts hookworker and ends it when complete is closed or Patience is over.
func (w Worker) run(ctx context.Context, crm, secret string, complete <-chan struct{}) error {
	ctx, stop := context.WithTimeout(ctx, w.Patience)
	defer stop()
	cmd := exec.CommandContext(ctx, w.Program)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopGrace
	cmd.Env = append(os.Environ(),
		"HOOKWORKER_QUEUE_URL="+w.QueueURL, "HOOKWORKER_DEAD_LETTER_QUEUE_URL="+w.DeadLetterQueueURL,
		"HOOKWORKER_CRM_URL="+crm, "HOOKWORKER_SIGNING_SECRETS="+secret, "HOOKWORKER_LISTEN=127.0.0.1:0")
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w. make run builds it", w.Program, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-complete:
		stop()
		<-ended //nolint:errcheck // what it says when it is told to stop is no problem of the demo
		return nil
	case err := <-ended:
		if ctx.Err() != nil {
			return nil // out of time; the count tells
		}
		return fmt.Errorf("hookworker ended by itself (%w). It said:\n%s", errors.Join(err), said.Bytes())
	}
}

// standIn is the CRM: it verifies, remembers and answers 204.
type standIn struct {
	verifier *standardwebhooks.Webhook
	want     map[string][]byte

	mu       sync.Mutex
	seen     map[string]bool
	others   int
	complete chan struct{} // closed when everything wanted was seen
}

func (s *standIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, crmLimit))
	if err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if err := s.verifier.Verify(body, r.Header); err != nil {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	id := r.Header.Get(standardwebhooks.HeaderWebhookID)
	wanted, mine := s.want[id]
	switch {
	case !mine:
		s.others++
	case bytes.Equal(body, wanted) && !s.seen[id]:
		s.seen[id] = true
		if len(s.seen) == len(s.want) {
			close(s.complete)
		}
	}
	w.WriteHeader(http.StatusNoContent)
}
