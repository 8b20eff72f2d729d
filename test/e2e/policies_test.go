package e2e

import (
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

// userWith returns the AWS settings of a new user who has exactly this policy.
func (s *system) userWith(t *testing.T, name, policyARN string) aws.Config {
	t.Helper()
	must[*iam.CreateUserOutput](t)(s.iam.CreateUser(t.Context(), &iam.CreateUserInput{UserName: &name}))
	must[*iam.AttachUserPolicyOutput](t)(s.iam.AttachUserPolicy(t.Context(), &iam.AttachUserPolicyInput{UserName: &name, PolicyArn: &policyARN}))
	key := must[*iam.CreateAccessKeyOutput](t)(s.iam.CreateAccessKey(t.Context(), &iam.CreateAccessKeyInput{UserName: &name})).AccessKey
	cfg := s.config.Copy()
	cfg.Credentials = credentials.NewStaticCredentialsProvider(aws.ToString(key.AccessKeyId), aws.ToString(key.SecretAccessKey), "")
	return cfg
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
	cfg := sys.userWith(t, "e2e-consumer", sys.outputs["ConsumerPolicyArn"])
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

// OperatorPolicyArn is what putting notifications back takes. It reads neither the
// queue nor the secret.
func TestOperatorPolicy(t *testing.T) {
	ctx := t.Context()
	sys.secret(t)
	cfg := sys.userWith(t, "e2e-operator", sys.outputs["OperatorPolicyArn"])
	queues, secrets, objects := sqs.NewFromConfig(cfg), secretsmanager.NewFromConfig(cfg), newBucket(cfg)
	queue, deadLetters, bucket := aws.String(sys.outputs["QueueUrl"]), aws.String(sys.outputs["DeadLetterQueueUrl"]), aws.String(sys.outputs["BucketName"])
	const spilled = "written-by-the-test"
	if err := put(t, sys.bucket, bucket, "spill/"+spilled)(); err != nil {
		t.Fatal(err)
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
		{"list large bodies", false, list(t, objects, bucket, "overflow/")},
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
