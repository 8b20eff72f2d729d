package consumer

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

func TestADeletionThatFailsIsTriedThreeTimes(t *testing.T) {
	for name, c := range map[string]struct {
		err         error  // of the request
		code        string // of the second of two entries
		senderFault bool
		tries       int
		says        string
	}{
		"fine":                {tries: 1},
		"no answer":           {err: errors.New("no answer"), tries: 3, says: "delete message: no answer (it will be received again)"},
		"one of two":          {code: "InternalError", tries: 3, says: "delete message: InternalError (it will be received again)"},
		"the request's fault": {code: "InvalidIdFormat", senderFault: true, tries: 1, says: "delete message: InvalidIdFormat"},
		"it is another's":     {code: "ReceiptHandleIsInvalid", tries: 1, says: "delete message: ReceiptHandleIsInvalid"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newParts(t, Config{})
				var at []time.Time
				var asked []int
				var with context.Context
				p.sqs.remove = func(ctx context.Context, in *sqs.DeleteMessageBatchInput) (*sqs.DeleteMessageBatchOutput, error) {
					if with = ctx; !within(ctx, 10*time.Second) || *in.QueueUrl != p.config.QueueURL {
						t.Error("it may take for ever, or is another queue's")
					}
					at, asked = append(at, time.Now()), append(asked, len(in.Entries))
					out := &sqs.DeleteMessageBatchOutput{}
					for _, e := range in.Entries {
						if c.code != "" && *e.ReceiptHandle == "2" {
							out.Failed = append(out.Failed, types.BatchResultErrorEntry{Id: e.Id, Code: &c.code, SenderFault: c.senderFault, Message: aws.String("")})
						}
					}
					return out, c.err
				}
				batch := []*message{p.got(t, "1"), p.got(t, "2")}
				before := slices.Clone(batch)
				begin := time.Now()
				p.deleteBatch(batch)
				if !slices.Equal(batch, before) {
					t.Error("what the caller has is changed, and one of it would never be dropped")
				}
				again := map[bool]int{true: 2, false: 1}[c.err != nil]
				if want := []int{2, again, again}[:c.tries]; !slices.Equal(asked, want) || with.Err() == nil {
					t.Errorf("%v were asked for, want %v; the context: %v", asked, want, with.Err())
				}
				for i, most := range []time.Duration{0, 500 * time.Millisecond, time.Second}[:c.tries] {
					if wait := at[i].Sub(begin); wait < most/2 || wait > most {
						t.Errorf("try %d comes after %s, want %s at most", i+1, wait, most)
					}
					begin = at[i]
				}
				if c.says == "" {
					if told := p.told(); told != nil {
						t.Errorf("told of %v", told)
					}
					return
				}
				if len(p.events) != again {
					t.Errorf("told of %d, want %d", len(p.events), again)
				}
				for _, e := range p.events {
					if e.Kind != QueueFailed || e.Err.Error() != c.says || again == 1 && e.MessageID != "2" {
						t.Errorf("%+v", e)
					}
				}
			})
		})
	}
}

func TestDeletionsGoTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newParts(t, Config{Concurrency: 100})
		begin := time.Now()
		var after []time.Duration
		var sizes []int
		now, most := 0, 0
		p.sqs.remove = func(_ context.Context, in *sqs.DeleteMessageBatchInput) (*sqs.DeleteMessageBatchOutput, error) {
			p.mu.Lock()
			after, sizes = append(after, time.Since(begin)), append(sizes, len(in.Entries))
			now++
			most = max(most, now)
			p.mu.Unlock()
			time.Sleep(time.Minute)
			p.mu.Lock()
			now--
			p.mu.Unlock()
			return &sqs.DeleteMessageBatchOutput{}, nil
		}
		done := make(chan struct{})
		go func() { p.deleteAll(); close(done) }()
		for range 12 {
			p.delete(p.got(t, "n"))
		}
		p.gate.sleep(time.Second)
		if p.gate.finishing != 12 || p.inflight.count() != 12 {
			t.Errorf("%d are finished, %d here", p.gate.finishing, p.inflight.count())
		}
		if !slices.Equal(sizes, []int{10, 2}) || !slices.Equal(after, []time.Duration{0, deleteLinger}) {
			t.Errorf("%v after %v", sizes, after)
		}
		p.gate.sleep(time.Minute)
		if p.gate.finishing != 0 || p.inflight.count() != 0 {
			t.Errorf("%d are finished, %d here, after their deletion", p.gate.finishing, p.inflight.count())
		}
		for range 10 * (mostDeletes + 1) {
			p.delete(p.got(t, "n"))
		}
		close(p.deletes)
		<-done
		if most != mostDeletes || p.gate.finishing != 0 || p.inflight.count() != 0 {
			t.Errorf("%d requests at once; %d are finished, %d here", most, p.gate.finishing, p.inflight.count())
		}
	})
}
