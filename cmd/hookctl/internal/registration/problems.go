package registration

import (
	"fmt"
	"slices"
	"strings"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/nylasapi"
	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/secret"
	"github.com/onepagecrm/nylas-webhooks/notification"
)

// Problem is something about a webhook that is not as it should be.
type Problem struct {
	What string `json:"what"`
	Next string `json:"next"` // the command that mends it
}

// Problems returns what is wrong with the stage's webhook, the worst first. wanted are
// the triggers that it should have, nil for any; stored is the stage's secret, nil where
// it could not be read.
func (s Stage) Problems(hook nylasapi.Webhook, stored *secret.Stored, wanted []string) []Problem {
	webhook := func(command string) string {
		return fmt.Sprintf("hookctl webhook %s --stage %s --id %s", command, s.Name, hook.ID)
	}
	var all []Problem
	add := func(next, what string, args ...any) { all = append(all, Problem{fmt.Sprintf(what, args...), next}) }
	if !SameURL(hook.URL, s.URL) {
		add(webhook("update --deployed-url"), "it is registered for %s, the stage is at %s", hook.URL, s.URL)
	}
	switch hook.Status {
	case nylasapi.Active:
	case nylasapi.Paused:
		add(webhook("activate"), "it is paused: Nylas sends nothing")
	case nylasapi.Failed:
		add(webhook("activate"), "it has failed for 72 hours: Nylas sends nothing, what happened since is not sent later, and it stays so until it is activated")
	case nylasapi.Failing:
		add("hookctl doctor --stage "+s.Name, "it is failing: Nylas got no 200 for 95 %% of 15 minutes' deliveries, and will stop after 72 hours of that")
	default:
		add("hookctl doctor --stage "+s.Name, "its status is %q, which is not active", hook.Status)
	}
	switch {
	case stored == nil:
	case stored.Current.Value == "":
		add("hookctl webhook create --stage "+s.Name, "no secret is stored for the stage: every delivery is answered 503")
	case notification.CheckSecret(stored.Current.Value) != nil:
		add("hookctl secret rotate --stage "+s.Name, "the stored value is %v", notification.CheckSecret(stored.Current.Value))
	case hook.CreatedAt != 0 && older(*stored, hook):
		add("hookctl secret rotate --stage "+s.Name, "the stored secret is older than the webhook, so it cannot be this webhook's")
	}
	if hook.CompressedDelivery {
		add(webhook("update"), "compressed_delivery is on: API Gateway unpacks the body, and its signature cannot be verified. Every update turns it off")
	}
	if wanted != nil {
		var differ []string
		if missing := without(wanted, hook.TriggerTypes); len(missing) > 0 {
			differ = append(differ, "it lacks "+strings.Join(missing, ", "))
		}
		if more := without(hook.TriggerTypes, wanted); len(more) > 0 {
			differ = append(differ, "it also has "+strings.Join(more, ", "))
		}
		if len(differ) > 0 {
			add(webhook("update --triggers "+strings.Join(wanted, ",")), "its triggers differ: %s", strings.Join(differ, "; "))
		}
	}
	return all
}

// without returns the members of a that b has not.
func without(a, b []string) []string {
	var rest []string
	for _, one := range a {
		if !slices.Contains(b, one) {
			rest = append(rest, one)
		}
	}
	return rest
}
