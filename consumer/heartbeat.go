package consumer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"golang.org/x/sync/errgroup"
)

// inflight is every message that was received and is not finished.
type inflight struct {
	mu       sync.Mutex
	messages map[*message]struct{}
}

func (f *inflight) add(m *message) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.messages[m] = struct{}{}
}

func (f *inflight) remove(m *message) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.messages, m)
}

func (f *inflight) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.messages)
}

func (f *inflight) all() []*message {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make([]*message, 0, len(f.messages))
	for m := range f.messages {
		all = append(all, m)
	}
	return all
}

// heartbeat keeps everything in flight hidden from other consumers, and the leases
// of what is being handled alive, until the context ends. It beats four times in
// Visibility, so that one beat may fail and the handlers still have time to stop.
func (c *Consumer) heartbeat(ctx context.Context) {
	beats := time.Tick(c.config.Visibility / 4)
	for {
		select {
		case <-ctx.Done():
			return
		case <-beats:
			c.beat(ctx)
		}
	}
}

func (c *Consumer) beat(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, c.config.Visibility/4)
	defer cancel()
	all := c.inflight.all()
	var due []*message
	for _, m := range all {
		m.mu.Lock()
		switch {
		case m.lost:
			// SQS gave it to somebody else. Our attempt goes on under its lease, which
			// follows hiddenUntil, and theirs waits for it.
			m.hiddenUntil = time.Now().Add(c.config.Visibility)
		case time.Until(m.hiddenUntil) <= c.config.Visibility*3/4:
			due = append(due, m) // else the next beat is in time; most need none at all
		}
		m.mu.Unlock()
	}
	var extending, leasing errgroup.Group // for the bound; no error ends the others
	extending.SetLimit(mostExtends)
	for batch := range slices.Chunk(due, batchSize) {
		extending.Go(func() error { c.extend(ctx, batch); return nil })
	}
	_ = extending.Wait()
	leasing.SetLimit(mostLeases)
	for _, m := range all {
		leasing.Go(func() error { c.extendLease(ctx, m); return nil })
	}
	_ = leasing.Wait()
}

const (
	// mostExtends bounds the requests side by side of one beat: 5,000 messages take 0.5 s
	// where one takes 10 ms.
	mostExtends = 10
	// mostLeases bounds the writes to the store side by side: 1,000 leases take 0.3 s
	// where one takes 20 ms.
	mostLeases = 64
)

// extend hides the messages for Visibility from now.
func (c *Consumer) extend(ctx context.Context, batch []*message) {
	in := &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &c.config.QueueURL}
	for i, m := range batch {
		in.Entries = append(in.Entries, types.ChangeMessageVisibilityBatchRequestEntry{
			Id: aws.String(strconv.Itoa(i)), ReceiptHandle: &m.handle, VisibilityTimeout: seconds(c.config.Visibility),
		})
	}
	until := time.Now().Add(c.config.Visibility)
	out, err := c.config.SQS.ChangeMessageVisibilityBatch(ctx, in, whole)
	if err != nil {
		if ctx.Err() == nil || errors.Is(ctx.Err(), context.DeadlineExceeded) {
			c.config.emit(Event{Kind: QueueFailed, Err: fmt.Errorf("extend the visibility of %d messages: %w", len(batch), err)})
		}
		return
	}
	failed := failures(batch, out.Failed)
	for _, m := range batch {
		f, ok := failed[m]
		m.mu.Lock()
		if !ok {
			m.hiddenUntil = until
		}
		gone := ok && stale(aws.ToString(f.Code), aws.ToString(f.Message))
		m.lost = gone && !m.finished // a finished one is gone because it was just deleted
		m.mu.Unlock()
		if ok && (!gone || m.isLost()) {
			c.config.emit(queueEvent(m, fmt.Errorf("extend visibility: %s", aws.ToString(f.Code))))
		}
	}
}

// extendLease moves the end of the lease to the end of the message's visibility. If
// it cannot, and could not at the beat before, the handler is told to stop: another
// attempt may begin when the lease ends.
func (c *Consumer) extendLease(ctx context.Context, m *message) {
	m.mu.Lock()
	a, until := m.attempt, m.hiddenUntil
	m.mu.Unlock()
	if _, none := c.config.Store.(noStore); none || a == nil {
		return
	}
	err := errors.New("the message's visibility was not extended")
	if until.After(a.until) {
		err = c.config.Store.Extend(ctx, a.key, a.owner, until)
	}
	if err == nil {
		a.until = until
		return
	}
	lost := errors.Is(err, ErrLeaseLost)
	if inTime := time.Until(a.until) > c.config.Visibility/2; inTime && !lost {
		return // the next beat tries again
	}
	m.mu.Lock()
	returned := m.attempt != a
	m.mu.Unlock()
	if returned {
		return
	}
	a.cancel(fmt.Errorf("%w: %w", ErrLeaseLost, err))
	c.config.emit(Event{Kind: LeaseLost, MessageID: m.id, Receives: m.receives, NotificationID: a.key, Err: fmt.Errorf("extend lease: %w", err)})
}
