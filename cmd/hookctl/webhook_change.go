package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/nylasapi"
	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/registration"
)

type webhookUpdateOptions struct {
	webhookTarget
	settingsFlags
	consent
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

Where the new list lacks a type that the webhook has, it asks first at a protected stage;
--yes answers for a script.
` + nylasKeyHelp,
		Example: `  hookctl webhook update --stage prod --triggers message.created,message.updated,grant.expired
  hookctl webhook update --stage prod --id UMWjAjMeWQ4D8gYF2moonK4486 --deployed-url`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runWebhookUpdate(cmd.Context(), s, o) },
	}
	o.webhookTarget.flags(cmd)
	o.settingsFlags.flags(cmd)
	o.consent.flag(cmd)
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
	f, err := o.find(ctx)
	if err != nil {
		return err
	}
	stage, hook, err := o.lookUpOf(ctx, s, f)
	if err != nil {
		return err
	}
	if gone := lacking(settings.TriggerTypes, hook.TriggerTypes); len(settings.TriggerTypes) > 0 && len(gone) > 0 {
		question := fmt.Sprintf("Nylas will no longer send %s to stage %s, nor send later what happens meanwhile.", joined(gone), stage.Name)
		if err := o.ask(ctx, s, f, question); err != nil {
			return err
		}
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

// lacking are the elements of had that list lacks.
func lacking(list, had []string) []string {
	return slices.DeleteFunc(slices.Clone(had), func(one string) bool { return slices.Contains(list, one) })
}

func update(ctx context.Context, stage registration.Stage, hook nylasapi.Webhook, settings nylasapi.Settings) (nylasapi.Webhook, error) {
	updated, err := stage.Nylas.Update(ctx, hook.ID, settings)
	if updated.CreatedAt == 0 { // an answer may leave the times out
		updated.CreatedAt = hook.CreatedAt
	}
	return updated, err
}

type webhookPauseOptions struct {
	webhookTarget
	consent
}

func newWebhookPause(s streams) *cobra.Command {
	var o webhookPauseOptions
	cmd := &cobra.Command{
		Use:        "pause",
		SuggestFor: []string{"disable", "deactivate", "stop"},
		Short:      "Let Nylas send nothing to the stage for a while",
		Long: `pause lets Nylas send nothing until hookctl webhook activate. Nylas does not promise to
send later what happened meanwhile; to keep notifications while the system behind the
queue is down, pause nothing: the queue keeps them.

At a protected stage it asks first; --yes answers for a script.
` + nylasKeyHelp,
		Example: `  hookctl webhook pause --stage staging
  hookctl webhook pause --stage prod --yes`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runWebhookPause(cmd.Context(), s, o) },
	}
	o.webhookTarget.flags(cmd)
	o.consent.flag(cmd)
	return cmd
}

func runWebhookPause(ctx context.Context, s streams, o webhookPauseOptions) error {
	f, err := o.find(ctx)
	if err != nil {
		return err
	}
	stage, hook, err := o.lookUpOf(ctx, s, f)
	if err != nil {
		return err
	}
	if hook.Status != nylasapi.Paused {
		question := fmt.Sprintf("Nylas stops sending to %s (stage %s), and does not promise to send later what happens meanwhile.", hook.URL, stage.Name)
		if err := o.ask(ctx, s, f, question); err != nil {
			return err
		}
	}
	if hook, err = setStatus(ctx, s, stage, hook, nylasapi.Paused); err != nil {
		return err
	}
	// That it is paused is no problem of who pauses it.
	return webhookStatus{Stage: stage.Name, URL: stage.URL, Webhook: &hook, Problems: []registration.Problem{}}.report(s, o.json)
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
		RunE:    func(cmd *cobra.Command, _ []string) error { return runWebhookActivate(cmd.Context(), s, t) },
	}
	t.flags(cmd)
	return cmd
}

func runWebhookActivate(ctx context.Context, s streams, t webhookTarget) error {
	stage, hook, err := t.lookUp(ctx, s)
	if err != nil {
		return err
	}
	if hook, err = setStatus(ctx, s, stage, hook, nylasapi.Active); err != nil {
		return err
	}
	status, err := look(ctx, stage, hook, nil)
	if err != nil {
		return err
	}
	return status.report(s, t.json)
}

// setStatus changes nothing where the status is right already.
func setStatus(ctx context.Context, s streams, stage registration.Stage, hook nylasapi.Webhook, status string) (nylasapi.Webhook, error) {
	if hook.Status == status && !hook.CompressedDelivery {
		s.stderrf("The webhook is in status %s already; nothing was changed.", status)
		return hook, nil
	}
	if status == nylasapi.Active {
		s.stderrf("Activating. Nylas now sends a challenge and waits up to 10 seconds for the answer.")
	}
	return update(ctx, stage, hook, nylasapi.Settings{Status: status})
}

type webhookDeleteOptions struct {
	webhookTarget
	sure typedName
}

func newWebhookDelete(s streams) *cobra.Command {
	var o webhookDeleteOptions
	cmd := &cobra.Command{
		Use:        "delete",
		SuggestFor: []string{"remove", "rm"},
		Short:      "Remove the stage's webhook from Nylas",
		Long: `delete removes the webhook from Nylas, which then sends nothing to the stage. The stored
secret stays where it is, and verifies nothing that a new webhook sends: that one gets a
secret of its own.

That cannot be undone, so it asks you to type the stage's name; scripts give it by
--yes-delete.
` + nylasKeyHelp,
		Example: `  hookctl webhook delete --stage dev
  hookctl webhook delete --stage dev --id UMWjAjMeWQ4D8gYF2moonK4486 --yes-delete dev`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runWebhookDelete(cmd.Context(), s, o) },
	}
	o.flags(cmd)
	o.sure.flag(cmd, "delete", "the stage's name, instead of typing it")
	return cmd
}

func runWebhookDelete(ctx context.Context, s streams, o webhookDeleteOptions) error {
	stage, hook, err := o.lookUp(ctx, s)
	gone := nylasapi.NotFound(err) || errors.Is(err, registration.ErrNone)
	if err != nil && !gone {
		return err
	}
	if !gone {
		question := fmt.Sprintf("Nylas will stop sending to %s for good (webhook %s, %s).", hook.URL, hook.ID, hook.Status)
		if err := o.sure.ask(ctx, s, o.stage, question); err != nil {
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
