package deployment

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
)

// stackPrefix and the stage's name make the name of a stage's stack.
const stackPrefix = "NylasWebhooks-"

// AlarmPrefix begins the names of all alarms of a stage.
func AlarmPrefix(stage string) string { return stackPrefix + stage + "-" }

// Local is the stage that runs on the local engine.
const Local = "local"

// Deployment is what a stage's stack says about itself, one field per output.
type Deployment struct {
	Stage              string
	WebhookURL         string // where Nylas sends to
	QueueURL           string
	QueueARN           string
	DeadLetterQueueURL string
	SecretName         string // name or ARN of the Secrets Manager secret
	ConsumerPolicyARN  string // what the system that reads the queue is given
	DashboardURL       string
	BucketName         string // what SQS did not take
	// SpillNoticesQueueURL has a message for every spilled notification that waits.
	SpillNoticesQueueURL string
	// Protected: CloudFormation refuses to delete the stack, because the loss of the stage
	// would hurt somebody.
	Protected bool
	// ArchiveDays is for how many days the stage's archive keeps copies; empty where it has
	// none.
	ArchiveDays string
}

// archiveOutput is the output that not every stage has.
const archiveOutput = "ArchiveDays"

// outputs lists every field beside the output it is read from.
func (d *Deployment) outputs() map[string]*string {
	return map[string]*string{
		"WebhookUrl":           &d.WebhookURL,
		"QueueUrl":             &d.QueueURL,
		"QueueArn":             &d.QueueARN,
		"DeadLetterQueueUrl":   &d.DeadLetterQueueURL,
		"SecretName":           &d.SecretName,
		"ConsumerPolicyArn":    &d.ConsumerPolicyARN,
		"DashboardUrl":         &d.DashboardURL,
		"BucketName":           &d.BucketName,
		"SpillNoticesQueueUrl": &d.SpillNoticesQueueURL,
		archiveOutput:          &d.ArchiveDays,
	}
}

// Stacks is the part of CloudFormation that [Find] needs.
type Stacks interface {
	DescribeStacks(context.Context, *cloudformation.DescribeStacksInput, ...func(*cloudformation.Options)) (*cloudformation.DescribeStacksOutput, error)
}

// Find reads the outputs of stage's stack. Its errors are sentences.
func Find(ctx context.Context, stacks Stacks, stage string) (Deployment, error) {
	name := stackPrefix + stage
	answer, err := stacks.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &name})
	if notThere(err) {
		return Deployment{}, missing(ctx, stacks, stage)
	}
	if _, lacked := LackedPermission(err); lacked {
		// Who may look at one stage only is told no more of a stage that is not there.
		return Deployment{}, fmt.Errorf("find stage %s (is --stage right? The policies of a stage allow that stage alone): %w", stage, Explain(err))
	}
	if err != nil {
		return Deployment{}, fmt.Errorf("find stage %s: %w", stage, Explain(err))
	}
	if len(answer.Stacks) == 0 { // CloudFormation refuses to describe what is not there
		return Deployment{}, fmt.Errorf("find stage %s: the answer describes no stack, so it is not CloudFormation's (is AWS_ENDPOINT_URL right, or a proxy between?)", stage)
	}
	return read(answer.Stacks[0], stage)
}

func read(stack types.Stack, stage string) (Deployment, error) {
	d := Deployment{Stage: stage, Protected: aws.ToBool(stack.EnableTerminationProtection)}
	fields := d.outputs()
	for _, output := range stack.Outputs {
		if field := fields[aws.ToString(output.OutputKey)]; field != nil {
			*field = aws.ToString(output.OutputValue)
		}
	}
	var absent []string
	for name, field := range fields {
		if *field == "" && name != archiveOutput {
			absent = append(absent, name)
		}
	}
	if len(absent) > 0 {
		slices.Sort(absent) // the same message for the same state
		return Deployment{}, fmt.Errorf("stack %s is in state %s and has no output %s. Deploy it again (%s) or wait until the deployment that is under way has ended",
			aws.ToString(stack.StackName), stack.StackStatus, strings.Join(absent, ", "), deployCommand(stage))
	}
	d.WebhookURL = onEndpoint(d.WebhookURL, Endpoint())
	if address, err := url.Parse(d.WebhookURL); stage == Local && (err != nil || !loopback(address.Hostname())) {
		return Deployment{}, fmt.Errorf("the webhook of stage local is at %s, which is not this machine. Deploy it again: make run", d.WebhookURL)
	}
	return d, nil
}

// executeAPI is the form that API Gateway gives its URLs: id, stage and path.
// https://docs.aws.amazon.com/apigateway/latest/developerguide/how-to-call-api.html
var executeAPI = regexp.MustCompile(`^https://([a-z0-9]+)\.execute-api\.[^/]+/([^/]+)/(.+)$`)

// onEndpoint returns the address at which a local engine at endpoint serves webhook;
// the stack's output names AWS's own domain there, too. Without an endpoint, and for
// every other form (a domain of your own), it is webhook itself.
func onEndpoint(webhook, endpoint string) string {
	if endpoint == "" {
		return webhook
	}
	return executeAPI.ReplaceAllString(webhook, strings.TrimSuffix(endpoint, "/")+"/restapis/$1/$2/_user_request_/$3")
}

// missing says that stage is not deployed, and which stages are.
func missing(ctx context.Context, stacks Stacks, stage string) error {
	sentence := fmt.Sprintf("stage %q is not deployed in this account and region (no stack %s)", stage, stackPrefix+stage)
	// A hint only: who may describe one stack need not be allowed to list them all.
	if others, err := stages(ctx, stacks); err == nil && len(others) > 0 {
		return fmt.Errorf("%s; deployed here: %s. Check --stage, AWS_PROFILE and AWS_REGION, or deploy it: %s",
			sentence, strings.Join(others, ", "), deployCommand(stage))
	}
	return fmt.Errorf("%s. Check --stage, AWS_PROFILE and AWS_REGION, or deploy it: %s", sentence, deployCommand(stage))
}

func stages(ctx context.Context, stacks Stacks) ([]string, error) {
	var found []string
	pages := cloudformation.NewDescribeStacksPaginator(stacks, &cloudformation.DescribeStacksInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, stack := range page.Stacks {
			// The account's stack beside the stages has no webhook.
			isStage := slices.ContainsFunc(stack.Outputs, func(o types.Output) bool { return aws.ToString(o.OutputKey) == "WebhookUrl" })
			if name, ok := strings.CutPrefix(aws.ToString(stack.StackName), stackPrefix); ok && isStage {
				found = append(found, name)
			}
		}
	}
	slices.Sort(found)
	return found, nil
}

func deployCommand(stage string) string {
	if stage == Local {
		return "make run"
	}
	return "make deploy STAGE=" + stage
}

var errNoRegion = errors.New("no AWS region is set. Set AWS_REGION, or AWS_PROFILE to a profile that has one")
