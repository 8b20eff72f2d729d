package localstage

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/onepagecrm/nylas-webhooks/lambda/contract"
	"github.com/onepagecrm/nylas-webhooks/notification"
	"github.com/onepagecrm/nylas-webhooks/notification/samples"
)

// Queue is the URL of the queue that the consumer reads.
func (s *Stage) Queue() string { return s.Outputs["QueueUrl"] }

// DeadLetters is the dead-letter queue's URL.
func (s *Stage) DeadLetters() string { return s.Outputs["DeadLetterQueueUrl"] }

// Send puts samples by name on the queue, as the receiver would, the i-th of them
// under the id <name>-<i, six digits>.
func (s *Stage) Send(ctx context.Context, names ...string) error {
	for i, name := range names {
		sample, err := samples.Get(name)
		if err != nil {
			return err
		}
		wire, err := Wire(sample, fmt.Sprintf("%s-%06d", name, i))
		if err != nil {
			return err
		}
		if err := s.SendWire(ctx, wire); err != nil {
			return err
		}
	}
	return nil
}

// SendWire puts one message on the queue.
func (s *Stage) SendWire(ctx context.Context, wire notification.Wire) error {
	in := sqs.SendMessageInput{QueueUrl: aws.String(s.Queue()), MessageBody: &wire.Body, MessageAttributes: map[string]types.MessageAttributeValue{}}
	for name, a := range wire.Attributes {
		in.MessageAttributes[name] = types.MessageAttributeValue{DataType: aws.String(a.DataType), StringValue: aws.String(a.Value)}
	}
	if wire.GroupID != "" {
		in.MessageGroupId = &wire.GroupID
	}
	_, err := sqs.NewFromConfig(s.AWS).SendMessage(ctx, &in)
	return err
}

// Wire is sample as the receiver writes it, under another id; under its own where id is
// empty.
func Wire(sample samples.Sample, id string) (notification.Wire, error) {
	var e struct {
		ID   string `json:"id"`
		Type string `json:"type"`
		Data struct {
			GrantID string `json:"grant_id"`
			Object  struct {
				GrantID string `json:"grant_id"`
			} `json:"object"`
		} `json:"data"`
	}
	if err := json.Unmarshal(sample.Body, &e); err != nil {
		return notification.Wire{}, err
	}
	signature, err := notification.ParseSignature(sample.Signature)
	if err != nil {
		return notification.Wire{}, err
	}
	return notification.Notification{
		Body: sample.Body, ID: cmp.Or(id, e.ID), Type: e.Type, GrantID: cmp.Or(e.Data.GrantID, e.Data.Object.GrantID), Attempt: 1,
		ReceivedAt: time.Now(), Signature: signature, RequestID: "3b0bdc86-29d4-4687-b383-febe5cce8fc4",
	}.Encode()
}

// Archive puts a copy of a sample into the archive, as the receiver would, under another
// grant and time of arrival.
func (s *Stage) Archive(ctx context.Context, name, grant string, at time.Time) error {
	sample, err := samples.Get(name)
	if err != nil {
		return err
	}
	wire, err := Wire(sample, "")
	if err != nil {
		return err
	}
	wire.Attributes[notification.AttrGrantID] = notification.Attribute{DataType: "String", Value: grant}
	object, err := wire.Spill()
	if err != nil {
		return err
	}
	key := contract.ArchiveKey{
		ReceivedAt: at, GrantID: grant, Signature: sample.Signature[:16],
		Type: wire.Attributes[notification.AttrType].Value, ID: wire.Attributes[notification.AttrNotificationID].Value,
	}
	_, err = s.S3().PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String(s.Outputs["BucketName"]), Key: aws.String(key.String()), Body: bytes.NewReader(object)})
	return err
}

// Archived are the names of the archive's objects.
func (s *Stage) Archived(ctx context.Context) ([]string, error) {
	var names []string
	pages := s3.NewListObjectsV2Paginator(s.S3(), &s3.ListObjectsV2Input{Bucket: aws.String(s.Outputs["BucketName"]), Prefix: aws.String(contract.ArchivePrefix)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, o := range page.Contents {
			names = append(names, aws.ToString(o.Key))
		}
	}
	return names, nil
}

// S3 is a client that names the bucket in the path, as the engine wants it.
func (s *Stage) S3() *s3.Client {
	return s3.NewFromConfig(s.AWS, func(o *s3.Options) { o.UsePathStyle = true })
}

// Kill makes dead letters of all that is on the queue, the way a failing consumer
// does: by receiving and not deleting.
func (s *Stage) Kill(ctx context.Context) error {
	client := sqs.NewFromConfig(s.AWS)
	for {
		answer, err := client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: aws.String(s.Queue()), MaxNumberOfMessages: 10})
		if err != nil || len(answer.Messages) == 0 {
			return err
		}
		var entries []types.ChangeMessageVisibilityBatchRequestEntry
		for i, m := range answer.Messages {
			entries = append(entries, types.ChangeMessageVisibilityBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: m.ReceiptHandle})
		}
		// The SDK leaves a visibility timeout of 0 out of a receive.
		if _, err := client.ChangeMessageVisibilityBatch(ctx, &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: aws.String(s.Queue()), Entries: entries}); err != nil {
			return err
		}
	}
}

// Counts says how many messages a queue has, visible and hidden.
func (s *Stage) Counts(ctx context.Context, url string) (visible, hidden int, err error) {
	answer, err := sqs.NewFromConfig(s.AWS).GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: &url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll},
	})
	if err != nil {
		return 0, 0, err
	}
	if visible, err = strconv.Atoi(answer.Attributes["ApproximateNumberOfMessages"]); err != nil {
		return 0, 0, err
	}
	hidden, err = strconv.Atoi(answer.Attributes["ApproximateNumberOfMessagesNotVisible"])
	return visible, hidden, err
}

// Drain takes everything off a queue and returns it.
func (s *Stage) Drain(ctx context.Context, url string) ([]types.Message, error) {
	client := sqs.NewFromConfig(s.AWS)
	var all []types.Message
	for {
		answer, err := client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
			QueueUrl: &url, MaxNumberOfMessages: 10, MessageAttributeNames: []string{"All"},
			MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
		})
		if err != nil || len(answer.Messages) == 0 {
			return all, err
		}
		for _, m := range answer.Messages {
			if _, err := client.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: m.ReceiptHandle}); err != nil {
				return all, err
			}
		}
		all = append(all, answer.Messages...)
	}
}

// Empty drains both queues, so that a test finds what it put there.
func (s *Stage) Empty(ctx context.Context) error {
	for _, url := range []string{s.Queue(), s.DeadLetters()} {
		if _, err := sqs.NewFromConfig(s.AWS).PurgeQueue(ctx, &sqs.PurgeQueueInput{QueueUrl: &url}); err != nil {
			return err
		}
	}
	return nil
}
