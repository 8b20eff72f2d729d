package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/spf13/cobra"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/deployment"
	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/doctor"
	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/sender"
	"github.com/onepagecrm/nylas-webhooks/internal/awserror"
)

type doctorOptions struct {
	target
	nylasFlags
}

func newDoctor(s streams) *cobra.Command {
	var o doctorOptions
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check a stage from all sides, and say what to do next",
		Long: `doctor checks a stage: the webhook at Nylas (the deployed URL, active, triggers,
compressed_delivery off), the secret, the queue's depth and age, dead letters, what was
spilled, alarms in ALARM, who hears of them, and the front door itself: a challenge, an
unsigned notification, and a signed one of type smoke.test.

It is safe on prod. It changes nothing and takes nothing off a queue; the smoke test's
notification is counted by no metric, and consumers drop it. The check of the webhook
needs a Nylas API key (NYLAS_API_KEY); without one it says so and goes on.

What these AWS credentials may not look at is named with the permission that they lack,
and doctor goes on with the rest.

Each finding comes with the next command. Exit codes: 0 no findings, 1 findings,
3 no findings, but something could not be looked at.`,
		Example: `  hookctl doctor --stage prod
  NYLAS_API_KEY=$(pass nylas/api-key) hookctl doctor --stage prod --nylas-region eu
  hookctl doctor --stage prod --json | jq '.reports[] | select(.state == "finding")'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runDoctor(cmd.Context(), s, o) },
	}
	o.target.flags(cmd)
	o.nylasFlags.flags(cmd)
	return cmd
}

func runDoctor(ctx context.Context, s streams, o doctorOptions) error {
	f, err := o.find(ctx)
	if err != nil {
		return err
	}
	resources := func(ctx context.Context) (deployment.Resources, error) {
		return deployment.FindResources(ctx, cloudformation.NewFromConfig(f.aws), o.stage)
	}
	registered, unable := o.registration(ctx, s, f)
	var usage usageError
	if errors.As(unable, &usage) {
		return unable
	}
	told := newProgress(s)
	queues, metrics := sqs.NewFromConfig(f.aws), cloudwatch.NewFromConfig(f.aws)
	reports, err := doctor.Run(ctx, []doctor.Check{
		doctor.Registered(registered, unable),
		doctor.Secret(o.stage, f.secrets()),
		doctor.Smoke(o.stage, sender.New(f.WebhookURL, 1), f.secrets(), func(sentence string) { told.tellf("%s", sentence) }),
		doctor.Queue(f.Deployment, queues, metrics),
		doctor.DeadLetters(f.Deployment, queues),
		doctor.Spilled(o.stage, f.spilled()),
		doctor.Alarms(deployment.AlarmPrefix(o.stage), metrics),
		doctor.Topics(o.stage, f.protected(), resources, sns.NewFromConfig(f.aws)),
	}, func(err error) error { return errors.New(awserror.Text(deployment.Explain(err))) }, func(r doctor.Report) {
		if !o.json {
			printReport(s, r)
		}
	})
	if err != nil {
		return err
	}
	count := map[doctor.State]int{}
	for _, r := range reports {
		count[r.State]++
	}
	blind := count[doctor.Denied] + count[doctor.Failed]
	if o.json {
		if err := s.json(map[string]any{"stage": o.stage, "findings": count[doctor.Bad], "reports": reports}); err != nil {
			return fmt.Errorf("print the reports: %w", err)
		}
	} else {
		fmt.Fprintf(s.out, "\nFindings: %d. OK: %d. Not looked at: %d.\n", count[doctor.Bad], count[doctor.OK], count[doctor.Unchecked]+blind)
	}
	switch {
	case count[doctor.Bad] > 0:
		return errNotSo
	case blind > 0:
		return fmt.Errorf("%d of the checks could not be made; see above", blind)
	}
	return nil
}

func printReport(s streams, r doctor.Report) {
	mark := map[doctor.State]string{doctor.OK: "ok", doctor.Bad: "FINDING", doctor.Unchecked: "-", doctor.Denied: "DENIED", doctor.Failed: "FAILED"}[r.State]
	fmt.Fprintf(s.out, "%-7s  %-19s  %s\n", mark, r.Check, printable(r.Says))
	if r.Next != "" {
		fmt.Fprintf(s.out, "%-7s  %-19s  Next: %s\n", "", "", r.Next)
	}
}
