package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/deployment"
	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/secret"
	"github.com/onepagecrm/nylas-webhooks/lambda/contract"
	"github.com/onepagecrm/nylas-webhooks/notification"
)

func newSecret(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "secret",
		Short: "Store, check and rotate the webhook secret of a stage",
		Long: `The webhook secret is what Nylas signs notifications with. Nylas chooses it and shows
it once; the stage keeps it in AWS Secrets Manager. The current value verifies, and
for 60 minutes after it was stored the previous one does, too, because Nylas repeats
deliveries for up to 20 minutes.

No command shows a value, and none takes one as an argument, where the shell's
history and the list of processes would keep it.`,
		Args: commandsOnly,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newSecretSet(s), newSecretStatus(s), newSecretRotate(s), newSecretRevokePrevious(s))
	return cmd
}

func newSecretStatus(s streams) *cobra.Command {
	var t target
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show which versions of the secret are stored, and which verify",
		Long: `status shows the versions of the stage's secret that count, how old they are and
whether signatures made with them verify. It shows no values.

The exit code is 0 when a usable secret is stored, else 1.`,
		Example: `  hookctl secret status --stage prod
  hookctl secret status --stage prod --json | jq .versions`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runSecretStatus(cmd.Context(), s, t) },
	}
	t.flags(cmd)
	return cmd
}

// secretStatus is what secret status --json prints.
type secretStatus struct {
	Stage  string `json:"stage"`
	Secret string `json:"secret"` // its name in Secrets Manager
	// Usable: the current version can verify signatures.
	Usable   bool            `json:"usable"`
	Versions []secretVersion `json:"versions"`
	// Problem says what to do where something is not as it should be.
	Problem string `json:"problem,omitempty"`
}

type secretVersion struct {
	ID         string    `json:"id"`
	Label      string    `json:"label"`
	Created    time.Time `json:"created"`
	AgeSeconds int       `json:"age_seconds"`
	Verifies   bool      `json:"verifies"`
	// Until is when it stops to verify; only of a previous version.
	Until *time.Time `json:"until,omitempty"`
	// Unusable says why it cannot be a webhook secret.
	Unusable string `json:"unusable,omitempty"`
}

func runSecretStatus(ctx context.Context, s streams, t target) error {
	f, err := t.find(ctx)
	if err != nil {
		return err
	}
	stored, err := f.secrets().Read(ctx)
	if err != nil {
		return deployment.Explain(err)
	}
	status := describe(f.Deployment, stored, time.Now())
	if t.json {
		err = s.json(status)
	} else {
		err = status.print(s)
	}
	if err != nil {
		return fmt.Errorf("print the status: %w", err)
	}
	if !status.Usable {
		return errNotSo
	}
	return nil
}

// describe puts stored into words, without its values.
func describe(d deployment.Deployment, stored secret.Stored, now time.Time) secretStatus {
	status := secretStatus{Stage: d.Stage, Secret: d.SecretName, Versions: []secretVersion{}}
	add := func(v secret.Version, label string, until *time.Time) secretVersion {
		one := secretVersion{ID: v.ID, Label: label, Created: v.Created.UTC(), AgeSeconds: int(now.Sub(v.Created).Seconds()), Until: until}
		if err := notification.CheckSecret(v.Value); err != nil {
			one.Unusable = err.Error()
		}
		one.Verifies = one.Unusable == "" && (until == nil || now.Before(*until))
		status.Versions = append(status.Versions, one)
		return one
	}
	set := "Store it: hookctl secret set --stage " + d.Stage
	if stored.Current.ID == "" {
		status.Problem = "No secret is stored, so every delivery is answered 503. " + set + ", or register the webhook: hookctl webhook create --stage " + d.Stage
		return status
	}
	current := add(stored.Current, "AWSCURRENT", nil)
	status.Usable = current.Verifies
	if !status.Usable {
		status.Problem = "The current version is " + current.Unusable + ". No notification of Nylas verifies with it: every one is answered 503. " + set
		if stored.Current.Value != "" {
			status.Problem += " --correct"
		}
	}
	if stored.Previous.ID != "" {
		until := stored.Current.Created.Add(contract.PreviousSecretLifetime).UTC()
		add(stored.Previous, "AWSPREVIOUS", &until)
	}
	if stored.Interrupted() {
		status.Problem = "A correction was interrupted: the older version is current again, and the right value is not stored. Finish it: hookctl secret set --correct --stage " + d.Stage
	}
	return status
}

func (status secretStatus) print(s streams) error {
	fmt.Fprintf(s.out, "Secret %s of stage %s\n", status.Secret, status.Stage)
	if len(status.Versions) > 0 {
		fmt.Fprintln(s.out)
		table := newTable(s.out, "  LABEL", "VERSION", "CREATED", "AGE", "VERIFIES")
		for _, v := range status.Versions {
			table.row("  "+v.Label, v.ID, v.Created.Format(time.RFC3339), short(time.Duration(v.AgeSeconds)*time.Second), v.verifies())
		}
		if err := table.end(); err != nil {
			return err
		}
	}
	if status.Problem != "" {
		fmt.Fprintf(s.out, "\n%s\n", status.Problem)
	}
	return nil
}

func (v secretVersion) verifies() string {
	switch {
	case v.Unusable != "":
		return "no: " + v.Unusable
	case v.Until == nil:
		return "yes"
	case v.Verifies:
		return "until " + v.Until.Format(time.RFC3339)
	default:
		return "no, since " + v.Until.Format(time.RFC3339)
	}
}
