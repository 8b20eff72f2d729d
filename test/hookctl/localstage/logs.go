package localstage

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"github.com/onepagecrm/nylas-webhooks/lambda/contract"
)

// Request is one request as the two logs tell it: the engine writes no access log, so
// the tests put the lines there.
type Request struct {
	Ago     time.Duration // before the minute that runs
	Status  int
	Outcome contract.Metric // "": the receiver was not asked
	Reason  contract.Reason
	Type    string
	ID      string
	Attempt int
}

// Log writes both logs' lines of requests, after emptying the logs.
func (s *Stage) Log(ctx context.Context, requests []Request) error {
	slices.SortFunc(requests, func(a, b Request) int { return int(b.Ago - a.Ago) }) // oldest first
	var access, receiver []types.InputLogEvent
	now := time.Now().Truncate(time.Minute)
	for i, r := range requests {
		at, id := now.Add(-r.Ago), fmt.Sprintf("request-%04d", i)
		line := func(fields map[string]any) (types.InputLogEvent, error) {
			text, err := json.Marshal(fields)
			return types.InputLogEvent{Timestamp: aws.Int64(at.UnixMilli()), Message: aws.String(string(text))}, err
		}
		a, err := line(map[string]any{
			"requestId": id, "time": strconv.FormatInt(at.UnixMilli(), 10), "stage": "local", "method": "POST", "resource": "/nylas",
			"status": strconv.Itoa(r.Status), "responseType": "-",
		})
		if err != nil {
			return err
		}
		access = append(access, a)
		if r.Outcome == "" {
			continue
		}
		grant := ""
		if r.ID != "" {
			grant = "c3b0a6de-52c7-4f7e-8f1d-0b9a7de41c20"
		}
		e, err := line(map[string]any{
			contract.FieldMessage: "request", contract.FieldOutcome: r.Outcome, contract.FieldReason: r.Reason, contract.FieldStatus: r.Status,
			contract.FieldRequestID: id, contract.FieldType: r.Type, contract.FieldNotificationID: r.ID, contract.FieldAttempt: r.Attempt,
			contract.FieldGrantID: grant, contract.FieldBytes: 1215, contract.FieldMilliseconds: 12, "body": "never shown",
		})
		if err != nil {
			return err
		}
		receiver = append(receiver, e)
	}
	for role, events := range map[string][]types.InputLogEvent{"AccessLogs": access, "ReceiverLogs": receiver} {
		if err := s.put(ctx, role, events); err != nil {
			return err
		}
	}
	return nil
}

func (s *Stage) put(ctx context.Context, role string, events []types.InputLogEvent) error {
	group, err := s.LogGroup(ctx, role)
	if err != nil {
		return err
	}
	client := cloudwatchlogs.NewFromConfig(s.AWS)
	streams, err := client.DescribeLogStreams(ctx, &cloudwatchlogs.DescribeLogStreamsInput{LogGroupName: &group})
	if err != nil {
		return err
	}
	for _, stream := range streams.LogStreams {
		if _, err := client.DeleteLogStream(ctx, &cloudwatchlogs.DeleteLogStreamInput{LogGroupName: &group, LogStreamName: stream.LogStreamName}); err != nil {
			return err
		}
	}
	if len(events) == 0 {
		return nil
	}
	const stream = "test"
	if _, err := client.CreateLogStream(ctx, &cloudwatchlogs.CreateLogStreamInput{LogGroupName: &group, LogStreamName: aws.String(stream)}); err != nil {
		return err
	}
	_, err = client.PutLogEvents(ctx, &cloudwatchlogs.PutLogEventsInput{LogGroupName: &group, LogStreamName: aws.String(stream), LogEvents: events},
		func(o *cloudwatchlogs.Options) { o.RetryMaxAttempts = 1 }) // a retry would write the lines twice
	return err
}

// LogGroup is the name of the log group with that role in the stack.
func (s *Stage) LogGroup(ctx context.Context, role string) (string, error) {
	return s.Resource(ctx, "AWS::Logs::LogGroup", role)
}

// Resource is the name or ARN of the resource with that role in the stack.
func (s *Stage) Resource(ctx context.Context, kind, role string) (string, error) {
	answer, err := cloudformation.NewFromConfig(s.AWS).DescribeStackResources(ctx, &cloudformation.DescribeStackResourcesInput{StackName: aws.String(stackName)})
	if err != nil {
		return "", err
	}
	for _, r := range answer.StackResources {
		id := aws.ToString(r.LogicalResourceId)
		if aws.ToString(r.ResourceType) == kind && strings.HasPrefix(id, role) && len(id) == len(role)+8 { // the CDK's hash
			return aws.ToString(r.PhysicalResourceId), nil
		}
	}
	return "", fmt.Errorf("the stack has no %s %s", kind, role)
}

// Outage is two hours of traffic with all that can go wrong: see docs/hookctl/gaps.md.
func Outage() []Request {
	var all []Request
	add := func(minutesAgo, status int, outcome contract.Metric, reason contract.Reason, id string, attempt int) {
		r := Request{Ago: time.Duration(minutesAgo-1) * time.Minute, Status: status, Outcome: outcome, Reason: reason, ID: id, Attempt: attempt}
		if id != "" {
			r.Type = "message.created"
		}
		all = append(all, r)
	}
	for m := 125; m > 0; m-- {
		id := fmt.Sprintf("notification-%03d", m)
		switch {
		case m > 90 || m <= 10: // as always, and strangers
			add(m, 200, contract.Accepted, contract.ReasonNone, id, 1)
			if m%5 == 0 {
				add(m, 401, contract.Refused, contract.ReasonNoSignature, "", 0)
			}
		case m > 65: // the function is throttled: the gateway answers by itself
			add(m, 503, "", "", "", 0)
		case m > 60: // SQS is down; the first comes through at its third attempt
			add(m, 503, contract.SendFailed, contract.ReasonSendFailed, id, 1)
		case m > 50:
			add(m, 200, contract.Accepted, contract.ReasonNone, id, 1)
		case m > 48: // somebody puts a firewall before it
			add(m, 403, "", "", "", 0)
		case m > 40:
			add(m, 200, contract.Accepted, contract.ReasonNone, id, 1)
		}
	}
	add(45, 200, contract.Accepted, contract.ReasonNone, "notification-065", 3)
	return all
}
