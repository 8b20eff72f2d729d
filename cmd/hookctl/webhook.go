package main

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/spf13/cobra"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/deployment"
	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/nylasapi"
	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/registration"
	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/secret"
)

// nylasKeyHelp is part of the help of every command that calls Nylas.
const nylasKeyHelp = `
The Nylas API key comes from NYLAS_API_KEY, or from the Secrets Manager secret that
--nylas-key-secret names. A key works in one region only (--nylas-region).`

func newWebhook(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "webhook",
		Short: "Register a stage at Nylas and manage its webhook",
		Long: `A webhook at Nylas says which notifications go to which URL. These commands work on
the one that is registered for the stage's deployed URL, or on the one that --id names.

compressed_delivery is always turned off: API Gateway unpacks a compressed body before
the function sees it, and its signature cannot be verified then.
` + nylasKeyHelp,
		Args: commandsOnly,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newWebhookCreate(s), newWebhookList(s), newWebhookStatus(s), newWebhookUpdate(s),
		newWebhookPause(s), newWebhookActivate(s), newWebhookDelete(s))
	return cmd
}

// nylasFlags say how to talk to Nylas.
type nylasFlags struct {
	region, keySecret string
}

func (n *nylasFlags) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&n.region, "nylas-region", "", "the region of the Nylas application: us or eu (default us, or the address in NYLAS_API_URI)")
	cmd.Flags().StringVar(&n.keySecret, "nylas-key-secret", "", "name or ARN of the Secrets Manager secret that holds the Nylas API key (default: the key in NYLAS_API_KEY)")
	// The error is for a flag that is not there.
	_ = cmd.RegisterFlagCompletionFunc("nylas-region", cobra.FixedCompletions([]string{"us", "eu"}, cobra.ShellCompDirectiveNoFileComp))
}

// nylasPause is the wait before a request to Nylas is repeated; tests shorten it.
var nylasPause = time.Second

// nylas returns a client of the Nylas API.
func (n nylasFlags) nylas(ctx context.Context, s streams) (*nylasapi.Client, error) {
	base, known := nylasapi.Regions[n.region]
	switch {
	case known:
	case n.region != "":
		return nil, usagef("Nylas has no region %q. Give --nylas-region us or eu", n.region)
	case os.Getenv("NYLAS_API_URI") != "":
		base = os.Getenv("NYLAS_API_URI")
	default:
		base = nylasapi.Regions["us"]
	}
	key, err := n.key(ctx)
	if err != nil {
		return nil, err
	}
	client, err := nylasapi.New(base, key)
	if err != nil {
		return nil, usageError{err}
	}
	client.Pause = nylasPause
	client.Waiting = func(err error, wait time.Duration) {
		why := err.Error()
		var refused *nylasapi.Error
		if errors.As(err, &refused) {
			why = refused.Says()
		}
		s.stderrf("%s. Trying again in %s.", why, wait.Round(100*time.Millisecond))
	}
	return client, nil
}

func (n nylasFlags) key(ctx context.Context) (string, error) {
	if n.keySecret == "" {
		if key := os.Getenv("NYLAS_API_KEY"); key != "" {
			return key, nil
		}
		return "", errors.New("no Nylas API key. Set NYLAS_API_KEY to one from the Nylas dashboard (API Keys), or name the Secrets Manager secret that holds it: --nylas-key-secret")
	}
	cfg, err := deployment.Connect(ctx, "")
	if err != nil {
		return "", err
	}
	stored, err := secret.Store{API: secretsmanager.NewFromConfig(cfg), Name: n.keySecret}.Read(ctx)
	switch {
	case err != nil:
		return "", deployment.Explain(err)
	case stored.Current.Value == "":
		return "", usagef("there is no secret %s in this account and region, or it is empty. Store the Nylas API key in it, as a plain string", n.keySecret)
	}
	return stored.Current.Value, nil
}

// registration is the stage and the Nylas application, for a command to work on.
func (n nylasFlags) registration(ctx context.Context, s streams, f found) (registration.Stage, error) {
	client, err := n.nylas(ctx, s)
	return registration.Stage{
		Name: f.Stage, URL: f.WebhookURL, Secrets: f.secrets(), Nylas: client,
		Tell: func(sentence string) { s.stderrf("%s", sentence) },
	}, err
}

// webhookTarget are the flags of the commands that work on one webhook.
type webhookTarget struct {
	target
	nylasFlags
	id string
}

func (t *webhookTarget) flags(cmd *cobra.Command) {
	t.target.flags(cmd)
	t.nylasFlags.flags(cmd)
	idFlag(cmd, &t.id)
}

func idFlag(cmd *cobra.Command, id *string) {
	cmd.Flags().StringVar(id, "id", "", "the webhook's id at Nylas (default: the one registered for the stage's URL)")
}

// lookUp finds the stage and its webhook at Nylas.
func (t *webhookTarget) lookUp(ctx context.Context, s streams) (registration.Stage, nylasapi.Webhook, error) {
	f, err := t.find(ctx)
	if err != nil {
		return registration.Stage{}, nylasapi.Webhook{}, err
	}
	return t.lookUpOf(ctx, s, f)
}

// lookUpOf finds the webhook of a stage that is found.
func (t *webhookTarget) lookUpOf(ctx context.Context, s streams, f found) (registration.Stage, nylasapi.Webhook, error) {
	stage, err := t.registration(ctx, s, f)
	if err != nil {
		return stage, nylasapi.Webhook{}, err
	}
	hook, err := stage.Webhook(ctx, t.id)
	return stage, hook, err
}

// settingsFlags are what create and update can set.
type settingsFlags struct {
	triggers, emails []string
	description      string
}

func (f *settingsFlags) flags(cmd *cobra.Command) {
	cmd.Flags().StringSliceVar(&f.triggers, "triggers", nil, "the trigger types to subscribe to, comma-separated, as message.created,grant.expired")
	cmd.Flags().StringVar(&f.description, "description", "", "a description for people")
	cmd.Flags().StringSliceVar(&f.emails, "notify", nil, "e-mail addresses that Nylas tells when deliveries fail, comma-separated")
	_ = cmd.RegisterFlagCompletionFunc("triggers", completeTriggers)
}

// settings checks the flags.
func (f *settingsFlags) settings() (nylasapi.Settings, error) {
	for _, trigger := range f.triggers {
		for _, suffix := range []string{".truncated", ".transformed", ".metadata"} {
			if strings.HasSuffix(trigger, suffix) {
				return nylasapi.Settings{}, usagef("%s cannot be subscribed to: Nylas sends it by itself where it applies. Give %s", trigger, strings.TrimSuffix(trigger, suffix))
			}
		}
		if strings.TrimSpace(trigger) == "" || strings.ContainsAny(trigger, " \t") {
			return nylasapi.Settings{}, usagef("%q is no trigger type. Give them comma-separated, as --triggers message.created,grant.expired", trigger)
		}
	}
	return nylasapi.Settings{TriggerTypes: f.triggers, Description: f.description, NotificationEmails: f.emails}, nil
}

// completeTriggers completes the last of a comma-separated list.
func completeTriggers(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	given := strings.Split(typed, ",")
	before := strings.Join(given[:len(given)-1], ",")
	if before != "" {
		before += ","
	}
	var offers []string
	for _, trigger := range nylasapi.Triggers {
		if !slices.Contains(given, trigger) {
			offers = append(offers, before+trigger)
		}
	}
	return offers, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}
