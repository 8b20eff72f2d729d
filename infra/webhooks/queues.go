package webhooks

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/jsii-runtime-go"

	"github.com/onepagecrm/nylas-webhooks/infra/findings"
	"github.com/onepagecrm/nylas-webhooks/infra/stages"
	"github.com/onepagecrm/nylas-webhooks/lambda/contract"
	"github.com/onepagecrm/nylas-webhooks/notification"
)

const (
	// deadLetterRetentionDays is SQS's maximum. It has to be longer than the stage's
	// RetentionDays, because SQS counts from the first send, not from the move.
	deadLetterRetentionDays = 14
	// maxReceiveCount is how often a message is tried before it is a dead letter. AWS
	// advises at least 5, so that a consumer's deployment or a short outage kills none.
	maxReceiveCount = 5
)

// What reading the queue needs, no more; ReceiveMessage of an encrypted queue
// decrypts with the caller's right to do so.
var (
	consumerQueueActions = []string{
		"sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:ReceiveMessage",
	}
	consumerKeyActions = []string{"kms:Decrypt"}
)

type queues struct {
	queue, deadLetters awssqs.Queue
	consumerPolicy     awsiam.ManagedPolicy
}

// newQueues makes a standard queue: Nylas promises no order, and FIFO's five minutes
// of deduplication are shorter than Nylas's retries. The names are generated, since
// a retained queue of a fixed name would block its own re-creation.
func newQueues(stack awscdk.Stack, stage stages.Stage, bucket bucket, key awskms.Key) queues {
	encryption, master := awssqs.QueueEncryption_SQS_MANAGED, awskms.IKey(nil)
	if key != nil {
		encryption, master = awssqs.QueueEncryption_KMS, key
	}
	deadLetters := awssqs.NewQueue(stack, jsii.String("DeadLetters"), &awssqs.QueueProps{
		Encryption:          encryption,
		EncryptionMasterKey: master,
		EnforceSSL:          jsii.Bool(true),
		MaxMessageSizeBytes: jsii.Number(notification.MaxMessageBytes), // what the queue took must fit here too
		RetentionPeriod:     awscdk.Duration_Days(jsii.Number(deadLetterRetentionDays)),
		RemovalPolicy:       removalPolicy(stage),
		// byQueue would be tighter, but needs a queue of a fixed name.
		RedriveAllowPolicy: &awssqs.RedriveAllowPolicy{RedrivePermission: awssqs.RedrivePermission_ALLOW_ALL},
	})
	queue := awssqs.NewQueue(stack, jsii.String("Queue"), &awssqs.QueueProps{
		Encryption:          encryption,
		EncryptionMasterKey: master,
		EnforceSSL:          jsii.Bool(true),
		MaxMessageSizeBytes: jsii.Number(notification.MaxMessageBytes), // SQS's default today; older queues had a quarter of it
		RetentionPeriod:     awscdk.Duration_Days(jsii.Number(stage.RetentionDays)),
		VisibilityTimeout:   awscdk.Duration_Seconds(jsii.Number(stage.VisibilityTimeout().Seconds())),
		RemovalPolicy:       removalPolicy(stage),
		DeadLetterQueue:     &awssqs.DeadLetterQueue{Queue: deadLetters, MaxReceiveCount: jsii.Number(maxReceiveCount)},
	})
	findings.Accept(deadLetters, "it is the dead-letter queue", "Serverless-SQSRedrivePolicy", "ES6000")
	if key == nil {
		for _, q := range []awssqs.Queue{queue, deadLetters} {
			findings.Accept(q, "encrypted by SQS; a key of its own is for the stages with people's mail", "CKV_AWS_27")
		}
	}
	if consumers := consumerPrincipals(stage); consumers != nil {
		queue.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
			Sid:        jsii.String("ConsumersRead"),
			Principals: consumers,
			Actions:    jsii.Strings(consumerQueueActions...),
			Resources:  &[]*string{queue.QueueArn()},
		}))
	}
	return queues{queue: queue, deadLetters: deadLetters, consumerPolicy: newConsumerPolicy(stack, stage, queue, bucket, key)}
}

func newConsumerPolicy(stack awscdk.Stack, stage stages.Stage, queue awssqs.Queue, bucket bucket, key awskms.Key) awsiam.ManagedPolicy {
	statements := []awsiam.PolicyStatement{
		allow("ReadQueue", queue.QueueArn(), consumerQueueActions...),
		allow("ReadOverflow", bucket.overflow(), "s3:GetObject"),
	}
	if key != nil {
		statements = append(statements, allow("DecryptNotifications", key.KeyArn(), consumerKeyActions...))
	}
	policy := awsiam.NewManagedPolicy(stack, jsii.String("ConsumerPolicy"), &awsiam.ManagedPolicyProps{
		Description: jsii.String("What reading the queue of " + StackName(stage) + " needs"),
		Statements:  &statements,
	})
	findings.Accept(policy, prefixIsTheBorder, bucket.anyObject(contract.OverflowPrefix))
	return policy
}

// consumerPrincipals returns the stage's consumers outside this account, nil if it
// names none.
func consumerPrincipals(stage stages.Stage) *[]awsiam.IPrincipal {
	if len(stage.ConsumerPrincipals) == 0 {
		return nil
	}
	var principals []awsiam.IPrincipal
	for _, arn := range stage.ConsumerPrincipals {
		principals = append(principals, awsiam.NewArnPrincipal(&arn))
	}
	return &principals
}
