package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/spf13/cobra"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/deployment"
	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/logs"
	"github.com/onepagecrm/nylas-webhooks/lambda/contract"
)

type tailOptions struct {
	target
	since    ageFlag
	outcomes []string
	noFollow bool
}

func newTail(s streams) *cobra.Command {
	var o tailOptions
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Follow what arrives and what becomes of it",
		Long: `tail follows the receiver's log, one line a request: time, status, outcome, reason,
type, id, delivery attempt, milliseconds. It reads CloudWatch Logs, where lines appear
some seconds late, and never receives from the queue. No body is in that log.

It runs until Ctrl-C. With --json it prints one object a line.`,
		Example: `  hookctl tail --stage prod
  hookctl tail --stage prod --since 1h --outcome SendFailed --outcome Mismatch
  hookctl tail --stage prod --since 1d --no-follow --json | jq -r .type | sort | uniq -c`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runTail(cmd.Context(), s, o) },
	}
	o.flags(cmd)
	cmd.Flags().Var(&o.since, "since", "begin with what came since then: 10m, 2h, 1d (default: now)")
	cmd.Flags().StringSliceVar(&o.outcomes, "outcome", nil, "only these outcomes: "+joined(outcomes()))
	cmd.Flags().BoolVar(&o.noFollow, "no-follow", false, "print what there is and end")
	// The error is for a flag that is not there.
	_ = cmd.RegisterFlagCompletionFunc("outcome", cobra.FixedCompletions(outcomes(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// outcomes are the values of the log's field outcome.
func outcomes() []string {
	var all []string
	for _, m := range contract.Outcomes {
		all = append(all, string(m))
	}
	return all
}

func runTail(ctx context.Context, s streams, o tailOptions) error {
	for i, given := range o.outcomes {
		at := slices.IndexFunc(outcomes(), func(known string) bool { return strings.EqualFold(known, given) })
		if at < 0 {
			return usagef("there is no outcome %q. The outcomes are %s", given, joined(outcomes()))
		}
		o.outcomes[i] = outcomes()[at]
	}
	if o.noFollow && o.since == 0 {
		return usagef("--no-follow without --since shows nothing; give both")
	}
	f, err := o.find(ctx)
	if err != nil {
		return err
	}
	resources, err := deployment.FindResources(ctx, cloudformation.NewFromConfig(f.aws), o.stage)
	if err != nil {
		return deployment.Explain(err)
	}
	now := time.Now()
	api, from, pattern := cloudwatchlogs.NewFromConfig(f.aws), now.Add(-time.Duration(o.since)), logs.RequestPattern(o.outcomes)
	line := func(e logs.Event) {
		r, ok := logs.ParseRequest(e)
		if ok && (len(o.outcomes) == 0 || slices.Contains(o.outcomes, r.Outcome)) {
			o.print(s, r)
		}
	}
	if o.noFollow {
		return deployment.Explain(logs.Read(ctx, api, resources.ReceiverLogs, pattern, from, now, line))
	}
	s.stderrf("Following %s. Ctrl-C ends it.", resources.ReceiverLogs)
	return deployment.Explain(logs.Follow(ctx, api, resources.ReceiverLogs, pattern, from, line))
}

func (o tailOptions) print(s streams, r logs.Request) {
	if o.json {
		text, err := json.Marshal(r)
		if err != nil {
			panic(err) // a struct of strings and numbers always marshals
		}
		fmt.Fprintf(s.out, "%s\n", text)
		return
	}
	fmt.Fprintf(s.out, "%s  %d  %-10s  %-12s  %-24s  %s  attempt %d  %d ms\n", r.Time.Format("2006-01-02T15:04:05.000Z"),
		r.Status, printable(r.Outcome), dash(printable(r.Reason)), dash(printable(r.Type)), dash(printable(r.NotificationID)), r.Attempt, r.Milliseconds)
	if first, _, _ := strings.Cut(r.Error, "\n"); first != "" {
		fmt.Fprintf(s.out, "    %s\n", printable(first))
	}
}
