package e2e

import (
	"crypto/rand"
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"

	"github.com/onepagecrm/nylas-webhooks/notification"
	"github.com/onepagecrm/nylas-webhooks/test/rights"
)

// userWith returns a new user who has exactly these policies, named by the outputs that
// have their ARNs.
func (s *system) userWith(t *testing.T, outputs ...string) rights.User {
	t.Helper()
	var arns []string
	for _, name := range outputs {
		arns = append(arns, s.outputs[name])
	}
	return must[rights.User](t)(rights.NewUser(t.Context(), s.config, "e2e-"+rand.Text(), arns...))
}

// call is something a user tries, and whether it must work.
type call struct {
	name    string
	allowed bool
	do      func() error
}

func try(t *testing.T, calls []call) {
	t.Helper()
	for _, c := range calls {
		err := c.do()
		var refused smithy.APIError
		denied := errors.As(err, &refused) && strings.Contains(refused.ErrorCode(), "AccessDenied")
		if c.allowed && err != nil || !c.allowed && !denied {
			t.Errorf("%s: allowed %t, want %t; error %v", c.name, err == nil, c.allowed, err)
		}
	}
}

// ConsumerPolicyArn is what a reader of the queue needs, and no more.
func TestConsumerPolicy(t *testing.T) {
	ctx := t.Context()
	overflow := overflowed(t)
	sys.deliver(t, note{}.json())
	cfg := sys.userWith(t, "ConsumerPolicyArn").AWS
	queues, secrets, objects := sqs.NewFromConfig(cfg), secretsmanager.NewFromConfig(cfg), newBucket(cfg)
	queue, deadLetters, bucket := aws.String(sys.outputs["QueueUrl"]), aws.String(sys.outputs["DeadLetterQueueUrl"]), aws.String(sys.outputs["BucketName"])

	var received *sqs.ReceiveMessageOutput
	eventually(t, soon, func() string {
		received = must[*sqs.ReceiveMessageOutput](t)(queues.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
			QueueUrl: queue, WaitTimeSeconds: 1, MessageAttributeNames: []string{"All"},
		}))
		if len(received.Messages) == 0 {
			return "the consumer receives nothing"
		}
		return ""
	})
	sys.ledger.arrive(decoded(t, received.Messages[0]).Body)
	handle := received.Messages[0].ReceiptHandle
	try(t, []call{
		{"hold a message", true, func() error {
			_, err := queues.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{QueueUrl: queue, ReceiptHandle: handle, VisibilityTimeout: 60})
			return err
		}},
		{"delete a message", true, func() error {
			_, err := queues.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: queue, ReceiptHandle: handle})
			return err
		}},
		{"look at the queue", true, func() error {
			_, err := queues.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: queue})
			return err
		}},
		{"read a body that is too large for a message", true, get(t, objects, bucket, overflow)},
		{"read a spilled notification", false, get(t, objects, bucket, "spill/2026/01/05/10/a.json.gz")},
		{"read a copy in the archive", false, get(t, objects, bucket, "archive/a")},
		{"write where large bodies are", false, put(t, objects, bucket, "overflow/a")},
		{"delete a large body", false, remove(t, objects, bucket, overflow)},
		{"list the bucket", false, list(t, objects, bucket, "")},
		{"send", false, func() error {
			_, err := queues.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: queue, MessageBody: aws.String("{}")})
			return err
		}},
		{"purge", false, func() error {
			_, err := queues.PurgeQueue(ctx, &sqs.PurgeQueueInput{QueueUrl: queue})
			return err
		}},
		{"change the queue", false, func() error {
			_, err := queues.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{QueueUrl: queue, Attributes: map[string]string{"VisibilityTimeout": "1"}})
			return err
		}},
		{"delete the queue", false, func() error {
			_, err := queues.DeleteQueue(ctx, &sqs.DeleteQueueInput{QueueUrl: queue})
			return err
		}},
		{"receive dead letters", false, func() error {
			_, err := queues.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: deadLetters})
			return err
		}},
		{"read the secret", false, func() error {
			_, err := secrets.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: aws.String(sys.outputs["SecretName"])})
			return err
		}},
	})
}

