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
` + nylasKeyHelp,
		Example: `  hookctl secret rotate --stage prod
  hookctl secret rotate --stage prod --nylas-region eu --nylas-key-secret nylas/api-key`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runSecretRotate(cmd.Context(), s, o) },
	}
	o.target.flags(cmd)
	o.nylasFlags.flags(cmd)
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
	if _, err := stage.Rotate(ctx, o.id); err != nil {
		return deployment.Explain(err)
	}
	return reportChange(ctx, s, f, o.json, secret.Saved)
}

func newSecretRevokePrevious(s streams) *cobra.Command {
	var t target
	cmd := &cobra.Command{
		Use:   "revoke-previous",
		Short: "Take the previous secret out of use",
		Long: `revoke-previous takes the label AWSPREVIOUS from the secret's previous version, so
that signatures made with it are refused: for a secret that has leaked.
Functions that run have it in memory for up to 5 minutes more. What Nylas signed with
it before a rotation, and still repeats, is refused from then on.`,
		Example: `  hookctl secret revoke-previous --stage prod`,
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runSecretRevokePrevious(cmd.Context(), s, t) },
	}
	t.flags(cmd)
	return cmd
}

func runSecretRevokePrevious(ctx context.Context, s streams, t target) error {
	f, err := t.find(ctx)
	if err != nil {
		return err
	}
	id, err := f.secrets().RevokePrevious(ctx)
	none := errors.Is(err, secret.ErrNoPrevious)
	if err != nil && !none {
		return deployment.Explain(err)
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
