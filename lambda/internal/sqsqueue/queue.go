// Package sqsqueue hands a notification to Amazon SQS within a fixed time. The
// receiver is its only user.
//
// It decides how often and how long to try. Its caller decides what a failure means for
// the sender. It never reads the queue.
package sqsqueue

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/onepagecrm/nylas-webhooks/internal/sdkhttp"
	"github.com/onepagecrm/nylas-webhooks/internal/sqsanswer"
	"github.com/onepagecrm/nylas-webhooks/notification"
)

const (
	// budget and tries: two tries within 3 of the handler's 7.5 s. SQS answers within
	// tens of milliseconds, so a try that takes longer than tryTimeout is lost.
	budget     = 3 * time.Second
	tries      = 2
	tryTimeout = 1400 * time.Millisecond
	maxBackoff = 100 * time.Millisecond // between the two, within what 3 s leave beside them
	// troubledBudget: after a failure one short try, until one succeeds, so that a
	// dead SQS does not use up the function's concurrency: 1,000 environments that
	// wait 3 s serve 333 requests a second, at 0.8 s 1,250.
	troubledBudget = 800 * time.Millisecond
)

// Queue is one SQS queue. It is safe for concurrent use.
type Queue struct {
	client   *sqs.Client
	http     *http.Client
	url      string
	troubled atomic.Bool // the last send failed
}

// New returns the Queue with this URL. Region, credentials and endpoint come from
// cfg; tries and timeouts are the package's own, because the SDK's do not fit: no
// timeout for an answer, three tries, up to 20 s between them, and a bucket of
// retries that empties in an outage.
// https://docs.aws.amazon.com/sdk-for-go/v2/developer-guide/configure-retries-timeouts.html
func New(cfg aws.Config, url string) *Queue {
	q := &Queue{url: url, http: sdkhttp.Own(tryTimeout)}
	q.client = sqs.NewFromConfig(cfg, func(o *sqs.Options) {
		o.HTTPClient = sdkhttp.Within(q.http)
		o.Retryer = retryer(tries)
		o.Protocol = oneBuffer{o.Protocol}
	})
	return q
}

func retryer(tries int) aws.Retryer {
	return retry.AddWithErrorCodes(sdkhttp.Tries(tries, maxBackoff), sqsanswer.KeyThrottled...)
}

// oneTry is the retryer while the queue is troubled.
var oneTry = retryer(1)

// Warm opens a connection while the execution environment starts, so that the
// first notification does not wait for the TLS handshake. Where that fails, the first
// send is the short one: in an outage every environment that starts would wait its
// full time once more.
func (q *Queue) Warm(ctx context.Context) error {
	err := q.connect(ctx)
	q.troubled.Store(err != nil)
	return err
}

func (q *Queue) connect(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, q.url, nil)
	if err != nil {
		return fmt.Errorf("connect to queue: %w", err)
	}
	answer, err := q.http.Do(request)
	if err != nil {
		return fmt.Errorf("connect to queue: %w", err)
	}
	return answer.Body.Close()
}

// ErrRefused: SQS will not take this message, however often it is asked.
var ErrRefused = sqsanswer.ErrRefused

// Send returns nil only when SQS has confirmed that it keeps the message. After an
// error the message may be on the queue all the same.
func (q *Queue) Send(ctx context.Context, w notification.Wire) error {
	limit := budget
	var options []func(*sqs.Options)
	if q.troubled.Load() {
		limit, options = troubledBudget, append(options, func(o *sqs.Options) { o.Retryer = oneTry })
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := sqsanswer.Kept(q.client.SendMessage(ctx, q.input(w), options...))
	if errors.Is(err, ErrRefused) {
		return fmt.Errorf("send to queue: %w", err)
	}
	q.troubled.Store(err != nil)
	if err != nil {
		q.http.CloseIdleConnections() // the one short try that follows must not meet a dead one
		return fmt.Errorf("send to queue: %w", err)
	}
	return nil
}

func (q *Queue) input(w notification.Wire) *sqs.SendMessageInput {
	input := &sqs.SendMessageInput{
		QueueUrl:          aws.String(q.url),
		MessageBody:       aws.String(w.Body),
		MessageAttributes: make(map[string]types.MessageAttributeValue, len(w.Attributes)),
	}
	for name, a := range w.Attributes {
		input.MessageAttributes[name] = types.MessageAttributeValue{
			DataType:    aws.String(a.DataType),
			StringValue: aws.String(a.Value),
		}
	}
	if w.GroupID != "" {
		input.MessageGroupId = aws.String(w.GroupID)
	}
	return input
}
