package own

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/onepagecrm/nylas-webhooks/internal/awsconfig"
	"github.com/onepagecrm/nylas-webhooks/test/engine"
)

// The steps of the deploy workflow, in order: what was synthesized is deployed, doctor finds
// it well; the next does not take a notification, doctor says so, which ends the workflow
// before the next stage; the previous assembly is deployed again. Nylas sends all the while.
func TestAReleaseThatFailsIsTakenBack(t *testing.T) {
	dir := repository(t, onEngine)
	in(t, dir, "make", "test")
	outputs := deploy(t, dir, "NylasWebhooks-crmdev")
	cfg, err := awsconfig.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := secretsmanager.NewFromConfig(cfg).PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{
		SecretId: aws.String(outputs["SecretName"]), SecretString: aws.String(upgradedSecret)}); err != nil {
		t.Fatal(err)
	}
	traffic := send(t, outputs["WebhookUrl"], 20*time.Second)
	t.Log(in(t, dir, "make", "release", "STAGE=crmdev"))
	traffic.more(t, 20)
	if err := os.CopyFS(filepath.Join(dir, "previous"), os.DirFS(filepath.Join(dir, "cdk.out"))); err != nil {
		t.Fatal(err)
	}

	// A release that hands notifications to a queue that is not there, and to no bucket.
	edit(t, filepath.Join(dir, "main.go"), "	awscdk.Tags_Of(stacks)", `	function := stacks.Node().FindChild(jsii.String("NylasWebhooks-crmdev")).Node().FindChild(jsii.String("Receiver")).Node().DefaultChild().(awscdk.CfnResource)
	function.AddPropertyOverride(jsii.String("Environment.Variables.WEBHOOK_QUEUE_URL"), "https://sqs.us-east-1.amazonaws.com/000000000000/gone")
	function.AddPropertyOverride(jsii.String("Environment.Variables.WEBHOOK_BUCKET"), "gone")
	awscdk.Tags_Of(stacks)`)
	in(t, dir, "make", "test")
	out, err := engine.RunIn(t.Context(), dir, "make", "release", "STAGE=crmdev")
	if err == nil {
		t.Fatalf("a release that takes no notification went well:\n%s", out)
	}
	if !strings.Contains(err.Error(), "hookctl") && !strings.Contains(err.Error(), "503") {
		t.Errorf("it failed for another reason: %v", err)
	}
	in(t, dir, "make", "release", "STAGE=crmdev", "ASSEMBLY=previous")
	traffic.more(t, 20)

	sent := traffic.stop()
	got := arrived(t, sqs.NewFromConfig(cfg), outputs["QueueUrl"])
	lost := 0
	for _, body := range sent {
		if !got[body] {
			lost++
		}
	}
	t.Logf("%d accepted, %d tries refused, %d given up, %d lost", len(sent), traffic.refused, traffic.givenUp, lost)
	if lost > 0 || traffic.givenUp > 0 || traffic.refused == 0 {
		t.Errorf("%d lost, %d given up, %d refused while the bad release was there", lost, traffic.givenUp, traffic.refused)
	}
}
