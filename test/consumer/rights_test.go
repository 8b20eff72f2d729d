package consumer

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/onepagecrm/nylas-webhooks/consumer"
	"github.com/onepagecrm/nylas-webhooks/notification"
	"github.com/onepagecrm/nylas-webhooks/test/rights"
)

// TestEachPolicyIsNeeded takes from a consumer one of the policies that
// docs/least-privilege.md names for hookworker: it handles nothing, says why, and the
// notification stays on the queue.
func TestEachPolicyIsNeeded(t *testing.T) {
	_, row := stage.Programs.For("hookworker")
	for i, policy := range row.Policies {
		t.Run(policy, func(t *testing.T) {
			q, table := newQueues(t), newTable(t)
			user, err := stage.User(t.Context(), rights.Row{Policies: slices.Delete(slices.Clone(row.Policies), i, i+1)})
			if err != nil {
				t.Fatal(err)
			}
			store, err := consumer.NewDynamoDBStore(dynamodb.NewFromConfig(user.AWS), table, 0)
			if err != nil {
				t.Fatal(err)
			}
			send(t, q.url, note("a"))
			logs := new(lockedBuffer)
			var handled atomic.Int32
			c, err := consumer.New(consumer.Config{
				SQS: sqs.NewFromConfig(user.AWS), QueueURL: q.url, DeadLetterQueueURL: q.dead, Store: store,
				Logger: slog.New(slog.NewJSONHandler(logs, nil)),
				Handler: func(context.Context, notification.Notification) error {
					handled.Add(1)
					return nil
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- c.Run(ctx) }()
			await(t, "it says why", 20*time.Second, func() bool { return strings.Contains(logs.String(), "AccessDenied") })
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("Run: %v", err)
			}
			if n := handled.Load(); n != 0 || depth(t, q.url) != 1 {
				t.Errorf("%d were handled, %d are on the queue", n, depth(t, q.url))
			}
		})
	}
}
