package demo

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

const (
	// batchSize is SQS's limit for one call.
	// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html
	batchSize = 10
	// waitSeconds is how long one receive waits for a first message.
	waitSeconds = 1
	// holdSeconds is how long a received message stays hidden: longer than the demo
	// looks, so that it meets no message twice.
	holdSeconds = 60
)

// SQS is a [Queue] in Amazon SQS.
type SQS struct {
	API *sqs.Client
	URL string
}

// Receive implements [Queue].
func (q SQS) Receive(ctx context.Context) ([]Received, error) {
	answer, err := q.API.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: &q.URL, MaxNumberOfMessages: batchSize, WaitTimeSeconds: waitSeconds,
		VisibilityTimeout: holdSeconds, MessageAttributeNames: []string{"All"},
	})
	if err != nil {
		return nil, fmt.Errorf("receive from the queue: %w", err)
	}
	var received []Received
	for _, m := range answer.Messages {
		attributes := make(map[string]string)
		for name, value := range m.MessageAttributes {
			attributes[name] = aws.ToString(value.StringValue)
		}
		received = append(received, Received{aws.ToString(m.ReceiptHandle), aws.ToString(m.Body), attributes})
	}
	return received, nil
}

// Delete implements [Queue].
func (q SQS) Delete(ctx context.Context, messages []Received) error {
	for chunk := range slices.Chunk(messages, batchSize) {
		var entries []types.DeleteMessageBatchRequestEntry
		for i, m := range chunk {
			entries = append(entries, types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: &m.Handle})
		}
		answer, err := q.API.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: &q.URL, Entries: entries})
		if err != nil {
			return fmt.Errorf("delete from the queue: %w", err)
		}
		if err := failed(answer.Failed); err != nil {
			return fmt.Errorf("delete from the queue: %w", err)
		}
	}
	return nil
}

// GiveBack implements [Queue].
func (q SQS) GiveBack(ctx context.Context, messages []Received) error {
	for chunk := range slices.Chunk(messages, batchSize) {
		var entries []types.ChangeMessageVisibilityBatchRequestEntry
		for i, m := range chunk {
			entries = append(entries, types.ChangeMessageVisibilityBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: &m.Handle, VisibilityTimeout: 0})
		}
		answer, err := q.API.ChangeMessageVisibilityBatch(ctx, &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &q.URL, Entries: entries})
		if err != nil {
			return fmt.Errorf("give back to the queue: %w", err)
		}
		if err := failed(answer.Failed); err != nil {
			return fmt.Errorf("give back to the queue: %w", err)
		}
	}
	return nil
}

// failed reports the first of a batch's entries that SQS did not do.
func failed(entries []types.BatchResultErrorEntry) error {
	if len(entries) == 0 {
		return nil
	}
	return fmt.Errorf("%d of the batch failed, the first with %s", len(entries), aws.ToString(entries[0].Code))
}
