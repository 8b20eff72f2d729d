package webhooks

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/jsii-runtime-go"

	"github.com/onepagecrm/nylas-webhooks/infra/stages"
)

// newKey returns the key of the queues, nil where the stage has none. The secret, the
// function's variables (an ARN, a URL and two names), the bucket, the logs and the alarm
// topics do not use it: the day the key fails, the receiver must still start and keep
// what comes, and the alarms must still reach somebody.
func newKey(stack awscdk.Stack, stage stages.Stage) awskms.Key {
	if !stage.OwnKey {
		return nil
	}
	key := awskms.NewKey(stack, jsii.String("Key"), &awskms.KeyProps{
		Description:       jsii.String("Notifications of " + StackName(stage)),
		EnableKeyRotation: jsii.Bool(true),
		RemovalPolicy:     removalPolicy(stage),
	})
	// Nobody may hand the key on, except AWS services that do it on a caller's behalf.
	key.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid:        jsii.String("NoGrantsExceptByServices"),
		Effect:     awsiam.Effect_DENY,
		Principals: &[]awsiam.IPrincipal{awsiam.NewAnyPrincipal()},
		Actions:    jsii.Strings("kms:CreateGrant"),
		Resources:  jsii.Strings("*"), // in a key policy: this key
		Conditions: &map[string]any{"BoolIfExists": map[string]any{
			"kms:GrantIsForAWSResource": "false",
			"aws:PrincipalIsAWSService": "false",
		}},
	}), nil)
	if consumers := consumerPrincipals(stage); consumers != nil {
		key.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
			Sid:        jsii.String("ConsumersDecrypt"),
			Principals: consumers,
			Actions:    jsii.Strings(consumerKeyActions...),
			Resources:  jsii.Strings("*"),
		}), nil)
	}
	return key
}
