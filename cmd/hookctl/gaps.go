package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/spf13/cobra"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/deployment"
	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/gaps"
	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/logs"
)

func newGaps(s streams) *cobra.Command {
	var t target
	since := ageFlag(2 * time.Hour)
	cmd := &cobra.Command{
		Use:   "gaps",
		Short: "After an outage: what was or may be lost, and which calls to Nylas list it",
		Long: `gaps reads the access log and the receiver's log of the last hours and says, minute by
minute, what became of the deliveries:

  lost at once   answered 400, 401, 403, 413, 500 (all but 408, 429, 502 to 504)
                 though they looked signed: Nylas does not try those again
  not accepted   notifications, by their ids, that failed and were not accepted since
  possibly lost  answers that Nylas tries again, for longer than its tries last
                 (10 to 20 minutes)
  silent         no delivery at all for more than 20 minutes

Then it names the calls to Nylas that list what happened meanwhile, of the types that
this stage receives. It calls nothing itself. Requests without a proper signature and
hookctl's smoke tests do not count.

Times are UTC. The exit code is 0 when nothing is missing, else 1; also where the access
log is empty, so that the half of the answers is not known.`,
		Example: `  hookctl gaps --stage prod
  hookctl gaps --stage prod --since 1d
  hookctl gaps --stage prod --since 6h --json | jq '.report.gaps'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runGaps(cmd.Context(), s, t, time.Duration(since))
		},
	}
	t.flags(cmd)
	cmd.Flags().Var(&since, "since", "how far to look back: 90m, 12h, 3d")
	return cmd
}

func runGaps(ctx context.Context, s streams, t target, since time.Duration) error {
	f, err := t.find(ctx)
	if err != nil {
		return err
	}
	resources, err := deployment.FindResources(ctx, cloudformation.NewFromConfig(f.aws), t.stage)
	if err != nil {
		return deployment.Explain(err)
	}
	to := time.Now()
	from := to.Add(-since).Truncate(time.Minute)
	api, told, lines := cloudwatchlogs.NewFromConfig(f.aws), newProgress(s), 0
	read := func(group, pattern string, each func(logs.Event)) error {
		return logs.Read(ctx, api, group, pattern, from, to, func(e logs.Event) {
			lines++
			told.tellf("read %d lines, up to %s", lines, e.Time.Format(time.RFC3339))
			each(e)
		})
	}
	var access []logs.Access
	err = read(resources.AccessLogs, "", func(e logs.Event) {
		if a, ok := logs.ParseAccess(e); ok {
			access = append(access, a)
		}
	})
	if err != nil {
		return deployment.Explain(err)
	}
	var requests []logs.Request
	err = read(resources.ReceiverLogs, logs.RequestPattern(nil), func(e logs.Event) {
		if r, ok := logs.ParseRequest(e); ok {
			requests = append(requests, r)
		}
	})
	if err != nil {
		return deployment.Explain(err)
	}
	report := gaps.Find(from, to, access, requests)
	fill := report.Fill()
	if t.json {
		if err := s.json(map[string]any{"stage": t.stage, "report": report, "ask_nylas": fill}); err != nil {
			return fmt.Errorf("print the report: %w", err)
		}
	} else if err := printGaps(s, report, fill); err != nil {
		return fmt.Errorf("print the report: %w", err)
	}
	if report.NoAccessLog {
		s.stderrf("The access log is empty, so what the gateway answered by itself is not known. Is the account's logging role there? make deploy STAGE=account")
	}
	if len(report.Gaps) > 0 || report.NoAccessLog {
		return errNotSo
	}
	return nil
}

const minutes = "01-02 15:04"

func printGaps(s streams, r gaps.Report, fill []gaps.Range) error {
	table := newTable(s.out, "FROM (UTC)", "TO", "MINUTES", "STATE", "ACCEPTED", "TRIED AGAIN", "LOST", "NOT NYLAS")
	for _, span := range r.Spans() {
		table.row(span.From.Format(minutes), span.To.Format(minutes), strconv.Itoa(int(span.To.Sub(span.From)/time.Minute)),
			span.Sort, strconv.Itoa(span.Accepted), strconv.Itoa(span.Again), strconv.Itoa(span.Lost), strconv.Itoa(span.Strangers))
	}
	if err := table.end(); err != nil {
		return err
	}
	if len(r.Gaps) == 0 {
		sentence := "\nNothing is missing."
		if r.NoAccessLog {
			sentence = "\nIn the receiver's log nothing is missing."
		}
		_, err := fmt.Fprintln(s.out, sentence)
		return err
	}
	fmt.Fprintln(s.out)
	table = newTable(s.out)
	for _, g := range r.Gaps {
		table.row(string(g.Kind), g.From.Format(minutes)+" to "+g.To.Format(minutes), g.Says)
	}
	if err := table.end(); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "\nThese calls list what happened meanwhile. Make them for every grant of GET /v3/grants (in these logs: %d).\nThe times begin 15 minutes earlier, because a notification may have been on its way.\n", r.Grants)
	for _, ask := range fill {
		fmt.Fprintf(s.out, "\n%s to %s\n", ask.From.Format(minutes), ask.To.Format(minutes))
		for _, call := range ask.Calls {
			fmt.Fprintf(s.out, "  %s\n", call.Types)
			for _, line := range []string{call.Request, call.Note, call.Docs} {
				if line != "" {
					fmt.Fprintf(s.out, "    %s\n", line)
				}
			}
		}
	}
	return nil
}
