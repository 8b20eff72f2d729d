package consumer

import (
	"context"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

// maxDecodedBytes bounds the bodies that handlers are at work on.
const maxDecodedBytes = 128 << 20

// room is what one body may take of it.
type room struct {
	config Config
	bytes  int64
}

// makeRoom waits for as much as the message's body may need: its size where it came as
// it is, the limit of unpacking where it did not, and the object where that is in S3.
func (c Config) makeRoom(ctx context.Context, m *message) (*room, error) {
	bytes := int64(len(m.body))
	if m.strings[notification.AttrEncoding] != "" {
		bytes = notification.MaxBodyBytes
	}
	if _, overflowed, err := notification.ParsePointer(m.body, m.strings); overflowed && err == nil {
		bytes = objectBytes + notification.MaxBodyBytes
	}
	if c.decoded != nil {
		if err := c.decoded.Acquire(ctx, bytes); err != nil {
			return nil, err
		}
	}
	return &room{c, bytes}, nil
}

// shrink gives back what the body does not need after all.
func (r *room) shrink(bytes int64) {
	if r.config.decoded != nil && bytes < r.bytes {
		r.config.decoded.Release(r.bytes - bytes)
		r.bytes = bytes
	}
}

func (r *room) free() { r.shrink(0) }
