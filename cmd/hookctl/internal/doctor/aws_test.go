package doctor

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/deployment"
	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/objects"
	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/spilled"
)

type fakeAWS struct {
	visible, hidden string
	ages            []float64 // seconds, oldest first
	alarms          []cwtypes.MetricAlarm
	subscriptions   map[string][]string // ARNs by topic
	err             error
	spilled         int
}

// bucket is what a check needs of S3: the list.
type bucket struct {
	objects.API
	objects int // an hour after each other, from 10 o'clock on
	err     error
}

func (b bucket) ListObjectsV2(context.Context, *s3.ListObjectsV2Input, ...func(*s3.Options)) (*s3.ListObjectsV2Output, error) {
	out := &s3.ListObjectsV2Output{Name: aws.String("bucket")}
	for i := range b.objects {
		at := time.Date(2026, 1, 5, 10+i, 0, 0, 0, time.UTC)
		out.Contents = append(out.Contents, s3types.Object{Key: aws.String("spill/" + at.Format("2006/01/02/15/") + "x.json.gz"), LastModified: &at})
	}
	return out, b.err
}

func spilledCheck(f fakeAWS) Check {
	return Spilled("prod", spilled.Store{Objects: bucket{objects: f.spilled, err: f.err}, Bucket: "bucket"})
}

func (f fakeAWS) GetQueueAttributes(context.Context, *sqs.GetQueueAttributesInput, ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error) {
	return &sqs.GetQueueAttributesOutput{Attributes: map[string]string{
		"ApproximateNumberOfMessages": cmp.Or(f.visible, "0"), "ApproximateNumberOfMessagesNotVisible": cmp.Or(f.hidden, "0"),
	}}, f.err
}

func (f fakeAWS) GetMetricStatistics(_ context.Context, in *cloudwatch.GetMetricStatisticsInput, _ ...func(*cloudwatch.Options)) (*cloudwatch.GetMetricStatisticsOutput, error) {
	if *in.Dimensions[0].Value != "queue" {
		return nil, errors.New("another queue")
	}
	out := &cloudwatch.GetMetricStatisticsOutput{}
	for i, age := range f.ages { // CloudWatch gives them in no order
		at := time.Now().Add(time.Duration(i-len(f.ages)) * time.Minute)
		out.Datapoints = append([]cwtypes.Datapoint{{Timestamp: &at, Maximum: &age}}, out.Datapoints...)
	}
	return out, nil
}

func (f fakeAWS) DescribeAlarms(context.Context, *cloudwatch.DescribeAlarmsInput, ...func(*cloudwatch.Options)) (*cloudwatch.DescribeAlarmsOutput, error) {
	return &cloudwatch.DescribeAlarmsOutput{MetricAlarms: f.alarms}, f.err
}

func (f fakeAWS) ListSubscriptionsByTopic(_ context.Context, in *sns.ListSubscriptionsByTopicInput, _ ...func(*sns.Options)) (*sns.ListSubscriptionsByTopicOutput, error) {
	out := &sns.ListSubscriptionsByTopicOutput{}
	for _, arn := range f.subscriptions[*in.TopicArn] {
		out.Subscriptions = append(out.Subscriptions, snstypes.Subscription{SubscriptionArn: &arn})
	}
	return out, nil
}

