package webhooks

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/jsii-runtime-go"

	"github.com/onepagecrm/nylas-webhooks/infra/findings"
	"github.com/onepagecrm/nylas-webhooks/infra/stages"
	"github.com/onepagecrm/nylas-webhooks/lambda/contract"
)

const (
	// spillDays is how long a spilled notification can be replayed: a month, for an outage
	// that nobody looked at in a holiday.
	spillDays = 30
	// abortDays ends uploads that were begun and not finished; one is over in seconds.
	abortDays = 1
	// prefixIsTheBorder is why policies name objects by a wildcard.
	prefixIsTheBorder = "the objects' names are not known beforehand; their prefix is the border"
)

// overflowDays is how long a body stays: as long as the message that points to it, when that
// was spilled, replayed on the last day and rejected when it left the queue. A dead letter
// that hookctl sends back is a new message, and the body does not wait for that.
func overflowDays(stage stages.Stage) int {
	return spillDays + stage.RetentionDays + deadLetterRetentionDays
}

type bucket struct {
	bucket awss3.Bucket
	// notices has a message for every spilled notification until it was replayed: its age
	// is how long one waits already, which no metric of S3 tells.
	notices awssqs.Queue
}

// newBucket makes the second durable place. It is for the day on which the queue or
// its key fails, so it never has the queue's key.
func newBucket(stack awscdk.Stack, stage stages.Stage) bucket {
	notices := awssqs.NewQueue(stack, jsii.String("SpillNotices"), &awssqs.QueueProps{
		Encryption:      awssqs.QueueEncryption_SQS_MANAGED, // names of objects, no mail
		EnforceSSL:      jsii.Bool(true),
		RetentionPeriod: awscdk.Duration_Days(jsii.Number(deadLetterRetentionDays)), // SQS's maximum
		RemovalPolicy:   removalPolicy(stage),
	})

	lifecycle := []*awss3.LifecycleRule{
		{
			Id:                                  jsii.String("Expire"),
			Expiration:                          awscdk.Duration_Days(jsii.Number(overflowDays(stage))),
			AbortIncompleteMultipartUploadAfter: awscdk.Duration_Days(jsii.Number(abortDays)),
		},
		{
			Id:         jsii.String("ExpireSpilled"), // of two rules S3 takes the sooner
			Prefix:     jsii.String(contract.SpillPrefix),
			Expiration: awscdk.Duration_Days(jsii.Number(spillDays)),
		},
	}
	if stage.ArchiveDays > 0 {
		lifecycle = append(lifecycle, &awss3.LifecycleRule{
			Id:         jsii.String("ExpireArchived"),
			Prefix:     jsii.String(contract.ArchivePrefix),
			Expiration: awscdk.Duration_Days(jsii.Number(stage.ArchiveDays)),
		})
	}
	b := awss3.NewBucket(stack, jsii.String("Bucket"), &awss3.BucketProps{
		BlockPublicAccess: awss3.BlockPublicAccess_BLOCK_ALL(),
		EnforceSSL:        jsii.Bool(true),
		Encryption:        awss3.BucketEncryption_S3_MANAGED,
		ObjectOwnership:   awss3.ObjectOwnership_BUCKET_OWNER_ENFORCED,
		RemovalPolicy:     removalPolicy(stage),
		LifecycleRules:    &lifecycle,
	})
	// By way of EventBridge: S3's own notifications begin with a test message, which would
	// wait for a replay that never comes. The L1, because the L2 brings a function to do it.
	b.Node().DefaultChild().(awss3.CfnBucket).SetNotificationConfiguration(&awss3.CfnBucket_NotificationConfigurationProperty{
		EventBridgeConfiguration: &awss3.CfnBucket_EventBridgeConfigurationProperty{EventBridgeEnabled: jsii.Bool(true)},
	})
	rule := awsevents.NewRule(stack, jsii.String("Spilled"), &awsevents.RuleProps{
		Description: jsii.String("A notification was spilled"),
		EventPattern: &awsevents.EventPattern{
			Source:     jsii.Strings("aws.s3"),
			DetailType: jsii.Strings("Object Created"),
			Detail: &map[string]any{
				"bucket": map[string]any{"name": []any{b.BucketName()}},
				"object": map[string]any{"key": []any{map[string]any{"prefix": contract.SpillPrefix}}},
			},
		},
	})
	// The L1: package awseventstargets brings the CDK's libraries of a dozen other services along,
	// which take seconds to compile, and lets the rule ask for the queue's attributes.
	rule.Node().DefaultChild().(awsevents.CfnRule).SetTargets([]any{
		&awsevents.CfnRule_TargetProperty{Arn: notices.QueueArn(), Id: jsii.String("Target0")},
	})
	notices.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Principals: &[]awsiam.IPrincipal{awsiam.NewServicePrincipal(jsii.String("events.amazonaws.com"), nil)},
		Actions:    jsii.Strings("sqs:SendMessage"),
		Resources:  &[]*string{notices.QueueArn()},
		Conditions: &map[string]any{"ArnEquals": map[string]any{"aws:SourceArn": rule.RuleArn()}}, // this rule alone
	}))

	if consumers := consumerPrincipals(stage); consumers != nil {
		b.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
			Sid:        jsii.String("ConsumersReadOverflow"),
			Principals: consumers,
			Actions:    jsii.Strings("s3:GetObject"),
			Resources:  &[]*string{b.ArnForObjects(jsii.String(contract.OverflowPrefix + "*"))},
		}))
	}
	acceptBucket(b, notices, rule)
	return bucket{bucket: b, notices: notices}
}

func acceptBucket(b awss3.Bucket, notices awssqs.Queue, rule awsevents.Rule) {
	findings.Accept(notices, "a message here is counted and deleted, never handled, so none can fail",
		"AwsSolutions-SQS3", "Serverless-SQSRedrivePolicy", "ES6000", "CT.SQS.PR.1")
	findings.Accept(notices, "encrypted by SQS: it holds names of objects, and works on the day the stack's key fails",
		"CKV_AWS_27")
	findings.Accept(b, "encrypted with S3's own keys: it is for the day on which the stack's key fails",
		"CT.S3.PR.10")
	findings.Accept(b, "an object is written once and never over another; versions would keep mail that was deleted",
		"CKV_AWS_21", "CT.S3.PR.11")
	findings.Accept(b, "no lock: mail can be deleted at once when its owner asks",
		"CT.S3.PR.9")
	findings.Accept(b, "three roles reach it, each by a policy of this stack; who needs reads on record turns on CloudTrail's data events, which also say who",
		"AwsSolutions-S1", "CKV_AWS_18", "CT.S3.PR.2")
	findings.Accept(rule, "EventBridge tries for a day; a notice that is lost is not the notification, and the Spilled alarm tells of it as well",
		"Serverless-EventBusDLQ", "ES4000")
}

func (b bucket) spilled() *string {
	return b.bucket.ArnForObjects(jsii.String(contract.SpillPrefix + "*"))
}

func (b bucket) overflow() *string {
	return b.bucket.ArnForObjects(jsii.String(contract.OverflowPrefix + "*"))
}

func (b bucket) archived() *string {
	return b.bucket.ArnForObjects(jsii.String(contract.ArchivePrefix + "*"))
}

// anyObject is cdk-nag's finding about a statement on the objects under a prefix.
func (b bucket) anyObject(prefix string) string {
	id := awscdk.Stack_Of(b.bucket).GetLogicalId(b.bucket.Node().DefaultChild().(awscdk.CfnElement))
	return fmt.Sprintf("AwsSolutions-IAM5[Resource::<%s.Arn>/%s*]", *id, prefix)
}