// OperatorPolicyArn is what looking at the stage and putting notifications back takes. It
// reads neither the queue nor the secret.
func TestOperatorPolicy(t *testing.T) {
	ctx := t.Context()
	sys.secret(t)
	cfg := sys.userWith(t, "OperatorPolicyArn").AWS
	queues, secrets, objects := sqs.NewFromConfig(cfg), secretsmanager.NewFromConfig(cfg), newBucket(cfg)
	queue, deadLetters, bucket := aws.String(sys.outputs["QueueUrl"]), aws.String(sys.outputs["DeadLetterQueueUrl"]), aws.String(sys.outputs["BucketName"])
	const spilled = "written-by-the-test"
	if err := put(t, sys.bucket, bucket, "spill/"+spilled)(); err != nil {
		t.Fatal(err)
	}
	for _, prefix := range []string{"overflow/", "archive/"} {
		if err := put(t, sys.bucket, bucket, prefix+spilled)(); err != nil {
			t.Fatal(err)
		}
	}
	try(t, []call{
		{"receive dead letters", true, func() error {
			_, err := queues.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: deadLetters})
			return err
		}},
		{"list spilled notifications", true, list(t, objects, bucket, "spill/")},
		{"read a spilled notification", true, get(t, objects, bucket, "spill/"+spilled)},
		{"delete a spilled notification", true, remove(t, objects, bucket, "spill/"+spilled)},
		{"receive notices", true, func() error {
			_, err := queues.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: aws.String(sys.outputs["SpillNoticesQueueUrl"])})
			return err
		}},
		{"read a large body", true, get(t, objects, bucket, "overflow/"+spilled)},
		{"delete a large body", false, remove(t, objects, bucket, "overflow/"+spilled)},
		{"list large bodies", false, list(t, objects, bucket, "overflow/")},
		{"list the archive", true, list(t, objects, bucket, "archive/")},
		{"read a copy", true, get(t, objects, bucket, "archive/"+spilled)},
		{"write a copy", false, put(t, objects, bucket, "archive/"+spilled)},
		{"erase a copy", true, remove(t, objects, bucket, "archive/"+spilled)},
		{"list the whole bucket", false, list(t, objects, bucket, "")},
		{"write a spilled notification", false, put(t, objects, bucket, "spill/"+spilled)},
		{"receive from the queue", false, func() error {
			_, err := queues.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: queue})
			return err
		}},
		{"purge the dead letters", false, func() error {
			_, err := queues.PurgeQueue(ctx, &sqs.PurgeQueueInput{QueueUrl: deadLetters})
			return err
		}},
		{"read the secret", false, func() error {
			_, err := secrets.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: aws.String(sys.outputs["SecretName"])})
			return err
		}},
	})
}

// SecretPolicyArn is what looking after the secret takes. It reads nobody's mail.
func TestSecretPolicy(t *testing.T) {
	ctx := t.Context()
	sys.secret(t)
	cfg := sys.userWith(t, "SecretPolicyArn").AWS
	queues, secrets, objects := sqs.NewFromConfig(cfg), secretsmanager.NewFromConfig(cfg), newBucket(cfg)
	secret, bucket := aws.String(sys.outputs["SecretName"]), aws.String(sys.outputs["BucketName"])
	receive := func(output string) func() error {
		return func() error {
			_, err := queues.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: aws.String(sys.outputs[output])})
			return err
		}
	}
	try(t, []call{
		{"read the secret", true, func() error {
			_, err := secrets.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: secret})
			return err
		}},
		{"delete the secret", false, func() error {
			_, err := secrets.DeleteSecret(ctx, &secretsmanager.DeleteSecretInput{SecretId: secret})
			return err
		}},
		{"change who may read it", false, func() error {
			_, err := secrets.PutResourcePolicy(ctx, &secretsmanager.PutResourcePolicyInput{SecretId: secret, ResourcePolicy: aws.String("{}")})
			return err
		}},
		{"receive from the queue", false, receive("QueueUrl")},
		{"receive dead letters", false, receive("DeadLetterQueueUrl")},
		{"list spilled notifications", false, list(t, objects, bucket, "spill/")},
	})
}

// overflowed sends a notification that is too large for a message and returns its
// object's key.
func overflowed(t *testing.T) string {
	t.Helper()
	m := sys.received(t, sys.deliver(t, noise(t)))
	pointer, ok, err := notification.ParsePointer(aws.ToString(m.Body), attributes(m))
	if err != nil || !ok {
		t.Fatalf("the message is no pointer: %v", err)
	}
	return pointer.Key
}

func get(t *testing.T, objects *s3.Client, bucket *string, key string) func() error {
	return func() error {
		answer, err := objects.GetObject(t.Context(), &s3.GetObjectInput{Bucket: bucket, Key: &key})
		if err != nil {
			return err
		}
		return answer.Body.Close()
	}
}

func put(t *testing.T, objects *s3.Client, bucket *string, key string) func() error {
	return func() error {
		_, err := objects.PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: &key, Body: strings.NewReader("x")})
		return err
	}
}

func remove(t *testing.T, objects *s3.Client, bucket *string, key string) func() error {
	return func() error {
		_, err := objects.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: bucket, Key: &key})
		return err
	}
}

func list(t *testing.T, objects *s3.Client, bucket *string, prefix string) func() error {
	return func() error {
		_, err := objects.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: bucket, Prefix: &prefix})
		return err
	}
}
