package webhooks

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssecretsmanager"
	"github.com/aws/jsii-runtime-go"

	"github.com/onepagecrm/nylas-webhooks/infra/findings"
	"github.com/onepagecrm/nylas-webhooks/infra/stages"
	"github.com/onepagecrm/nylas-webhooks/lambda/contract"
)

const (
	// receiverMemory in MiB buys the CPU for HMAC and gzip of 1 MB bodies; beyond it the
	// function waits for the network.
	receiverMemory = 256
	// receiverTimeout lies between the handler's own 7.5 s and the gateway's 9 s, so that
	// the handler answers 503 itself, and Lambda ends only what hangs.
	receiverTimeout = 8
	// aliasName is what the gateway calls. Rolling back is pointing it at an older version.
	aliasName = "live"
	// noTracing is why a stage without tracing is no finding.
	noTracing = "this stage says so; the local engine, for one, has no X-Ray"
)

type receiver struct {
	function awslambda.Function
	alias    awslambda.Alias
	logs     awslogs.LogGroup
}

func newReceiver(stack awscdk.Stack, stage stages.Stage, builder *Builder, queues queues, bucket bucket, secret awssecretsmanager.CfnSecret, key awskms.Key) (receiver, error) {
	code, err := receiverCode(stack, stage, builder)
	if err != nil {
		return receiver{}, err
	}
	logs := newLogGroup(stack, stage, "ReceiverLogs")
	tracing := awslambda.Tracing_DISABLED
	if stage.Tracing {
		tracing = awslambda.Tracing_ACTIVE
	}
	archive := ""
	if stage.ArchiveDays > 0 {
		archive = contract.ArchiveOn
	}
	role, policy := newReceiverRole(stack, stage, logs, queues, bucket, secret, key)
	function := awslambda.NewFunction(stack, jsii.String("Receiver"), &awslambda.FunctionProps{
		Description:                  jsii.String("Verifies Nylas's signature and hands the notification to SQS"),
		Runtime:                      awslambda.Runtime_PROVIDED_AL2023(),
		Architecture:                 lambdaArchitecture(stage.Architecture),
		Handler:                      jsii.String("bootstrap"),
		Code:                         code,
		MemorySize:                   jsii.Number(receiverMemory),
		Timeout:                      awscdk.Duration_Seconds(jsii.Number(receiverTimeout)),
		ReservedConcurrentExecutions: reservedConcurrency(stage),
		Role:                         role,
		Environment: environmentVariables(contract.Config{
			Stage:     stage.Name,
			QueueURL:  *queues.queue.QueueUrl(),
			SecretARN: *secret.AttrId(), // not Ref, which is the name on some engines
			Bucket:    *bucket.bucket.BucketName(),
			Archive:   archive,
		}),
		LogGroup:      logs,
		LoggingFormat: awslambda.LoggingFormat_JSON,
		Tracing:       tracing,
		CurrentVersionOptions: &awslambda.VersionOptions{
			// The alias can be pointed back at it. One that a failed deployment made goes, or
			// Lambda would not make it again.
			RemovalPolicy: awscdk.RemovalPolicy_RETAIN_ON_UPDATE_OR_DELETE,
		},
	})
	// The role does not wait for its policy. Without it the function could neither send nor
	// log for as long as CloudFormation takes to attach it.
	function.Node().AddDependency(policy)
	acceptFunction(stage, function)
	alias := awslambda.NewAlias(stack, jsii.String("Live"), &awslambda.AliasProps{
		AliasName:   jsii.String(aliasName),
		Description: jsii.String("What API Gateway calls"),
		Version:     function.CurrentVersion(),
	})
	return receiver{function: function, alias: alias, logs: logs}, nil
}

func acceptFunction(stage stages.Stage, function awslambda.Function) {
	findings.Accept(function, "Lambda's own dead letters are of asynchronous calls; the gateway calls synchronously, and the sender's retry is the retry",
		"Serverless-LambdaDLQ", "CKV_AWS_116")
	findings.Accept(function, "it reaches AWS's public endpoints, over TLS and by IAM; a VPC would add what can fail and protect nothing",
		"CKV_AWS_117", "CT.LAMBDA.PR.3")
	findings.Accept(function, "its variables are an ARN, a URL and two names; on the day the stack's key fails it must still start",
		"CKV_AWS_173")
	findings.Accept(function, "not so: LoggingConfig names a log group with a retention", "WS1004")
	findings.Accept(function, "the CDK writes the dependency on the role beside the reference that already makes it", "W3005")
	if stage.ReservedConcurrency == 0 {
		findings.Accept(function, "the gateway's throttle is the limit; what is reserved here is taken from the account's other functions, so a stage says it",
			"CKV_AWS_115")
	}
	if !stage.Tracing {
		findings.Accept(function, noTracing, "Serverless-LambdaTracing", "WS1000")
	}
}

