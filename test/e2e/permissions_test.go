package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"

	"github.com/onepagecrm/nylas-webhooks/lambda/contract"
)

// policyDocument is an IAM policy, statements kept as they are.
type policyDocument struct {
	Version   string
	Statement []map[string]any
}

// without takes one action from the receiver until the returned function is called.
// It fails where no statement allows exactly that action.
func (s *system) without(t *testing.T, action string) (restore func()) {
	t.Helper()
	arn := s.resource(t, "ReceiverPolicy")
	policy := must[*iam.GetPolicyOutput](t)(s.iam.GetPolicy(t.Context(), &iam.GetPolicyInput{PolicyArn: &arn}))
	version := must[*iam.GetPolicyVersionOutput](t)(s.iam.GetPolicyVersion(t.Context(), &iam.GetPolicyVersionInput{PolicyArn: &arn, VersionId: policy.Policy.DefaultVersionId}))
	// IAM answers it URL-encoded (RFC 3986).
	whole := must[string](t)(url.PathUnescape(aws.ToString(version.PolicyVersion.Document)))
	var document policyDocument
	if err := json.Unmarshal([]byte(whole), &document); err != nil {
		t.Fatalf("the policy is %s: %v", whole, err)
	}
	before := len(document.Statement)
	document.Statement = slices.DeleteFunc(document.Statement, func(statement map[string]any) bool { return statement["Action"] == action })
	if len(document.Statement) != before-1 {
		t.Fatalf("%d statements allow %s and nothing else, want one: %s", before-len(document.Statement), action, whole)
	}
	reduced := must[[]byte](t)(json.Marshal(document))
	// The engine has no SetDefaultPolicyVersion, so the way back is a new version, too.
	set := func(text string) {
		t.Helper()
		must[*iam.CreatePolicyVersionOutput](t)(s.iam.CreatePolicyVersion(t.Context(), &iam.CreatePolicyVersionInput{PolicyArn: &arn, PolicyDocument: &text, SetAsDefault: true}))
	}
	set(string(reduced))
	return func() { set(whole) }
}

func TestWithoutSendMessage(t *testing.T) {
	body := note{}.json()
	signature := sign(sys.secret(t), body)
	restore := sys.without(t, "sqs:SendMessage")
	line := sys.logged(t, func() {
		if got := sys.post(t, body, signature); got.status != http.StatusServiceUnavailable {
			t.Errorf("answered %d, want 503", got.status)
		}
	})
	if line[contract.FieldReason] != string(contract.ReasonSendFailed) || !strings.Contains(fmt.Sprint(line[contract.FieldError]), "AccessDenied") {
		t.Errorf("logged reason %v, error %v", line[contract.FieldReason], line[contract.FieldError])
	}
	if got := sys.challenge(t, challengeQuery("a")); got.status != http.StatusOK {
		t.Errorf("the challenge, which needs no queue, is answered %d", got.status)
	}
	restore()
	if got := sys.post(t, body, signature); got.status != http.StatusOK {
		t.Errorf("sent again with the permission back, it is answered %d, want 200", got.status)
	}
	sys.received(t, signature)
	sys.notReceived(t, signature) // nor twice
}

func TestWithoutGetSecretValue(t *testing.T) {
	sys.secret(t)
	restore := sys.without(t, "secretsmanager:GetSecretValue")
	// A function that runs has the secret and goes on with it.
	sys.received(t, sys.deliver(t, note{}.json()))

	back := sys.freshVersion(t)
	body := note{}.json()
	signature := sign(sys.secret(t), body)
	line := sys.logged(t, func() {
		if got := sys.post(t, body, signature); got.status != http.StatusServiceUnavailable {
			t.Errorf("a function that starts: answered %d, want 503", got.status)
		}
	})
	if line[contract.FieldReason] != string(contract.ReasonSecretUnavailable) || !strings.Contains(fmt.Sprint(line[contract.FieldError]), "AccessDenied") {
		t.Errorf("logged reason %v, error %v", line[contract.FieldReason], line[contract.FieldError])
	}
	if got := sys.challenge(t, challengeQuery("a")); got.status != http.StatusOK {
		t.Errorf("the challenge, which needs no secret, is answered %d", got.status)
	}
	restore()
	eventually(t, 30*time.Second, func() string { // it asks again at most every 10 s
		if got := sys.post(t, body, signature); got.status != http.StatusOK {
			return fmt.Sprintf("with the permission back, answered %d", got.status)
		}
		return ""
	})
	sys.received(t, signature)
	back()
	sys.received(t, sys.deliver(t, note{}.json()))
}

