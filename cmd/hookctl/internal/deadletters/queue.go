// Package deadletters works on a stage's dead-letter queue: it looks at what is there,
// sends it back to the main queue, and empties it.
//
// hookctl's dlq commands call it. Nothing leaves the dead-letter queue before the main
// queue has it, so that a crash makes a duplicate and never a loss. It does not read
// what is in a notification, and it knows no other way to see a message than to
// receive it; what that does to the queue is said at [Queue.Look].
package deadletters

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

const (
	// batchSize is SQS's limit for one call.
	// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html
	batchSize = 10
	// batchBytes is SQS's limit for the messages of one batch together.
	batchBytes = 1_048_576
	// waitSeconds makes a receive ask all of SQS's servers instead of some, so that one
	// that brings nothing ends a look.
	// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-short-and-long-polling.html
	waitSeconds = 1
	// staleReceives in a row that bring only what was seen before end a look, too: it
	// then takes longer than [Hold], and what it holds comes back.
	staleReceives = 10
	// Hold is how long a message that is looked at stays hidden, should this program
	// be killed before it gives it back.
	Hold = 5 * time.Minute
	// lateness is for what is done after Ctrl-C: giving back, deleting what was sent.
	lateness = 10 * time.Second
)

// API is the part of SQS that [Queue] needs; *sqs.Client is one.
type API interface {
	ReceiveMessage(context.Context, *sqs.ReceiveMessageInput, ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error)
	SendMessageBatch(context.Context, *sqs.SendMessageBatchInput, ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error)
	DeleteMessageBatch(context.Context, *sqs.DeleteMessageBatchInput, ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error)
	ChangeMessageVisibilityBatch(context.Context, *sqs.ChangeMessageVisibilityBatchInput, ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityBatchOutput, error)
	GetQueueAttributes(context.Context, *sqs.GetQueueAttributesInput, ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error)
	PurgeQueue(context.Context, *sqs.PurgeQueueInput, ...func(*sqs.Options)) (*sqs.PurgeQueueOutput, error)
	StartMessageMoveTask(context.Context, *sqs.StartMessageMoveTaskInput, ...func(*sqs.Options)) (*sqs.StartMessageMoveTaskOutput, error)
	ListMessageMoveTasks(context.Context, *sqs.ListMessageMoveTasksInput, ...func(*sqs.Options)) (*sqs.ListMessageMoveTasksOutput, error)
	CancelMessageMoveTask(context.Context, *sqs.CancelMessageMoveTaskInput, ...func(*sqs.Options)) (*sqs.CancelMessageMoveTaskOutput, error)
}

// Queue is a stage's dead-letter queue. All fields are required.
type Queue struct {
	API     API
	URL     string // of the dead-letter queue
	MainURL string // of the queue that redrive sends to
	MainARN string
}

// Name is the queue's name, the end of its URL.
func (q Queue) Name() string { return path.Base(q.URL) }

// State is what SQS says about the queue. The counts are approximate, and right a minute
// after the last message came or went.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html
type State struct {
	ARN       string
	Visible   int // there for whoever receives
	Held      int // received by somebody and neither deleted nor given back
	Retention time.Duration
}

// Total is how many letters there are. What is received or given back does not change
// it, so it is less in motion than its parts.
func (s State) Total() int { return s.Visible + s.Held }

// State asks SQS.
func (q Queue) State(ctx context.Context) (State, error) {
	answer, err := q.API.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &q.URL, AttributeNames: []types.QueueAttributeName{
		types.QueueAttributeNameQueueArn, types.QueueAttributeNameApproximateNumberOfMessages,
		types.QueueAttributeNameApproximateNumberOfMessagesNotVisible, types.QueueAttributeNameMessageRetentionPeriod,
	}})
	if err != nil {
		return State{}, fmt.Errorf("ask for the dead-letter queue's state: %w", err)
	}
	var missing error
	number := func(name types.QueueAttributeName) int {
		n, err := strconv.Atoi(answer.Attributes[string(name)])
		if err != nil { // 0 would read as "no letters"
			missing = fmt.Errorf("ask for the dead-letter queue's state: the answer has no %s, so it is not SQS's (is AWS_ENDPOINT_URL right, or a proxy between?)", name)
		}
		return n
	}
	return State{
		ARN:       answer.Attributes[string(types.QueueAttributeNameQueueArn)],
		Visible:   number(types.QueueAttributeNameApproximateNumberOfMessages),
		Held:      number(types.QueueAttributeNameApproximateNumberOfMessagesNotVisible),
		Retention: time.Duration(number(types.QueueAttributeNameMessageRetentionPeriod)) * time.Second,
	}, missing
}

