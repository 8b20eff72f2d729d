package registration

import (
	"context"
	"fmt"
	"time"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/nylasapi"
)

// lastRetry is when Nylas sends a notification for the last time, at the latest.
// https://developer.nylas.com/docs/cookbook/use-cases/build/retry-failed-webhooks/
const lastRetry = 20 * time.Minute

// Rotate makes Nylas choose a new secret for the webhook (by id, or the one of the
// stage's URL) and stores it. A crash in between loses the secret; running Rotate
// again gets another one.
func (s Stage) Rotate(ctx context.Context, id string) (nylasapi.Webhook, error) {
	stored, err := s.Secrets.Read(ctx)
	if err != nil {
		return nylasapi.Webhook{}, err
	}
	hook, err := s.Webhook(ctx, id)
	if err != nil {
		return nylasapi.Webhook{}, err
	}
	// Before Nylas is asked: a secret that cannot be stored must not be made.
	if err := s.Secrets.CanPut(ctx, stored); err != nil {
		return nylasapi.Webhook{}, err
	}
	if age := time.Since(stored.Current.Created); stored.Previous.Value != "" && age < lastRetry {
		s.Tell(fmt.Sprintf("The secret was changed %s ago. Notifications that Nylas signed with the secret before that one, and still repeats, will be refused.", age.Round(time.Second)))
	}
	return hook, s.rotate(ctx, hook.ID)
}

func (s Stage) rotate(ctx context.Context, id string) error {
	again := fmt.Sprintf("hookctl secret rotate --stage %s --id %s", s.Name, id)
	s.Tell("Asking Nylas for a new secret and storing it.")
	rotated, err := s.Nylas.RotateSecret(ctx, id)
	if err != nil && open(err) {
		unsure := fmt.Sprintf("Nylas may sign with a new secret already, which is not stored. Until one is, its deliveries are answered 503, and it repeats them for 10 to 20 minutes. Run this now, it gets another secret: %s.", again)
		if ctx.Err() != nil { // the error will only say that the command was interrupted
			s.Tell(unsure)
			return err
		}
		return fmt.Errorf("%s %w", unsure, err)
	}
	if err != nil {
		return err
	}
	return s.store(ctx, rotated.Secret, again)
}
