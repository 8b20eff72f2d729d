package webhooks

import (
	"fmt"
	"slices"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/jsii-runtime-go"

	"github.com/onepagecrm/nylas-webhooks/infra/findings"
	"github.com/onepagecrm/nylas-webhooks/infra/stages"
	"github.com/onepagecrm/nylas-webhooks/lambda/contract"
)

// newOperatorPolicy lists what putting notifications back takes: finding the stage,
// and dead letters and spilled ones onto the queue, each removed only after the queue
// has it. It may not read the queue itself.
func newOperatorPolicy(stack awscdk.Stack, stage stages.Stage, queues queues, bucket bucket, key awskms.Key) awsiam.ManagedPolicy {
	list := allow("ListSpilled", bucket.bucket.BucketArn(), "s3:ListBucket")
	list.AddCondition(jsii.String("StringLike"), map[string]any{"s3:prefix": contract.SpillPrefix + "*"})
	statements := []awsiam.PolicyStatement{
		allow("TakeDeadLetters", queues.deadLetters.QueueArn(), slices.Concat(consumerQueueActions,
			[]string{"sqs:CancelMessageMoveTask", "sqs:ListMessageMoveTasks", "sqs:StartMessageMoveTask"})...),
		allow("PutOntoQueue", queues.queue.QueueArn(), "sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:SendMessage"),
		list,
		allow("TakeSpilled", bucket.spilled(), "s3:DeleteObject", "s3:GetObject"),
		allow("TakeSpillNotices", bucket.notices.QueueArn(), consumerQueueActions...),
		// hookctl reads the outputs, and asks by the stack's name: the id that ends the ARN
		// is not known then.
		allow("FindStack", jsii.String(stackARN(stage, *awscdk.Aws_PARTITION(), *awscdk.Aws_REGION(), *awscdk.Aws_ACCOUNT_ID())), "cloudformation:DescribeStacks"),
	}
	if key != nil {
		// Decrypt for what is received, both for what is sent.
		statements = append(statements, allow("ReadAndEncryptNotifications", key.KeyArn(), "kms:Decrypt", "kms:GenerateDataKey"))
	}
	policy := awsiam.NewManagedPolicy(stack, jsii.String("OperatorPolicy"), &awsiam.ManagedPolicyProps{
		Description: jsii.String("What putting notifications of " + StackName(stage) + " back takes"),
		Statements:  &statements,
	})
	findings.Accept(policy, prefixIsTheBorder, bucket.anyObject(contract.SpillPrefix))
	findings.Accept(policy, "the name is the border; what follows is the id of the one stack of that name",
		fmt.Sprintf("AwsSolutions-IAM5[Resource::%s]", stackARN(stage, "<AWS::Partition>", "<AWS::Region>", "<AWS::AccountId>")))
	return policy
}

// stackARN is a stage's stack without its id.
func stackARN(stage stages.Stage, partition, region, account string) string {
	return fmt.Sprintf("arn:%s:cloudformation:%s:%s:stack/%s/*", partition, region, account, StackName(stage))
}
