package faults

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/onepagecrm/nylas-webhooks/lambda/contract"
	"github.com/onepagecrm/nylas-webhooks/notification"
	"github.com/onepagecrm/nylas-webhooks/test/faults/standin"
)

// replay sends what was spilled once more, with no fault left, as an operator does. It
// says what does not get through: that was answered 200 and would never arrive.
func (s *System) replay(ctx context.Context, objects map[string]standin.Object) []string {
	s.AWS.SQS.Faults.Heal()
	s.AWS.SetClock(0)
	client := awssqs.New(awssqs.Options{
		Region: "us-east-1", BaseEndpoint: &s.AWS.URL, HTTPClient: s.AWS.Client(), Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider("OPERATOR", "secret", ""),
	})
	var wrong []string
	for key, object := range objects {
		if !strings.HasPrefix(key, contract.SpillPrefix) {
			continue
		}
		w, err := notification.Unspill(object.Content)
		if err == nil {
			_, err = client.SendMessage(ctx, sendInput(s.AWS.QueueURL(), w))
		}
		if err != nil {
			wrong = append(wrong, fmt.Sprintf("what was spilled cannot be replayed: %v", err))
		}
	}
	return wrong
}

func sendInput(url string, w notification.Wire) *awssqs.SendMessageInput {
	input := &awssqs.SendMessageInput{QueueUrl: &url, MessageBody: &w.Body, MessageAttributes: make(map[string]types.MessageAttributeValue)}
	for name, a := range w.Attributes {
		input.MessageAttributes[name] = types.MessageAttributeValue{DataType: &a.DataType, StringValue: &a.Value}
	}
	if w.GroupID != "" {
		input.MessageGroupId = &w.GroupID
	}
	return input
}
