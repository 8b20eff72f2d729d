package deadletters

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"

	"github.com/onepagecrm/nylas-webhooks/internal/awserror"
	"github.com/onepagecrm/nylas-webhooks/notification"
)

// Order says what a redrive is to do.
type Order struct {
	Filter
	// Max is how many to move at most, Rate how many a second; 0 is no limit.
	Max, Rate int
}

// Result counts what a redrive did.
type Result struct {
	Looked int `json:"looked_at"`
	Moved  int `json:"moved"`
	// Duplicated were sent and could not be deleted: the next redrive sends them again.
	Duplicated int `json:"duplicated"`
	// Refused were not taken by the main queue, and stay. Why is said of the first.
	Refused int    `json:"refused"`
	Why     string `json:"refused_why,omitempty"`
	// CameBack were sent to the main queue after the redrive began, so this or another
	// redrive sent them and the consumer failed again. They stay.
	CameBack int `json:"came_back"`
}

// Redrive sends the selected letters to the main queue, all attributes and the group
// as they are, and deletes each only after the main queue has it. told is called after
// every batch.
func (q Queue) Redrive(ctx context.Context, o Order, told func(Result)) (Result, error) {
	var r Result
	began := time.Now()
	err := q.each(ctx, func(ctx context.Context, letters []Letter) (gone []string, more bool, err error) {
		var chosen []Letter
		for _, l := range letters {
			r.Looked++
			switch {
			case !o.Match(l):
			case l.SentAt.After(began):
				r.CameBack++
			case o.Max == 0 || r.Moved+r.Refused+r.Duplicated+len(chosen) < o.Max:
				chosen = append(chosen, l.sendable())
			}
		}
		for _, chunk := range chunks(chosen, o.Rate) {
			started := time.Now()
			ids, err := q.move(ctx, chunk, &r)
			gone = append(gone, ids...)
			told(r)
			if err != nil {
				return gone, false, err
			}
			if err := pace(ctx, started, len(chunk), o.Rate); err != nil {
				return gone, false, err
			}
		}
		return gone, o.Max == 0 || r.Moved+r.Refused+r.Duplicated < o.Max, nil
	})
	return r, err
}

// move sends, then deletes; it returns the ids of what is deleted.
func (q Queue) move(ctx context.Context, letters []Letter, r *Result) ([]string, error) {
	in := sqs.SendMessageBatchInput{QueueUrl: &q.MainURL}
	for i, l := range letters {
		in.Entries = append(in.Entries, l.copy(strconv.Itoa(i)))
	}
	answer, err := q.API.SendMessageBatch(ctx, &in)
	if err != nil {
		return nil, fmt.Errorf("send to the main queue: %w", err)
	}
	if len(answer.Successful)+len(answer.Failed) != len(letters) {
		return nil, errors.New("send to the main queue: the answer does not speak of all messages, so it is not SQS's (is AWS_ENDPOINT_URL right, or a proxy between?); nothing was deleted")
	}
	var sent []Letter
	for _, e := range answer.Successful {
		i, err := strconv.Atoi(aws.ToString(e.Id))
		if err != nil || i < 0 || i >= len(letters) {
			return nil, errors.New("send to the main queue: SQS answered for an entry that was not asked for")
		}
		sent = append(sent, letters[i])
	}
	for _, e := range answer.Failed {
		r.Refused++
		if r.Why == "" {
			r.Why = awserror.Text(&smithy.OperationError{ServiceID: sqs.ServiceID, OperationName: "SendMessageBatch",
				Err: &smithy.GenericAPIError{Code: aws.ToString(e.Code), Message: aws.ToString(e.Message)}})
		}
	}
	if len(sent) == 0 {
		return nil, nil
	}
	// They are sent, so they are deleted also after Ctrl-C.
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), lateness)
	defer cancel()
	gone, err := q.delete(late, sent)
	r.Moved += len(gone)
	r.Duplicated += len(sent) - len(gone)
	return gone, err
}

// chunks splits letters into what one SendMessageBatch takes, by SQS's limits for
// messages and for the HTTP request, and into less than a second's worth of rate.
func chunks(letters []Letter, rate int) [][]Letter {
	most := batchSize
	if rate > 0 {
		most = min(most, rate)
	}
	var all [][]Letter
	var chunk []Letter
	size, request := 0, 0
	for _, l := range letters {
		w := l.wire()
		if len(chunk) == most || len(chunk) > 0 && (size+w.Size() > batchBytes || request+w.RequestSize() > notification.MaxRequestBytes) {
			all = append(all, chunk)
			chunk, size, request = nil, 0, 0
		}
		chunk = append(chunk, l)
		size += w.Size()
		request += w.RequestSize()
	}
	if len(chunk) > 0 {
		all = append(all, chunk)
	}
	return all
}