// Purge deletes every message, also those that others hold. SQS takes up to a minute
// and allows it once a minute.
func (q Queue) Purge(ctx context.Context) error {
	if _, err := q.API.PurgeQueue(ctx, &sqs.PurgeQueueInput{QueueUrl: &q.URL}); err != nil {
		return fmt.Errorf("purge the dead-letter queue: %w", err)
	}
	return nil
}

// Look receives what is on the queue, hands each message to visit once, and gives all
// of them back. visit returns false when it has seen enough; else unseen is about how many
// letters it was not shown, because somebody else has received them. before is the state
// from before the look.
//
// While it looks, nobody else sees the messages (at most for [Hold]); each one's
// receive count goes up by one, which moves nothing, as the dead-letter queue has no
// redrive policy.
func (q Queue) Look(ctx context.Context, before State, visit func(Letter) bool) (unseen int, err error) {
	seen, ended := 0, false
	err = q.each(ctx, func(_ context.Context, letters []Letter) (gone []string, more bool, err error) {
		for _, l := range letters {
			seen++
			if ended = !visit(l); ended {
				return nil, false, nil
			}
		}
		return nil, true, nil
	})
	if ended || err != nil {
		return 0, err
	}
	// Asked again, because letters that came meanwhile were seen, too, and would make up
	// for others that were not.
	after, err := q.State(ctx)
	return max(before.Total()-seen, after.Total()-seen, 0), err
}

// each receives until nothing new comes and gives back what is not gone. do is called
// with messages it has not had yet, and returns the ids of those that it deleted.
func (q Queue) each(ctx context.Context, do func(context.Context, []Letter) (gone []string, more bool, err error)) (err error) {
	held := map[string]string{} // receipt handle by message id
	defer func() {
		// 20 ms a message is ten times what a batch of ten takes.
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), lateness+time.Duration(len(held))*20*time.Millisecond)
		defer cancel()
		if back := q.giveBack(late, held); err == nil {
			err = back
		}
	}()
	seen := map[string]bool{}
	for stale := 0; stale < staleReceives; {
		answer, err := q.API.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
			QueueUrl: &q.URL, MaxNumberOfMessages: batchSize, WaitTimeSeconds: waitSeconds,
			VisibilityTimeout:           int32(Hold / time.Second),
			MessageAttributeNames:       []string{"All"},
			MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
		})
		if err != nil {
			return fmt.Errorf("receive from the dead-letter queue: %w", err)
		}
		if len(answer.Messages) == 0 {
			return nil
		}
		var fresh []Letter
		for _, m := range answer.Messages {
			l := read(m)
			held[l.MessageID] = l.handle // the newest one is the one that counts
			if !seen[l.MessageID] {
				seen[l.MessageID] = true
				fresh = append(fresh, l)
			}
		}
		if len(fresh) == 0 {
			stale++
			continue
		}
		stale = 0
		gone, more, err := do(ctx, fresh)
		for _, id := range gone {
			delete(held, id)
		}
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// giveBack makes messages visible again.
func (q Queue) giveBack(ctx context.Context, held map[string]string) error {
	var entries []types.ChangeMessageVisibilityBatchRequestEntry
	for _, handle := range held {
		entries = append(entries, types.ChangeMessageVisibilityBatchRequestEntry{
			Id: aws.String(strconv.Itoa(len(entries))), ReceiptHandle: &handle, VisibilityTimeout: 0,
		})
	}
	for chunk := range slices.Chunk(entries, batchSize) {
		// An entry that fails is one whose hold is over or that somebody has deleted:
		// nothing is left to give back.
		if _, err := q.API.ChangeMessageVisibilityBatch(ctx, &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &q.URL, Entries: chunk}); err != nil {
			return fmt.Errorf("give %d messages back to the dead-letter queue (they come back by themselves within %s): %w", len(held), Hold, err)
		}
	}
	return nil
}

// delete takes letters off the dead-letter queue and returns the ids of those that are
// gone. A handle that is no longer good is not an error: AWS answers that it deleted
// the message, other engines refuse, and either way the message may still be there.
func (q Queue) delete(ctx context.Context, letters []Letter) ([]string, error) {
	var entries []types.DeleteMessageBatchRequestEntry
	for i, l := range letters {
		entries = append(entries, types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: &l.handle})
	}
	answer, err := q.API.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: &q.URL, Entries: entries})
	if err != nil {
		return nil, fmt.Errorf("delete from the dead-letter queue what the queue has now (they are duplicates): %w", err)
	}
	var gone []string
	for _, e := range answer.Successful {
		i, err := strconv.Atoi(aws.ToString(e.Id))
		if err != nil || i < 0 || i >= len(letters) {
			return gone, errors.New("delete from the dead-letter queue: SQS answered for an entry that was not asked for")
		}
		gone = append(gone, letters[i].MessageID)
	}
	return gone, nil
}
