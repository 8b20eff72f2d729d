package consumer

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/onepagecrm/nylas-webhooks/consumer/consumertest"
	"github.com/onepagecrm/nylas-webhooks/notification"
)

// aGate is one for ten handlers and a system that is well.
func aGate() *gate {
	g := newGate(Config{Concurrency: 10, PauseMin: 10 * time.Second, PauseMax: time.Minute})
	g.growing = true // or a timer looks again in the middle of a test, on a machine that is slow
	g.all.limit = 10
	return g
}

// newMessage is received for the first time, oldMessage is not.
func newMessage(grant string) *message {
	return &message{id: "new-" + grant, grant: grant, receives: 1}
}
func oldMessage(grant string) *message {
	return &message{id: "old-" + grant, grant: grant, receives: 2}
}

// waits lets the message join, and begin if it may.
func (g *gate) waits(t *testing.T, m *message) *waiter {
	t.Helper()
	w, err := g.join(m)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// begins is waits of a message that may begin at once.
func (g *gate) begins(t *testing.T, m *message) turn {
	t.Helper()
	w := g.waits(t, m)
	w.must(t, true, m.id+" joins")
	return w.turn
}

// must fails the test where the message has a turn and should not, or the other way round.
func (w *waiter) must(t *testing.T, begin bool, what string) {
	t.Helper()
	select {
	case <-w.ready:
		if !begin {
			t.Errorf("%s: it begins", what)
		}
	default:
		if begin {
			t.Errorf("%s: it does not begin", what)
		}
	}
}

// sleep is time.Sleep, to the end of what happens then. It takes the gate's lock once, for
// the race detector: its timers see what the test has changed without it.
func (g *gate) sleep(d time.Duration) {
	g.status()
	time.Sleep(d)
	synctest.Wait()
}

// parts is a consumer that does nothing by itself: a test calls one part of it.
type parts struct {
	*Consumer
	sqs    *scriptedSQS
	stop   context.CancelCauseFunc // ends stopping
	abort  context.CancelFunc      // ends handlers
	mu     sync.Mutex
	events []Event
}

func newParts(t *testing.T, config Config) *parts {
	t.Helper()
	p := &parts{sqs: &scriptedSQS{}}
	config.SQS, config.QueueURL, config.Logger = p.sqs, consumertest.URL, slog.New(slog.DiscardHandler)
	config.Observe = func(e Event) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.events = append(p.events, e)
	}
	if config.Handler == nil {
		config.Handler = nothing
	}
	c, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	c.lasting = t.Context()
	c.patience = c.lasting
	c.handlers, p.abort = context.WithCancel(c.patience)
	c.stopping, p.stop = context.WithCancelCause(c.lasting)
	c.fail = p.stop
	close(c.pollsEnded) // none was begun
	c.gate.all.limit = float64(c.gate.all.most)
	p.Consumer = c
	return p
}

// got is a message as it is received, with the note of that id.
func (p *parts) got(t *testing.T, id string) *message {
	t.Helper()
	wire, err := note(id).Encode()
	if err != nil {
		t.Fatal(err)
	}
	in := types.Message{MessageId: &id, ReceiptHandle: &id, Body: &wire.Body, MessageAttributes: map[string]types.MessageAttributeValue{}}
	for name, a := range wire.Attributes {
		in.MessageAttributes[name] = types.MessageAttributeValue{DataType: &a.DataType, StringValue: &a.Value}
	}
	m := received(in, time.Now(), p.config.Visibility)
	if err := p.wire.Acquire(t.Context(), int64(m.size)); err != nil {
		t.Fatal(err)
	}
	p.inflight.add(m)
	return m
}

// told are the kinds of the events so far, which it forgets.
func (p *parts) told() (kinds []Kind) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.events {
		kinds = append(kinds, e.Kind)
	}
	p.events = nil
	return kinds
}

// only is the one event since told.
func (p *parts) only(t *testing.T, want Kind) Event {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.events) != 1 || p.events[0].Kind != want {
		t.Fatalf("events %+v, want one %s", p.events, want)
	}
	e := p.events[0]
	p.events = nil
	return e
}

// ended fails the test where the message is still here.
func (p *parts) ended(t *testing.T, m *message) {
	t.Helper()
	if n := p.inflight.count(); n != 0 || m.held || p.gate.all.running != 0 || !p.wire.TryAcquire(maxWireBytes) {
		t.Errorf("%d in flight, held %v, %d at work; its bytes are given back: %v", n, m.held, p.gate.all.running, p.wire.TryAcquire(1))
		return
	}
	p.wire.Release(maxWireBytes)
}

// scriptedSQS answers as a test says, and else with a success.
type scriptedSQS struct {
	receive func(context.Context, *sqs.ReceiveMessageInput) (*sqs.ReceiveMessageOutput, error)
	remove  func(context.Context, *sqs.DeleteMessageBatchInput) (*sqs.DeleteMessageBatchOutput, error)
	hide    func(context.Context, *sqs.ChangeMessageVisibilityInput) error
	extend  func(context.Context, *sqs.ChangeMessageVisibilityBatchInput) (*sqs.ChangeMessageVisibilityBatchOutput, error)
	send    func(context.Context, *sqs.SendMessageInput) (*sqs.SendMessageOutput, error)
}

func (s *scriptedSQS) ReceiveMessage(ctx context.Context, in *sqs.ReceiveMessageInput, _ ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	if s.receive == nil {
		return &sqs.ReceiveMessageOutput{}, nil
	}
	return s.receive(ctx, in)
}

func (s *scriptedSQS) DeleteMessageBatch(ctx context.Context, in *sqs.DeleteMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error) {
	if s.remove == nil {
		return &sqs.DeleteMessageBatchOutput{}, nil
	}
	return s.remove(ctx, in)
}

func (s *scriptedSQS) ChangeMessageVisibility(ctx context.Context, in *sqs.ChangeMessageVisibilityInput, _ ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityOutput, error) {
	if s.hide == nil {
		return &sqs.ChangeMessageVisibilityOutput{}, nil
	}
	return &sqs.ChangeMessageVisibilityOutput{}, s.hide(ctx, in)
}

func (s *scriptedSQS) ChangeMessageVisibilityBatch(ctx context.Context, in *sqs.ChangeMessageVisibilityBatchInput, _ ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityBatchOutput, error) {
	if s.extend == nil {
		return &sqs.ChangeMessageVisibilityBatchOutput{}, nil
	}
	return s.extend(ctx, in)
}

func (s *scriptedSQS) SendMessage(ctx context.Context, in *sqs.SendMessageInput, _ ...func(*sqs.Options)) (*sqs.SendMessageOutput, error) {
	return s.send(ctx, in)
}

// within tells whether a context ends within d from now, to the millisecond.
func within(ctx context.Context, d time.Duration) bool {
	end, ok := ctx.Deadline()
	return ok && time.Until(end).Round(time.Millisecond) == d
}

// answers is a handler that returns err.
func answers(err error) Handler {
	return func(context.Context, notification.Notification) error { return err }
}
