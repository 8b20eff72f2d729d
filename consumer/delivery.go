package consumer

import (
	"context"
	"time"
)

// Delivery is what a handler can know of its message beside the notification.
type Delivery struct {
	// MessageID is SQS's. A copy of the same notification has another.
	MessageID string
	// Receives is how often the message was received, this time included. Attempts that
	// were forgiven (see [Unavailable]) are not counted.
	Receives int
	// Last says that [Config.MaxReceives] is reached: if the message fails by itself
	// now, it becomes a dead letter.
	Last bool
	// FirstSent is when the message was first sent to this queue; zero where SQS does
	// not say. Nylas's event may be older, see its ReceivedAt.
	FirstSent time.Time
}

type deliveryKey struct{}

// DeliveryOf returns the delivery whose handler got the context; the zero Delivery for
// any other context.
func DeliveryOf(ctx context.Context) Delivery {
	d, _ := ctx.Value(deliveryKey{}).(Delivery)
	return d
}
