// Package triggertype compares notification types as Nylas names them.
package triggertype

import "strings"

// Is tells whether typ is want, or what Nylas makes of want by suffixes, one or several:
// message.created.cleaned.truncated is message.created, and message is every message. It
// is the rule by which package consumer finds a handler (consumer.ByType).
//
// https://developer.nylas.com/docs/v3/notifications/#truncated-webhook-notifications
func Is(typ, want string) bool { return typ == want || strings.HasPrefix(typ, want+".") }
