package webhooks

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/jsii-runtime-go"

	"github.com/onepagecrm/nylas-webhooks/infra/findings"
	"github.com/onepagecrm/nylas-webhooks/infra/stages"
	"github.com/onepagecrm/nylas-webhooks/lambda/contract"
)

// newOperatorPolicy lists what the operator's commands of hookctl take: finding the stage
// and looking at it, and putting dead letters and spilled notifications back onto the
// queue, each removed only after the queue has it. Reading the queue and the secret, and
// purging, are not among them.
func newOperatorPolicy(stack awscdk.Stack, stage stages.Stage, endpoint endpoint, receiver receiver, queues queues, bucket bucket, key awskms.Key) awsiam.ManagedPolicy {
	list := allow("ListSpilled", bucket.bucket.BucketArn(), "s3:ListBucket")
	list.AddCondition(jsii.String("StringLike"), map[string]any{"s3:prefix": contract.SpillPrefix + "*"})
	logs := allow("ReadLogs", receiver.logs.LogGroupArn(), "logs:FilterLogEvents")
	logs.AddResources(endpoint.logs.LogGroupArn())
	subscribers := allow("ReadSubscribers", topicARN(stack, "Pages"), "sns:ListSubscriptionsByTopic")
	subscribers.AddResources(topicARN(stack, "Tickets"))
	statements := []awsiam.PolicyStatement{
		allow("TakeDeadLetters", queues.deadLetters.QueueArn(),
			"sqs:CancelMessageMoveTask", "sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes",
			"sqs:ListMessageMoveTasks", "sqs:ReceiveMessage", "sqs:StartMessageMoveTask"),
		allow("PutOntoQueue", queues.queue.QueueArn(), "sqs:GetQueueAttributes", "sqs:SendMessage"),
		list,
		allow("TakeSpilled", bucket.spilled(), "s3:DeleteObject", "s3:GetObject"),
		allow("ReadOverflow", bucket.overflow(), "s3:GetObject"), // a dead letter's body may be there
		allow("TakeSpillNotices", bucket.notices.QueueArn(), "sqs:DeleteMessage", "sqs:ReceiveMessage"),
		findStack(stage),
		allow("ListResources", stackARN(stage), "cloudformation:ListStackResources"),
		logs,
		allow("ReadAlarms", alarmsARN(), "cloudwatch:DescribeAlarms"),
		allow("ReadMetrics", jsii.String("*"), "cloudwatch:GetMetricStatistics"),
		subscribers,
	}
	if key != nil {
		// Decrypt for what is received, both for what is sent.
		statements = append(statements, allow("ReadAndEncryptNotifications", key.KeyArn(), "kms:Decrypt", "kms:GenerateDataKey"))
	}
	policy := awsiam.NewManagedPolicy(stack, jsii.String("OperatorPolicy"), &awsiam.ManagedPolicyProps{
		Description: jsii.String("What putting notifications of " + StackName(stage) + " back takes"),
		Statements:  &statements,
	})
	findings.Accept(policy, prefixIsTheBorder, bucket.anyObject(contract.SpillPrefix), bucket.anyObject(contract.OverflowPrefix))
	acceptFindStack(policy, stage)
	findings.Accept(policy, "a list of alarms by the beginning of their names is asked for on all of them",
		"AwsSolutions-IAM5[Resource::"+alarmsIn(inFindings)+"]")
	findings.Accept(policy, "CloudWatch knows no resource for reading metrics", "AwsSolutions-IAM5[Resource::*]")
	return policy
}

// topicARN is the ARN of a topic of newAlarms.
func topicARN(stack awscdk.Stack, id string) *string {
	return stack.Node().FindChild(&id).(awssns.Topic).TopicArn()
}

// findStack lets hookctl read the stack's outputs. It asks by the stack's name: the id
// that ends the ARN is not known then.
func findStack(stage stages.Stage) awsiam.PolicyStatement {
	return allow("FindStack", stackARN(stage), "cloudformation:DescribeStacks")
}

func acceptFindStack(policy awsiam.ManagedPolicy, stage stages.Stage) {
	findings.Accept(policy, "the name is the border; what follows is the id of the one stack of that name",
		"AwsSolutions-IAM5[Resource::"+stackIn(inFindings, stage)+"]")
}

// place is how an ARN begins: where, and how CloudFormation or a checker writes it.
type place struct{ partition, region, account string }

// inFindings is how cdk-nag prints what only the deployment knows.
var inFindings = place{"<AWS::Partition>", "<AWS::Region>", "<AWS::AccountId>"}

func deployed() place {
	return place{*awscdk.Aws_PARTITION(), *awscdk.Aws_REGION(), *awscdk.Aws_ACCOUNT_ID()}
}

// stackARN is a stage's stack without its id.
func stackARN(stage stages.Stage) *string { return jsii.String(stackIn(deployed(), stage)) }

func stackIn(p place, stage stages.Stage) string {
	return fmt.Sprintf("arn:%s:cloudformation:%s:%s:stack/%s/*", p.partition, p.region, p.account, StackName(stage))
}

// alarmsARN is all alarms of the account and region: DescribeAlarms by a prefix is asked
// for on no less.
func alarmsARN() *string { return jsii.String(alarmsIn(deployed())) }

func alarmsIn(p place) string {
	return fmt.Sprintf("arn:%s:cloudwatch:%s:%s:alarm:*", p.partition, p.region, p.account)
}
