package webhooks

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/jsii-runtime-go"
)

// allow is a statement of a policy that is attached to a caller.
func allow(sid string, resource *string, actions ...string) awsiam.PolicyStatement {
	return awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid: &sid, Actions: jsii.Strings(actions...), Resources: &[]*string{resource},
	})
}

// encrypt is what sending to an encrypted queue takes: SQS asks for both.
func encrypt(key awskms.Key) awsiam.PolicyStatement {
	return allow("EncryptNotifications", key.KeyArn(), "kms:Decrypt", "kms:GenerateDataKey")
}
