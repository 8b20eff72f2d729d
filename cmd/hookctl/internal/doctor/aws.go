package doctor

import (
	"context"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/deployment"
	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/spilled"
)

const (
	// oldAge is when the alarm QueueAge goes off: a consumer at work is seconds behind.
	oldAge = 5 * time.Minute
	// deep is when the alarm Backlog goes off: more than the largest burst that Nylas names.
	deep = 20_000
	// manySpilled is how many are counted, what S3 lists at once.
	manySpilled = 1000
	// ageWindow is how far back the age is looked for: SQS reports it every minute, with a
	// delay of a few.
	ageWindow = 15 * time.Minute
)

// Queues is the part of SQS that the checks need.
type Queues interface {
	GetQueueAttributes(context.Context, *sqs.GetQueueAttributesInput, ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error)
}

// Metrics is the part of CloudWatch that the checks need.
type Metrics interface {
	cloudwatch.DescribeAlarmsAPIClient
	GetMetricStatistics(context.Context, *cloudwatch.GetMetricStatisticsInput, ...func(*cloudwatch.Options)) (*cloudwatch.GetMetricStatisticsOutput, error)
}

func depth(ctx context.Context, queues Queues, url string) (visible, hidden int, err error) {
	visibleName, hiddenName := sqstypes.QueueAttributeNameApproximateNumberOfMessages, sqstypes.QueueAttributeNameApproximateNumberOfMessagesNotVisible
	answer, err := queues.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []sqstypes.QueueAttributeName{visibleName, hiddenName}})
	if err != nil {
		return 0, 0, fmt.Errorf("ask for the state of queue %s: %w", path.Base(url), err)
	}
	visible, visibleErr := strconv.Atoi(answer.Attributes[string(visibleName)])
	hidden, hiddenErr := strconv.Atoi(answer.Attributes[string(hiddenName)])
	if visibleErr != nil || hiddenErr != nil { // 0 would read as "nothing waits"
		return 0, 0, fmt.Errorf("ask for the state of queue %s: the answer has no counts, so it is not SQS's (is AWS_ENDPOINT_URL right, or a proxy between?)", path.Base(url))
	}
	return visible, hidden, nil
}

// Queue checks how many notifications wait, and how long. SQS itself does not tell the
// age; CloudWatch does, minutes late.
func Queue(d deployment.Deployment, queues Queues, metrics Metrics) Check {
	return Check{"queue", func(ctx context.Context) ([]Report, error) {
		visible, hidden, err := depth(ctx, queues, d.QueueURL)
		if err != nil {
			return nil, err
		}
		next := "Look at the consumer; each message that it takes and does not delete comes back. " + d.DashboardURL
		report := ok("Notifications that wait: about %d. In work at the consumer: %d.", visible, hidden)
		if visible > deep {
			report = bad(next, "Notifications that wait: about %d, more than one of Nylas's bursts. The consumer is too slow or stands still.", visible)
		}
		now := time.Now()
		stats, err := metrics.GetMetricStatistics(ctx, &cloudwatch.GetMetricStatisticsInput{
			Namespace: aws.String("AWS/SQS"), MetricName: aws.String("ApproximateAgeOfOldestMessage"),
			Dimensions: []cwtypes.Dimension{{Name: aws.String("QueueName"), Value: aws.String(path.Base(d.QueueURL))}},
			StartTime:  aws.Time(now.Add(-ageWindow)), EndTime: &now, Period: aws.Int32(60),
			Statistics: []cwtypes.Statistic{cwtypes.StatisticMaximum},
		})
		if err != nil {
			return []Report{report}, fmt.Errorf("ask CloudWatch for the queue's age: %w", err)
		}
		if len(stats.Datapoints) == 0 {
			return []Report{report, {State: Unchecked, Says: fmt.Sprintf("How long the oldest waits is not known: CloudWatch has no data of the last %d minutes, which is normal for a queue that nobody uses.", int(ageWindow.Minutes()))}}, nil
		}
		newest := stats.Datapoints[0]
		for _, p := range stats.Datapoints {
			if p.Timestamp.After(*newest.Timestamp) {
				newest = p
			}
		}
		age := time.Duration(aws.ToFloat64(newest.Maximum)) * time.Second
		if age > oldAge {
			return []Report{report, bad(next, "The oldest notification has waited %s: the consumer is too slow or stands still.", age)}, nil
		}
		return []Report{report, ok("The oldest notification has waited %s.", age)}, nil
	}}
}

// DeadLetters checks that there are none.
func DeadLetters(d deployment.Deployment, queues Queues) Check {
	return Check{"dead letters", func(ctx context.Context) ([]Report, error) {
		visible, hidden, err := depth(ctx, queues, d.DeadLetterQueueURL)
		if err != nil {
			return nil, err
		}
		if visible+hidden > 0 {
			return []Report{bad("hookctl dlq ls --stage "+d.Stage, "There are about %d. The consumer received each five times and never deleted it, or rejected it.", visible+hidden)}, nil
		}
		return []Report{ok("There are none.")}, nil
	}}
}