// pace waits until n messages since started are no more than rate a second.
func pace(ctx context.Context, started time.Time, n, rate int) error {
	if rate == 0 {
		return ctx.Err()
	}
	return sleep(ctx, time.Until(started.Add(time.Duration(n)*time.Second/time.Duration(rate))))
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ErrNoMoveTask: the service has no message move tasks; use [Queue.Redrive].
var ErrNoMoveTask = errors.New("the service has no message move tasks")

// MaxMoveRate is SQS's limit for a move task's rate, in messages a second.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html
const MaxMoveRate = 500

const (
	// movePoll is how often a running move task is looked at.
	movePoll = time.Second
	// mostUnlisted is how many looks a task that was started may be missing in the list.
	mostUnlisted = 30
)

// Move has SQS itself move everything to the main queue, rate a second (0: as SQS sees
// fit), and waits until it is done. told gets the approximate counts. The end of ctx
// cancels the task; what was moved stays moved. The error is [ErrNoMoveTask] where the
// service does not know such tasks; nothing was done then.
func (q Queue) Move(ctx context.Context, rate int, told func(moved, total int64)) (moved int64, err error) {
	state, err := q.State(ctx)
	if err != nil {
		return 0, err
	}
	tasks, err := q.API.ListMessageMoveTasks(ctx, &sqs.ListMessageMoveTasksInput{SourceArn: &state.ARN})
	if err != nil {
		return 0, moveError("look for a running move task", err)
	}
	// The list goes on to show the task before this one for a moment.
	older := int64(-1)
	for _, t := range tasks.Results {
		older = max(older, t.StartedTimestamp)
		if aws.ToString(t.Status) == "RUNNING" {
			return 0, fmt.Errorf("SQS is moving messages off this queue already, %d so far; one task at a time. Wait for it, or cancel it: aws sqs cancel-message-move-task", t.ApproximateNumberOfMessagesMoved)
		}
	}
	in := sqs.StartMessageMoveTaskInput{SourceArn: &state.ARN, DestinationArn: &q.MainARN}
	if rate > 0 {
		in.MaxNumberOfMessagesPerSecond = aws.Int32(int32(min(rate, MaxMoveRate)))
	}
	task, err := q.API.StartMessageMoveTask(ctx, &in)
	if err != nil {
		return 0, moveError("start a move task", err)
	}
	if aws.ToString(task.TaskHandle) == "" {
		return 0, errors.New("start a move task: the answer names no task, so it is not SQS's (is AWS_ENDPOINT_URL right, or a proxy between?)")
	}
	for unlisted := 0; ; {
		if err := sleep(ctx, movePoll); err != nil {
			late, cancel := context.WithTimeout(context.WithoutCancel(ctx), lateness)
			defer cancel()
			if _, cancelErr := q.API.CancelMessageMoveTask(late, &sqs.CancelMessageMoveTaskInput{TaskHandle: task.TaskHandle}); cancelErr != nil {
				return moved, fmt.Errorf("cancel the move task: %w", cancelErr)
			}
			return moved, err
		}
		tasks, err := q.API.ListMessageMoveTasks(ctx, &sqs.ListMessageMoveTasksInput{SourceArn: &state.ARN})
		if err != nil {
			return moved, fmt.Errorf("look at the move task, which goes on by itself: %w", err)
		}
		if len(tasks.Results) == 0 || tasks.Results[0].StartedTimestamp <= older {
			if unlisted++; unlisted == mostUnlisted {
				return moved, fmt.Errorf("SQS took the order to move the messages and lists no such task after %s. Look at what it did: hookctl dlq ls", mostUnlisted*movePoll)
			}
			continue
		}
		newest := tasks.Results[0]
		moved = newest.ApproximateNumberOfMessagesMoved
		switch aws.ToString(newest.Status) {
		case "COMPLETED":
			return moved, nil
		case "FAILED":
			return moved, fmt.Errorf("SQS stopped moving after %d messages: %w", moved, &smithy.OperationError{ServiceID: sqs.ServiceID, OperationName: "StartMessageMoveTask",
				Err: &smithy.GenericAPIError{Code: aws.ToString(newest.FailureReason)}})
		case "CANCELLED":
			return moved, fmt.Errorf("somebody cancelled the move task after %d messages", moved)
		}
		told(moved, aws.ToInt64(newest.ApproximateNumberOfMessagesToMove))
	}
}

// moveError tells "this service has no such action" from everything else.
func moveError(doing string, err error) error {
	var refused smithy.APIError
	if errors.As(err, &refused) {
		switch refused.ErrorCode() {
		case "InvalidAction", "UnknownOperationException", "UnsupportedOperation", "AWS.SimpleQueueService.UnsupportedOperation":
			return fmt.Errorf("%w (%s)", ErrNoMoveTask, refused.ErrorCode())
		}
	}
	return fmt.Errorf("%s: %w", doing, err)
}
