package spilled

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/time/rate"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/enqueue"
	"github.com/onepagecrm/nylas-webhooks/internal/awserror"
	"github.com/onepagecrm/nylas-webhooks/internal/sqsanswer"
	"github.com/onepagecrm/nylas-webhooks/notification"
)

// lateness is for deleting what was sent when Ctrl-C came.
const lateness = 10 * time.Second

// Result counts what became of what was looked at.
type Result struct {
	Replayed int `json:"replayed"`
	// LeftOut are those that the order's Since and Types do not mean. They stay.
	LeftOut int `json:"left_out"`
	// Duplicated were sent and could not be deleted: the next replay sends them again.
	Duplicated int `json:"duplicated"`
	// Refused could not be read or were not taken by the queue, and stay. Why is said of
	// the first.
	Refused int    `json:"refused"`
	Why     string `json:"refused_why,omitempty"`
}

type outcome int

const (
	none outcome = iota // nothing was done, or there was nothing to do
	replayed
	leftOut
	duplicated
	refused
)

// count adds what became of one. It returns err where that is not of this one only.
func (r *Result) count(what outcome, err error) error {
	switch what {
	case replayed:
		r.Replayed++
	case leftOut:
		r.LeftOut++
	case duplicated:
		r.Duplicated++
	case refused:
		r.Refused++
		if r.Why == "" {
			r.Why = awserror.Text(err)
		}
		return nil
	}
	return err
}

// Replay puts the spilled notifications that order means onto the queue, and deletes each
// only after the queue has it. told is called after each. What fails for one notification
// is counted; an error is what fails for all, and then the rest is where it was.
func (s Store) Replay(ctx context.Context, order Order, told func(Result)) (Result, error) {
	pace := rate.NewLimiter(rate.Inf, 1)
	if order.PerSecond > 0 {
		pace = rate.NewLimiter(rate.Limit(order.PerSecond), 1)
	}
	return s.each(ctx, order, told, func(ctx context.Context, o Object, wire notification.Wire) (outcome, error) {
		if err := pace.Wait(ctx); err != nil {
			return none, err
		}
		return s.replay(ctx, o.Key, wire)
	})
}

// replay sends one and deletes it.
func (s Store) replay(ctx context.Context, key string, wire notification.Wire) (outcome, error) {
	err := enqueue.Send(ctx, s.Queues, s.QueueURL, wire)
	if errors.Is(err, sqsanswer.ErrRefused) {
		return refused, fmt.Errorf("%s: %w", key, err) // of the others that says nothing
	}
	if err != nil {
		return none, fmt.Errorf("send to queue: %w", err)
	}
	// The queue has it, so it is deleted also after Ctrl-C.
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), lateness)
	defer cancel()
	if _, err := s.Objects.DeleteObject(late, &s3.DeleteObjectInput{Bucket: &s.Bucket, Key: &key}); err != nil {
		return duplicated, fmt.Errorf("delete %s, which the queue has now (the next replay sends it again): %w", key, err)
	}
	return replayed, nil
}
