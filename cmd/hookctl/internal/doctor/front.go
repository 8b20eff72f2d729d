package doctor

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/nylasapi"
	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/registration"
	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/secret"
	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/sender"
	"github.com/onepagecrm/nylas-webhooks/notification"
)

// Secrets is the stage's secret; a [secret.Store] is one.
type Secrets interface {
	Read(context.Context) (secret.Stored, error)
}

// Webhook is the front door; a [sender.Sender] is one.
type Webhook interface {
	Challenge(ctx context.Context, value string) (sender.Answer, error)
	Post(ctx context.Context, body []byte, signature string) (sender.Answer, error)
}

// Secret checks that a usable secret is stored. It never prints one.
func Secret(stage string, secrets Secrets) Check {
	return Check{"secret", func(ctx context.Context) ([]Report, error) {
		stored, err := secrets.Read(ctx)
		if err != nil {
			return nil, err
		}
		set := "hookctl secret set --stage " + stage
		if stored.Current.Value == "" {
			return []Report{bad(set, "No webhook secret is stored: every notification is answered 503.")}, nil
		}
		if err := notification.CheckSecret(stored.Current.Value); err != nil {
			return []Report{bad(set+" --correct", "The stored value is %v. Every notification of Nylas is answered 503.", err)}, nil
		}
		return []Report{ok("A value was stored at %s. Only a notification of Nylas shows that it is the webhook's secret.", stored.Current.Created.UTC().Format(time.RFC3339))}, nil
	}}
}

// Smoke plays Nylas once: challenge, an unsigned notification, and a signed one of
// [notification.SmokeTestType].
//
// A new secret reaches the receiver within 10 seconds; wait is told when that is waited
// for.
func Smoke(stage string, webhook Webhook, secrets Secrets, wait func(string)) Check {
	return Check{"smoke test", func(ctx context.Context) ([]Report, error) {
		look := fmt.Sprintf("hookctl tail --stage %s --since 5m --no-follow", stage)
		var all []Report
		value := "hookctl-" + rand.Text()
		answer, err := webhook.Challenge(ctx, value)
		switch {
		case err != nil:
			return nil, err // nobody is there
		case answer.Status != http.StatusOK || string(answer.Body) != value:
			all = append(all, bad(look, "The challenge was answered %d and not echoed: Nylas cannot create or reactivate a webhook.", answer.Status))
		default:
			all = append(all, ok("The challenge is echoed."))
		}
		body, err := smokeTest()
		if err != nil {
			return all, err
		}
		if answer, err = webhook.Post(ctx, body, ""); err != nil {
			return all, err
		}
		if answer.Status != http.StatusUnauthorized {
			all = append(all, bad(look, "An unsigned notification was answered %d instead of 401.", answer.Status))
		} else {
			all = append(all, ok("An unsigned notification is refused (401)."))
		}
		stored, err := secrets.Read(ctx)
		if err != nil {
			return all, err
		}
		if stored.Current.Value == "" {
			return append(all, Report{State: Unchecked, Says: "No signed notification was sent, as no secret is stored.", Next: "hookctl secret set --stage " + stage}), nil
		}
		if notification.CheckSecret(stored.Current.Value) != nil {
			return append(all, Report{State: Unchecked, Says: "No signed notification was sent, as the stored value cannot be Nylas's.", Next: "hookctl secret set --correct --stage " + stage}), nil
		}
		if answer, err = signed(ctx, webhook, body, stored, wait); err != nil {
			return all, err
		}
		switch {
		case answer.Status == http.StatusOK && len(answer.Body) == 0:
			return append(all, ok("A notification (%s) that was signed with the stored value was accepted after %d ms. It is on the queue; consumers drop it.", notification.SmokeTestType, answer.Took.Milliseconds())), nil
		case answer.Status == http.StatusOK:
			return append(all, bad(look, "A signed notification was answered 200, but not by the receiver: %d bytes came with it.", len(answer.Body))), nil
		default:
			return append(all, bad(look, "A notification that was signed with the stored value was answered %d instead of 200.", answer.Status)), nil
		}
	}}
}

const (
	// fresh is how old a secret is that the receiver may not know yet: it looks for a new
	// one at most every 10 s (lambda/internal/secretstore), and clocks differ.
	fresh    = time.Minute
	patience = 15 * time.Second
	again    = time.Second
)

// signed posts body until it is accepted, or until the receiver must know the secret.
func signed(ctx context.Context, webhook Webhook, body []byte, stored secret.Stored, wait func(string)) (sender.Answer, error) {
	signature := notification.Sign(stored.Current.Value, body).String()
	for start := time.Now(); ; {
		answer, err := webhook.Post(ctx, body, signature)
		if err != nil || answer.Status != http.StatusServiceUnavailable || time.Since(stored.Current.Created) > fresh || time.Since(start) > patience {
			return answer, err
		}
		wait("The secret was stored just now. The receiver reads it within 10 seconds.")
		timer := time.NewTimer(again)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return answer, ctx.Err()
		}
	}
}

// smokeTest is a notification in Nylas's form that is nobody's mail.
func smokeTest() ([]byte, error) {
	body, err := json.Marshal(map[string]any{
		"specversion": "1.0", "type": notification.SmokeTestType, "source": "/hookctl/doctor",
		"id": rand.Text(), "time": time.Now().Unix(), "webhook_delivery_attempt": 1,
		"data": map[string]any{"object": map[string]any{}},
	})
	if err != nil {
		return nil, fmt.Errorf("make the smoke test: %w", err)
	}
	return body, nil
}

// Registered checks the webhook at Nylas: its URL is the deployed one, it is active, has
// triggers, and compressed_delivery is off. unable says why Nylas cannot be asked.
func Registered(stage registration.Stage, unable error) Check {
	return Check{"webhook at Nylas", func(ctx context.Context) ([]Report, error) {
		if unable != nil {
			return []Report{{State: Unchecked, Says: "URL, status, triggers and compressed_delivery were not looked at: " + unable.Error() + ".", Next: "NYLAS_API_KEY=... hookctl doctor --stage " + stage.Name}}, nil
		}
		hook, err := stage.Webhook(ctx, "")
		if errors.Is(err, registration.ErrNone) {
			return []Report{bad("hookctl webhook create --stage "+stage.Name, "No webhook at Nylas has this stage's URL (%s): nothing is delivered to it.", stage.URL)}, nil
		}
		if err != nil {
			return nil, err
		}
		stored, err := stage.Secrets.Read(ctx)
		known := &stored
		if err != nil {
			known = nil // what Nylas says of the webhook is worth telling without it
		}
		var all []Report
		for _, p := range stage.Problems(hook, known, nil) {
			all = append(all, bad(p.Next, "Webhook %s: %s.", hook.ID, p.What))
		}
		if len(hook.TriggerTypes) == 0 {
			all = append(all, bad("hookctl webhook update --stage "+stage.Name+" --triggers ...", "Webhook %s has no triggers: nothing is delivered.", hook.ID))
		}
		if all == nil {
			all = append(all, ok("Webhook %s has the deployed URL, is %s, compressed_delivery is off. Triggers: %d.", hook.ID, nylasapi.Active, len(hook.TriggerTypes)))
		}
		return all, err
	}}
}
