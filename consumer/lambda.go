package consumer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

// lambdaMargin is how long before the function's deadline handlers must end, so that
// the answer still names what succeeded; a quarter of the time where that is less.
const lambdaMargin = 2 * time.Second

// errSkipped is why the rest of a batch was not tried.
var errSkipped = errors.New("not tried: the system behind is unavailable, or the function's time is over")

// LambdaHandler makes a Lambda function's handler for an SQS event source of the
// same [Handler] that a [Consumer] runs. The event source must ask for partial batch
// responses (FunctionResponseTypes: ReportBatchItemFailures), or one failure repeats
// the whole batch. The error names everything that is wrong with the configuration.
//
// AWS does the receiving, so some things differ: nothing can pause it, each failure
// uses up one of the message's receives ([Unavailable] too; the rest of the batch is
// then not tried), and what is rejected is left to the redrive policy. For a system
// that can be down for long, use a Consumer.
func LambdaHandler(config Config) (func(context.Context, events.SQSEvent) (events.SQSEventResponse, error), error) {
	c := config.withDefaults()
	if problems := c.problems(); len(problems) > 0 {
		return nil, fmt.Errorf("consumer configuration: %w", errors.Join(problems...))
	}
	return func(ctx context.Context, batch events.SQSEvent) (events.SQSEventResponse, error) {
		return c.invoke(ctx, batch), nil
	}, nil
}

// invoke handles one batch. c is a copy, for the invocation's own deadline.
func (c Config) invoke(ctx context.Context, batch events.SQSEvent) events.SQSEventResponse {
	end, ok := ctx.Deadline()
	if !ok {
		end = time.Now().Add(c.HandlerTimeout + lambdaMargin)
	}
	margin := min(lambdaMargin, time.Until(end)/4)
	c.grace = margin / 2
	ctx, cancel := context.WithDeadline(ctx, end.Add(-margin))
	defer cancel()

	lasting := context.WithoutCancel(ctx)
	slots := make(chan struct{}, c.Concurrency)
	failed := make([]bool, len(batch.Records))
	var unavailable atomic.Bool
	var workers sync.WaitGroup
	for i, record := range batch.Records {
		slots <- struct{}{}
		workers.Go(func() {
			defer func() { <-slots }()
			e := Event{Kind: Failed, MessageID: record.MessageId, Err: errSkipped}
			if !unavailable.Load() && ctx.Err() == nil {
				// The function cannot outlive its deadline, and neither need the lease.
				e = c.handle(ctx, lasting, lasting, fromLambda(record, end))
			}
			switch e.Kind {
			case Handled, Duplicate, SmokeTest:
			case Held:
				unavailable.Store(true)
				failed[i], e.Kind = true, Failed
			case Rejected:
				failed[i], e.Kind = true, Failed
			case busy:
				failed[i], e.Kind, e.Err, e.Delay = true, Failed, errBusy, 0
			default:
				failed[i] = true
			}
			c.emit(e)
		})
	}
	workers.Wait()

	response := events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}}
	for i, record := range batch.Records {
		if failed[i] {
			response.BatchItemFailures = append(response.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: record.MessageId})
		}
	}
	return response
}

func fromLambda(record events.SQSMessage, end time.Time) *message {
	m := &message{
		id:          record.MessageId,
		body:        record.Body,
		strings:     make(map[string]string, len(record.MessageAttributes)),
		receives:    receives(record.Attributes),
		sent:        sent(record.Attributes),
		hiddenUntil: end,
	}
	for name, value := range record.MessageAttributes {
		if value.StringValue != nil {
			m.strings[name] = *value.StringValue
		}
	}
	m.grant = m.strings[notification.AttrGrantID]
	return m
}