func TestChecksOfAWS(t *testing.T) {
	d := deployment.Deployment{Stage: "prod", QueueURL: "https://sqs/1/queue", DeadLetterQueueURL: "https://sqs/1/dead"}
	r := deployment.Resources{Pages: "pages", Tickets: "tickets"}
	const arn, pending = "arn:aws:sns:x", "PendingConfirmation"
	for _, test := range []struct {
		name  string
		check func(fakeAWS) Check
		aws   fakeAWS
		want  []string // state and part of what is said
	}{
		{"busy queue", queueCheck(d), fakeAWS{visible: "12", hidden: "3", ages: []float64{900, 4}}, []string{"ok Notifications that wait: about 12. In work at the consumer: 3.", "ok The oldest notification has waited 4s"}},
		{"deep queue", queueCheck(d), fakeAWS{visible: "20001", ages: []float64{4}}, []string{"finding Notifications that wait: about 20001", "ok The oldest"}},
		{"old queue", queueCheck(d), fakeAWS{visible: "1", ages: []float64{4, 301}}, []string{"ok Notifications that wait: about 1.", "finding The oldest notification has waited 5m1s"}},
		{"unused queue", queueCheck(d), fakeAWS{}, []string{"ok Notifications that wait: about 0.", "unchecked How long"}},
		{"dead letters", func(f fakeAWS) Check { return DeadLetters(d, f) }, fakeAWS{visible: "1", hidden: "2"}, []string{"finding There are about 3."}},
		{"no dead letters", func(f fakeAWS) Check { return DeadLetters(d, f) }, fakeAWS{visible: "0", hidden: "0"}, []string{"ok There are none"}},
		{"spilled", spilledCheck, fakeAWS{spilled: 2}, []string{"finding Waiting in the bucket, because SQS did not take them: 2 notifications. The oldest is of 2026-01-05T10:00:00Z"}},
		{"many spilled", spilledCheck, fakeAWS{spilled: 1000}, []string{"finding Waiting in the bucket, because SQS did not take them: 1000 or more"}},
		{"nothing spilled", spilledCheck, fakeAWS{}, []string{"ok Nothing waits"}},
		{"not SQS's answer", queueCheck(d), fakeAWS{visible: "?"}, []string{"failed ask for the state of queue queue: the answer has no counts"}},
		{"queue not allowed", queueCheck(d), fakeAWS{err: errors.New("AccessDenied")}, []string{"failed ask for the state of queue queue: AccessDenied"}},
		{"no permission", queueCheck(d), fakeAWS{err: &smithy.GenericAPIError{Code: "AccessDenied", Message: "User: a is not authorized to perform: sqs:getqueueattributes on resource: q"}},
			[]string{"denied Not looked at: these AWS credentials lack a permission (sqs:getqueueattributes). Next: Attach the policy of the stack's output OperatorPolicyArn"}},
		{"quiet alarms", alarmsCheck, fakeAWS{alarms: []cwtypes.MetricAlarm{{StateValue: cwtypes.StateValueOk}}}, []string{"ok None of 1"}},
		{"loud alarm", alarmsCheck, fakeAWS{alarms: []cwtypes.MetricAlarm{{
			AlarmName: aws.String("NylasWebhooks-prod-QueueAge"), StateValue: cwtypes.StateValueAlarm,
			AlarmDescription: aws.String("[page] Old.\nNot: lost.\nFirst: look here\nRunbook: docs/runbook.md#queueage"),
		}}}, []string{"finding QueueAge is in ALARM. [page] Old. See docs/runbook.md#queueage Next: look here"}},
		{"silenced alarm", alarmsCheck, fakeAWS{alarms: []cwtypes.MetricAlarm{{AlarmName: aws.String("NylasWebhooks-prod-QueueAge"), ActionsEnabled: aws.Bool(false)}}}, []string{"finding QueueAge tells nobody"}},
		{"no alarms", alarmsCheck, fakeAWS{}, []string{"finding The stage has no alarms"}},
		{"everybody hears", topicsCheck("prod", true, r), fakeAWS{subscriptions: map[string][]string{"pages": {arn}, "tickets": {arn, arn}}}, []string{"ok 1 confirmed for pages", "ok 2 confirmed for tickets"}},
		{"nobody hears", topicsCheck("prod", true, r), fakeAWS{subscriptions: map[string][]string{"tickets": {pending, arn}}}, []string{"finding Nobody hears of pages. Next: Name somebody", "finding 1 of 2 subscriptions to tickets"}},
		{"nobody confirmed", topicsCheck("prod", true, r), fakeAWS{subscriptions: map[string][]string{"pages": {pending}, "tickets": {arn}}}, []string{"finding Nobody hears of pages: none of 1", "ok 1"}},
		{"nobody has to hear", topicsCheck("dev", false, r), fakeAWS{subscriptions: map[string][]string{"tickets": {pending}}}, []string{"ok Nobody hears of pages; the stage is not protected", "finding Nobody hears of tickets: none of 1"}},
		{"local", topicsCheck("local", false, r), fakeAWS{}, []string{"ok Nobody, as it should be"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			reports, err := Run(t.Context(), []Check{test.check(test.aws)}, func(err error) error { return err }, func(Report) {})
			if err != nil || len(reports) != len(test.want) {
				t.Fatalf("%v, %d reports, want %d: %+v", err, len(reports), len(test.want), reports)
			}
			for i, r := range reports {
				if got := string(r.State) + " " + r.Says + " Next: " + r.Next; !strings.HasPrefix(got, test.want[i]) {
					t.Errorf("report %d is %q, want %q", i, got, test.want[i])
				}
			}
		})
	}
}

func queueCheck(d deployment.Deployment) func(fakeAWS) Check {
	return func(f fakeAWS) Check { return Queue(d, f, f) }
}

func alarmsCheck(f fakeAWS) Check { return Alarms("NylasWebhooks-prod-", f) }

func topicsCheck(stage string, protected bool, r deployment.Resources) func(fakeAWS) Check {
	find := func(context.Context) (deployment.Resources, error) { return r, nil }
	return func(f fakeAWS) Check { return Topics(stage, protected, find, f) }
}
