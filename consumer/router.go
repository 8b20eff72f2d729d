package consumer

import (
	"context"
	"fmt"
	"strings"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

// ByType returns a handler that calls the one for the notification's type. Nylas adds
// suffixes to a type, one or several (message.created.cleaned.truncated), so the handler
// is that of the longest name with which the type begins, whole words between dots:
// "message.created" handles message.created.truncated, too, unless there is a handler for
// that, and "message" handles every message. A type without a handler goes to other; nil
// rejects it, so that it waits among the dead letters until somebody has written one.
//
// The handlers should have one system behind them. Where several fail for themselves, an
// outage of one holds up the others, or makes dead letters of what it would have taken: a
// consumer judges everything and each grant, not each type. Give each system a queue and a
// consumer of its own, as the example for several targets does.
//
// https://developer.nylas.com/docs/v3/notifications/#truncated-webhook-notifications
func ByType(handlers map[string]Handler, other Handler) Handler {
	return func(ctx context.Context, n notification.Notification) error {
		for name, more := n.Type, true; more; {
			if h := handlers[name]; h != nil {
				return h(ctx, n)
			}
			i := strings.LastIndexByte(name, '.')
			if more = i >= 0; more {
				name = name[:i]
			}
		}
		if other == nil {
			return Reject(fmt.Errorf("no handler for type %q", n.Type))
		}
		return other(ctx, n)
	}
}
