package webhooks

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/onepagecrm/nylas-webhooks/infra/findings"
	"github.com/onepagecrm/nylas-webhooks/infra/stages"
	"github.com/onepagecrm/nylas-webhooks/internal/release"
)

// StackName returns the name of a stage's stack.
func StackName(stage stages.Stage) string { return "NylasWebhooks-" + stage.Name }

// NewStack adds the stack of one valid stage to scope. It fails when the function
// does not compile or the stage switches off an alarm that does not exist.
func NewStack(scope constructs.Construct, stage stages.Stage, builder *Builder) (awscdk.Stack, error) {
	name := StackName(stage)
	stack := awscdk.NewStack(scope, &name, &awscdk.StackProps{
		Description:           jsii.String(fmt.Sprintf("Nylas webhooks to SQS, stage %s, nylas-webhooks %s", stage.Name, release.Version)),
		Env:                   environment(stage),
		TerminationProtection: &stage.Protected,
		// CloudFormation puts a stack's tags on its resources.
		Tags: &map[string]*string{"Project": jsii.String("nylas-webhooks"), "Stage": &stage.Name},
	})
	if err := stage.Deployable(); err != nil {
		refuseDeployment(stack, err)
	}

	key := newKey(stack, stage)
	bucket := newBucket(stack, stage)
	queues := newQueues(stack, stage, bucket, key)
	secret := newSecret(stack, stage)
	receiver, err := newReceiver(stack, stage, builder, queues, bucket, secret, key)
	if err != nil {
		return nil, err
	}
	endpoint := newEndpoint(stack, stage, receiver)
	newDomain(stack, stage.Domain, endpoint)
	alarms, err := newAlarms(stack, stage, endpoint, receiver, queues, bucket)
	if err != nil {
		return nil, err
	}
	newCanary(stack, stage, receiver.alias)
	newDashboard(stack, stage, endpoint, receiver, queues, bucket, alarms)

	output(stack, "WebhookUrl", "Register this URL at Nylas", endpoint.url())
	output(stack, "QueueUrl", "Read the notifications here", queues.queue.QueueUrl())
	output(stack, "QueueArn", "The same queue, for policies and event sources", queues.queue.QueueArn())
	output(stack, "DeadLetterQueueUrl", "Notifications that were received five times and not deleted, or rejected by the consumer", queues.deadLetters.QueueUrl())
	// Ref, which is the ARN on AWS: every tool takes it as the secret's id.
	output(stack, "SecretName", "Store the webhook secret here; pass it as --secret-id", secret.Ref())
	output(stack, "ConsumerPolicyArn", "Attach this policy to whatever reads the queue", queues.consumerPolicy.ManagedPolicyArn())
	completed := newCompleted(stack, stage)
	output(stack, "WorkerPolicyArn", "Attach this policy as well to whatever uses package consumer, hookworker for one",
		newWorkerPolicy(stack, stage, queues, completed, key).ManagedPolicyArn())
	if completed != nil {
		output(stack, "CompletedTableName", "Where consumers write down what they have handled", completed.TableName())
	}
	output(stack, "BucketName", "What SQS did not take, under spill/ and overflow/", bucket.bucket.BucketName())
	if stage.ArchiveDays > 0 {
		output(stack, "ArchiveDays", "How many days a copy of each notification is kept, under archive/ of the bucket", jsii.String(strconv.Itoa(stage.ArchiveDays)))
	}
	output(stack, "OperatorPolicyArn", "Attach this policy to whoever looks at the stage, and puts dead letters and spilled notifications back",
		newOperatorPolicy(stack, stage, endpoint, receiver, queues, bucket, key).ManagedPolicyArn())
	output(stack, "SecretPolicyArn", "Attach this policy to whoever stores or rotates the webhook secret, or sends with it",
		newSecretPolicy(stack, stage, secret).ManagedPolicyArn())
	output(stack, "SpillNoticesQueueUrl", "One message for every spilled notification that waits for its replay", bucket.notices.QueueUrl())
	output(stack, "DashboardUrl", "The flow and its alarms", dashboardURL(stage, name))
	return stack, nil
}

func environment(stage stages.Stage) *awscdk.Environment {
	if stage.Account == "" {
		return nil
	}
	return &awscdk.Environment{Account: &stage.Account, Region: &stage.Region}
}

// refuseDeployment makes CloudFormation itself refuse the template, with our
// sentence, however it is deployed. Synthesizing stays possible, so that anybody can
// look at the template of a stage that is not set up yet.
func refuseDeployment(stack awscdk.Stack, reason error) {
	rule := awscdk.NewCfnRule(stack, jsii.String("Deployable"), &awscdk.CfnRuleProps{
		Assertions: &[]*awscdk.CfnRuleAssertion{{
			Assert:            awscdk.Fn_ConditionEquals(jsii.String("deployable"), jsii.String("not yet")),
			AssertDescription: jsii.String(strings.ReplaceAll(reason.Error(), "\n", " ")),
		}},
	})
	findings.Accept(rule, "it is never true, which is how CloudFormation refuses the stage", "W8003")
}

func output(stack awscdk.Stack, id, description string, value *string) {
	awscdk.NewCfnOutput(stack, &id, &awscdk.CfnOutputProps{Description: &description, Value: value})
}

// removalPolicy is what happens to a resource that holds data when it leaves the
// stack.
func removalPolicy(stage stages.Stage) awscdk.RemovalPolicy {
	if stage.Retain {
		// Except when the deployment that makes it fails: what never held anything must not
		// be in the way of the next try.
		return awscdk.RemovalPolicy_RETAIN_ON_UPDATE_OR_DELETE
	}
	return awscdk.RemovalPolicy_DESTROY
}