// newReceiverRole returns the role without a way to add to it: what the function may
// do is what this policy lists, not what some construct granted.
func newReceiverRole(stack awscdk.Stack, stage stages.Stage, logs awslogs.LogGroup, queues queues, bucket bucket, secret awssecretsmanager.CfnSecret, key awskms.Key) (awsiam.IRole, awsiam.ManagedPolicy) {
	statements := []awsiam.PolicyStatement{
		allow("SendNotifications", queues.queue.QueueArn(), "sqs:SendMessage"),
		allow("ReadSecret", secret.AttrId(), "secretsmanager:GetSecretValue"),
		allow("WriteLogs", logs.LogGroupArn(), "logs:CreateLogStream", "logs:PutLogEvents"),
		allow("Spill", bucket.spilled(), "s3:PutObject"),
		allow("Overflow", bucket.overflow(), "s3:PutObject"),
	}
	if stage.ArchiveDays > 0 {
		statements = append(statements, allow("Archive", bucket.archived(), "s3:PutObject"))
	}
	if key != nil {
		statements = append(statements, encrypt(key))
	}
	if stage.Tracing {
		// These two actions know no resource.
		statements = append(statements, allow("SendTraces", jsii.String("*"), "xray:PutTelemetryRecords", "xray:PutTraceSegments"))
	}
	role := awsiam.NewRole(stack, jsii.String("ReceiverRole"), &awsiam.RoleProps{
		Description: jsii.String("The receiver of " + StackName(stage)),
		AssumedBy:   awsiam.NewServicePrincipal(jsii.String("lambda.amazonaws.com"), nil),
	})
	policy := awsiam.NewManagedPolicy(stack, jsii.String("ReceiverPolicy"), &awsiam.ManagedPolicyProps{
		Description: jsii.String("What the receiver of " + StackName(stage) + " needs"),
		Statements:  &statements,
		// From the policy's side, not the role's: only so `cdk diff` and --security-only show
		// who may do what.
		Roles: &[]awsiam.IRole{role},
	})
	findings.Accept(policy, prefixIsTheBorder, bucket.anyObject(contract.SpillPrefix), bucket.anyObject(contract.OverflowPrefix))
	if stage.ArchiveDays > 0 {
		findings.Accept(policy, prefixIsTheBorder, bucket.anyObject(contract.ArchivePrefix))
	}
	if stage.Tracing {
		findings.Accept(policy, "the two actions of X-Ray know no resource", "AwsSolutions-IAM5[Resource::*]")
	}
	return role.WithoutPolicyUpdates(nil), policy
}

func newLogGroup(stack awscdk.Stack, stage stages.Stage, id string) awslogs.LogGroup {
	group := awslogs.NewLogGroup(stack, &id, &awslogs.LogGroupProps{RemovalPolicy: removalPolicy(stage)})
	findings.Accept(group, "encrypted by CloudWatch; a line holds no body, address or secret, and must be written on the day the stack's key fails",
		"CKV_AWS_158", "CT.CLOUDWATCH.PR.3")
	if stage.LogDays < 365 {
		findings.Accept(group, "data minimisation: the lines hold grant ids", "CT.CLOUDWATCH.PR.2")
	}
	// By number, which the L2's enumeration of periods would only spell out.
	group.Node().DefaultChild().(awslogs.CfnLogGroup).SetRetentionInDays(jsii.Number(stage.LogDays))
	return group
}

func environmentVariables(config contract.Config) *map[string]*string {
	variables := make(map[string]*string)
	for name, value := range config.Vars() {
		variables[name] = &value
	}
	return &variables
}

func reservedConcurrency(stage stages.Stage) *float64 {
	if stage.ReservedConcurrency == 0 {
		return nil
	}
	return jsii.Number(stage.ReservedConcurrency)
}

func lambdaArchitecture(architecture stages.Architecture) awslambda.Architecture {
	if architecture == stages.AMD64 {
		return awslambda.Architecture_X86_64()
	}
	return awslambda.Architecture_ARM_64()
}
