package safety

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/onepagecrm/nylas-webhooks/internal/awsconfig"
)

func settings(t *testing.T) aws.Config {
	t.Helper()
	cfg, err := awsconfig.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// status is that of a stack, "" where there is none.
func status(t *testing.T, stacks *cloudformation.Client, name string) types.StackStatus {
	t.Helper()
	answer, err := stacks.DescribeStacks(t.Context(), &cloudformation.DescribeStacksInput{StackName: &name})
	if err != nil || len(answer.Stacks) == 0 || answer.Stacks[0].StackStatus == types.StackStatusDeleteComplete {
		return ""
	}
	return answer.Stacks[0].StackStatus
}

// says fails the test unless text has all of the sentences.
func says(t *testing.T, text string, sentences ...string) {
	t.Helper()
	for _, sentence := range sentences {
		if !strings.Contains(text, sentence) {
			t.Errorf("the output lacks %q:\n%s", sentence, text)
		}
	}
}

// README's steps of a deployment, in their order, with make as people call it.
func TestDeployByMake(t *testing.T) {
	stacks := cloudformation.NewFromConfig(settings(t))
	if err := account.Bootstrap(t.Context()); err != nil {
		t.Fatal(err)
	}
	output, err := in(t, shell(), "", nil, long, "make", "diff", "STAGE=dev")
	if err != nil {
		t.Fatalf("make diff: %v\n%s", err, output)
	}
	says(t, output, "diff: NylasWebhooks-dev in account 000000000000, region us-east-1")
	if output, err = in(t, shell(), "", nil, long, "make", "deploy", "STAGE=staging"); err == nil {
		t.Fatalf("deployed, and nobody has said where and whom to page\n%s", output)
	}
	says(t, output, "has nobody to page")
	// The stage dev needs the role; without it the sentence says how to make it.
	if output, err = in(t, shell(), "", nil, long, "make", "deploy", "STAGE=dev"); err == nil {
		t.Fatalf("deployed without API Gateway's logging role\n%s", output)
	}
	says(t, output, "make deploy STAGE=account")
	// CDK_REQUIRE_APPROVAL: there is no terminal at which the CDK CLI could ask.
	unasked := append(shell(), "CDK_REQUIRE_APPROVAL=never")
	output, err = in(t, unasked, "", nil, long, "make", "deploy", "STAGE=account")
	if got := status(t, stacks, "NylasWebhooks-account"); err != nil || got != "CREATE_COMPLETE" {
		t.Fatalf("make deploy STAGE=account: %v, %s\n%s", err, got, output)
	}
	// Then nothing is in the way but the engine's quota of concurrency, which is below the stage's.
	if output, err = in(t, unasked, "", nil, long, "make", "deploy", "STAGE=dev"); err == nil {
		t.Fatalf("deployed into an account that is too small\n%s", output)
	}
	says(t, output, "NylasWebhooks-dev does not fit into this account", "set the stage to what there is")
}

func TestDestroyDev(t *testing.T) {
	cfg := settings(t)
	stacks, objects, queues, identities := cloudformation.NewFromConfig(cfg), s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true }), sqs.NewFromConfig(cfg), iam.NewFromConfig(cfg)
	outputs, err := account.Deploy(t.Context(), "NylasWebhooks-dev")
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"spill/a", "spill/b", "overflow/c"} {
		if _, err := objects.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(outputs["BucketName"]), Key: &key, Body: strings.NewReader("{}")}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := queues.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: aws.String(outputs["QueueUrl"]), MessageBody: aws.String("{}")}); err != nil {
		t.Fatal(err)
	}
	if _, err := identities.CreateUser(t.Context(), &iam.CreateUserInput{UserName: aws.String("crm")}); err != nil {
		t.Fatal(err)
	}
	consumer := outputs["ConsumerPolicyArn"]
	if _, err := identities.AttachUserPolicy(t.Context(), &iam.AttachUserPolicyInput{UserName: aws.String("crm"), PolicyArn: &consumer}); err != nil {
		t.Fatal(err)
	}

	output, err := in(t, shell(), "", nil, long, "make", "destroy", "STAGE=dev")
	if err == nil || status(t, stacks, "NylasWebhooks-dev") == "" {
		t.Fatalf("removed although a policy of it is in use\n%s", output)
	}
	says(t, output, "aws iam detach-user-policy --user-name crm --policy-arn "+consumer)
	if left, err := objects.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String(outputs["BucketName"])}); err != nil || aws.ToInt32(left.KeyCount) != 3 {
		t.Errorf("the refused removal has left %d objects of 3 (%v)", aws.ToInt32(left.KeyCount), err)
	}

	if _, err := identities.DetachUserPolicy(t.Context(), &iam.DetachUserPolicyInput{UserName: aws.String("crm"), PolicyArn: &consumer}); err != nil {
		t.Fatal(err)
	}
	if output, err := in(t, shell(), "\n", nil, long, "make", "destroy", "STAGE=dev"); err == nil || status(t, stacks, "NylasWebhooks-dev") == "" {
		t.Fatalf("removed with notifications, and its name was not typed\n%s", output)
	}
	output, err = in(t, shell(), "dev\n", nil, long, "make", "destroy", "STAGE=dev")
	if err != nil {
		t.Errorf("make destroy STAGE=dev: %v\n%s", err, output)
	}
	// The engine deletes a bucket that holds objects, AWS does not: so what is emptied before counts.
	says(t, output, outputs["BucketName"]+": 3 objects, 2 of them notifications that nobody has replayed",
		outputs["QueueUrl"]+": about 1 messages", "Nothing stays behind.", "3 objects deleted from "+outputs["BucketName"], "hookctl webhook delete")
	if got := status(t, stacks, "NylasWebhooks-dev"); got != "" {
		t.Errorf("the stack is %s", got)
	}
	if output, err := in(t, shell(), "", nil, long, "make", "destroy", "STAGE=dev"); err == nil {
		t.Errorf("removed what is not there\n%s", output)
	} else {
		says(t, output, "there is no stack NylasWebhooks-dev")
	}
}

