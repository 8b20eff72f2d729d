package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/deployment"
	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/secret"
	"github.com/onepagecrm/nylas-webhooks/notification"
)

type secretSetOptions struct {
	target
	correct bool
}

func newSecretSet(s streams) *cobra.Command {
	var o secretSetOptions
	cmd := &cobra.Command{
		Use:   "set",
		Short: "Store the webhook secret that Nylas showed",
		Long: `set stores the webhook secret of the stage, from standard input or, at a terminal,
from a prompt that does not show it. It reads first, and does nothing when the value
is current already: storing the same value twice would make the previous one be
forgotten. What was current verifies for another 60 minutes.

--correct replaces a value that was mistyped: the version before the mistake becomes
the previous one again, so that notifications that were signed with it still verify,
and signatures made with the mistyped value are refused. When it is interrupted, run it again.

What cannot be Nylas's is refused: JSON, quotes, several lines, blanks, fewer than 8
characters, and the public key of Nylas's test button, with which anybody can sign.`,
		Example: `  hookctl secret set --stage prod
  pass nylas/webhook | hookctl secret set --stage prod
  hookctl secret set --stage prod --correct`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runSecretSet(cmd.Context(), s, o) },
	}
	o.flags(cmd)
	cmd.Flags().BoolVar(&o.correct, "correct", false, "replace a mistyped value, and keep the version before it as the previous one")
	return cmd
}

// secretChange is what the commands that change the secret print with --json.
type secretChange struct {
	Stage  string        `json:"stage"`
	Secret string        `json:"secret"`
	Result secret.Result `json:"result"`
	// PreviousUntil is when the previous version stops to verify; absent without one.
	PreviousUntil *time.Time `json:"previous_until,omitempty"`
}

func runSecretSet(ctx context.Context, s streams, o secretSetOptions) error {
	f, err := o.find(ctx) // first, so that nobody types a secret for a stage that is not there
	if err != nil {
		return err
	}
	value, err := askSecret(ctx, s, "the webhook secret of stage "+o.stage)
	if err != nil {
		return err
	}
	if err := notification.CheckSecret(value); err != nil {
		return usagef("what was given is %w. Nothing was stored", err)
	}
	change := f.secrets().Set
	if o.correct {
		change = f.secrets().Correct
	}
	result, err := change(ctx, value)
	if err != nil {
		return deployment.Explain(err)
	}
	return reportChange(ctx, s, f, o.json, result)
}

// reportChange says what was done to the secret and what verifies now.
func reportChange(ctx context.Context, s streams, f found, asJSON bool, result secret.Result) error {
	stored, err := f.secrets().Read(ctx)
	if err != nil {
		return fmt.Errorf("%s, but reading it again failed: %w", result, deployment.Explain(err))
	}
	change := secretChange{Stage: f.Stage, Secret: f.SecretName, Result: result}
	if until := stored.PreviousUntil().UTC(); !until.IsZero() && time.Now().Before(until) {
		change.PreviousUntil = &until
	}
	if asJSON {
		return s.json(change)
	}
	sentence := map[secret.Result]string{
		secret.Unchanged: "This value is current already; nothing was written.",
		secret.Saved:     "Stored.",
		secret.Corrected: "Corrected: signatures made with the mistyped value are refused.",
	}[result]
	if result != secret.Unchanged {
		// The receiver reads again at the first signature that it cannot verify, at most
		// every 10 seconds, and after 5 minutes in any case.
		sentence += " The receiver takes the new value with the first notification that is signed with it."
	}
	if change.PreviousUntil != nil {
		sentence += fmt.Sprintf(" The previous one verifies until %s.", change.PreviousUntil.Format(time.RFC3339))
	}
	_, err = fmt.Fprintln(s.out, sentence)
	return err
}
