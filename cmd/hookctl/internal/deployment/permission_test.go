package deployment

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/smithy-go"
)

func TestLackedPermission(t *testing.T) {
	refusal := func(service, operation, code, message string) error {
		return fmt.Errorf("send: %w", &smithy.OperationError{ServiceID: service, OperationName: operation,
			Err: &smithy.GenericAPIError{Code: code, Message: message}})
	}
	const who = "User: arn:aws:iam::123456789012:user/a is not authorized to perform: "
	for _, test := range []struct {
		err        error
		permission string
		lacked     bool
	}{
		{refusal("SQS", "SendMessage", "AccessDenied", who+"sqs:sendmessage on resource: q"), "sqs:SendMessage", true},
		{refusal("SQS", "DeleteMessageBatch", "AccessDenied", who+"sqs:deletemessage on resource: q"), "sqs:DeleteMessage", true},
		{refusal("SQS", "ChangeMessageVisibilityBatch", "AccessDenied", ""), "sqs:ChangeMessageVisibility", true},
		{refusal("SNS", "ListSubscriptionsByTopic", "AuthorizationError", who+"SNS:ListSubscriptionsByTopic on resource: t"), "sns:ListSubscriptionsByTopic", true},
		{refusal("CloudWatch Logs", "FilterLogEvents", "AccessDeniedException", ""), "logs:FilterLogEvents", true},
		{refusal("Secrets Manager", "GetSecretValue", "AccessDeniedException", ""), "secretsmanager:GetSecretValue", true},
		{refusal("S3", "ListObjectsV2", "AccessDenied", "Access Denied"), "s3:ListBucket", true},
		// S3 hides whether an object is there from who may not list.
		{refusal("S3", "GetObject", "AccessDenied", who+"s3:ListBucket on resource: b"), "s3:ListBucket", true},
		{refusal("SQS", "ReceiveMessage", "KMS.AccessDeniedException", who+"kms:Decrypt on resource: k"), "kms:Decrypt", true},
		{refusal("SQS", "ReceiveMessage", "KmsAccessDenied", "The ciphertext refers to a key that you may not use"), "", true},
		{refusal("SQS", "SendMessage", "RequestThrottled", who+"sqs:sendmessage"), "", false},
		{errors.New("AccessDenied"), "", false},
		{nil, "", false},
	} {
		permission, lacked := LackedPermission(test.err)
		if permission != test.permission || lacked != test.lacked {
			t.Errorf("%v: %q, %t, want %q, %t", test.err, permission, lacked, test.permission, test.lacked)
		}
		if said := Explain(test.err); lacked && !strings.Contains(said.Error(), "lack a permission"+brackets(permission)+". ") {
			t.Errorf("%v is explained as: %v", test.err, said)
		}
	}
}
