package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/nylasapi"
	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/registration"
)

type webhookListOptions struct {
	target
	nylasFlags
}

func newWebhookList(s streams) *cobra.Command {
	var o webhookListOptions
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the webhooks of the Nylas application",
		Long: `list shows all webhooks of the Nylas application that the key belongs to. With
--stage it marks the one that is registered for the stage's deployed URL.
` + nylasKeyHelp,
		Example: `  hookctl webhook list
  hookctl webhook list --stage prod --nylas-region eu
  hookctl webhook list --json | jq '.[] | select(.status != "active")'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runWebhookList(cmd.Context(), s, o) },
	}
	o.target.flags(cmd)
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if o.stage == "" { // it can be left out
			return nil
		}
		return o.formed()
	}
	cmd.Flags().Lookup("stage").Usage = "mark the webhook of this stage: " + joined(stageNames())
	o.nylasFlags.flags(cmd)
	return cmd
}

// listedWebhook is one element of what webhook list --json prints.
type listedWebhook struct {
	nylasapi.Webhook
	// Stage is set where --stage was given and this webhook has its URL.
	Stage string `json:"stage,omitempty"`
}

func runWebhookList(ctx context.Context, s streams, o webhookListOptions) error {
	deployed := ""
	if o.stage != "" {
		f, err := o.find(ctx)
		if err != nil {
			return err
		}
		deployed = f.WebhookURL
	}
	client, err := o.nylas(ctx, s)
	if err != nil {
		return err
	}
	hooks, err := client.List(ctx)
	if err != nil {
		return err
	}
	listed := []listedWebhook{}
	for _, hook := range hooks {
		one := listedWebhook{Webhook: hook}
		if deployed != "" && registration.SameURL(hook.URL, deployed) {
			one.Stage = o.stage
		}
		listed = append(listed, one)
	}
	if o.json {
		return s.json(listed)
	}
	if len(listed) == 0 {
		_, err := fmt.Fprintln(s.out, "No webhook is registered in this Nylas application.")
		return err
	}
	table := newTable(s.out, "ID", "STATUS", "TRIGGERS", "STAGE", "URL")
	for _, one := range listed {
		table.row(one.ID, one.Status, strconv.Itoa(len(one.TriggerTypes)), one.Stage, one.URL)
	}
	return table.end()
}

func newWebhookStatus(s streams) *cobra.Command {
	var t webhookTarget
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the stage's webhook and what is wrong with it",
		Long: `status shows the webhook that is registered for the stage, and compares it with the
stage: the URL, the state, compressed delivery, the age of the stored secret. Each
finding comes with the command that mends it.

The exit code is 0 when all is as it should be, else 1.
` + nylasKeyHelp,
		Example: `  hookctl webhook status --stage prod
  hookctl webhook status --stage prod --json | jq -r '.problems[].next'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runWebhookStatus(cmd.Context(), s, t) },
	}
	t.flags(cmd)
	return cmd
}

func runWebhookStatus(ctx context.Context, s streams, t webhookTarget) error {
	stage, hook, err := t.lookUp(ctx, s)
	if errors.Is(err, registration.ErrNone) { // an answer, not a failure
		return webhookStatus{Stage: stage.Name, URL: stage.URL, Problems: []registration.Problem{{
			What: fmt.Sprintf("no webhook is registered for %s in the Nylas application of this key", stage.URL),
			Next: "hookctl webhook create --stage " + stage.Name,
		}}}.report(s, t.json)
	}
	if err != nil {
		return err
	}
	status, err := look(ctx, stage, hook, nil)
	if err != nil {
		return err
	}
	return status.report(s, t.json)
}

func (status webhookStatus) print(s streams) error {
	if status.Webhook != nil {
		if err := printWebhook(s, *status.Webhook); err != nil {
			return err
		}
	}
	for i, p := range status.Problems {
		if i > 0 || status.Webhook != nil {
			fmt.Fprintln(s.out)
		}
		fmt.Fprintf(s.out, "! %s\n  %s\n", printable(p.What), printable(p.Next))
	}
	return nil
}

func printWebhook(s streams, hook nylasapi.Webhook) error {
	table := newTable(s.out)
	table.row("webhook", hook.ID)
	table.row("url", hook.URL)
	table.row("status", hook.Status)
	table.row("triggers", strings.Join(hook.TriggerTypes, ", "))
	table.row("description", hook.Description)
	table.row("notified", strings.Join(hook.NotificationEmails, ", "))
	table.row("created", unixTime(hook.CreatedAt))
	return table.end()
}

func unixTime(seconds int64) string {
	if seconds == 0 {
		return ""
	}
	return time.Unix(seconds, 0).UTC().Format(time.RFC3339)
}
