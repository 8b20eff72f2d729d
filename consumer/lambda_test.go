package consumer

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

func record(t *testing.T, messageID string, n notification.Notification) events.SQSMessage {
	t.Helper()
	wire, err := n.Encode()
	if err != nil {
		t.Fatal(err)
	}
	r := events.SQSMessage{MessageId: messageID, Body: wire.Body, MessageAttributes: map[string]events.SQSMessageAttribute{},
		Attributes: map[string]string{"ApproximateReceiveCount": "2"}}
	for name, a := range wire.Attributes {
		r.MessageAttributes[name] = events.SQSMessageAttribute{StringValue: &a.Value, DataType: a.DataType}
	}
	return r
}

func TestLambdaAnswersForEveryMessage(t *testing.T) {
	handler := func(ctx context.Context, n notification.Notification) error {
		switch n.ID {
		case "failed":
			return errors.New("no such contact")
		case "panicked":
			panic("nil map")
		case "rejected":
			return Reject(errors.New("gone"))
		case "unavailable":
			return Unavailable(errors.New("503"), time.Minute)
		case "hung":
			<-ctx.Done()
			return ctx.Err()
		case "stuck":
			time.Sleep(time.Minute)
		}
		return nil
	}
	for name, c := range map[string]struct {
		ids    []string
		failed []string
	}{
		"empty":                    {nil, []string{}},
		"all well":                 {[]string{"1", "2", "3"}, []string{}},
		"one each":                 {[]string{"1", "failed", "2", "panicked", "3", "rejected"}, []string{"failed", "panicked", "rejected"}},
		"the rest is not tried":    {[]string{"1", "unavailable", "2", "3"}, []string{"unavailable", "2", "3"}},
		"a duplicate is no error":  {[]string{"1", "1", "before"}, []string{}},
		"in progress elsewhere":    {[]string{"1", "elsewhere"}, []string{"elsewhere"}},
		"hangs to the deadline":    {[]string{"1", "hung", "2"}, []string{"hung", "2"}},
		"ignores that it is over":  {[]string{"1", "stuck"}, []string{"stuck"}},
		"smoke test is not for us": {[]string{"smoke"}, []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := NewMemoryStore()
				end := time.Now().Add(10 * time.Second)
				ctx, cancel := context.WithDeadline(t.Context(), end)
				defer cancel()
				for _, id := range []string{"before", "elsewhere"} {
					if _, err := store.Begin(ctx, id, "other", end.Add(time.Hour)); err != nil {
						t.Fatal(err)
					}
				}
				if err := store.Complete(ctx, "before", "other"); err != nil {
					t.Fatal(err)
				}
				invoke, err := LambdaHandler(Config{Handler: handler, Store: store, Concurrency: 1, Logger: slog.New(slog.DiscardHandler)})
				if err != nil {
					t.Fatal(err)
				}
				var batch events.SQSEvent
				for _, id := range c.ids {
					n := note(id)
					if id == "smoke" {
						n.Type = notification.SmokeTestType
					}
					batch.Records = append(batch.Records, record(t, id, n))
				}
				response, err := invoke(ctx, batch)
				if err != nil || time.Now().After(end) {
					t.Errorf("%v, at %s, the deadline is %s", err, time.Now(), end)
				}
				failed := []string{}
				for _, f := range response.BatchItemFailures {
					failed = append(failed, f.ItemIdentifier)
				}
				if !slices.Equal(failed, c.failed) {
					t.Errorf("failed %v, not %v", failed, c.failed)
				}
				time.Sleep(time.Minute) // for the bubble: the stuck one ends
			})
		})
	}
}

// The event is AWS's own example with our attributes in it.
// https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
func TestLambdaReadsAWSsEvent(t *testing.T) {
	raw, err := os.ReadFile("testdata/sqs_event.json")
	if err != nil {
		t.Fatal(err)
	}
	var batch events.SQSEvent
	if err := json.Unmarshal(raw, &batch); err != nil {
		t.Fatal(err)
	}
	var got notification.Notification
	invoke, err := LambdaHandler(Config{Logger: slog.New(slog.DiscardHandler), Handler: func(_ context.Context, n notification.Notification) error {
		got = n
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	response, err := invoke(t.Context(), batch)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := json.Marshal(response)
	if err != nil {
		t.Fatal(err)
	}
	if string(answer) != `{"batchItemFailures":[]}` {
		t.Errorf("answer %s", answer)
	}
	if got.ID != "n-1" || got.Attempt != 2 || string(got.Body) != `{"id":"n-1"}` {
		t.Errorf("got %+v", got)
	}
}

func TestLambdaTellsOfEveryMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []Event
		invoke, err := LambdaHandler(Config{
			Logger: slog.New(slog.DiscardHandler), Observe: func(e Event) { told = append(told, e) }, Concurrency: 1,
			Store:   &failingStore{Store: &seenStore{claim: Claim{InProgress, time.Now().Add(time.Hour)}}},
			Handler: nothing,
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := invoke(t.Context(), events.SQSEvent{Records: []events.SQSMessage{record(t, "m", note("n"))}}); err != nil {
			t.Fatal(err)
		}
		if len(told) != 1 || told[0].Kind != Failed || !errors.Is(told[0].Err, errBusy) || told[0].Delay != 0 || told[0].GrantID != "grant-1" || told[0].MessageID != "m" {
			t.Errorf("%+v", told)
		}
	})
}

// The handlers end before the function does, so that it can answer.
func TestLambdaKeepsTimeToAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		function, handler, answer time.Duration // after how long each ends
	}{
		"a long one":            {60 * time.Second, 58 * time.Second, 59 * time.Second},
		"a short one":           {4 * time.Second, 3 * time.Second, 3500 * time.Millisecond},
		"one that does not say": {0, 5 * time.Minute, 5*time.Minute + time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, begin := t.Context(), time.Now()
				if c.function > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, c.function)
					defer cancel()
				}
				ended := make(chan time.Duration, 1)
				invoke, err := LambdaHandler(Config{Logger: slog.New(slog.DiscardHandler), HandlerTimeout: 5 * time.Minute, Handler: func(ctx context.Context, _ notification.Notification) error {
					<-ctx.Done()
					ended <- time.Since(begin)
					time.Sleep(time.Minute) // it ignores that
					return nil
				}})
				if err != nil {
					t.Fatal(err)
				}
				response, err := invoke(ctx, events.SQSEvent{Records: []events.SQSMessage{record(t, "m", note("n"))}})
				answered, handled := time.Since(begin), <-ended
				if err != nil || handled != c.handler || answered != c.answer || len(response.BatchItemFailures) != 1 {
					t.Errorf("the handler's context ended after %s, the answer came after %s: %+v, %v", handled, answered, response, err)
				}
				time.Sleep(time.Minute) // for the bubble
			})
		})
	}
}
