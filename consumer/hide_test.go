package consumer

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"
)

func TestWhereARejectedMessageGoes(t *testing.T) {
	denied := errors.New("denied")
	for name, c := range map[string]struct {
		queue, group string
		err          error
		kind         Kind
		says         string
	}{
		"moved":        {"https://sqs.eu-west-1.amazonaws.com/1/dead", "g", nil, Rejected, "rejected: gone"},
		"of no group":  {"https://sqs.eu-west-1.amazonaws.com/1/dead", "", nil, Rejected, "rejected: gone"},
		"refused":      {"https://sqs.eu-west-1.amazonaws.com/1/dead", "g", denied, Failed, "send to dead-letter queue: denied (the message was rejected: gone)"},
		"nobody knows": {"", "g", nil, Failed, "rejected: gone"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newParts(t, Config{DeadLetterQueueURL: c.queue})
				var sent *sqs.SendMessageInput
				var with context.Context
				p.sqs.send = func(ctx context.Context, in *sqs.SendMessageInput) (*sqs.SendMessageOutput, error) {
					if sent, with = in, ctx; !within(ctx, 10*time.Second) {
						t.Error("it may take for ever")
					}
					if c.err != nil {
						return nil, c.err
					}
					return &sqs.SendMessageOutput{MessageId: aws.String("1")}, nil
				}
				m := p.got(t, "n")
				m.groupID = c.group
				p.reject(m, Event{Kind: Rejected, Err: Reject(errors.New("gone"))})
				if e := p.only(t, c.kind); e.Err.Error() != c.says || (e.Delay > 0) != (c.kind == Failed) {
					t.Errorf("%+v", e)
				}
				if (len(p.deletes) == 1) != (c.kind == Rejected) {
					t.Errorf("%d to be deleted", len(p.deletes))
				}
				if (sent != nil) != (c.queue != "") || sent != nil && (with.Err() == nil || *sent.QueueUrl != c.queue || *sent.MessageBody != m.body ||
					len(sent.MessageAttributes) != len(m.attributes) || aws.ToString(sent.MessageGroupId) != c.group || (sent.MessageGroupId == nil) != (c.group == "")) {
					t.Errorf("sent %+v", sent)
				}
			})
		})
	}
}

func TestHowAMessageIsHidden(t *testing.T) {
	for name, c := range map[string]struct {
		d      time.Duration
		change func(*message)
		err    error
		want   int32 // -1: not at all
		says   string
	}{
		"for so long":        {90 * time.Second, nil, nil, 90, ""},
		"not at all":         {0, nil, nil, 0, ""},
		"as long as SQS can": {time.Hour, func(m *message) { m.hideUntil = time.Now().Add(time.Minute) }, nil, 60, ""},
		"that is over":       {time.Hour, func(m *message) { m.hideUntil = time.Now().Add(-time.Minute) }, nil, 0, ""},
		"it is another's":    {time.Hour, func(m *message) { m.lost = true }, nil, -1, ""},
		"it is since":        {time.Minute, nil, &smithy.GenericAPIError{Code: "ReceiptHandleIsInvalid"}, 60, ""},
		"no answer":          {time.Minute, nil, errors.New("no answer"), 60, "hide message for 1m0s: no answer (it comes back after 1m0s)"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newParts(t, Config{})
				m := p.got(t, "n")
				m.suspicion, p.gate.suspected = 1, 1
				got := int32(-1)
				var with context.Context
				p.sqs.hide = func(ctx context.Context, in *sqs.ChangeMessageVisibilityInput) error {
					got, with = in.VisibilityTimeout, ctx
					if p.inflight.count() != 0 {
						t.Error("the heartbeat would hide it for longer")
					}
					return c.err
				}
				if c.change != nil {
					c.change(m)
				}
				p.hide(m, c.d)
				if got != c.want || with != nil && with.Err() == nil {
					t.Errorf("hidden for %d s", got)
				}
				p.ended(t, m)
				if p.gate.suspected != 0 || !p.hiding.TryAcquire(mostHides) {
					t.Errorf("%d suspected; or a place is not given back", p.gate.suspected)
				}
				if c.says == "" {
					if told := p.told(); told != nil {
						t.Errorf("told of %v", told)
					}
				} else if e := p.only(t, QueueFailed); e.Err.Error() != c.says || e.MessageID != "n" || e.Receives != 1 {
					t.Errorf("%+v", e)
				}
			})
		})
	}
}

// At a stop many are given back, and not all at once.
func TestHidingIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newParts(t, Config{})
		begin := time.Now()
		p.sqs.hide = func(context.Context, *sqs.ChangeMessageVisibilityInput) error { time.Sleep(time.Second); return nil }
		for range mostHides + 1 {
			m := p.got(t, "n")
			p.workers.Go(func() { p.hide(m, 0) })
		}
		p.workers.Wait()
		if took := time.Since(begin); took != 2*time.Second {
			t.Errorf("took %s", took)
		}
	})
}