// freshVersion points the alias at a new version of the same code, of which nothing
// runs yet. The returned function points it back, as one does to roll back.
func (s *system) freshVersion(t *testing.T) (back func()) {
	t.Helper()
	function := s.resource(t, "Receiver")
	old := must[*lambda.GetAliasOutput](t)(s.lambda.GetAlias(t.Context(), &lambda.GetAliasInput{FunctionName: &function, Name: aws.String("live")}))
	describe := func(text *string) {
		must[*lambda.UpdateFunctionConfigurationOutput](t)(s.lambda.UpdateFunctionConfiguration(t.Context(), &lambda.UpdateFunctionConfigurationInput{FunctionName: &function, Description: text}))
	}
	is := must[*lambda.GetFunctionConfigurationOutput](t)(s.lambda.GetFunctionConfiguration(t.Context(), &lambda.GetFunctionConfigurationInput{FunctionName: &function}))
	describe(aws.String("another version")) // else publishing gives the old one
	version := must[*lambda.PublishVersionOutput](t)(s.lambda.PublishVersion(t.Context(), &lambda.PublishVersionInput{FunctionName: &function}))
	describe(is.Description)
	if aws.ToString(version.Version) == aws.ToString(old.FunctionVersion) {
		t.Fatalf("publishing gave version %s again", *version.Version)
	}
	point := func(to *string) {
		must[*lambda.UpdateAliasOutput](t)(s.lambda.UpdateAlias(t.Context(), &lambda.UpdateAliasInput{FunctionName: &function, Name: old.Name, FunctionVersion: to}))
	}
	point(version.Version)
	return func() { point(old.FunctionVersion) }
}

// ConsumerPolicyArn is what a reader of the queue needs, and no more.
func TestConsumerPolicy(t *testing.T) {
	user := aws.String("e2e-consumer")
	must[*iam.CreateUserOutput](t)(sys.iam.CreateUser(t.Context(), &iam.CreateUserInput{UserName: user}))
	must[*iam.AttachUserPolicyOutput](t)(sys.iam.AttachUserPolicy(t.Context(), &iam.AttachUserPolicyInput{UserName: user, PolicyArn: aws.String(sys.outputs["ConsumerPolicyArn"])}))
	key := must[*iam.CreateAccessKeyOutput](t)(sys.iam.CreateAccessKey(t.Context(), &iam.CreateAccessKeyInput{UserName: user})).AccessKey
	cfg := sys.config.Copy()
	cfg.Credentials = credentials.NewStaticCredentialsProvider(aws.ToString(key.AccessKeyId), aws.ToString(key.SecretAccessKey), "")
	consumer, secrets := sqs.NewFromConfig(cfg), secretsmanager.NewFromConfig(cfg)
	queue, deadLetters := aws.String(sys.outputs["QueueUrl"]), aws.String(sys.outputs["DeadLetterQueueUrl"])

	sys.deliver(t, note{}.json())
	var received *sqs.ReceiveMessageOutput
	eventually(t, soon, func() string {
		received = must[*sqs.ReceiveMessageOutput](t)(consumer.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: queue, WaitTimeSeconds: 1}))
		if len(received.Messages) == 0 {
			return "the consumer receives nothing"
		}
		return ""
	})
	handle := received.Messages[0].ReceiptHandle
	for _, call := range []struct {
		name    string
		allowed bool
		do      func() error
	}{
		{"hold a message", true, func() error {
			_, err := consumer.ChangeMessageVisibility(t.Context(), &sqs.ChangeMessageVisibilityInput{QueueUrl: queue, ReceiptHandle: handle, VisibilityTimeout: 60})
			return err
		}},
		{"delete a message", true, func() error {
			_, err := consumer.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: queue, ReceiptHandle: handle})
			return err
		}},
		{"look at the queue", true, func() error {
			_, err := consumer.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: queue})
			return err
		}},
		{"send", false, func() error {
			_, err := consumer.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: queue, MessageBody: aws.String("{}")})
			return err
		}},
		{"purge", false, func() error {
			_, err := consumer.PurgeQueue(t.Context(), &sqs.PurgeQueueInput{QueueUrl: queue})
			return err
		}},
		{"change the queue", false, func() error {
			_, err := consumer.SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{QueueUrl: queue, Attributes: map[string]string{"VisibilityTimeout": "1"}})
			return err
		}},
		{"delete the queue", false, func() error {
			_, err := consumer.DeleteQueue(t.Context(), &sqs.DeleteQueueInput{QueueUrl: queue})
			return err
		}},
		{"read the dead letters", false, func() error {
			_, err := consumer.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: deadLetters})
			return err
		}},
		{"read the secret", false, func() error {
			_, err := secrets.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: aws.String(sys.outputs["SecretName"])})
			return err
		}},
	} {
		err := call.do()
		var refused smithy.APIError
		denied := errors.As(err, &refused) && strings.Contains(refused.ErrorCode(), "AccessDenied")
		if call.allowed && err != nil || !call.allowed && !denied {
			t.Errorf("%s: allowed %t, error %v", call.name, call.allowed, err)
		}
	}
}
