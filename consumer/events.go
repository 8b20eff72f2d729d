package consumer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/onepagecrm/nylas-webhooks/internal/awserror"
)

// Kind says what happened.
type Kind string

// What can happen. The first group ends a message's way through this process.
const (
	Handled    Kind = "handled"    // the handler succeeded
	Duplicate  Kind = "duplicate"  // handled before; deleted
	SmokeTest  Kind = "smoke_test" // a notification of notification.SmokeTestType arrived; deleted unhandled
	Failed     Kind = "failed"     // failed by itself; hidden for Delay, then received again
	Rejected   Kind = "rejected"   // no attempt will work; moved to the dead-letter queue
	Unreadable Kind = "unreadable" // cannot be decoded; left to the redrive policy
	Unverified Kind = "unverified" // the signature matches no secret; left to the redrive policy
	Released   Kind = "released"   // given back unfinished: the consumer stops, held it for hours, or has no room

	Held         Kind = "held"          // an attempt failed; kept here, hidden, until it is clear whose fault that was
	Paused       Kind = "paused"        // the system is unavailable: the next probe is after Delay
	Resumed      Kind = "resumed"       // a probe got through
	GrantPaused  Kind = "grant_paused"  // as Paused, for one grant alone
	GrantResumed Kind = "grant_resumed" // as Resumed, for one grant alone
	Stuck        Kind = "stuck"         // a handler ignores that its context ended
	LeaseLost    Kind = "lease_lost"    // another attempt at the same notification may be running
	StoreFailed  Kind = "store_failed"  // the store did not record or release
	QueueFailed  Kind = "queue_failed"  // SQS refused to receive, extend, delete, hide or send
)

// Event is one thing that happened. Fields that make no sense for its Kind are zero.
type Event struct {
	Kind Kind
	// MessageID is SQS's; the others are the notification's.
	MessageID      string
	NotificationID string
	Type           string
	GrantID        string
	// ReceivedAt is when the front door received the notification.
	ReceivedAt time.Time
	// Receives is how often the message was received, this time included.
	Receives int
	// Duration is how long the last call of the handler took.
	Duration time.Duration
	// Delay is how long the message is hidden, or receiving pauses.
	Delay time.Duration
	// Err is the reason.
	Err error
}

// levels are the levels of the log lines. What waits for a person is an error.
var levels = map[Kind]slog.Level{
	Handled:      slog.LevelInfo,
	Duplicate:    slog.LevelInfo,
	SmokeTest:    slog.LevelInfo,
	Failed:       slog.LevelWarn,
	Rejected:     slog.LevelError,
	Unreadable:   slog.LevelError,
	Unverified:   slog.LevelError,
	Released:     slog.LevelInfo,
	Held:         slog.LevelDebug, // Paused tells it once for all of them
	Paused:       slog.LevelError,
	Resumed:      slog.LevelInfo,
	GrantPaused:  slog.LevelWarn,
	GrantResumed: slog.LevelInfo,
	Stuck:        slog.LevelError,
	LeaseLost:    slog.LevelWarn,
	StoreFailed:  slog.LevelError,
	QueueFailed:  slog.LevelWarn, // it is tried again, and the queue's age alarm watches
}

// emit tells logger and observer.
func (c Config) emit(e Event) {
	var attrs []slog.Attr
	for _, field := range []struct{ key, value string }{
		{"message_id", e.MessageID}, {"notification_id", e.NotificationID}, {"type", e.Type}, {"grant_id", e.GrantID},
	} {
		if field.value != "" {
			attrs = append(attrs, slog.String(field.key, field.value))
		}
	}
	if e.Receives > 0 {
		attrs = append(attrs, slog.Int("receives", e.Receives))
	}
	if e.Duration > 0 {
		attrs = append(attrs, slog.Int64("milliseconds", e.Duration.Milliseconds()))
	}
	if e.Delay > 0 {
		attrs = append(attrs, slog.Float64("delay_seconds", e.Delay.Seconds()))
	}
	if e.Err != nil {
		attrs = append(attrs, slog.String("error", awserror.Text(e.Err)))
	}
	var panicked *panicError
	if errors.As(e.Err, &panicked) {
		attrs = append(attrs, slog.String("stack", string(panicked.stack)))
	}
	c.Logger.LogAttrs(context.Background(), levels[e.Kind], "consumer: "+string(e.Kind), attrs...)
	if c.Observe != nil {
		c.observe(e)
	}
}

// observe survives an observer's panic: metrics are not worth the notifications.
func (c Config) observe(e Event) {
	defer func() {
		if value := recover(); value != nil {
			c.Logger.Error("consumer: Observe panicked", "kind", string(e.Kind), "panic", fmt.Sprint(value), "stack", string(debug.Stack()))
		}
	}()
	c.Observe(e)
}
