package canary

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
)

// checksums are the places where assets are named by them.
var checksums = []string{"template", "stack", "stack events"}

// Deployed returns what a deployed stack shows to whoever may look, by where it stands:
// each log group, of whose lines the receiver's metrics are made, the template, the stack
// with its outputs and events, alarms and dashboards. Queues, bucket and secret are not
// among them: they hold mail.
func Deployed(ctx context.Context, cfg aws.Config, stack string) (map[string][]byte, error) {
	texts := make(map[string][]byte)
	for place, read := range map[string]func(context.Context, aws.Config, string) (any, error){
		"template": template, "stack": description, "stack events": events,
		"alarms": alarms, "dashboards": dashboards,
	} {
		shown, err := read(ctx, cfg, stack)
		if err == nil {
			texts[place], err = json.Marshal(shown)
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", place, err)
		}
	}
	return texts, logs(ctx, cfg, texts)
}

// FindIn returns a sentence for each of the places that shows what it must not.
func FindIn(places map[string][]byte) []string {
	var problems []string
	for place, text := range places {
		find := Find
		if slices.Contains(checksums, place) {
			find = FindMail
		}
		if found := find(text); len(found) > 0 {
			problems = append(problems, fmt.Sprintf("%s: holds %v", place, found))
		}
	}
	slices.Sort(problems)
	return problems
}

func template(ctx context.Context, cfg aws.Config, stack string) (any, error) {
	answer, err := cloudformation.NewFromConfig(cfg).GetTemplate(ctx, &cloudformation.GetTemplateInput{StackName: &stack})
	if err != nil {
		return nil, err
	}
	return aws.ToString(answer.TemplateBody), nil
}

func description(ctx context.Context, cfg aws.Config, stack string) (any, error) {
	answer, err := cloudformation.NewFromConfig(cfg).DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &stack})
	if err != nil {
		return nil, err
	}
	return answer.Stacks, nil
}

func events(ctx context.Context, cfg aws.Config, stack string) (any, error) {
	var all []any
	pages := cloudformation.NewDescribeStackEventsPaginator(cloudformation.NewFromConfig(cfg), &cloudformation.DescribeStackEventsInput{StackName: &stack})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, page.StackEvents)
	}
	return all, nil
}

func alarms(ctx context.Context, cfg aws.Config, stack string) (any, error) {
	var all []any
	prefix := stack + "-"
	pages := cloudwatch.NewDescribeAlarmsPaginator(cloudwatch.NewFromConfig(cfg), &cloudwatch.DescribeAlarmsInput{AlarmNamePrefix: &prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, page.MetricAlarms, page.CompositeAlarms)
	}
	return all, nil
}

func dashboards(ctx context.Context, cfg aws.Config, _ string) (any, error) {
	client := cloudwatch.NewFromConfig(cfg)
	list, err := client.ListDashboards(ctx, &cloudwatch.ListDashboardsInput{})
	if err != nil {
		return nil, err
	}
	var all []any
	for _, d := range list.DashboardEntries {
		answer, err := client.GetDashboard(ctx, &cloudwatch.GetDashboardInput{DashboardName: d.DashboardName})
		if err != nil {
			return nil, err
		}
		all = append(all, aws.ToString(answer.DashboardBody))
	}
	return all, nil
}

// logs adds each log group's messages, line by line as they were written.
func logs(ctx context.Context, cfg aws.Config, texts map[string][]byte) error {
	client := cloudwatchlogs.NewFromConfig(cfg)
	groups := cloudwatchlogs.NewDescribeLogGroupsPaginator(client, &cloudwatchlogs.DescribeLogGroupsInput{})
	for groups.HasMorePages() {
		page, err := groups.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("read the log groups: %w", err)
		}
		for _, group := range page.LogGroups {
			place := "log group " + aws.ToString(group.LogGroupName)
			texts[place] = nil
			lines := cloudwatchlogs.NewFilterLogEventsPaginator(client, &cloudwatchlogs.FilterLogEventsInput{LogGroupName: group.LogGroupName})
			for lines.HasMorePages() {
				page, err := lines.NextPage(ctx)
				if err != nil {
					return fmt.Errorf("read %s: %w", place, err)
				}
				for _, line := range page.Events {
					texts[place] = append(append(texts[place], aws.ToString(line.Message)...), '\n')
				}
			}
		}
	}
	return nil
}
