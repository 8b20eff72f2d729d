package consumer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"reflect"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"golang.org/x/sync/semaphore"

	"github.com/onepagecrm/nylas-webhooks/internal/sdkhttp"
	"github.com/onepagecrm/nylas-webhooks/notification"
)

// Handler does with one notification what has to be done. The package comment says
// what its answer means. It must return when its context ends: after
// [Config.HandlerTimeout], when the consumer stops, when the lease is lost.
//
// The text of its error is logged: no bodies, subjects or addresses in it.
type Handler func(context.Context, notification.Notification) error

// Config is what [New] and [LambdaHandler] need. A duration or number that is zero
// gets its default.
type Config struct {
	// Handler is required.
	Handler Handler

	// Store drops duplicates. nil: every message is handled, duplicates as well.
	Store Store
	// Secrets returns the webhook secrets with which every signature is verified
	// again, for those who do not want to trust whoever may write to the queue; also
	// those of which notifications may still be queued. It is called for every
	// message, so it should cache. An error of it counts as [Unavailable].
	// nil: the front door's verification is enough.
	Secrets func(context.Context) ([]string, error)
	// S3 and Bucket (the stack's output BucketName) are for notifications that are too
	// large for SQS, about 800 kB that do not compress: their bodies are in the bucket,
	// under overflow/. Without them such a message is unreadable. The client is an
	// *s3.Client.
	S3     S3API
	Bucket string
	// HandlerTimeout is how long one call of the handler may take. Default 30 s.
	HandlerTimeout time.Duration
	// MaxReceives is the queue's maxReceiveCount, for [Delivery].Last. Default 5, as in
	// the stack.
	MaxReceives int
	// Concurrency is how many handlers run at once, at most: a system that refuses
	// gets fewer. Default 10, what one receive can bring.
	Concurrency int
	// Logger gets one line for everything that happened, never a body. Default
	// [slog.Default].
	Logger *slog.Logger
	// Observe, if set, is called with everything that happened, for metrics. It must
	// be quick, and may be called from several goroutines at once.
	Observe func(Event)

	// All below is for [New] only: in a Lambda function, AWS does the receiving.

	// SQS and QueueURL are required. The client is an *sqs.Client.
	SQS      SQSAPI
	QueueURL string
	// DeadLetterQueueURL is where [Reject]ed messages go. It needs the permission to
	// send there.
	DeadLetterQueueURL string
	// Visibility is for how long a message is hidden from others when it is received
	// and with each heartbeat, every quarter of it: what a process that dies was
	// working on comes back after this. Whole seconds; default 60 s.
	Visibility time.Duration
	// RetryMin and RetryMax bound for how long a message that failed is hidden; it
	// doubles with each receive, with jitter. Default 10 s and 15 min: with a
	// maxReceiveCount of 5, a message fails over 75 to 150 s before it is a dead letter.
	RetryMin, RetryMax time.Duration
	// PauseMin and PauseMax bound the time between two probes of an unavailable
	// system that asks for no time of its own; it doubles with each, with jitter.
	// Default 1 s and 60 s.
	PauseMin, PauseMax time.Duration
	// StopTimeout is how long the whole stop may take. Handlers may go on for four
	// fifths of it, then their contexts end. Default 25 s, which fits into the 30 s that
	// Kubernetes and ECS give a process.
	StopTimeout time.Duration

	grace   time.Duration       // what a handler gets to return after its context ended
	decoded *semaphore.Weighted // bounds the bodies in memory; nil: unbounded
}

// SQSAPI is what the consumer needs of *sqs.Client. Its IAM actions are
// sqs:ReceiveMessage, DeleteMessage and ChangeMessageVisibility on the queue, and
// SendMessage on the dead-letter queue where [Config.DeadLetterQueueURL] is set.
type SQSAPI interface {
	ReceiveMessage(context.Context, *sqs.ReceiveMessageInput, ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error)
	DeleteMessageBatch(context.Context, *sqs.DeleteMessageBatchInput, ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error)
	ChangeMessageVisibility(context.Context, *sqs.ChangeMessageVisibilityInput, ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityOutput, error)
	ChangeMessageVisibilityBatch(context.Context, *sqs.ChangeMessageVisibilityBatchInput, ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityBatchOutput, error)
	SendMessage(context.Context, *sqs.SendMessageInput, ...func(*sqs.Options)) (*sqs.SendMessageOutput, error)
}

const (
	// maxVisibility is SQS's limit, counted from the receive.
	// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html
	maxVisibility = 12 * time.Hour
	// minVisibility leaves the heartbeat, at a quarter of it, a second.
	minVisibility = 4 * time.Second
	// maxHandlerTimeout leaves a message half of that for what it waits here before.
	maxHandlerTimeout = maxVisibility / 2
	// maxConcurrency is what one process was measured with (docs/consumer.md). Bodies are
	// bounded by bytes, see maxWireBytes and maxDecodedBytes.
	maxConcurrency = 1000
)

