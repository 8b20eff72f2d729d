package consumer_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/onepagecrm/nylas-webhooks/consumer"
	"github.com/onepagecrm/nylas-webhooks/notification"
	"github.com/onepagecrm/nylas-webhooks/notification/samples"
)

// handle is a handler: route by type (by its prefix: Nylas appends suffixes such as
// ".truncated"), parse what is needed, do the work.
func handle(_ context.Context, n notification.Notification) error {
	switch {
	case strings.HasPrefix(n.Type, "grant.expired"):
		var body struct {
			Data struct {
				Object struct{ Provider string }
			}
		}
		if err := json.Unmarshal(n.Body, &body); err != nil {
			return consumer.Reject(fmt.Errorf("parse %s: %w", n.Type, err))
		}
		fmt.Printf("ask the owner of %s to sign in to %s again\n", n.GrantID, body.Data.Object.Provider)
	default:
		fmt.Println("not of interest:", n.Type)
	}
	return nil
}

// A long-running consumer of the stack's queue, with a DynamoDB table that keeps
// duplicates away from the handler.
func Example() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	aws, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		log.Fatal(err)
	}
	store, err := consumer.NewDynamoDBStore(dynamodb.NewFromConfig(aws), "handled-notifications", consumer.DefaultRetention)
	if err != nil {
		log.Fatal(err)
	}
	c, err := consumer.New(consumer.Config{
		SQS:      sqs.NewFromConfig(aws),
		QueueURL: "https://sqs.eu-west-1.amazonaws.com/111122223333/notifications",
		Handler:  handle,
		Store:    store,
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := c.Run(ctx); err != nil {
		log.Fatal(err)
	}
}

// The same handler as a Lambda function. Here it is called by hand; in the function,
// give it to lambda.Start of aws-lambda-go.
func ExampleLambdaHandler() {
	invoke, err := consumer.LambdaHandler(consumer.Config{
		Handler:     handle,
		Concurrency: 1, // so that the example's lines have an order
		Logger:      slog.New(slog.DiscardHandler),
	})
	if err != nil {
		log.Fatal(err)
	}
	response, err := invoke(context.Background(), eventOf("grant_expired", "message_created"))
	fmt.Println(len(response.BatchItemFailures), "failed", err)
	// Output:
	// ask the owner of c3b0a6de-52c7-4f7e-8f1d-0b9a7de41c20 to sign in to google again
	// not of interest: message.created
	// 0 failed <nil>
}

// A handler that delivers by HTTP tells an outage from a bad message.
func ExampleUnavailable() {
	crm := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "120")
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer crm.Close()

	deliver := func(ctx context.Context, n notification.Notification) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, crm.URL, strings.NewReader(string(n.Body)))
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return consumer.Unavailable(err, 0)
		}
		defer response.Body.Close()
		if _, err := io.Copy(io.Discard, response.Body); err != nil {
			return consumer.Unavailable(err, 0)
		}
		switch {
		case response.StatusCode < 300:
			return nil
		case response.StatusCode == http.StatusUnprocessableEntity:
			return consumer.Reject(errors.New(response.Status))
		}
		wait, err := time.ParseDuration(response.Header.Get("Retry-After") + "s")
		if err != nil {
			wait = 0
		}
		return consumer.Unavailable(errors.New(response.Status), wait)
	}
	fmt.Println(deliver(context.Background(), notification.Notification{Body: []byte("{}")}))
	// Output:
	// unavailable: 503 Service Unavailable
}

// eventOf is the event with which AWS would bring the samples.
func eventOf(names ...string) events.SQSEvent {
	var batch events.SQSEvent
	for _, name := range names {
		sample, err := samples.Get(name)
		if err != nil {
			log.Fatal(err)
		}
		var envelope struct {
			ID, Type string
			Data     struct {
				Object struct {
					GrantID string `json:"grant_id"`
				}
			}
		}
		if err := json.Unmarshal(sample.Body, &envelope); err != nil {
			log.Fatal(err)
		}
		wire, err := notification.Notification{Body: sample.Body, ID: envelope.ID, Type: envelope.Type, GrantID: envelope.Data.Object.GrantID}.Encode()
		if err != nil {
			log.Fatal(err)
		}
		record := events.SQSMessage{MessageId: name, Body: wire.Body, MessageAttributes: map[string]events.SQSMessageAttribute{}}
		for name, a := range wire.Attributes {
			record.MessageAttributes[name] = events.SQSMessageAttribute{StringValue: &a.Value, DataType: a.DataType}
		}
		batch.Records = append(batch.Records, record)
	}
	return batch
}