// protectedTemplate is a stage in small: what is retained, and what is not.
const protectedTemplate = `{"Resources": {
	"Kept": {"Type": "AWS::SQS::Queue", "DeletionPolicy": "RetainExceptOnCreate"},
	"Bucket": {"Type": "AWS::S3::Bucket", "DeletionPolicy": "Retain"},
	"Gone": {"Type": "AWS::SQS::Queue"}%s}}`

// protected makes a stack of that template whose stage is nobody else's, and an assembly
// that has it.
func protected(t *testing.T, stacks *cloudformation.Client, stage, more string) (assembly string) {
	t.Helper()
	name := "NylasWebhooks-" + stage
	_, err := stacks.CreateStack(t.Context(), &cloudformation.CreateStackInput{
		StackName: &name, TemplateBody: aws.String(fmt.Sprintf(protectedTemplate, more)), EnableTerminationProtection: aws.Bool(true),
	})
	if err != nil {
		t.Fatal(err)
	}
	// Each look asks the engine, which is at work meanwhile.
	for strings.HasSuffix(string(status(t, stacks, name)), "IN_PROGRESS") {
		if err := t.Context().Err(); err != nil {
			t.Fatal(err)
		}
	}
	assembly = t.TempDir()
	manifest := `{"artifacts": {"stack": {"type": "aws:cloudformation:stack", "displayName": "` + name + `", "environment": "aws://unknown-account/unknown-region"}}}`
	if err := os.WriteFile(filepath.Join(assembly, "manifest.json"), []byte(manifest), 0o600); err != nil {
		t.Fatal(err)
	}
	return assembly
}

