package consumer_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/onepagecrm/nylas-webhooks/consumer"
	"github.com/onepagecrm/nylas-webhooks/notification"
)

// sender is what a program needs of *sqs.Client to send.
type sender interface {
	SendMessage(context.Context, *sqs.SendMessageInput, ...func(*sqs.Options)) (*sqs.SendMessageOutput, error)
}

// onto puts each notification onto another queue, as the front door put it onto this one.
func onto(client sender, queueURL string) consumer.Handler {
	return func(ctx context.Context, n notification.Notification) error {
		wire, err := n.Encode()
		if err == nil && !wire.Fits() {
			err = errors.New("it is too large for SQS") // about 800 kB that do not compress
		}
		if err != nil {
			return consumer.Reject(err)
		}
		in := &sqs.SendMessageInput{QueueUrl: &queueURL, MessageBody: &wire.Body, MessageAttributes: map[string]types.MessageAttributeValue{}}
		for name, a := range wire.Attributes {
			in.MessageAttributes[name] = types.MessageAttributeValue{DataType: aws.String(a.DataType), StringValue: aws.String(a.Value)}
		}
		if wire.GroupID != "" {
			in.MessageGroupId = &wire.GroupID
		}
		if _, err := client.SendMessage(ctx, in); err != nil {
			return consumer.Unavailable(err, 0)
		}
		return nil
	}
}

// Two systems, and a queue with a worker (cmd/hookworker) for each. The program in front
// of them only sends, so an outage of one system fills that system's queue and is felt by
// nobody else.
func ExampleByType_severalTargets() {
	var client sender = printer{} // an *sqs.Client
	handler := consumer.ByType(map[string]consumer.Handler{
		"message":  onto(client, "https://sqs.eu-west-1.amazonaws.com/111122223333/crm"),
		"calendar": onto(client, "https://sqs.eu-west-1.amazonaws.com/111122223333/planner"),
		"event":    onto(client, "https://sqs.eu-west-1.amazonaws.com/111122223333/planner"),
		"thread":   func(context.Context, notification.Notification) error { return nil }, // nobody wants these
	}, nil) // what has no target is a dead letter
	for _, typ := range []string{"message.created.truncated", "event.updated", "thread.replied", "grant.expired"} {
		n := notification.Notification{Body: []byte("{}"), Type: typ, GrantID: "grant-1"}
		if err := handler(context.Background(), n); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// https://sqs.eu-west-1.amazonaws.com/111122223333/crm gets message.created.truncated of grant-1: {}
	// https://sqs.eu-west-1.amazonaws.com/111122223333/planner gets event.updated of grant-1: {}
	// rejected: no handler for type "grant.expired"
}

type printer struct{}

func (printer) SendMessage(_ context.Context, in *sqs.SendMessageInput, _ ...func(*sqs.Options)) (*sqs.SendMessageOutput, error) {
	fmt.Printf("%s gets %s of %s: %s\n", *in.QueueUrl, *in.MessageAttributes[notification.AttrType].StringValue, *in.MessageGroupId, *in.MessageBody)
	return &sqs.SendMessageOutput{}, nil
}
