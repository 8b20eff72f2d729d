package drill

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/onepagecrm/nylas-webhooks/test/hookctl/localstage"
)

const (
	stackName = "NylasWebhooks-local"
	// soon is how long a notification is waited for. It comes within milliseconds; the
	// machine may be busy.
	soon = 20 * time.Second
)

// stage is the deployed stage.
var stage *localstage.Stage

func TestMain(m *testing.M) {
	os.Exit(localstage.Main(m, "drill", func(s *localstage.Stage) { stage = s }))
}

// TestEveryAlarmTellsSomebody puts a datapoint for one alarm after the other.
func TestEveryAlarmTellsSomebody(t *testing.T) {
	ctx := t.Context()
	metrics := cloudwatch.NewFromConfig(stage.AWS)
	answer, err := metrics.DescribeAlarms(ctx, &cloudwatch.DescribeAlarmsInput{AlarmNamePrefix: aws.String(stackName + "-")})
	if err != nil {
		t.Fatal(err)
	}
	if len(answer.MetricAlarms) < 20 { // the stage has more than that, the test must not find none
		t.Fatalf("the stage has %d alarms", len(answer.MetricAlarms))
	}
	severities := severities(t)
	subscribers := map[string]*subscriber{"page": subscribe(t, "Pages"), "ticket": subscribe(t, "Tickets")}
	for _, alarm := range answer.MetricAlarms {
		name := aws.ToString(alarm.AlarmName)
		right := subscribers[severities[name]]
		if right == nil {
			t.Fatalf("%s has the severity %q", name, severities[name])
		}
		t.Run(strings.TrimPrefix(name, stackName+"-"), func(t *testing.T) {
			_, err := metrics.PutMetricData(ctx, &cloudwatch.PutMetricDataInput{Namespace: alarm.Namespace, MetricData: []types.MetricDatum{{
				MetricName: alarm.MetricName, Dimensions: alarm.Dimensions, Value: aws.Float64(beyond(t, alarm)), Timestamp: aws.Time(time.Now()),
			}}})
			if err != nil {
				t.Fatal(err)
			}
			n := right.wait(t, name, "ALARM")
			if !strings.Contains(n.AlarmDescription, "\nRunbook: docs/runbook.md#") {
				t.Errorf("whoever is told does not read where the runbook is: %q", n.AlarmDescription)
			}
			now, err := metrics.DescribeAlarms(ctx, &cloudwatch.DescribeAlarmsInput{AlarmNames: []string{name}})
			if err != nil {
				t.Fatal(err)
			}
			if state := now.MetricAlarms[0].StateValue; state != types.StateValueAlarm {
				t.Errorf("the alarm is %s", state)
			}
			if _, err := metrics.SetAlarmState(ctx, &cloudwatch.SetAlarmStateInput{
				AlarmName: &name, StateValue: types.StateValueOk, StateReason: aws.String("the drill is over"),
			}); err != nil {
				t.Fatal(err)
			}
			right.wait(t, name, "OK")
		})
	}
	for severity, s := range subscribers {
		for _, n := range s.drain(t) {
			if severities[n.AlarmName] != severity {
				t.Errorf("%s is a %s, and was told to the subscriber of %s", n.AlarmName, severities[n.AlarmName], s.topic)
			}
		}
	}
}

