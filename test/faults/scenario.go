package faults

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/onepagecrm/nylas-webhooks/lambda/contract"
	"github.com/onepagecrm/nylas-webhooks/test/faults/function"
	"github.com/onepagecrm/nylas-webhooks/test/faults/ledger"
	"github.com/onepagecrm/nylas-webhooks/test/faults/nylas"
	"github.com/onepagecrm/nylas-webhooks/test/faults/standin"
)

// Scenario is one run: what is delivered, and what fails meanwhile.
type Scenario struct {
	Name string
	// Notifications is how many genuine ones are sent, 0: until During returns. Forged is
	// how many others are sent among them. First attempts come Rate a second; where that
	// is 0, each as soon as one of Parallel connections is free, which the retries share.
	Notifications, Forged int
	Rate                  float64
	RampUp                time.Duration // in which Rate is reached; 0: at once
	Parallel              int
	Kinds                 []nylas.Kind       // in turn; none: nylas.Usual
	Grant                 func(i int) string // of the i-th notification; nil: 20 in turn
	Compression           float64            // of Nylas's waiting; 0: 3,000
	Concurrency           int                // the function's; 0: 1,000, AWS's default for an account
	// Start sets everything up; nil: a webhook that was registered. Provisioned
	// environments are started before it, while nothing fails.
	Start       func(s *System)
	Provisioned int
	// During runs beside the sending, until it returns or ctx ends with the sending.
	// Third attempts wait until it has returned, unless NoOutage says that nothing ends.
	During   func(ctx context.Context, s *System) error
	NoOutage bool
	// What is allowed beyond the usual: refusals that last longer than the sender's
	// patience, copies damaged by the fault itself, processes that write more than JSON.
	GivesUp, Garbles, Crashes bool
	// Check says what else is wrong with the result, in sentences.
	Check func(r *Result, s *System) []string
	// Plot tells that the report shows it over time.
	Plot bool
}

// Result is what a scenario came to.
type Result struct {
	Scenario  Scenario
	Account   ledger.Account
	Function  function.Stats
	Memory    function.Memory
	Metrics   map[contract.Metric]int
	Responses map[string]int // gateway responses by type
	// Counts is how many of the Counted requests during the outage added to what CloudWatch
	// gets to see, by the names in Published; of faults of the matrix only.
	Counts  map[string]int
	Counted int
	Met     map[string]int // faults, by how many calls met them
	Failing int            // how often Nylas marked the webhook as failing
	Lines   []ledger.Line
	Kept    []Arrival
	Began   time.Time
	Took    time.Duration
	// Unanswered is how many requests had no answer in time, Slowest how long the longest
	// took to have one.
	Unanswered int
	Slowest    time.Duration
	// Wrong says why the scenario failed, in sentences; none: it passed.
	Wrong []string
	// Log is the end of the receivers' log, for who looks into a failure.
	Log []string
}

// Arrival is when a place got a message.
type Arrival struct {
	At    time.Time
	Place ledger.Place
}

func (sc Scenario) withDefaults() Scenario {
	if sc.Kinds == nil {
		sc.Kinds = nylas.Usual
	}
	if sc.Grant == nil {
		sc.Grant = func(i int) string { return fmt.Sprint("grant-", i%20) }
	}
	if sc.Compression == 0 {
		sc.Compression = 3000 // 10 to 20 minutes are 0.2 to 0.4 s
	}
	if sc.Concurrency == 0 {
		sc.Concurrency = 1000
	}
	if sc.Parallel == 0 {
		sc.Parallel = 16
	}
	if sc.Start == nil {
		sc.Start = (*System).registered
	}
	return sc
}

// Run runs a scenario with the program. An error means that it could not be run; what
// the run showed to be wrong is the Result's.
func Run(ctx context.Context, program string, stack Stack, sc Scenario) (Result, error) {
	sc = sc.withDefaults()
	s := newSystem(program, stack, sc)
	defer s.close()
	if sc.Provisioned > 0 {
		s.registered()
		if err := s.Function.Provision(ctx, sc.Provisioned); err != nil {
			return Result{}, fmt.Errorf("%s: %w", sc.Name, err)
		}
	}
	sc.Start(s)
	began := time.Now()
	sending, sent := context.WithCancel(ctx)
	defer sent()
	var failed error
	during := make(chan struct{})
	go func() {
		defer close(during)
		defer s.end()
		if sc.During != nil {
			failed = sc.During(sending, s)
		}
	}()
	if sc.NoOutage {
		s.end()
	}
	s.deliverAll(ctx, sc, during)
	sent()
	if <-during; failed != nil && !errors.Is(failed, context.Canceled) {
		return Result{}, fmt.Errorf("%s: %w", sc.Name, failed)
	}
	if err := s.Function.Idle(ctx); err != nil { // what the gateway gave up runs on
		return Result{}, fmt.Errorf("%s: wait for the function: %w", sc.Name, err)
	}
	r := s.result(ctx, sc)
	r.Began, r.Took = began, time.Since(began)
	return r, ctx.Err()
}

