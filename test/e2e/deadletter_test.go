package e2e

import (
	"maps"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

// A message that its consumer does not delete is tried five times and then kept
// aside, as it was.
func TestDeadLetterAfterFiveReceives(t *testing.T) {
	queue, deadLetters := sys.outputs["QueueUrl"], sys.outputs["DeadLetterQueueUrl"]
	body := note{Grant: "grant-1"}.json()
	signature := sys.deliver(t, body)

	receive := func(from string) *types.Message {
		answer := must[*sqs.ReceiveMessageOutput](t)(sys.queue.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{
			QueueUrl: &from, MaxNumberOfMessages: 10, MessageAttributeNames: []string{"All"},
			MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
		}))
		for _, m := range answer.Messages {
			if attributes(m)[notification.AttrSignature] == signature {
				return &m
			}
		}
		return nil
	}
	var moved *types.Message
	var last map[string]string
	receives := 0
	eventually(t, soon, func() string {
		// SQS moves the message when it would be received once more.
		if m := receive(queue); m != nil {
			receives++
			last = attributes(*m)
			must[*sqs.ChangeMessageVisibilityOutput](t)(sys.queue.ChangeMessageVisibility(t.Context(), &sqs.ChangeMessageVisibilityInput{
				QueueUrl: &queue, ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: 0,
			}))
		}
		if moved = receive(deadLetters); moved != nil {
			return ""
		}
		return "the message is not in the dead-letter queue"
	})
	sys.ledger.arrive(decoded(t, *moved).Body)
	if receives != 5 {
		t.Errorf("received %d times before it was moved, want 5", receives)
	}
	if aws.ToString(moved.Body) != string(body) || !maps.Equal(attributes(*moved), last) || moved.Attributes["MessageGroupId"] != "grant-1" {
		t.Errorf("the message has changed on the way: %v, was %v", attributes(*moved), last)
	}
	must[*sqs.DeleteMessageOutput](t)(sys.queue.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: &deadLetters, ReceiptHandle: moved.ReceiptHandle}))
}