// severities are page or ticket by alarm, from the template: the engine does not say
// what the description is.
func severities(t *testing.T) map[string]string {
	t.Helper()
	var template struct {
		Resources map[string]struct {
			Type       string
			Properties struct {
				AlarmName        string
				AlarmDescription any // a string, or one put together
			}
		}
	}
	text, err := os.ReadFile(filepath.Join(stage.Assembly(), stackName+".template.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &template); err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	severity := regexp.MustCompile(`\[(page|ticket)\] `)
	for _, r := range template.Resources {
		if r.Type != "AWS::CloudWatch::Alarm" {
			continue
		}
		if parts := severity.FindStringSubmatch(fmt.Sprint(r.Properties.AlarmDescription)); parts != nil {
			found[r.Properties.AlarmName] = parts[1]
		}
	}
	return found
}

// beyond is a value that an alarm goes off at.
func beyond(t *testing.T, alarm types.MetricAlarm) float64 {
	t.Helper()
	threshold := aws.ToFloat64(alarm.Threshold)
	switch alarm.ComparisonOperator {
	case types.ComparisonOperatorGreaterThanThreshold:
		return threshold + 1
	case types.ComparisonOperatorGreaterThanOrEqualToThreshold:
		return threshold
	default:
		t.Fatalf("%s compares by %s; say here what is beyond that", *alarm.AlarmName, alarm.ComparisonOperator)
		return 0
	}
}

// notification is what CloudWatch says to a topic;
// docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Notify_Users_Alarm_Changes.html
type notification struct {
	AlarmName, AlarmDescription, NewStateValue string
}

// subscriber is a queue behind a topic.
type subscriber struct {
	topic string // its role in the stack
	queue string // URL
	// heard is what came, in order. The engine does not look at dimensions, so a datapoint
	// also sets off the alarms on the same metric of another queue, before their turn.
	heard []notification
}

// subscribe puts a queue behind the topic with that role.
func subscribe(t *testing.T, topic string) *subscriber {
	t.Helper()
	ctx := t.Context()
	arn := physicalID(t, "AWS::SNS::Topic", topic)
	queues := sqs.NewFromConfig(stage.AWS)
	made, err := queues.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String("drill-" + topic)})
	if err != nil {
		t.Fatal(err)
	}
	attributes, err := queues.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: made.QueueUrl, AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameQueueArn},
	})
	if err != nil {
		t.Fatal(err)
	}
	own := attributes.Attributes["QueueArn"]
	policy := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},
		"Action":"sqs:SendMessage","Resource":%q,"Condition":{"ArnEquals":{"aws:SourceArn":%q}}}]}`, own, arn)
	if _, err := queues.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{QueueUrl: made.QueueUrl, Attributes: map[string]string{"Policy": policy}}); err != nil {
		t.Fatal(err)
	}
	if _, err := sns.NewFromConfig(stage.AWS).Subscribe(ctx, &sns.SubscribeInput{
		TopicArn: &arn, Protocol: aws.String("sqs"), Endpoint: &own, Attributes: map[string]string{"RawMessageDelivery": "true"},
	}); err != nil {
		t.Fatal(err)
	}
	return &subscriber{topic: topic, queue: aws.ToString(made.QueueUrl)}
}

// physicalID is the name or ARN of the resource with that role in the stack.
func physicalID(t *testing.T, kind, role string) string {
	t.Helper()
	id, err := stage.Resource(t.Context(), kind, role)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// wait returns the notification that an alarm has gone into a state.
func (s *subscriber) wait(t *testing.T, alarm, state string) notification {
	t.Helper()
	deadline := time.Now().Add(soon)
	for {
		for i, n := range s.heard {
			if n.AlarmName == alarm && n.NewStateValue == state {
				s.heard = slices.Delete(s.heard, i, i+1)
				return n
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("the subscriber of %s did not hear within %s that %s is %s", s.topic, soon, alarm, state)
		}
		s.heard = append(s.heard, s.receive(t, 1)...)
	}
}

// drain returns what has come and was not waited for.
func (s *subscriber) drain(t *testing.T) []notification {
	t.Helper()
	for {
		more := s.receive(t, 0)
		if len(more) == 0 {
			return s.heard
		}
		s.heard = append(s.heard, more...)
	}
}

// receive takes what is on the queue, waiting for it so many seconds.
func (s *subscriber) receive(t *testing.T, seconds int32) []notification {
	t.Helper()
	queues := sqs.NewFromConfig(stage.AWS)
	answer, err := queues.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &s.queue, MaxNumberOfMessages: 10, WaitTimeSeconds: seconds})
	if err != nil {
		t.Fatal(err)
	}
	var all []notification
	for _, m := range answer.Messages {
		var n notification
		if err := json.Unmarshal([]byte(aws.ToString(m.Body)), &n); err != nil {
			t.Fatalf("the subscriber of %s received %s", s.topic, aws.ToString(m.Body))
		}
		all = append(all, n)
		if _, err := queues.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: &s.queue, ReceiptHandle: m.ReceiptHandle}); err != nil {
			t.Fatal(err)
		}
	}
	return all
}
