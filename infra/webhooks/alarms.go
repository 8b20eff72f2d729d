package webhooks

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatchactions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssnssubscriptions"
	"github.com/aws/jsii-runtime-go"

	"github.com/onepagecrm/nylas-webhooks/infra/findings"
	"github.com/onepagecrm/nylas-webhooks/infra/stages"
)

// severity says whom an alarm tells.
type severity string

const (
	// page wakes somebody: notifications are being lost or soon will be. Only what a
	// signed request or our own fault can cause may page.
	page severity = "page"
	// ticket waits for the morning. Strangers may cause it.
	ticket severity = "ticket"
)

// How a datapoint breaches, and what a missing one means.
const (
	above   = awscloudwatch.ComparisonOperator_GREATER_THAN_THRESHOLD
	atLeast = awscloudwatch.ComparisonOperator_GREATER_THAN_OR_EQUAL_TO_THRESHOLD
	below   = awscloudwatch.ComparisonOperator_LESS_THAN_THRESHOLD

	missingIsGood = awscloudwatch.TreatMissingData_NOT_BREACHING
	missingIsBad  = awscloudwatch.TreatMissingData_BREACHING
)

// alarm is one row of the table in alarmtable.go. The alarm's name is the stack's
// name and the role; the role is also the heading in docs/runbook.md.
type alarm struct {
	role     string
	severity severity
	metric   awscloudwatch.IMetric
	breach   awscloudwatch.ComparisonOperator
	limit    float64
	m, n     int // m breaching periods of the last n
	missing  awscloudwatch.TreatMissingData
	means    string // what happened
	not      string // what it does not mean
	first    string // the first command to run
}

func (a alarm) description() string {
	return fmt.Sprintf("[%s] %s\nNot: %s\nFirst: %s\nRunbook: docs/runbook.md#%s",
		a.severity, a.means, a.not, a.first, strings.ToLower(a.role))
}

// alarms are those of one stack, by whom they tell.
type alarms map[severity][]awscloudwatch.Alarm

// newAlarms makes the alarms of the table and the two topics they tell: were it one,
// every ticket would wake somebody.
func newAlarms(stack awscdk.Stack, stage stages.Stage, endpoint endpoint, receiver receiver, queues queues, bucket bucket) (alarms, error) {
	topics := map[severity]awscloudwatchactions.SnsAction{
		page:   awscloudwatchactions.NewSnsAction(newTopic(stack, "Pages", stage.Pages)),
		ticket: awscloudwatchactions.NewSnsAction(newTopic(stack, "Tickets", stage.Tickets)),
	}
	made := make(alarms)
	off, thresholds := maps.Clone(stage.AlarmsOff), maps.Clone(stage.Thresholds)
	for _, a := range alarmTable(stack, stage, endpoint, receiver, queues, bucket) {
		if _, ok := off[a.role]; ok {
			delete(off, a.role)
			continue
		}
		if threshold, ok := thresholds[a.role]; ok {
			a.means += fmt.Sprintf(" On this stage it rings at %g instead of %g: %s", threshold.Limit, a.limit, threshold.Reason)
			a.limit = threshold.Limit
			delete(thresholds, a.role)
		}
		alarm := awscloudwatch.NewAlarm(stack, jsii.String(a.role+"Alarm"), &awscloudwatch.AlarmProps{
			AlarmName:          jsii.String(StackName(stage) + "-" + a.role),
			AlarmDescription:   jsii.String(a.description()),
			Metric:             a.metric,
			ComparisonOperator: a.breach,
			Threshold:          &a.limit,
			DatapointsToAlarm:  jsii.Number(a.m),
			EvaluationPeriods:  jsii.Number(a.n),
			TreatMissingData:   a.missing,
		})
		alarm.AddAlarmAction(topics[a.severity])
		alarm.AddOkAction(topics[a.severity])
		made[a.severity] = append(made[a.severity], alarm)
	}
	if stage.QuietEventsPerMinute == 0 { // there are none to switch off, and a reason is welcome
		delete(off, "SignaturesFailing")
		delete(off, "Silence")
	}
	unknown := append(slices.Sorted(maps.Keys(off)), slices.Sorted(maps.Keys(thresholds))...)
	if len(unknown) > 0 {
		return nil, fmt.Errorf("%s: switches off, or sets the threshold of, alarms that do not exist: %s. The names are the headings of docs/runbook.md.",
			stage.Name, strings.Join(unknown, ", "))
	}
	return made, nil
}

// newTopic makes a topic that this stack's alarms can publish to, over TLS. No key
// encrypts it. Under the stack's key the page that tells of the failing key would reach
// nobody; under AWS's own SNS key CloudWatch cannot publish, and says so nowhere. The
// messages hold no mail: an alarm's name, its text and a number.
func newTopic(stack awscdk.Stack, id string, recipients stages.Recipients) awssns.Topic {
	topic := awssns.NewTopic(stack, jsii.String(id), &awssns.TopicProps{
		DisplayName: jsii.String(*stack.StackName() + " " + strings.ToLower(id)),
		EnforceSSL:  jsii.Bool(true),
	})
	findings.Accept(topic, "what tells of a failing key must not need a key; alarms say nothing of anybody's mail", "CKV_AWS_26")
	// A topic with a policy has no default one, so CloudWatch has to be named.
	topic.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid:        jsii.String("AlarmsOfThisStack"),
		Principals: &[]awsiam.IPrincipal{awsiam.NewServicePrincipal(jsii.String("cloudwatch.amazonaws.com"), nil)},
		Actions:    jsii.Strings("sns:Publish"),
		Resources:  &[]*string{topic.TopicArn()},
		Conditions: &map[string]any{
			"StringEquals": map[string]any{"aws:SourceAccount": stack.Account()},
			"ArnLike": map[string]any{"aws:SourceArn": stack.FormatArn(&awscdk.ArnComponents{
				Service: jsii.String("cloudwatch"), Resource: jsii.String("alarm"),
				ResourceName: jsii.String(*stack.StackName() + "-*"), ArnFormat: awscdk.ArnFormat_COLON_RESOURCE_NAME,
			})},
		},
	}))
	subscribe := func(recipient awssns.ITopicSubscription) {
		findings.Accept(topic.AddSubscription(recipient),
			"an alarm that SNS could not deliver would wait in a dead-letter queue for somebody who looks, and who looks sees the dashboard",
			"Serverless-SNSRedrivePolicy", "ES7000")
	}
	for _, address := range recipients.Emails {
		subscribe(awssnssubscriptions.NewEmailSubscription(&address, nil))
	}
	for _, endpoint := range recipients.Endpoints {
		subscribe(awssnssubscriptions.NewUrlSubscription(&endpoint, nil))
	}
	return topic
}
