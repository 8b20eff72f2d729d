package webhooks

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssecretsmanager"
	"github.com/aws/jsii-runtime-go"

	"github.com/onepagecrm/nylas-webhooks/infra/findings"
	"github.com/onepagecrm/nylas-webhooks/infra/stages"
)

// newSecret makes an empty secret. Nylas invents its value when the webhook is
// registered, which needs the endpoint of this stack, so it is stored afterwards.
// The L1, because the L2 without a value generates one, which verifies nothing.
//
// No rotation schedule: Nylas picks the value, so a schedule here would only make
// every signature fail.
func newSecret(stack awscdk.Stack, stage stages.Stage) awssecretsmanager.CfnSecret {
	secret := awssecretsmanager.NewCfnSecret(stack, jsii.String("Secret"), &awssecretsmanager.CfnSecretProps{
		Description: jsii.String("The webhook secret that Nylas shows once, as a plain string"),
	})
	secret.ApplyRemovalPolicy(removalPolicy(stage), nil)
	findings.Accept(secret, "Nylas picks the value: rotating it is a command, with two values valid meanwhile",
		"AwsSolutions-SMG4")
	findings.Accept(secret, "encrypted with AWS's key: on the day the stack's own fails, the receiver must still start and say so",
		"CKV_AWS_149")
	return secret
}

// newSecretPolicy lists what the commands of hookctl take that sign with the secret or
// look after it. It is apart from the operator's, as nobody needs the secret to put
// notifications back.
func newSecretPolicy(stack awscdk.Stack, stage stages.Stage, secret awssecretsmanager.CfnSecret) awsiam.ManagedPolicy {
	policy := awsiam.NewManagedPolicy(stack, jsii.String("SecretPolicy"), &awsiam.ManagedPolicyProps{
		Description: jsii.String("What looking after the webhook secret of " + StackName(stage) + " takes"),
		Statements: &[]awsiam.PolicyStatement{
			findStack(stage),
			allow("ReadSecret", secret.AttrId(), "secretsmanager:GetSecretValue"),
			allow("ChangeSecret", secret.AttrId(), "secretsmanager:PutSecretValue", "secretsmanager:UpdateSecretVersionStage"),
		},
	})
	acceptFindStack(policy, stage)
	return policy
}