func TestDestroyProtected(t *testing.T) {
	stacks := cloudformation.NewFromConfig(settings(t))
	const name = "NylasWebhooks-guarded"
	assembly := protected(t, stacks, "guarded", "")
	python := ".local/venv/lint/bin/python"
	protection := func() bool {
		answer, err := stacks.DescribeStacks(t.Context(), &cloudformation.DescribeStacksInput{StackName: aws.String(name)})
		if err != nil {
			t.Fatal(err)
		}
		return aws.ToBool(answer.Stacks[0].EnableTerminationProtection)
	}
	for _, typed := range []string{"", "y\n", "prod\n"} {
		output, err := in(t, shell(), typed, nil, short, python, "tools/remove.py", assembly, name)
		if err == nil || !protection() {
			t.Errorf("with %q typed the protection is off\n%s", typed, output)
		}
		says(t, output, "Type its name to remove it", "Nothing was removed")
	}
	output, err := in(t, shell(), "guarded\n", nil, short, python, "tools/remove.py", assembly, name)
	if err != nil || protection() {
		t.Errorf("with its name typed the protection is still on: %v", err)
	}
	_, kept, _ := strings.Cut(output, "Stays, ")
	says(t, kept, "AWS::SQS::Queue https://", "AWS::S3::Bucket ")
	if strings.Count(kept, "AWS::SQS::Queue https://") != 1 || strings.Contains(output, "objects deleted") {
		t.Errorf("more stays than what is retained, or a retained bucket was emptied:\n%s", output)
	}
}

// A first deployment that fails leaves a stack that CloudFormation neither updates nor,
// when it is protected, deletes.
func TestDeployAfterAFailedCreation(t *testing.T) {
	stacks := cloudformation.NewFromConfig(settings(t))
	const name = "NylasWebhooks-failed"
	// The engine cannot create an alarm on a computed metric.
	assembly := protected(t, stacks, "failed", `, "Fails": {"Type": "AWS::CloudWatch::Alarm", "Properties": {"ComparisonOperator": "GreaterThanThreshold",
		"EvaluationPeriods": 1, "Threshold": 1, "Metrics": [{"Id": "e", "Expression": "1"}]}}`)
	if got := status(t, stacks, name); got != types.StackStatusRollbackComplete {
		t.Fatalf("the stack is %s", got)
	}
	look := []string{".local/venv/lint/bin/python", "tools/account.py", "deploy", assembly, name}
	output, err := in(t, shell(), "", nil, short, look...)
	if err == nil {
		t.Errorf("a deployment may begin\n%s", output)
	}
	says(t, output, name+" is ROLLBACK_COMPLETE: its first deployment failed",
		"aws cloudformation update-termination-protection --no-enable-termination-protection --region us-east-1 --stack-name "+name,
		"aws cloudformation delete-stack --region us-east-1 --stack-name "+name)

	// What it says to do is enough.
	if _, err := stacks.UpdateTerminationProtection(t.Context(), &cloudformation.UpdateTerminationProtectionInput{StackName: aws.String(name), EnableTerminationProtection: aws.Bool(false)}); err != nil {
		t.Fatal(err)
	}
	if _, err := stacks.DeleteStack(t.Context(), &cloudformation.DeleteStackInput{StackName: aws.String(name)}); err != nil {
		t.Fatal(err)
	}
	if output, _ := in(t, shell(), "", nil, short, look...); strings.Contains(output, "ROLLBACK_COMPLETE") {
		t.Errorf("still refused:\n%s", output)
	}
}

// The check looks where the CDK CLI deploys to.
func TestRegionOfTheCDK(t *testing.T) {
	assembly := t.TempDir()
	if err := os.WriteFile(filepath.Join(assembly, "manifest.json"), []byte(`{"artifacts": {"stack": {"type": "aws:cloudformation:stack", "displayName": "NylasWebhooks-dev", "environment": "aws://unknown-account/unknown-region"}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	output, err := in(t, append(shell(), "AWS_REGION=eu-central-1", "AWS_DEFAULT_REGION=eu-west-1"), "", nil, short,
		".local/venv/lint/bin/python", "tools/account.py", "diff", assembly, "NylasWebhooks-dev")
	if err != nil {
		t.Errorf("%v\n%s", err, output)
	}
	says(t, output, "region eu-central-1")
}
