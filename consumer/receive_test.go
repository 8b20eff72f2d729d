package consumer

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

func TestRoomForWhatIsReceived(t *testing.T) {
	for room, want := range map[int64]int{10: 10, 3: 3, 2: 2, 1: 1} {
		p := newParts(t, Config{})
		taken := maxWireBytes - room*notification.MaxMessageBytes
		if err := p.wire.Acquire(t.Context(), taken); err != nil {
			t.Fatal(err)
		}
		if asked, reserved := p.reserve(10); asked != 10 || reserved != want {
			t.Errorf("room for %d: %d of %d", room, reserved, asked)
		}
		if p.wire.TryAcquire(1) {
			t.Errorf("room for %d: there is more, or it is not taken", room)
		}
	}
	// Where there is none, it waits for one, or for the stop.
	synctest.Test(t, func(t *testing.T) {
		p := newParts(t, Config{})
		if err := p.wire.Acquire(t.Context(), maxWireBytes); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Second, func() { p.wire.Release(notification.MaxMessageBytes) })
		if asked, reserved := p.reserve(10); asked != 10 || reserved != 1 {
			t.Errorf("%d of %d", reserved, asked)
		}
		time.AfterFunc(time.Second, func() { p.stop(nil) })
		p.gate.polls, p.gate.asked = 1, 10
		if asked, reserved := p.reserve(10); asked != 10 || reserved != 0 || p.gate.polls != 0 || p.gate.asked != 0 {
			t.Errorf("%d of %d at the stop; %d receives are underway", reserved, asked, p.gate.polls)
		}
		p.wire.Release(maxWireBytes)
		if _, reserved := p.reserve(1); reserved != 0 {
			t.Error("a receive begins after the stop")
		}
	})
}

func TestWhatAPollBrings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newParts(t, Config{Handler: func(ctx context.Context, _ notification.Notification) error {
			time.Sleep(time.Minute)
			return nil
		}})
		var with context.Context
		p.sqs.receive = func(ctx context.Context, in *sqs.ReceiveMessageInput) (*sqs.ReceiveMessageOutput, error) {
			if with = ctx; in.MaxNumberOfMessages != 2 || in.WaitTimeSeconds != 20 || in.VisibilityTimeout != 60 {
				t.Errorf("asked for %+v", in)
			}
			wire, err := note("n").Encode()
			one := types.Message{Body: &wire.Body, MessageAttributes: map[string]types.MessageAttributeValue{}}
			for name, a := range wire.Attributes {
				one.MessageAttributes[name] = types.MessageAttributeValue{DataType: &a.DataType, StringValue: &a.Value}
			}
			return &sqs.ReceiveMessageOutput{Messages: []types.Message{one, one}}, err
		}
		p.gate.polls, p.gate.asked = 1, 2
		asked, reserved := p.reserve(2)
		p.failedPolls.Store(3)
		p.poll(asked, reserved)
		size := 0
		for _, m := range p.inflight.all() {
			size += m.size
		}
		if size == 0 || p.wire.TryAcquire(maxWireBytes-int64(size)+1) || !p.wire.TryAcquire(maxWireBytes-int64(size)) {
			t.Errorf("two of together %d bytes take another room than theirs", size)
		}
		if p.failedPolls.Load() != 0 || with.Err() == nil || p.gate.polls != 0 || !p.Status().Polled.Equal(time.Now()) {
			t.Errorf("%d failed polls, %d underway; its context: %v; polled %s", p.failedPolls.Load(), p.gate.polls, with.Err(), p.Status().Polled)
		}
		p.gate.sleep(noAnswerAfter)
		if !p.gate.supply || p.gate.empty {
			t.Error("it brought as many as asked, and the queue is said to be empty")
		}
		p.polled.Store(1)
		if polled := p.Status().Polled; !polled.Equal(time.Unix(0, 1)) {
			t.Errorf("polled %s", polled)
		}
		if s := p.Status(); s.InFlight != 2 || s.Running != 2 {
			t.Errorf("%+v", s)
		}
		time.Sleep(time.Hour) // for the bubble
		p.workers.Wait()
	})
}

func TestAPollThatTakesLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newParts(t, Config{})
		p.sqs.receive = func(context.Context, *sqs.ReceiveMessageInput) (*sqs.ReceiveMessageOutput, error) {
			p.gate.sleep(noAnswerAfter - 1)
			if p.gate.empty {
				t.Error("the queue is said to be empty before it is known")
			}
			if p.gate.sleep(1); !p.gate.empty {
				t.Error("the queue has not answered, and is not said to be empty")
			}
			return &sqs.ReceiveMessageOutput{}, nil
		}
		p.poll(p.reserve(10))
	})
}

func TestAPollThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newParts(t, Config{})
		fails := errors.New("no answer")
		p.sqs.receive = func(context.Context, *sqs.ReceiveMessageInput) (*sqs.ReceiveMessageOutput, error) {
			return &sqs.ReceiveMessageOutput{}, fails
		}
		poll := func() time.Duration {
			p.gate.polls, p.gate.asked = 1, 10
			begin := time.Now()
			p.poll(p.reserve(10))
			if p.gate.polls != 0 || p.gate.asked != 0 || !p.wire.TryAcquire(maxWireBytes) {
				t.Errorf("%d receives are underway, for %d messages, or their room is taken", p.gate.polls, p.gate.asked)
			}
			p.wire.Release(maxWireBytes)
			return time.Since(begin)
		}
		fail := func(most time.Duration) {
			t.Helper()
			took := poll()
			if e := p.only(t, QueueFailed); e.Delay != took || took < most/2 || took > most || e.Err.Error() != "receive from queue: no answer" {
				t.Errorf("%+v, after %s, want %s at most", e, took, most)
			}
		}
		for _, most := range []time.Duration{1, 2, 4, 8, 16, 30, 30} {
			fail(most * time.Second)
		}
		fails = nil
		poll()
		fails = errors.New("no answer")
		fail(time.Second)
		// The stop ends the wait, and what fails because of it is not told of.
		time.AfterFunc(100*time.Millisecond, func() { p.stop(nil) })
		if took := poll(); took != 100*time.Millisecond {
			t.Errorf("took %s", took)
		}
		p.told()
		if took, told := poll(), p.told(); took != 0 || told != nil {
			t.Errorf("%v after %s", told, took)
		}
	})
	// A queue that is gone does not come back.
	p := newParts(t, Config{})
	p.sqs.receive = func(context.Context, *sqs.ReceiveMessageInput) (*sqs.ReceiveMessageOutput, error) {
		return nil, &types.QueueDoesNotExist{}
	}
	p.poll(p.reserve(10))
	var gone *types.QueueDoesNotExist
	if told := p.told(); told != nil || !errors.As(context.Cause(p.stopping), &gone) {
		t.Errorf("%v; told of %v", context.Cause(p.stopping), told)
	}
}

func TestSeconds(t *testing.T) {
	for d, want := range map[time.Duration]int32{0: 0, 1: 1, time.Second: 1, time.Second + 1: 2, 90 * time.Second: 90} {
		if got := seconds(d); got != want {
			t.Errorf("%s: %d", d, got)
		}
	}
}

func TestWhatAMessageIs(t *testing.T) {
	now := time.Now()
	m := received(types.Message{
		MessageId: aws.String("id"), ReceiptHandle: aws.String("handle"), Body: aws.String("body"),
		Attributes: map[string]string{"ApproximateReceiveCount": "3", "MessageGroupId": "group", "SentTimestamp": "1700000000000"},
		MessageAttributes: map[string]types.MessageAttributeValue{
			notification.AttrGrantID: {StringValue: aws.String("grant")}, "b": {BinaryValue: []byte("xx")},
		},
	}, now, time.Minute)
	if m.id != "id" || m.handle != "handle" || m.body != "body" || m.receives != 3 || m.groupID != "group" || m.grant != "grant" || !m.sent.Equal(time.UnixMilli(1_700_000_000_000)) || len(m.attributes) != 2 {
		t.Errorf("%+v", m)
	}
	if m.size != len("body")+len(notification.AttrGrantID)+len("grant")+len("b") {
		t.Errorf("of %d bytes", m.size)
	}
	if m.keepUntil.Sub(now) != 11*time.Hour || m.hideUntil.Sub(now) != 12*time.Hour-time.Minute || m.hiddenUntil.Sub(now) != time.Minute {
		t.Errorf("kept for %s, can be hidden for %s, is for %s", m.keepUntil.Sub(now), m.hideUntil.Sub(now), m.hiddenUntil.Sub(now))
	}
	if m.setFinished(); !m.finished || !m.mu.TryLock() {
		t.Error("it is not finished, or its lock is taken")
	}
}
