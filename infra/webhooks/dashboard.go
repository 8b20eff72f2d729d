package webhooks

import (
	"fmt"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/interfaces/interfacesawscloudwatch"
	"github.com/aws/jsii-runtime-go"

	"github.com/onepagecrm/nylas-webhooks/infra/stages"
	"github.com/onepagecrm/nylas-webhooks/lambda/contract"
)

const (
	dashboardWidth = 24                 // units, CloudWatch's
	columnWidth    = dashboardWidth / 4 // gateway, receiver, queue, dead letters
)

// newDashboard draws the flow from left to right, the alarms on top. Its name is the
// stack's, because people look for it by name and it holds no data.
func newDashboard(stack awscdk.Stack, stage stages.Stage, endpoint endpoint, receiver receiver, queues queues, bucket bucket, alarms alarms) {
	var outcomes []awscloudwatch.IMetric
	for _, metric := range contract.Outcomes {
		outcomes = append(outcomes, ownMetric(stage, metric, sum, minute))
	}
	columns := []awscloudwatch.IWidget{
		awscloudwatch.NewColumn(
			heading("Gateway"),
			graph("Requests", endpoint.stage.MetricCount(over(sum, minute)), endpoint.stage.MetricClientError(over(sum, minute)),
				endpoint.stage.MetricServerError(over(sum, minute)), endpoint.faults),
			graph("Milliseconds until the answer", endpoint.stage.MetricLatency(over("p50", minute)), endpoint.stage.MetricLatency(over(p90, minute)),
				endpoint.stage.MetricLatency(over("p99", minute))),
		),
		awscloudwatch.NewColumn(
			heading("Receiver"),
			graph("What became of the requests", outcomes...),
			graph("Milliseconds of the function", receiver.function.MetricDuration(over("p50", minute)), receiver.function.MetricDuration(over(p90, minute)),
				receiver.function.MetricDuration(over("p99", minute))),
			graph("Trouble", receiver.function.MetricErrors(over(sum, minute)), receiver.function.MetricThrottles(over(sum, minute)),
				receiver.function.Metric(jsii.String("ConcurrentExecutions"), over(maximum, minute))),
		),
		awscloudwatch.NewColumn(
			heading("Queue"),
			graph("Messages", queues.queue.MetricNumberOfMessagesSent(over(sum, minute)), queues.queue.MetricNumberOfMessagesDeleted(over(sum, minute))),
			graph("Waiting and in flight", queues.queue.MetricApproximateNumberOfMessagesVisible(over(maximum, minute)),
				queues.queue.MetricApproximateNumberOfMessagesNotVisible(over(maximum, minute))),
			graph("Age of the oldest, seconds", queues.queue.MetricApproximateAgeOfOldestMessage(over(maximum, minute)),
				quietGroups(queues, "ApproximateAgeOfOldestMessageInQuietGroups")),
			graph("Mailboxes that take more than their share, and what waits for the others",
				quietGroups(queues, "ApproximateNumberOfNoisyGroups"), quietGroups(queues, "ApproximateNumberOfMessagesVisibleInQuietGroups")),
		),
		awscloudwatch.NewColumn(
			heading("Dead letters"),
			graph("Dead letters", queues.deadLetters.MetricApproximateNumberOfMessagesVisible(over(maximum, minute))),
			graph("Age of the oldest, seconds", queues.deadLetters.MetricApproximateAgeOfOldestMessage(over(maximum, minute))),
			graph("Spilled, waiting in S3", bucket.notices.MetricApproximateNumberOfMessagesVisible(over(maximum, minute))),
		),
	}
	awscloudwatch.NewDashboard(stack, jsii.String("Dashboard"), &awscloudwatch.DashboardProps{
		DashboardName: jsii.String(StackName(stage)),
		Widgets: &[]*[]awscloudwatch.IWidget{
			{alarmStatus("Pages", alarms[page]), alarmStatus("Tickets", alarms[ticket])},
			&columns,
		},
	})
}

// quietGroups is one of the metrics of a fair queue: a burst of one mailbox shows in the
// others, and not in those of the quiet groups.
// docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
func quietGroups(queues queues, name string) awscloudwatch.IMetric {
	return queues.queue.Metric(&name, over(maximum, minute))
}

func heading(text string) awscloudwatch.IWidget {
	return awscloudwatch.NewTextWidget(&awscloudwatch.TextWidgetProps{
		Markdown: jsii.String("## " + text), Width: jsii.Number(columnWidth), Height: jsii.Number(1),
	})
}

func graph(title string, metrics ...awscloudwatch.IMetric) awscloudwatch.IWidget {
	return awscloudwatch.NewGraphWidget(&awscloudwatch.GraphWidgetProps{
		Title: &title, Left: &metrics, Width: jsii.Number(columnWidth),
		LeftYAxis: &awscloudwatch.YAxisProps{Min: jsii.Number(0), ShowUnits: jsii.Bool(false)},
	})
}

func alarmStatus(title string, alarms []awscloudwatch.Alarm) awscloudwatch.IWidget {
	var refs []interfacesawscloudwatch.IAlarmRef
	for _, a := range alarms {
		refs = append(refs, a)
	}
	return awscloudwatch.NewAlarmStatusWidget(&awscloudwatch.AlarmStatusWidgetProps{
		Title: &title, Alarms: &refs, Width: jsii.Number(dashboardWidth / 2),
	})
}

// consoleDomain is where the console of a region's partition is. A stage without a region
// goes wherever the credentials point, which is taken for the commercial partition.
func consoleDomain(region string) string {
	switch {
	case strings.HasPrefix(region, "us-gov-"):
		return "console.amazonaws-us-gov.com"
	case strings.HasPrefix(region, "eusc-"):
		return "console.amazonaws-eusc.eu"
	}
	return "console.aws.amazon.com"
}

func dashboardURL(stage stages.Stage, name string) *string {
	region := *awscdk.Aws_REGION()
	return jsii.String(fmt.Sprintf("https://%s.%s/cloudwatch/home?region=%s#dashboards/dashboard/%s", region, consoleDomain(stage.Region), region, name))
}
