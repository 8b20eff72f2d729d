// Command consumer is a whole program that reads the queue with package consumer, in a
// module of its own: copy it and write your handler.
package main

import (
	"context"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/onepagecrm/nylas-webhooks/consumer"
	"github.com/onepagecrm/nylas-webhooks/notification"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	aws, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		log.Fatal(err)
	}
	c, err := consumer.New(consumer.Config{
		SQS:      sqs.NewFromConfig(aws),
		QueueURL: os.Getenv("QUEUE_URL"), // the stack's output QueueUrl
		Handler:  handle,
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := c.Run(ctx); err != nil {
		log.Fatal(err)
	}
}

var handle = consumer.ByType(map[string]consumer.Handler{
	"grant.expired": func(_ context.Context, n notification.Notification) error {
		log.Printf("ask the owner of grant %s to sign in again", n.GrantID)
		return nil
	},
}, func(context.Context, notification.Notification) error { return nil })
