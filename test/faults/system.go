package faults

import (
	"context"
	"fmt"
	"maps"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"time"

	"github.com/onepagecrm/nylas-webhooks/lambda/contract"
	"github.com/onepagecrm/nylas-webhooks/test/canary"
	"github.com/onepagecrm/nylas-webhooks/test/faults/function"
	"github.com/onepagecrm/nylas-webhooks/test/faults/gateway"
	"github.com/onepagecrm/nylas-webhooks/test/faults/ledger"
	"github.com/onepagecrm/nylas-webhooks/test/faults/nylas"
	"github.com/onepagecrm/nylas-webhooks/test/faults/standin"
)

// stage is the stage's name that the receiver is told.
const stage = "prod"

// System is the whole way of a notification: Nylas, the gateway, the function with the
// real receiver, and AWS behind it. Each scenario has one of its own.
type System struct {
	AWS      *standin.Server
	Function *function.Function
	Gateway  *gateway.Gateway
	Nylas    *nylas.Sender

	stack  Stack
	ledger *ledger.Ledger
	log    log
	front  *httptest.Server

	registration sync.Once
	held         atomic.Int32 // third attempts that wait for the end of the outage

	// What the scenario counted until its outage was over, of how many requests.
	counts  map[string]int
	counted int

	mu       sync.Mutex
	answered int           // notifications whose first attempt was answered
	expected int           // first attempts
	first    chan struct{} // closed when all first attempts were answered
	over     chan struct{} // closed when the outage is over
	ended    bool
}

// newSystem starts everything but an execution environment. No secret is stored.
func newSystem(program string, stack Stack, sc Scenario) *System {
	s := &System{
		AWS: standin.New(), stack: stack, ledger: ledger.New(),
		expected: sc.Notifications, first: make(chan struct{}), over: make(chan struct{}),
	}
	s.Function = function.New(function.Config{
		Program: program, Memory: stack.Memory, Timeout: stack.Timeout, Concurrency: sc.Concurrency,
		Variables: s.variables(), Log: s.log.add,
	})
	s.Gateway = gateway.New(gateway.Config{
		Path: "/nylas", Stage: stage, IntegrationTimeout: stack.IntegrationTimeout,
		Rate: stack.Rate, Burst: stack.Burst, Responses: stack.Responses, Invoke: s.Function.Invoke,
	})
	s.front = httptest.NewServer(s.Gateway)
	s.Nylas = &nylas.Sender{
		URL: s.front.URL + "/nylas", Client: nylas.NewClient(sc.Parallel), Compression: sc.Compression,
		Observe: s.observe, Hold: s.hold,
	}
	if sc.Rate == 0 {
		s.Nylas.Slots = make(chan struct{}, sc.Parallel)
	}
	return s
}

// variables is what the stack tells the function.
func (s *System) variables() map[string]string {
	variables := contract.Config{
		Stage: stage, QueueURL: s.AWS.QueueURL(), SecretARN: standin.SecretARN, Bucket: standin.BucketName,
	}.Vars()
	maps.Copy(variables, map[string]string{"AWS_ENDPOINT_URL": s.AWS.URL, "SSL_CERT_FILE": s.AWS.AuthorityFile})
	return variables
}

func (s *System) close() {
	s.front.CloseClientConnections()
	s.front.Close()
	s.Function.Close()
	s.AWS.Close()
	s.Nylas.Client.CloseIdleConnections()
}

// rotate lets Nylas sign with a new secret from now on, and returns it.
func (s *System) rotate() string {
	secret := canary.New("secret")
	s.Nylas.SetSecret(secret)
	return secret
}

// registered is a webhook as it is after registration, which happens once: Nylas and
// the store have the same secret.
func (s *System) registered() {
	s.registration.Do(func() { s.AWS.Secrets.Put(s.rotate()) })
}

func (s *System) observe(a nylas.Attempt) {
	s.log.answer(a.Answer)
	a.Answer = nil
	s.ledger.Record(a)
	if a.Number != 1 || a.Notification.Forged {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.answered++; s.answered == s.expected {
		close(s.first)
	}
}

// hold keeps third attempts back while there is an outage, because it is shorter than
// the 10 to 20 minutes after which they come. Those that it kept come one after the
// other, not all at the moment at which it ends.
func (s *System) hold(ctx context.Context, number int) {
	const apart = 25 * time.Millisecond // a process starts and connects in less
	if number < 3 {
		return
	}
	select {
	case <-s.over:
		return
	default:
	}
	place := s.held.Add(1)
	select {
	case <-s.over:
	case <-ctx.Done():
		return
	}
	select {
	case <-time.After(time.Duration(place) * apart):
	case <-ctx.Done():
	}
}

// end ends the outage.
func (s *System) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.ended = true
		close(s.over)
	}
}

// allTried waits until every notification's first attempt was answered: so all of them
// met the outage.
func (s *System) allTried(ctx context.Context) error {
	select {
	case <-s.first:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the first attempts: %w", ctx.Err())
	}
}