func (c Config) withDefaults() Config {
	setDefault(&c.HandlerTimeout, 30*time.Second)
	setDefault(&c.Concurrency, 10)
	setDefault(&c.Visibility, 60*time.Second)
	setDefault(&c.RetryMin, 10*time.Second)
	setDefault(&c.RetryMax, max(c.RetryMin, 15*time.Minute))
	setDefault(&c.PauseMin, time.Second)
	setDefault(&c.PauseMax, max(c.PauseMin, 60*time.Second))
	setDefault(&c.StopTimeout, 25*time.Second)
	setDefault(&c.MaxReceives, 5)
	setDefault(&c.grace, 5*time.Second)
	switch c.Store.(type) {
	case nil:
		c.Store = noStore{}
	default:
		c.Store = guarded{c.Store}
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// problems is what is wrong with the part that [New] and [LambdaHandler] share.
func (c Config) problems() []error {
	var problems []error
	if c.Handler == nil {
		problems = append(problems, errors.New("Handler is missing"))
	}
	if c.Concurrency < 1 || c.Concurrency > maxConcurrency {
		problems = append(problems, fmt.Errorf("Concurrency is %d, it must be between 1 and %d", c.Concurrency, maxConcurrency))
	}
	if absent(c.S3) != (c.Bucket == "") {
		problems = append(problems, errors.New("S3 and Bucket belong together: set both or none"))
	}
	return append(problems, positive("HandlerTimeout", c.HandlerTimeout)...)
}

// queueProblems is what is wrong with the part for [New] alone.
func (c Config) queueProblems() []error {
	var problems []error
	if absent(c.SQS) {
		problems = append(problems, errors.New("SQS, the client, is missing"))
	}
	problems = append(problems, queueURL("QueueURL", c.QueueURL)...)
	if c.DeadLetterQueueURL != "" {
		problems = append(problems, queueURL("DeadLetterQueueURL", c.DeadLetterQueueURL)...)
	}
	if c.HandlerTimeout > maxHandlerTimeout {
		problems = append(problems, fmt.Errorf("HandlerTimeout is %s, it must be %s at most: SQS hides a message for %s, and it may have waited here before", c.HandlerTimeout, maxHandlerTimeout, maxVisibility))
	}
	if c.DeadLetterQueueURL != "" && c.DeadLetterQueueURL == c.QueueURL {
		problems = append(problems, errors.New("DeadLetterQueueURL is the queue itself: a rejected message would come back for ever"))
	}
	if c.Visibility < minVisibility || c.Visibility > maxVisibility || c.Visibility%time.Second != 0 {
		problems = append(problems, fmt.Errorf("Visibility is %s, it must be whole seconds between %s and %s", c.Visibility, minVisibility, maxVisibility))
	}
	if c.RetryMax > maxVisibility {
		problems = append(problems, fmt.Errorf("RetryMax is %s, SQS hides a message for %s at most", c.RetryMax, maxVisibility))
	}
	problems = append(problems, positive("StopTimeout", c.StopTimeout)...)
	problems = append(problems, ordered("Retry", c.RetryMin, c.RetryMax)...)
	return append(problems, ordered("Pause", c.PauseMin, c.PauseMax)...)
}

// queueURL is what is wrong with the URL of a queue.
func queueURL(name, text string) []error {
	address, err := url.Parse(text)
	switch {
	case text == "":
		return []error{fmt.Errorf("%s is missing", name)}
	case err != nil || address.Scheme == "" || address.Host == "":
		return []error{fmt.Errorf("%s is no URL; it looks like https://sqs.eu-west-1.amazonaws.com/123456789012/name", name)}
	case strings.HasSuffix(address.Path, ".fifo"):
		return []error{fmt.Errorf("%s is a FIFO queue: one message that waits would hold up its group, and the stack's queue is a standard one", name)}
	}
	return nil
}

// absent tells whether a client is nil, or a pointer that is.
func absent(client any) bool {
	if client == nil {
		return true
	}
	value := reflect.ValueOf(client)
	return value.Kind() == reflect.Pointer && value.IsNil()
}

func positive(name string, d time.Duration) []error {
	if d > 0 {
		return nil
	}
	return []error{fmt.Errorf("%s is %s, it must be positive", name, d)}
}

func ordered(name string, low, high time.Duration) []error {
	problems := positive(name+"Min", low)
	if high < low {
		problems = append(problems, fmt.Errorf("%[1]sMax is %[2]s, less than %[1]sMin, which is %[3]s", name, high, low))
	}
	return problems
}

// whole keeps every answer of SQS whole, whichever client the program made: see
// package sdkhttp. The messages of a lost one would stay away for Visibility.
func whole(o *sqs.Options) { o.HTTPClient = sdkhttp.Client(o.HTTPClient) }
