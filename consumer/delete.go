package consumer

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

const (
	// deleteLinger is how long a finished message waits for others: at 100 a second
	// they go in tens. A process that dies meanwhile leaves them to be received again.
	deleteLinger = 100 * time.Millisecond
	// deleteTries is how often a deletion is tried, beyond the SDK's own tries. What
	// then remains is received again, and dropped as a duplicate where there is a
	// Store.
	deleteTries = 3
	deleteRetry = 500 * time.Millisecond
	// mostDeletes bounds the deletions side by side: 160 messages a second where one
	// takes a second.
	mostDeletes = 16
)

// delete hands a finished message over to be deleted.
func (c *Consumer) delete(m *message) {
	m.setFinished()
	c.gate.finished(1)
	c.deletes <- m
}

// deleteAll deletes what is finished, in tens where so many finish within the linger,
// until the channel is closed.
func (c *Consumer) deleteAll() {
	slots := make(chan struct{}, mostDeletes)
	var deleting sync.WaitGroup
	defer deleting.Wait()
	for m := range c.deletes {
		batch := append(make([]*message, 0, batchSize), m)
		linger := time.After(deleteLinger)
		for full := false; !full && len(batch) < batchSize; {
			select {
			case m, ok := <-c.deletes:
				if full = !ok; ok {
					batch = append(batch, m)
				}
			case <-linger:
				full = true
			}
		}
		slots <- struct{}{}
		deleting.Go(func() {
			c.deleteBatch(batch)
			for _, m := range batch {
				c.drop(m)
			}
			c.gate.finished(-len(batch))
			<-slots
		})
	}
}

func (c *Consumer) deleteBatch(batch []*message) {
	var problems map[*message]error
	for try := range deleteTries {
		if try > 0 {
			pause(c.lasting, jitter(doubled(deleteRetry, time.Minute, try-1)))
		}
		problems = c.deleteOnce(batch)
		batch = batch[:0:0]
		for m, err := range problems {
			var final *finalError
			if errors.As(err, &final) {
				c.config.emit(queueEvent(m, fmt.Errorf("delete message: %w", err)))
				continue
			}
			batch = append(batch, m)
		}
		if len(batch) == 0 {
			return
		}
	}
	for _, m := range batch {
		c.config.emit(queueEvent(m, fmt.Errorf("delete message: %w (it will be received again)", problems[m])))
	}
}

// finalError is one that another try does not mend: SQS's code. Its text stays out of the
// log, it may repeat the request.
type finalError struct{ code string }

func (e *finalError) Error() string { return e.code }

// deleteOnce returns what went wrong, by message.
func (c *Consumer) deleteOnce(batch []*message) map[*message]error {
	in := &sqs.DeleteMessageBatchInput{QueueUrl: &c.config.QueueURL}
	for i, m := range batch {
		in.Entries = append(in.Entries, types.DeleteMessageBatchRequestEntry{
			Id: aws.String(strconv.Itoa(i)), ReceiptHandle: &m.handle,
		})
	}
	ctx, cancel := context.WithTimeout(c.lasting, callTimeout)
	defer cancel()
	out, err := c.config.SQS.DeleteMessageBatch(ctx, in, whole)
	problems := map[*message]error{}
	if err != nil {
		for _, m := range batch {
			problems[m] = err
		}
		return problems
	}
	for m, failed := range failures(batch, out.Failed) {
		code := aws.ToString(failed.Code)
		if failed.SenderFault || stale(code, aws.ToString(failed.Message)) {
			problems[m] = &finalError{code}
			continue
		}
		problems[m] = errors.New(code)
	}
	return problems
}
