// Package enqueue puts a message that the receiver wrote onto the queue once more, as the
// receiver would have. What replays what was spilled uses it, and what replays the archive.
package enqueue

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/onepagecrm/nylas-webhooks/internal/sqsanswer"
	"github.com/onepagecrm/nylas-webhooks/notification"
)

// API is the part of SQS that [Send] needs; *sqs.Client is one.
type API interface {
	SendMessage(context.Context, *sqs.SendMessageInput, ...func(*sqs.Options)) (*sqs.SendMessageOutput, error)
}

// Send puts a message onto the queue at url. What SQS refuses as it is, or would refuse
// for its size, goes compressed, as the receiver sends it. nil means that SQS keeps it; an
// error that is [sqsanswer.ErrRefused] says nothing of other messages.
func Send(ctx context.Context, api API, url string, wire notification.Wire) error {
	err := sqsanswer.ErrRefused
	if wire.Fits() {
		err = sqsanswer.Kept(api.SendMessage(ctx, message(url, wire)))
	}
	if !errors.Is(err, sqsanswer.ErrRefused) {
		return err
	}
	compressed, compressErr := wire.Compress()
	if compressErr != nil {
		return fmt.Errorf("%w (%w)", err, compressErr)
	}
	return sqsanswer.Kept(api.SendMessage(ctx, message(url, compressed)))
}

func message(url string, w notification.Wire) *sqs.SendMessageInput {
	in := &sqs.SendMessageInput{QueueUrl: &url, MessageBody: &w.Body, MessageAttributes: make(map[string]types.MessageAttributeValue)}
	for name, a := range w.Attributes {
		in.MessageAttributes[name] = types.MessageAttributeValue{DataType: aws.String(a.DataType), StringValue: aws.String(a.Value)}
	}
	if w.GroupID != "" {
		in.MessageGroupId = &w.GroupID
	}
	return in
}
