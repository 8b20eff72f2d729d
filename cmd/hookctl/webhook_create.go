package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/deployment"
	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/nylasapi"
	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/registration"
)

type webhookCreateOptions struct {
	target
	nylasFlags
	settingsFlags
}

func newWebhookCreate(s streams) *cobra.Command {
	var o webhookCreateOptions
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Register the stage at Nylas and store the secret it gives",
		Long: `create registers the stage's deployed URL at Nylas with the wanted triggers, and
stores the webhook secret that Nylas answers with. While it registers, Nylas sends the
challenge to the URL; the stage must be deployed and reachable from the internet.

It can be interrupted at any point and run again: a webhook that is registered for the
URL is found and not made twice, and when its secret was not stored, Nylas is asked for
a new one. A webhook that is there already is not changed; where it is not as asked
for, create says what differs and ends with exit code 1.
` + nylasKeyHelp,
		Example: `  hookctl webhook create --stage prod --triggers message.created,message.updated,grant.expired
  hookctl webhook create --stage prod --nylas-region eu --triggers grant.expired --notify oncall@example.com`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runWebhookCreate(cmd.Context(), s, o) },
	}
	o.target.flags(cmd)
	o.nylasFlags.flags(cmd)
	o.settingsFlags.flags(cmd)
	return cmd
}

func runWebhookCreate(ctx context.Context, s streams, o webhookCreateOptions) error {
	if len(o.triggers) == 0 {
		return usagef("--triggers is missing. Give the trigger types that the stage is to get, as --triggers message.created,grant.expired; https://developer.nylas.com/docs/reference/notifications/ lists them")
	}
	settings, err := o.settings()
	if err != nil {
		return err
	}
	f, err := o.find(ctx)
	if err != nil {
		return err
	}
	stage, err := o.registration(ctx, s, f)
	if err != nil {
		return err
	}
	result, err := stage.Create(ctx, settings)
	if err != nil {
		return deployment.Explain(err)
	}
	status, err := look(ctx, stage, result.Webhook, o.triggers)
	if err != nil {
		return err
	}
	sentence := ""
	switch {
	case result.Created:
		status.Result, sentence = "created", "Registered, and its secret is stored."
	case result.Stored:
		status.Result, sentence = "secret_stored", "Registered before; it has a new secret, which is stored."
	default:
		status.Result, sentence = "unchanged", "Registered before, and its secret is stored; nothing was changed."
	}
	if !o.json {
		fmt.Fprintln(s.out, sentence)
	}
	return status.report(s, o.json)
}

// webhookStatus is what the commands on one webhook print with --json.
type webhookStatus struct {
	Stage string `json:"stage"`
	URL   string `json:"deployed_url"`
	// Result is what create did: created, secret_stored or unchanged.
	Result   string                 `json:"result,omitempty"`
	Webhook  *nylasapi.Webhook      `json:"webhook"` // null where none is registered
	Problems []registration.Problem `json:"problems"`
}

// look compares the webhook with the stage.
func look(ctx context.Context, stage registration.Stage, hook nylasapi.Webhook, wanted []string) (webhookStatus, error) {
	stored, err := stage.Secrets.Read(ctx)
	return webhookStatus{
		Stage: stage.Name, URL: stage.URL, Webhook: &hook,
		Problems: append([]registration.Problem{}, stage.Problems(hook, &stored, wanted)...),
	}, deployment.Explain(err)
}

// report prints the webhook and what is wrong with it, which makes exit code 1.
func (status webhookStatus) report(s streams, asJSON bool) (err error) {
	if asJSON {
		err = s.json(status)
	} else {
		err = status.print(s)
	}
	if err != nil {
		return fmt.Errorf("print the webhook: %w", err)
	}
	if len(status.Problems) > 0 {
		return errNotSo
	}
	return nil
}
