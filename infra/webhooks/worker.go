package webhooks

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/jsii-runtime-go"

	"github.com/onepagecrm/nylas-webhooks/infra/findings"
	"github.com/onepagecrm/nylas-webhooks/infra/stages"
	"github.com/onepagecrm/nylas-webhooks/internal/dedupetable"
)

// newCompleted makes the table in which consumers write down what they have handled,
// nil where the stage does without. It holds ids and times for two weeks, no mail.
func newCompleted(stack awscdk.Stack, stage stages.Stage) awsdynamodb.Table {
	if !stage.Deduplicate {
		return nil
	}
	table := awsdynamodb.NewTable(stack, jsii.String("Completed"), &awsdynamodb.TableProps{
		PartitionKey:        &awsdynamodb.Attribute{Name: jsii.String(dedupetable.Key), Type: awsdynamodb.AttributeType_STRING},
		TimeToLiveAttribute: jsii.String(dedupetable.TTL),
		BillingMode:         awsdynamodb.BillingMode_PAY_PER_REQUEST, // bursts of 20,000, and nothing at night
		RemovalPolicy:       removalPolicy(stage),
	})
	findings.Accept(table, "what is lost with it is that a notification that comes again is handled again; it is restored as another table, which no consumer names",
		"AwsSolutions-DDB3", "CKV_AWS_28", "CT.DYNAMODB.PR.1")
	findings.Accept(table, "encrypted with DynamoDB's own key: it holds ids and times, no mail",
		"CKV_AWS_119", "CT.DYNAMODB.PR.2")
	return table
}

// newWorkerPolicy lists what package consumer may use beyond reading the queue:
// putting rejected notifications into the dead-letter queue, and the table.
func newWorkerPolicy(stack awscdk.Stack, stage stages.Stage, queues queues, completed awsdynamodb.Table, key awskms.Key) awsiam.ManagedPolicy {
	statements := []awsiam.PolicyStatement{allow("PutAside", queues.deadLetters.QueueArn(), "sqs:SendMessage")}
	if completed != nil {
		statements = append(statements, allow("WriteDown", completed.TableArn(), "dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:UpdateItem"))
	}
	if key != nil {
		statements = append(statements, encrypt(key))
	}
	return awsiam.NewManagedPolicy(stack, jsii.String("WorkerPolicy"), &awsiam.ManagedPolicyProps{
		Description: jsii.String("What hookworker of " + StackName(stage) + " needs beyond the consumer policy"),
		Statements:  &statements,
	})
}
