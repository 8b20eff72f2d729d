package registration

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/nylasapi"
	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/secret"
	"github.com/onepagecrm/nylas-webhooks/notification"
)

// Result is what [Stage.Create] did.
type Result struct {
	Webhook nylasapi.Webhook
	// Created: the webhook is new; else it was there already and was not changed.
	Created bool
	// Stored: the webhook's secret was stored by this run; else it was stored before.
	Stored bool
}

// Create registers the stage's URL with the settings (whose URL it sets) and stores
// the secret that Nylas gives. What is already there is kept: a webhook for this URL is
// found and not made twice, and its secret is rotated only when the stage has none that
// is as new as the webhook.
func (s Stage) Create(ctx context.Context, settings nylasapi.Settings) (Result, error) {
	if err := s.reachable(); err != nil {
		return Result{}, err
	}
	stored, err := s.Secrets.Read(ctx)
	if err != nil {
		return Result{}, err
	}
	hook, err := s.Webhook(ctx, "")
	if err != nil && !errors.Is(err, ErrNone) {
		return Result{}, err
	}
	found := err == nil
	if found && !older(stored, hook) {
		return Result{Webhook: hook}, nil
	}
	if err := s.Secrets.CanPut(ctx, stored); err != nil {
		return Result{}, err
	}
	if found {
		s.Tell(fmt.Sprintf("Webhook %s is registered for this URL already, and its secret is not stored.", hook.ID))
		return Result{Webhook: hook, Stored: true}, s.rotate(ctx, hook.ID)
	}
	settings.URL = s.URL
	s.Tell("Registering " + s.URL + ". Nylas now sends it a challenge and waits up to 10 seconds for the answer.")
	made, err := s.Nylas.Create(ctx, settings)
	if err != nil && open(err) {
		const unsure = "Nylas may have made the webhook. Run the same command again: it finds it and gets its secret."
		if ctx.Err() != nil { // the error will only say that the command was interrupted
			s.Tell(unsure)
			return Result{}, err
		}
		return Result{}, fmt.Errorf("%s %w", unsure, err)
	}
	if err != nil {
		return Result{}, err
	}
	result := Result{Webhook: made.Webhook, Created: true, Stored: true}
	if made.Secret == "" { // no answer without one is documented; a rotation gives one
		return result, s.rotate(ctx, made.ID)
	}
	return result, s.store(ctx, made.Secret, "hookctl webhook create --stage "+s.Name+", with the same flags")
}

// older tells whether the webhook is newer than the stored secret, so that this cannot
// be its secret, or whether none is stored. Both times are whole seconds or finer, from
// the clocks of Nylas and of AWS; where they differ by so little that it matters, the
// worst is one rotation too many, or one that hookctl secret rotate makes.
func older(stored secret.Stored, hook nylasapi.Webhook) bool {
	if notification.CheckSecret(stored.Current.Value) != nil || hook.CreatedAt == 0 {
		return true
	}
	return stored.Current.Created.Before(time.Unix(hook.CreatedAt, 0))
}
