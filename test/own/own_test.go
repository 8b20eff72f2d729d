package own

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/onepagecrm/nylas-webhooks/internal/awsconfig"
	"github.com/onepagecrm/nylas-webhooks/notification"
	"github.com/onepagecrm/nylas-webhooks/test/engine"
)

func TestACompanysRepository(t *testing.T) {
	production := onEngine
	production.Name, production.Production = "crm", true
	dir := repository(t, onEngine, production)
	if out := in(t, dir, "make", "test"); !strings.Contains(out, "every stage can be synthesized") {
		t.Errorf("make test says\n%s", out)
	}
	if out := in(t, dir, "make", "test"); !strings.Contains(out, "every stage can be synthesized") {
		t.Errorf("make test says the second time\n%s", out)
	}
	in(t, dir, "go", "run", ".", "-check", "crm")

	outputs := deploy(t, dir, "NylasWebhooks-crmdev")
	// What the company wants on all stacks is on them.
	template, err := os.ReadFile(filepath.Join(dir, "cdk.out", "NylasWebhooks-crmdev.template.json"))
	if err != nil || strings.Count(string(template), `"Key": "Owner"`) < 5 {
		t.Errorf("%v; the company's tag is on %d resources", err, strings.Count(string(template), `"Key": "Owner"`))
	}
	// Its hookctl is the module's own version, and finds the stage.
	const secret = "0123456789abcdefghijklmnopqrstuv"
	in(t, dir, "sh", "-c", `printf %s "$0" | go tool hookctl secret set --stage crmdev`, secret)
	cfg, err := awsconfig.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	url, err := engine.Webhook(outputs["WebhookUrl"])
	if err != nil {
		t.Fatal(err)
	}
	body := []byte(`{"id":"own-1","type":"message.created"}`)
	for signature, want := range map[string]int{notification.Sign(secret, body).String(): 200, notification.Sign("another", body).String(): 503} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("X-Nylas-Signature", signature)
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		if err := answer.Body.Close(); err != nil {
			t.Fatal(err)
		}
		if answer.StatusCode != want {
			t.Errorf("answered %d, want %d", answer.StatusCode, want)
		}
	}
	got, err := sqs.NewFromConfig(cfg).ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: aws.String(outputs["QueueUrl"]), WaitTimeSeconds: 10, MaxNumberOfMessages: 10})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Messages) != 1 || *got.Messages[0].Body != string(body) {
		t.Errorf("on the queue: %d messages", len(got.Messages))
	}
}

// deploy deploys a stack with the repository's own app and returns its outputs.
func deploy(t *testing.T, dir, stack string) map[string]string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "outputs.json")
	in(t, dir, "cdk", "deploy", stack, "--require-approval", "never", "--outputs-file", file)
	outputs, err := engine.Outputs(file, stack)
	if err != nil {
		t.Fatal(err)
	}
	return outputs
}

// The engine serves no names of one's own; it takes the template, so that none of it is
// misspelt, and hookctl reads the registered URL from the outputs.
func TestADomainOfItsOwn(t *testing.T) {
	dir := repository(t, onEngine)
	edit(t, filepath.Join(dir, "main.go"), "	return []stages", `	crmdev.Domain = &stages.Domain{Name: "webhooks.example.com", CertificateARN: "arn:aws:acm:us-east-1:000000000000:certificate/12345678-1234-1234-1234-123456789012"}
	return []stages`)
	in(t, dir, "go", "mod", "tidy")
	outputs := deploy(t, dir, "NylasWebhooks-crmdev")
	if outputs["WebhookUrl"] != "https://webhooks.example.com/nylas" || outputs["DomainTarget"] == "" {
		t.Errorf("outputs %v", outputs)
	}
}

// A stage for one pull request is made, tried, removed, and nothing of it is left.
func TestAStageOfAPullRequest(t *testing.T) {
	stage := onEngine
	stage.Name = "pr123"
	dir := repository(t, onEngine, stage)
	in(t, dir, "go", "mod", "tidy")
	if outputs := deploy(t, dir, "NylasWebhooks-pr123"); !strings.Contains(outputs["QueueUrl"], "pr123") {
		t.Fatalf("the queue %q does not have the stage's name, so nothing would be found below", outputs["QueueUrl"])
	}
	in(t, dir, "cdk", "destroy", "--force", "NylasWebhooks-pr123")

	cfg, err := awsconfig.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	keep := func(kind, name string) {
		if strings.Contains(strings.ToLower(name), "pr123") {
			left = append(left, kind+" "+name)
		}
	}
	queues, err := sqs.NewFromConfig(cfg).ListQueues(t.Context(), &sqs.ListQueuesInput{})
	if err != nil {
		t.Fatal(err)
	}
	for _, url := range queues.QueueUrls {
		keep("queue", url)
	}
	buckets, err := s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true }).ListBuckets(t.Context(), &s3.ListBucketsInput{})
	if err != nil {
		t.Fatal(err)
	}
	for _, bucket := range buckets.Buckets {
		keep("bucket", *bucket.Name)
	}
	secrets, err := secretsmanager.NewFromConfig(cfg).ListSecrets(t.Context(), &secretsmanager.ListSecretsInput{})
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range secrets.SecretList {
		keep("secret", *secret.Name)
	}
	groups, err := cloudwatchlogs.NewFromConfig(cfg).DescribeLogGroups(t.Context(), &cloudwatchlogs.DescribeLogGroupsInput{})
	if err != nil {
		t.Fatal(err)
	}
	for _, group := range groups.LogGroups {
		keep("log group", *group.LogGroupName)
	}
	if len(left) > 0 {
		t.Errorf("left behind: %s", strings.Join(left, ", "))
	}
}
