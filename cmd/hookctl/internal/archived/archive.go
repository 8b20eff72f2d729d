// Package archived works on a stage's archive, the copies that the receiver keeps of what
// it accepts: it chooses among them, sends them to the queue again, hands them over as they
// arrive, and erases a grant's.
//
// hookctl's commands replay, forward and archive use it. It chooses by the objects' names
// and reads only what was chosen. It never writes into the archive.
package archived

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/objects"
	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/triggertype"
	"github.com/onepagecrm/nylas-webhooks/lambda/contract"
	"github.com/onepagecrm/nylas-webhooks/notification"
)

const (
	// maxObject bounds what is read into memory: gzip makes nothing larger than what it
	// packs, and that is a message of at most 1 MiB, as JSON.
	maxObject = 8 << 20
	// maxBody bounds a body that is too large for a message: the largest one, as base64 of
	// gzip, and what gzip adds to bytes that it cannot make smaller.
	maxBody = notification.MaxBodyBytes/3*4 + 64<<10
)

// Copy is one object of the archive, by its name.
type Copy struct {
	contract.ArchiveKey
	Name string
}

// Filter chooses among the copies. A zero value chooses all.
type Filter struct {
	Since, Until time.Time // when the front door received it: from Since to before Until
	GrantID      string
	Types        []string // and their suffixed forms: message.created, message
}

func (f Filter) match(k contract.ArchiveKey) bool {
	return !k.ReceivedAt.Before(f.Since) &&
		(f.GrantID == "" || k.GrantID == f.GrantID) &&
		(len(f.Types) == 0 || slices.ContainsFunc(f.Types, func(want string) bool { return triggertype.Is(k.Type, want) }))
}

// Archive is a stage's archive.
type Archive struct{ objects.Bucket }

// List hands the chosen copies to visit, in the order in which they arrived, until it
// returns false. Smoke tests, which are nobody's mail, are left out.
func (a Archive) List(ctx context.Context, f Filter, visit func(Copy) bool) error {
	after := ""
	if !f.Since.IsZero() {
		after = contract.ArchiveFrom(f.Since)
	}
	err := a.Bucket.List(ctx, contract.ArchivePrefix, after, func(o types.Object) bool {
		name := aws.ToString(o.Key)
		k, ok := contract.ParseArchiveKey(name)
		switch {
		case !ok: // somebody else's
			return true
		case !f.Until.IsZero() && !k.ReceivedAt.Before(f.Until):
			return false
		case !f.match(k) || k.Type == notification.SmokeTestType:
			return true
		}
		return visit(Copy{k, name})
	})
	if err != nil {
		return fmt.Errorf("list the archive: %w", err)
	}
	return nil
}

// wire reads a copy.
func (a Archive) wire(ctx context.Context, c Copy) (notification.Wire, error) {
	object, err := a.Get(ctx, c.Name, maxObject)
	if err != nil {
		return notification.Wire{}, fmt.Errorf("%s: %w", c.Name, err)
	}
	w, err := notification.Unspill(object)
	if err != nil {
		return w, fmt.Errorf("%s: %w", c.Name, err)
	}
	return w, nil
}

// Read returns the notification that a copy is of, its body from where that is.
func (a Archive) Read(ctx context.Context, c Copy) (notification.Notification, error) {
	w, err := a.wire(ctx, c)
	if err != nil {
		return notification.Notification{}, err
	}
	values := make(map[string]string, len(w.Attributes))
	for name, attribute := range w.Attributes {
		values[name] = attribute.Value
	}
	p, tooLarge, err := notification.ParsePointer(w.Body, values)
	if tooLarge && err == nil {
		err = a.fetch(ctx, p, &w.Body)
	}
	if err != nil {
		return notification.Notification{}, fmt.Errorf("%s: %w", c.Name, err)
	}
	n, err := notification.Decode(w.Body, values)
	if err != nil {
		return n, fmt.Errorf("%s: %w", c.Name, err)
	}
	return n, nil
}

func (a Archive) fetch(ctx context.Context, p notification.Pointer, body *string) error {
	if p.Bucket != a.Name {
		return fmt.Errorf("its body is in another bucket than the stage's (%s), and was not fetched", a.Name)
	}
	// Who may not list where it is is told "access denied" of what is gone, too.
	text, err := a.Get(ctx, p.Key, maxBody+1)
	if err != nil {
		return fmt.Errorf("its body, %s: %w", p.Key, err)
	}
	if len(text) > maxBody {
		return errors.New("its body is longer than any that the receiver writes")
	}
	*body = string(text)
	return nil
}
