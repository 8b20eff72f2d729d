// Package account is the stack of what exists once per AWS account and region: the
// role with which API Gateway writes access logs. Without it no stage of the
// webhooks can be deployed. Package app adds it beside the stages.
//
// It is no part of a stage: every API of the account and region shares
// the setting, so deploying this overwrites what somebody else may have set. Look
// first (aws apigateway get-account), and deploy it only where no role is set.
package account

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigateway"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/onepagecrm/nylas-webhooks/infra/findings"
)

// StackName is the name of the stack.
const StackName = "NylasWebhooks-account"

// NewStack adds the stack to scope. Both resources are retained: other APIs may have
// come to rely on the role.
func NewStack(scope constructs.Construct) awscdk.Stack {
	stack := awscdk.NewStack(scope, jsii.String(StackName), &awscdk.StackProps{
		StackName:   jsii.String(StackName),
		Description: jsii.String("The role with which every API Gateway of this account and region writes its logs"),
		Tags:        &map[string]*string{"Project": jsii.String("nylas-webhooks")},
	})
	role := awsiam.NewRole(stack, jsii.String("LoggingRole"), &awsiam.RoleProps{
		Description: jsii.String("API Gateway writes the logs of all APIs of this account and region"),
		AssumedBy:   awsiam.NewServicePrincipal(jsii.String("apigateway.amazonaws.com"), nil),
		// AWS's own policy, here alone: API Gateway refuses a role without the permissions
		// it expects, and AWS keeps the list.
		ManagedPolicies: &[]awsiam.IManagedPolicy{awsiam.ManagedPolicy_FromAwsManagedPolicyName(
			jsii.String("service-role/AmazonAPIGatewayPushToCloudWatchLogs"))},
	})
	role.ApplyRemovalPolicy(awscdk.RemovalPolicy_RETAIN)
	findings.Accept(role, "AWS's own policy: API Gateway refuses a role that lacks what it expects, and AWS keeps the list",
		"AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs]")
	account := awsapigateway.NewCfnAccount(stack, jsii.String("Account"), &awsapigateway.CfnAccountProps{
		CloudWatchRoleArn: role.RoleArn(),
	})
	account.ApplyRemovalPolicy(awscdk.RemovalPolicy_RETAIN, nil)
	return stack
}
