package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/nylasapi"
	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/registration"
)

type webhookUpdateOptions struct {
	webhookTarget
	settingsFlags
	deployedURL bool
}

func newWebhookUpdate(s streams) *cobra.Command {
	var o webhookUpdateOptions
	cmd := &cobra.Command{
		Use:   "update",
		Short: "Change the stage's webhook",
		Long: `update changes what the flags name and leaves the rest as it is; compressed delivery
is turned off by every update. --triggers replaces the whole list. --deployed-url
moves the webhook that --id names to the URL that the stage has now, as after a stack
was deployed anew; Nylas may send the challenge there.
` + nylasKeyHelp,
		Example: `  hookctl webhook update --stage prod --triggers message.created,message.updated,grant.expired
  hookctl webhook update --stage prod --id UMWjAjMeWQ4D8gYF2moonK4486 --deployed-url`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runWebhookUpdate(cmd.Context(), s, o) },
	}
	o.webhookTarget.flags(cmd)
	o.settingsFlags.flags(cmd)
	cmd.Flags().BoolVar(&o.deployedURL, "deployed-url", false, "set the webhook's URL to the one that the stage has now")
	return cmd
}

func runWebhookUpdate(ctx context.Context, s streams, o webhookUpdateOptions) error {
	settings, err := o.settings()
	if err != nil {
		return err
	}
	if o.deployedURL && o.id == "" {
		return usagef("--deployed-url needs --id: without it the webhook is found by that very URL. See: hookctl webhook list")
	}
	stage, hook, err := o.lookUp(ctx, s)
	if err != nil {
		return err
	}
	if o.deployedURL {
		settings.URL = stage.URL
	}
	if hook, err = update(ctx, stage, hook, settings); err != nil {
		return err
	}
	status, err := look(ctx, stage, hook, settings.TriggerTypes)
	if err != nil {
		return err
	}
	return status.report(s, o.json)
}

func update(ctx context.Context, stage registration.Stage, hook nylasapi.Webhook, settings nylasapi.Settings) (nylasapi.Webhook, error) {
	updated, err := stage.Nylas.Update(ctx, hook.ID, settings)
	if updated.CreatedAt == 0 { // an answer may leave the times out
		updated.CreatedAt = hook.CreatedAt
	}
	return updated, err
}

func newWebhookPause(s streams) *cobra.Command {
	var t webhookTarget
	cmd := &cobra.Command{
		Use:        "pause",
		SuggestFor: []string{"disable", "deactivate", "stop"},
		Short:      "Let Nylas send nothing to the stage for a while",
		Long: `pause lets Nylas send nothing until hookctl webhook activate. Nylas does not promise to
send later what happened meanwhile; to keep notifications while the system behind the
queue is down, pause nothing: the queue keeps them.
` + nylasKeyHelp,
		Example: `  hookctl webhook pause --stage staging`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return setStatus(cmd.Context(), s, t, nylasapi.Paused)
		},
	}
	t.flags(cmd)
	return cmd
}

func newWebhookActivate(s streams) *cobra.Command {
	var t webhookTarget
	cmd := &cobra.Command{
		Use:        "activate",
		SuggestFor: []string{"enable", "resume", "unpause"},
		Short:      "Let Nylas send to the stage again, after a pause or a failure",
		Long: `activate sets the webhook's status to active: after hookctl webhook pause, and after
Nylas has marked it as failed, which it never takes back by itself. Nylas sends the
challenge to the URL first. What happened meanwhile is not sent later; hookctl gaps says
how to fetch it.
` + nylasKeyHelp,
		Example: `  hookctl webhook activate --stage prod`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return setStatus(cmd.Context(), s, t, nylasapi.Active)
		},
	}
	t.flags(cmd)
	return cmd
}

func setStatus(ctx context.Context, s streams, t webhookTarget, status string) error {
	stage, hook, err := t.lookUp(ctx, s)
	if err != nil {
		return err
	}
	if hook.Status == status && !hook.CompressedDelivery {
		s.stderrf("The webhook is in status %s already; nothing was changed.", status)
	} else {
		if status == nylasapi.Active {
			s.stderrf("Activating. Nylas now sends a challenge and waits up to 10 seconds for the answer.")
		}
		if hook, err = update(ctx, stage, hook, nylasapi.Settings{Status: status}); err != nil {
			return err
		}
	}
	result := webhookStatus{Stage: stage.Name, URL: stage.URL, Webhook: &hook, Problems: []registration.Problem{}}
	if status == nylasapi.Active { // that it is paused is no problem of who pauses it
		if result, err = look(ctx, stage, hook, nil); err != nil {
			return err
		}
	}
	return result.report(s, t.json)
}

type webhookDeleteOptions struct {
	webhookTarget
	yes bool
}

func newWebhookDelete(s streams) *cobra.Command {
	var o webhookDeleteOptions
	cmd := &cobra.Command{
		Use:        "delete",
		SuggestFor: []string{"remove", "rm"},
		Short:      "Remove the stage's webhook from Nylas",
		Long: `delete removes the webhook from Nylas, which then sends nothing to the stage. It asks
first; --yes answers for a script. The stored secret stays where it is, and verifies
nothing that a new webhook sends: that one gets a secret of its own.
` + nylasKeyHelp,
		Example: `  hookctl webhook delete --stage dev
  hookctl webhook delete --stage dev --id UMWjAjMeWQ4D8gYF2moonK4486 --yes`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runWebhookDelete(cmd.Context(), s, o) },
	}
	o.flags(cmd)
	cmd.Flags().BoolVar(&o.yes, "yes", false, "do not ask")
	return cmd
}

func runWebhookDelete(ctx context.Context, s streams, o webhookDeleteOptions) error {
	stage, hook, err := o.lookUp(ctx, s)
	gone := nylasapi.NotFound(err) || errors.Is(err, registration.ErrNone)
	if err != nil && !gone {
		return err
	}
	if !gone {
		if err := o.sure(ctx, s, hook); err != nil {
			return err
		}
		err = stage.Nylas.Delete(ctx, hook.ID)
		if gone = nylasapi.NotFound(err); err != nil && !gone {
			return err
		}
	}
	if o.json {
		return s.json(map[string]any{"stage": o.stage, "id": hook.ID, "deleted": !gone})
	}
	sentence := fmt.Sprintf("Deleted webhook %s.", hook.ID)
	if gone {
		sentence = "There is no such webhook at Nylas; nothing was changed."
	}
	_, err = fmt.Fprintln(s.out, sentence)
	return err
}

// sure asks at the terminal, or reads the answer from standard input.
func (o webhookDeleteOptions) sure(ctx context.Context, s streams, hook nylasapi.Webhook) error {
	if o.yes {
		return nil
	}
	fmt.Fprintf(s.err, "Nylas will stop sending to %s (webhook %s, %s).\nDelete it? Type yes: ", hook.URL, hook.ID, hook.Status)
	answer, err := readLine(ctx, s)
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if !strings.EqualFold(answer, "yes") {
		return usagef("not confirmed, nothing was deleted. Type yes when asked, or give --yes")
	}
	return nil
}
