package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/onepagecrm/nylas-webhooks/internal/awsconfig"
	"github.com/onepagecrm/nylas-webhooks/test/engine"
)

const stackName = "NylasWebhooks-local"

// soon is how long anything is waited for that should come at once: the machine may
// be busy. It is no pause; every wait ends with what it waits for.
const soon = 20 * time.Second

// system is the deployed stack and the ways to it.
type system struct {
	engine  *engine.Engine
	outputs map[string]string
	url     string // of the webhook, on the engine

	config  aws.Config
	api     *apigateway.Client
	iam     *iam.Client
	lambda  *lambda.Client
	logs    *cloudwatchlogs.Client
	queue   *sqs.Client
	bucket  *s3.Client
	secrets *secretsmanager.Client

	// resources are the physical ids by logical id.
	resources map[string]string
	template  template

	// inbox are the messages that came off the queue and were not asked for yet, by
	// their signature.
	inbox map[string]types.Message
	// sent are the values that must not be shown, each with what it is.
	sent map[string]string
	// answers are all that the sender got.
	answers answers
	// ledger is of everything that the tests send.
	ledger *ledger
	// marks counts the requests that mark a place in the log.
	marks int
}

// template is the deployed template, as far as the tests read it.
type template struct {
	Resources map[string]struct {
		Type       string
		Properties json.RawMessage
	}
}

func deploy(ctx context.Context, e *engine.Engine) (*system, error) {
	started := time.Now()
	outputs, err := e.Deploy(ctx, stackName)
	if err != nil {
		return nil, err
	}
	cfg, err := awsconfig.Load(ctx)
	if err != nil {
		return nil, err
	}
	s := &system{
		engine: e, outputs: outputs, config: cfg,
		api: apigateway.NewFromConfig(cfg), iam: iam.NewFromConfig(cfg), lambda: lambda.NewFromConfig(cfg),
		logs: cloudwatchlogs.NewFromConfig(cfg), queue: sqs.NewFromConfig(cfg), bucket: newBucket(cfg), secrets: secretsmanager.NewFromConfig(cfg),
		inbox: map[string]types.Message{}, sent: map[string]string{}, ledger: newLedger(),
	}
	if s.resources, err = resources(ctx, cloudformation.NewFromConfig(cfg)); err != nil {
		return nil, err
	}
	if s.url, err = engine.Webhook(outputs["WebhookUrl"]); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(e.Assembly(), stackName+".template.json"))
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &s.template); err != nil {
		return nil, fmt.Errorf("read the template: %w", err)
	}
	fmt.Printf("e2e: deployed in %.0f s\n", time.Since(started).Seconds())
	return s, nil
}

func resources(ctx context.Context, stacks *cloudformation.Client) (map[string]string, error) {
	answer, err := stacks.DescribeStackResources(ctx, &cloudformation.DescribeStackResourcesInput{StackName: aws.String(stackName)})
	if err != nil {
		return nil, err
	}
	ids := map[string]string{}
	for _, r := range answer.StackResources {
		ids[aws.ToString(r.LogicalResourceId)] = aws.ToString(r.PhysicalResourceId)
	}
	return ids, nil
}

// resource returns the physical id of the one resource that has this construct id;
// CDK appends eight hex digits to it.
func (s *system) resource(t *testing.T, id string) string {
	t.Helper()
	form := regexp.MustCompile("^" + id + "[0-9A-F]{8}$")
	var found []string
	for logical, physical := range s.resources {
		if form.MatchString(logical) || logical == id {
			found = append(found, physical)
		}
	}
	if len(found) != 1 {
		t.Fatalf("the stack has %d resources %s, want one: %s", len(found), id, strings.Join(found, ", "))
	}
	return found[0]
}

// eventually calls ask until it returns "" and fails with what it said last. It is
// for what can only be asked for again and again; ask itself takes some time.
func eventually(t *testing.T, within time.Duration, ask func() (missing string)) {
	t.Helper()
	deadline := time.Now().Add(within)
	for {
		missing := ask()
		if missing == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("within %s: %s", within, missing)
		}
		time.Sleep(100 * time.Millisecond) // between two questions
	}
}

// must fails the test where an AWS call did not work.
func must[T any](t *testing.T) func(T, error) T {
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}
