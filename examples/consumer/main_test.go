package main

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onepagecrm/nylas-webhooks/consumer"
	"github.com/onepagecrm/nylas-webhooks/consumer/consumertest"
)

func TestHandle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queue := consumertest.NewQueue()
		for _, name := range []string{"grant_expired", "message_created"} {
			if _, err := queue.Send(consumertest.Sample(name)); err != nil {
				t.Fatal(err)
			}
		}
		c, err := consumer.New(consumer.Config{SQS: queue, QueueURL: consumertest.URL, Handler: handle})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		if err := c.Run(ctx); err != nil {
			t.Fatal(err)
		}
		if queue.Left() != 0 || len(queue.DeadLetters()) != 0 {
			t.Errorf("%d left, %d dead letters", queue.Left(), len(queue.DeadLetters()))
		}
	})
}