// Spilled checks that nothing waits in the bucket. Nylas was told 200 for it and does
// not send it again; only a replay brings it to the consumer.
func Spilled(stage string, store spilled.Store) Check {
	return Check{"spilled", func(ctx context.Context) ([]Report, error) {
		count, since := 0, time.Time{}
		err := store.List(ctx, func(o spilled.Object) bool { // the oldest hour first
			count++
			if since.IsZero() || o.SpilledAt.Before(since) {
				since = o.SpilledAt
			}
			return count < manySpilled
		})
		if err != nil {
			return nil, err
		}
		if count == 0 {
			return []Report{ok("Nothing waits in the bucket.")}, nil
		}
		number := strconv.Itoa(count)
		if count == manySpilled {
			number += " or more"
		}
		return []Report{bad("hookctl spill ls --stage "+stage, "Waiting in the bucket, because SQS did not take them: %s notifications. The oldest is of %s.", number, since.Format(time.RFC3339))}, nil
	}}
}

// described takes an alarm's description apart: what it means, and the first command.
// The stack writes it (infra/webhooks/alarms.go).
var described = regexp.MustCompile(`^(.*)\nNot: .*\nFirst: (.*)\nRunbook: `)

// alarmed reports an alarm that is in ALARM. The runbook's headings are the alarms' names.
func alarmed(name, description string) Report {
	runbook := "docs/runbook.md#" + strings.ToLower(name)
	if parts := described.FindStringSubmatch(description); parts != nil {
		return bad(parts[2], "%s is in ALARM. %s See %s", name, parts[1], runbook)
	}
	return bad("", "%s is in ALARM. See %s", name, runbook)
}

// Alarms checks that no alarm of the stage is in ALARM and none is switched off.
func Alarms(prefix string, metrics Metrics) Check {
	return Check{"alarms", func(ctx context.Context) ([]Report, error) {
		var all []Report
		count := 0
		pages := cloudwatch.NewDescribeAlarmsPaginator(metrics, &cloudwatch.DescribeAlarmsInput{AlarmNamePrefix: &prefix})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return all, fmt.Errorf("list the alarms: %w", err)
			}
			for _, a := range page.MetricAlarms {
				count++
				name := strings.TrimPrefix(aws.ToString(a.AlarmName), prefix)
				if a.StateValue == cwtypes.StateValueAlarm {
					all = append(all, alarmed(name, aws.ToString(a.AlarmDescription)))
				}
				if a.ActionsEnabled != nil && !*a.ActionsEnabled {
					all = append(all, bad("aws cloudwatch enable-alarm-actions --alarm-names "+aws.ToString(a.AlarmName), "%s tells nobody: its actions are disabled.", name))
				}
			}
		}
		switch {
		case count == 0:
			all = append(all, bad("", "The stage has no alarms (none is named %s...). Deploy it again.", prefix))
		case all == nil:
			all = append(all, ok("None of %d is in ALARM.", count))
		}
		return all, nil
	}}
}

// Topics checks that somebody hears of the alarms. On the local stage nobody is to, and a
// stage that is not protected may do without. find says which topics there are.
func Topics(stage string, protected bool, find func(context.Context) (deployment.Resources, error), topics sns.ListSubscriptionsByTopicAPIClient) Check {
	return Check{"who hears of alarms", func(ctx context.Context) ([]Report, error) {
		if stage == deployment.Local {
			return []Report{ok("Nobody, as it should be on the local stage.")}, nil
		}
		r, err := find(ctx)
		if err != nil {
			return nil, err
		}
		var all []Report
		for _, topic := range []struct{ name, arn string }{{"pages", r.Pages}, {"tickets", r.Tickets}} {
			confirmed, pending := 0, 0
			pages := sns.NewListSubscriptionsByTopicPaginator(topics, &sns.ListSubscriptionsByTopicInput{TopicArn: &topic.arn})
			for pages.HasMorePages() {
				page, err := pages.NextPage(ctx)
				if err != nil {
					return all, fmt.Errorf("list who hears of %s: %w", topic.name, err)
				}
				for _, s := range page.Subscriptions {
					// SNS has words instead of an ARN for what was not confirmed, or deleted.
					if strings.HasPrefix(aws.ToString(s.SubscriptionArn), "arn:") {
						confirmed++
					} else {
						pending++
					}
				}
			}
			switch {
			case confirmed == 0 && pending == 0 && !protected:
				all = append(all, ok("Nobody hears of %s; the stage is not protected, so it may do without.", topic.name))
			case confirmed == 0 && pending == 0:
				all = append(all, bad("Name somebody in the Pages and Tickets of the stage, then: make deploy STAGE="+stage, "Nobody hears of %s.", topic.name))
			case confirmed == 0:
				all = append(all, bad("Open the mail \"AWS Notification - Subscription Confirmation\" and confirm", "Nobody hears of %s: none of %d subscriptions is confirmed.", topic.name, pending))
			case pending > 0:
				all = append(all, bad("Open the mail \"AWS Notification - Subscription Confirmation\" and confirm", "%d of %d subscriptions to %s are not confirmed.", pending, confirmed+pending, topic.name))
			default:
				all = append(all, ok("%d confirmed for %s.", confirmed, topic.name))
			}
		}
		return all, nil
	}}
}
