package webhooks

import (
	"strings"

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
// queue, each removed only after the queue has it; where the stage has an archive, reading
// it and erasing a grant's part of it. Reading the queue and the secret, and purging, are
// not among them.
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
		allow("ReadAlarms", awscdk.Fn_Sub(jsii.String(alarmsHere()), nil), "cloudwatch:DescribeAlarms"),
		allow("ReadMetrics", jsii.String("*"), "cloudwatch:GetMetricStatistics"),
		subscribers,
	}
	if stage.ArchiveDays > 0 {
		listArchive := allow("ListArchive", bucket.bucket.BucketArn(), "s3:ListBucket")
		listArchive.AddCondition(jsii.String("StringLike"), map[string]any{"s3:prefix": contract.ArchivePrefix + "*"})
		statements = append(statements, listArchive, allow("ReadAndEraseArchive", bucket.archived(), "s3:DeleteObject", "s3:GetObject"))
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
	if stage.ArchiveDays > 0 {
		findings.Accept(policy, prefixIsTheBorder, bucket.anyObject(contract.ArchivePrefix))
	}
	acceptFindStack(policy, stage)
	findings.Accept(policy, "a list of alarms by the beginning of their names is asked for on all of them",
		anyARN(alarmsHere()))
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
		anyARN(stackHere(stage)))
}

// stackARN is a stage's stack without its id.
func stackARN(stage stages.Stage) *string { return awscdk.Fn_Sub(jsii.String(stackHere(stage)), nil) }

func stackHere(stage stages.Stage) string {
	return arnHere("cloudformation", "stack/"+StackName(stage)+"/*")
}

// alarmsHere are all alarms: DescribeAlarms by a prefix is asked for on no less.
func alarmsHere() string { return arnHere("cloudwatch", "alarm:*") }

// anyARN is cdk-nag's finding about an ARN with a wildcard.
func anyARN(arn string) string {
	return "AwsSolutions-IAM5[Resource::" + strings.NewReplacer("${", "<", "}", ">").Replace(arn) + "]"
}

// arnHere is an ARN of the stack's own account and region, for Fn::Sub.
func arnHere(service, resource string) string {
	return "arn:${AWS::Partition}:" + service + ":${AWS::Region}:${AWS::AccountId}:" + resource
}
