package webhooks

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/jsii-runtime-go"

	"github.com/onepagecrm/nylas-webhooks/infra/findings"
	"github.com/onepagecrm/nylas-webhooks/infra/stages"
)

// canaryAlarm is the one that ends a canary. It counts what only the function's program can cause.
// Failed sends and spilled notifications are AWS's faults as well, and an outage of SQS must
// not take back the deployment that answers it.
const canaryAlarm = "ReceiverErrors"

// newCanary lets CodeDeploy move the alias: a tenth of the requests for the stage's minutes, then
// all. When the alarm rings, the alias goes back, and CloudFormation takes the deployment back.
// The L1, by its name: package awscodedeploy would bring the CDK's libraries for EC2 and ECS along.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-attribute-updatepolicy.html
func newCanary(stack awscdk.Stack, stage stages.Stage, alias awslambda.Alias) {
	if stage.CanaryMinutes == 0 {
		return
	}
	role := awsiam.NewRole(stack, jsii.String("CanaryRole"), &awsiam.RoleProps{
		Description: jsii.String("Moves the alias of " + StackName(stage)),
		AssumedBy:   awsiam.NewServicePrincipal(jsii.String("codedeploy.amazonaws.com"), nil),
		ManagedPolicies: &[]awsiam.IManagedPolicy{
			awsiam.ManagedPolicy_FromAwsManagedPolicyName(jsii.String("service-role/AWSCodeDeployRoleForLambdaLimited")),
		},
	})
	findings.Accept(role, "AWS keeps the policy in step with what CodeDeploy calls; it reads alarms, and changes functions by their aliases",
		"AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AWSCodeDeployRoleForLambdaLimited]")
	application := awscdk.NewCfnResource(stack, jsii.String("Canary"), &awscdk.CfnResourceProps{
		Type: jsii.String("AWS::CodeDeploy::Application"), Properties: &map[string]any{"ComputePlatform": "Lambda"},
	})
	group := awscdk.NewCfnResource(stack, jsii.String("CanaryGroup"), &awscdk.CfnResourceProps{
		Type: jsii.String("AWS::CodeDeploy::DeploymentGroup"),
		Properties: &map[string]any{
			"ApplicationName":      application.Ref(),
			"ServiceRoleArn":       role.RoleArn(),
			"DeploymentConfigName": fmt.Sprintf("CodeDeployDefault.LambdaCanary10Percent%dMinutes", stage.CanaryMinutes),
			"DeploymentStyle":      map[string]any{"DeploymentType": "BLUE_GREEN", "DeploymentOption": "WITH_TRAFFIC_CONTROL"},
			"AutoRollbackConfiguration": map[string]any{
				"Enabled": true, "Events": []string{"DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM", "DEPLOYMENT_STOP_ON_REQUEST"},
			},
			"AlarmConfiguration": map[string]any{"Enabled": true, "Alarms": []any{map[string]any{"Name": StackName(stage) + "-" + canaryAlarm}}},
		},
	})
	group.Node().AddDependency(stack.Node().FindChild(jsii.String(canaryAlarm + "Alarm")))
	alias.Node().DefaultChild().(awslambda.CfnAlias).CfnOptions().SetUpdatePolicy(&awscdk.CfnUpdatePolicy{
		CodeDeployLambdaAliasUpdate: &awscdk.CfnCodeDeployLambdaAliasUpdate{
			ApplicationName: application.Ref(), DeploymentGroupName: group.Ref(),
		},
	})
}
