package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/deployment"
	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/secret"
)

type secretRotateOptions struct {
	target
	nylasFlags
	consent
	id string
}

func newSecretRotate(s streams) *cobra.Command {
	var o secretRotateOptions
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Let Nylas choose a new secret, and store it",
		Long: `rotate asks Nylas for a new webhook secret and stores what it answers. Nylas signs
with the new one at once; between its answer and the storing, which takes less than a
second, deliveries are answered 503 and come again. The previous secret verifies for
another 60 minutes; where it has leaked, revoke it: hookctl secret revoke-previous.

When rotate is interrupted after Nylas has answered, the new secret is lost and
deliveries are answered 503. Run it again: it gets another one. Nylas repeats a
delivery for 10 to 20 minutes.

At a protected stage it asks first; --yes answers for a script.
` + nylasKeyHelp,
		Example: `  hookctl secret rotate --stage prod
  hookctl secret rotate --stage prod --nylas-region eu --nylas-key-secret nylas/api-key`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runSecretRotate(cmd.Context(), s, o) },
	}
	o.target.flags(cmd)
	o.nylasFlags.flags(cmd)
	o.consent.flag(cmd)
	idFlag(cmd, &o.id)
	return cmd
}

func runSecretRotate(ctx context.Context, s streams, o secretRotateOptions) error {
	f, err := o.find(ctx)
	if err != nil {
		return err
	}
	stage, err := o.registration(ctx, s, f)
	if err != nil {
		return err
	}
	question := fmt.Sprintf("Nylas chooses a new secret for stage %s and signs with it at once. The present one verifies for another 60 minutes, and does not come back.", f.Stage)
	if err := o.ask(ctx, s, f, question); err != nil {
		return err
	}
	if _, err := stage.Rotate(ctx, o.id); err != nil {
		return deployment.Explain(err)
	}
	return reportChange(ctx, s, f, o.json, secret.Saved)
}

func newSecretRevokePrevious(s streams) *cobra.Command {
	var t target
	var sure typedName
	cmd := &cobra.Command{
		Use:   "revoke-previous",
		Short: "Take the previous secret out of use",
		Long: `revoke-previous takes the label AWSPREVIOUS from the secret's previous version, so
that signatures made with it are refused: for a secret that has leaked.
Functions that run have it in memory for up to 5 minutes more. What Nylas signed with
it before a rotation, and still repeats, is refused from then on.

That cannot be undone, so it asks you to type the stage's name; scripts give it by
--yes-revoke.`,
		Example: `  hookctl secret revoke-previous --stage prod
  hookctl secret revoke-previous --stage prod --yes-revoke prod`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runSecretRevokePrevious(cmd.Context(), s, t, sure) },
	}
	t.flags(cmd)
	sure.flag(cmd, "revoke", "the stage's name, instead of typing it")
	return cmd
}

func runSecretRevokePrevious(ctx context.Context, s streams, t target, sure typedName) error {
	f, err := t.find(ctx)
	if err != nil {
		return err
	}
	id, err := revokePrevious(ctx, s, f, sure)
	none := errors.Is(err, secret.ErrNoPrevious)
	if err != nil && !none {
		return err
	}
	if t.json {
		return s.json(map[string]any{"stage": f.Stage, "secret": f.SecretName, "revoked": !none, "version": id})
	}
	sentence := "Revoked version " + id + ". Functions that run forget it within 5 minutes."
	if none {
		sentence = "There is no previous version; nothing was changed."
	}
	_, err = fmt.Fprintln(s.out, sentence)
	return err
}

// revokePrevious asks and revokes. It asks nobody where there is nothing to revoke.
func revokePrevious(ctx context.Context, s streams, f found, sure typedName) (id string, err error) {
	stored, err := f.secrets().Read(ctx)
	if err != nil {
		return "", deployment.Explain(err)
	}
	if stored.Previous.ID == "" {
		return "", secret.ErrNoPrevious
	}
	question := fmt.Sprintf("Signatures made with the previous secret of stage %s will be refused for good, also those that Nylas still repeats.", f.Stage)
	if err := sure.ask(ctx, s, f.Stage, question); err != nil {
		return "", err
	}
	id, err = f.secrets().RevokePrevious(ctx)
	return id, deployment.Explain(err)
}
