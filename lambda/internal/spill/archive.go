package spill

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/onepagecrm/nylas-webhooks/lambda/contract"
	"github.com/onepagecrm/nylas-webhooks/notification"
)

// archiveRest is for how long nothing is archived after a copy for which S3 took all of
// its time. Each request would wait for S3 as long again, and an S3 that hangs would use up
// the concurrency, and with it what SQS has room for.
const archiveRest = 10 * time.Second

// errResting: S3 hung a moment ago.
var errResting = errors.New("archive: not tried, because S3 did not answer in time less than " + archiveRest.String() + " ago")

// Archive keeps a copy of a message, by the time at which it was received. ctx says how
// long that may take.
func (b *Bucket) Archive(ctx context.Context, w notification.Wire, receivedAt time.Time) error {
	if time.Now().UnixNano() < b.rested.Load() {
		return errResting
	}
	object, err := w.Spill()
	if err != nil {
		return err
	}
	key := contract.ArchiveKey{
		ReceivedAt: receivedAt,
		GrantID:    w.Attributes[notification.AttrGrantID].Value,
		Type:       w.Attributes[notification.AttrType].Value,
		ID:         w.Attributes[notification.AttrNotificationID].Value,
		Signature:  signaturePart(w),
	}
	if err := b.put(ctx, key.String(), "application/gzip", object); err != nil {
		if ctx.Err() != nil {
			b.rested.Store(time.Now().Add(archiveRest).UnixNano())
		}
		return fmt.Errorf("archive: %w", err)
	}
	return nil
}
