package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/spf13/cobra"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/demo"
	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/deployment"
	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/sender"
	"github.com/onepagecrm/nylas-webhooks/notification/samples"
)

func newDemo(s streams) *cobra.Command {
	var t target
	var worker string
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Play Nylas against the local stage and show what reaches the queue",
		Long: `demo plays Nylas against the local engine: the challenge, a notification before a
secret is stored, the secret (made at random, never shown), the sample
notifications, and three that must be refused. Then it reads the queue and compares
what it finds with what was signed, byte for byte.

It deletes its own notifications from the queue and gives all others back (their
receive count goes up by one). With --worker it deletes nothing itself: it runs
hookworker, which delivers everything on the queue, whoever sent it, to a small
stand-in for the CRM, and deletes what was delivered. A secret that is already stored
is kept. demo refuses every stage but local.`,
		Example: `  eval "$(make -s env)"
  hookctl demo --stage local
  hookctl demo --stage local --json | jq .messages`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runDemo(cmd.Context(), s, t, worker) },
	}
	t.flags(cmd)
	cmd.Flags().StringVar(&worker, "worker", "", "deliver to a stand-in CRM by this program, a built hookworker")
	return cmd
}

func runDemo(ctx context.Context, s streams, t target, worker string) error {
	if t.stage != deployment.Local {
		return usagef("demo stores a secret and takes messages off the queue, so it runs against --stage local only. To send a sample to stage %q: hookctl send --stage %s message_created", t.stage, t.stage)
	}
	if err := deployment.CheckLocal(t.stage); err != nil {
		return usagef("%v", err)
	}
	f, err := t.find(ctx)
	if err != nil {
		return err
	}
	out := s.out
	if t.json {
		out = s.err // the story is for people; standard output is for the JSON alone
	}
	fmt.Fprintf(out, "Playing Nylas against %s\n\n", f.WebhookURL)
	story := demo.Story{
		Stage:    f.Stage,
		URL:      f.WebhookURL,
		Webhook:  sender.New(f.WebhookURL, 1),
		Secrets:  f.secrets(),
		Queue:    demo.SQS{API: sqs.NewFromConfig(f.aws), URL: f.QueueURL},
		Samples:  samples.All(),
		Patience: demo.Patience,
		Arrival:  demo.Arrival,
		Done: func(step demo.Step) {
			fmt.Fprintf(out, "  %-4s  %-41s  expected %-18s  got %s\n", verdict(step), step.Name, step.Expected, step.Got)
		},
		Wait: func(sentence string) { s.stderrf("        %s", sentence) },
	}
	if worker != "" {
		story.CRM = demo.Worker{Program: worker, QueueURL: f.QueueURL, DeadLetterQueueURL: f.DeadLetterQueueURL, Patience: demo.Arrival}
	}
	result, err := story.Run(ctx)
	if err != nil {
		return deployment.Explain(err)
	}
	if t.json {
		if err := s.json(result); err != nil {
			return fmt.Errorf("print the result: %w", err)
		}
	} else if err := printMessages(s, result); err != nil {
		return fmt.Errorf("print the result: %w", err)
	}
	if !result.OK() {
		return errNotSo
	}
	return nil
}

func verdict(step demo.Step) string {
	switch {
	case step.Skipped:
		return "-"
	case step.OK:
		return "ok"
	default:
		return "FAIL"
	}
}

// printMessages shows what was on the queue. Its last line is the demo's verdict.
func printMessages(s streams, result demo.Result) error {
	fmt.Fprint(s.out, "\nOn the queue:\n\n")
	table := newTable(s.out, "  TYPE", "ID", "GRANT", "BYTES", "BODY")
	for _, m := range result.Messages {
		body := "equal to what was signed"
		if !m.Equal {
			body = "DIFFERS from what was signed"
		}
		table.row("  "+m.Type, m.ID, m.GrantID, strconv.Itoa(m.Bytes), body)
	}
	if err := table.end(); err != nil {
		return err
	}
	if result.Duplicates > 0 {
		fmt.Fprintf(s.out, "\n%d of them came twice, as standard queues may deliver.\n", result.Duplicates)
	}
	if result.Others > 0 {
		fmt.Fprintf(s.out, "\n%d other messages were on the queue%s.\n", result.Others, result.Left())
	}
	_, err := fmt.Fprintf(s.out, "\n%d of %d notifications reached the queue\n", result.Reached, result.Sent)
	return err
}