// deliverAll returns when the sender is done with every notification. Where their
// number is not given, no first attempt follows once during is closed.
func (s *System) deliverAll(ctx context.Context, sc Scenario, during <-chan struct{}) {
	total := sc.Notifications + sc.Forged
	if sc.Notifications > 0 {
		during = nil
	}
	var all sync.WaitGroup
	defer all.Wait()
	free := make(chan struct{}, sc.Parallel)
	began := time.Now()
	for i := 0; total == 0 || i < total; i++ {
		next := func() {}
		if sc.Rate > 0 {
			select {
			case <-time.After(time.Until(began.Add(sc.due(i)))):
			case <-during:
			case <-ctx.Done():
			}
		} else {
			free <- struct{}{}
			next = func() { <-free }
		}
		select {
		case <-during:
			return
		case <-ctx.Done():
			return
		default:
		}
		n := nylas.New(sc.Kinds[i%len(sc.Kinds)], sc.Grant(i))
		n.Forged = total > 0 && (i+1)*sc.Forged/total != i*sc.Forged/total // evenly among the others
		all.Go(func() { s.Nylas.Deliver(ctx, n, next) })
	}
}

// due returns when the i-th first attempt is sent, from the start. While the rate grows
// in a straight line, their number grows with the square of the time.
func (sc Scenario) due(i int) time.Duration {
	n, ramp := float64(i)/sc.Rate, sc.RampUp.Seconds()
	seconds := n + ramp/2
	if n < ramp/2 {
		seconds = math.Sqrt(2 * n * ramp)
	}
	return time.Duration(seconds * float64(time.Second))
}

// result settles the accounts. It ends the function, so that all that the processes have
// written was read.
func (s *System) result(ctx context.Context, sc Scenario) Result {
	memory := s.Function.Memory()
	s.Function.Close()
	messages, objects := s.AWS.SQS.Messages(), s.AWS.S3.Objects()
	r := Result{
		Scenario: sc, Account: s.ledger.Balance(ledger.Copies(messages, objects)),
		Function: s.Function.Stats(), Memory: memory, Responses: s.Gateway.Responses(),
		Failing: len(s.Nylas.Failing()), Lines: s.ledger.Lines(), Met: make(map[string]int), Counts: s.counts, Counted: s.counted,
	}
	for service, f := range map[string]*standin.Faults{"SQS": &s.AWS.SQS.Faults, "S3": &s.AWS.S3.Faults, "Secrets Manager": &s.AWS.Secrets.Faults} {
		_, met := f.Calls()
		for name, n := range met {
			r.Met[service+": "+name] = n
		}
	}
	for _, m := range messages {
		r.Kept = append(r.Kept, Arrival{m.At, ledger.Queue})
	}
	for key, o := range objects {
		if strings.HasPrefix(key, contract.SpillPrefix) {
			r.Kept = append(r.Kept, Arrival{o.At, ledger.Bucket})
		}
	}
	var leaks, strange []string
	r.Metrics, leaks, strange, r.Log = s.log.snapshot()
	r.Wrong = s.replay(ctx, objects)
	r.judge(leaks, strange, s.AWS.SQS.Refused(), s.AWS.Strayed())
	if sc.Check != nil {
		r.Wrong = append(r.Wrong, sc.Check(&r, s)...)
	}
	return r
}

// judge applies the rules that hold in every scenario.
func (r *Result) judge(leaks, strange []string, refused []standin.Refusal, strayed int) {
	wrong := func(format string, args ...any) { r.Wrong = append(r.Wrong, fmt.Sprintf(format, args...)) }
	a := r.Account
	if a.Lost > 0 {
		wrong("%d notifications were lost", a.Lost)
	}
	if a.LetIn > 0 {
		wrong("%d forged notifications were let in", a.LetIn)
	}
	if r.Scenario.Notifications > 0 && a.Sent != r.Scenario.Notifications || a.Forged != r.Scenario.Forged {
		wrong("%d and %d forged were sent, not %d and %d", a.Sent, a.Forged, r.Scenario.Notifications, r.Scenario.Forged)
	}
	if a.GivenUp > 0 && !r.Scenario.GivesUp {
		wrong("the sender gave %d up after three refusals", a.GivenUp)
	}
	if a.Garbled > 0 && !r.Scenario.Garbles {
		wrong("%d copies are nothing that was sent", a.Garbled)
	}
	for _, p := range a.Problems {
		wrong("%s", p)
	}
	for _, l := range leaks {
		wrong("%s", l)
	}
	if !r.Scenario.Crashes {
		for _, line := range strange {
			wrong("the log has a line that is no JSON: %s", line)
		}
	}
	if strayed > 0 {
		wrong("%d calls of AWS followed a redirect", strayed)
	}
	for _, q := range refused {
		wrong("SQS refused a message for its content: %s: %s", q.Code, q.Message)
	}
	for _, line := range r.Lines {
		if line.Status == 0 {
			r.Unanswered++
		}
		r.Slowest = max(r.Slowest, line.Took)
	}
	if r.Unanswered > 0 {
		wrong("%s", r.unanswered())
	}
}

func (r *Result) unanswered() string {
	return fmt.Sprintf("%d requests had no answer within the sender's 10 seconds", r.Unanswered)
}

// outage runs from the start of the scenario until every notification has met it, and
// settle longer for third attempts.
func outage(settle time.Duration, begin, heal func(s *System)) (start func(*System), during func(context.Context, *System) error) {
	start = func(s *System) {
		s.registered()
		begin(s)
	}
	during = func(ctx context.Context, s *System) error {
		err := s.allTried(ctx)
		heal(s)
		select {
		case <-time.After(settle):
		case <-ctx.Done():
		}
		return err
	}
	return start, during
}

// seeded returns the source of a scenario's choices.
func seeded(n uint64) *rand.Rand { return rand.New(rand.NewPCG(n, 0)) } //nolint:gosec // choices, no secrets
