package drill

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"

	"github.com/onepagecrm/nylas-webhooks/consumer"
	"github.com/onepagecrm/nylas-webhooks/test/rights"
)

// policy is one of the stack's policies and what the engine can show of it. Those of
// hookctl's commands are tried by the commands, in test/hookctl.
type policy struct {
	role string // logical id without the CDK's hash
	// calls are the AWS calls by what allows them, as statement/action.
	calls map[string]func(context.Context, aws.Config) error
	// unseen are the others, with where they are held instead.
	unseen map[string]string
}

const ownLog = "the engine does not ask for it when a function logs; the exact statement is a rule in test/stack"

func policies() []policy {
	queue, dead := stage.Outputs["QueueUrl"], stage.Outputs["DeadLetterQueueUrl"]
	p := []policy{
		{
			role: "ReceiverPolicy",
			calls: map[string]func(context.Context, aws.Config) error{
				"SendNotifications/sqs:SendMessage":        send(queue),
				"ReadSecret/secretsmanager:GetSecretValue": readSecret,
				"Spill/s3:PutObject":                       put("spill/drill"),
				"Overflow/s3:PutObject":                    put("overflow/drill"),
				"Archive/s3:PutObject":                     put("archive/drill"),
			},
			unseen: map[string]string{"WriteLogs/logs:CreateLogStream": ownLog, "WriteLogs/logs:PutLogEvents": ownLog},
		},
		{
			role:  "ConsumerPolicy",
			calls: map[string]func(context.Context, aws.Config) error{"ReadOverflow/s3:GetObject": get("overflow/drill")},
		},
		{
			role: "WorkerPolicy",
			calls: map[string]func(context.Context, aws.Config) error{
				"PutAside/sqs:SendMessage":      send(dead),
				"WriteDown/dynamodb:PutItem":    putItem,
				"WriteDown/dynamodb:UpdateItem": updateItem,
				"WriteDown/dynamodb:DeleteItem": deleteItem,
			},
		},
	}
	reads(p[1], "ReadQueue", queue)
	return p
}

// reads adds what reading a queue takes.
func reads(p policy, sid, queue string) {
	p.calls[sid+"/sqs:ReceiveMessage"] = func(ctx context.Context, cfg aws.Config) error {
		_, err := sqs.NewFromConfig(cfg).ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &queue})
		return err
	}
	// That nobody gave out the handle shows only after the permission.
	p.calls[sid+"/sqs:DeleteMessage"] = func(ctx context.Context, cfg aws.Config) error {
		_, err := sqs.NewFromConfig(cfg).DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &queue, ReceiptHandle: aws.String("none")})
		return err
	}
	p.calls[sid+"/sqs:ChangeMessageVisibility"] = func(ctx context.Context, cfg aws.Config) error {
		_, err := sqs.NewFromConfig(cfg).ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{QueueUrl: &queue, ReceiptHandle: aws.String("none"), VisibilityTimeout: 60})
		return err
	}
	p.calls[sid+"/sqs:GetQueueAttributes"] = look(queue)
	p.calls[sid+"/sqs:GetQueueUrl"] = find(queue)
}

// TestEachPermissionIsNeeded takes the permissions of each policy away, one at a time,
// and sees exactly the call fail that it is for.
func TestEachPermissionIsNeeded(t *testing.T) {
	ctx := t.Context()
	for _, key := range []string{"spill/drill", "overflow/drill"} {
		if err := put(key)(ctx, stage.AWS); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range policies() {
		t.Run(p.role, func(t *testing.T) {
			user, err := rights.NewUser(ctx, stage.AWS, "drill-"+p.role)
			if err != nil {
				t.Fatal(err)
			}
			whole, err := rights.Read(ctx, stage.AWS, physicalID(t, "AWS::IAM::ManagedPolicy", p.role))
			if err != nil {
				t.Fatal(err)
			}
			if denied := denied(t, user, whole, p); len(denied) > 0 {
				t.Errorf("with the whole policy these are denied: %v", denied)
			}
			var granted []string
			for i, statement := range whole.Statement {
				for _, action := range rights.Actions(statement) {
					permission := rights.Permission(statement, action)
					granted = append(granted, permission)
					if p.unseen[permission] != "" {
						continue
					}
					if p.calls[permission] == nil {
						t.Errorf("%s: say here which call it is for, or what holds it instead", permission)
						continue
					}
					if denied := denied(t, user, whole.Without(i, action), p); !slices.Equal(denied, []string{permission}) {
						t.Errorf("without %s these are denied: %v", permission, denied)
					}
				}
			}
			for permission := range p.calls {
				if !slices.Contains(granted, permission) {
					t.Errorf("the policy does not grant %s", permission)
				}
			}
			for permission := range p.unseen {
				if !slices.Contains(granted, permission) {
					t.Errorf("the policy does not grant %s", permission)
				}
			}
		})
	}
}

// denied tries everything under a policy and returns what is denied, sorted.
func denied(t *testing.T, u rights.User, d rights.Policy, p policy) []string {
	t.Helper()
	if err := u.Allow(t.Context(), stage.AWS, d); err != nil {
		t.Fatal(err)
	}
	var found []string
	for permission, call := range p.calls {
		var refused smithy.APIError
		if err := call(t.Context(), u.AWS); errors.As(err, &refused) && strings.Contains(refused.ErrorCode(), "AccessDenied") {
			found = append(found, permission)
		}
	}
	slices.Sort(found)
	return found
}

func send(queue string) func(context.Context, aws.Config) error {
	return func(ctx context.Context, cfg aws.Config) error {
		_, err := sqs.NewFromConfig(cfg).SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &queue, MessageBody: aws.String("{}")})
		return err
	}
}

func look(queue string) func(context.Context, aws.Config) error {
	return func(ctx context.Context, cfg aws.Config) error {
		_, err := sqs.NewFromConfig(cfg).GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &queue})
		return err
	}
}

func find(queue string) func(context.Context, aws.Config) error {
	return func(ctx context.Context, cfg aws.Config) error {
		_, err := sqs.NewFromConfig(cfg).GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: aws.String(queue[strings.LastIndex(queue, "/")+1:])})
		return err
	}
}

// item is the key of the table's items.
func item() map[string]types.AttributeValue {
	return map[string]types.AttributeValue{consumer.TableKey: &types.AttributeValueMemberS{Value: "drill"}}
}

func putItem(ctx context.Context, cfg aws.Config) error {
	_, err := dynamodb.NewFromConfig(cfg).PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String(stage.Outputs["CompletedTableName"]), Item: item()})
	return err
}

func updateItem(ctx context.Context, cfg aws.Config) error {
	_, err := dynamodb.NewFromConfig(cfg).UpdateItem(ctx, &dynamodb.UpdateItemInput{TableName: aws.String(stage.Outputs["CompletedTableName"]), Key: item()})
	return err
}

func deleteItem(ctx context.Context, cfg aws.Config) error {
	_, err := dynamodb.NewFromConfig(cfg).DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: aws.String(stage.Outputs["CompletedTableName"]), Key: item()})
	return err
}

func readSecret(ctx context.Context, cfg aws.Config) error {
	_, err := secretsmanager.NewFromConfig(cfg).GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: aws.String(stage.Outputs["SecretName"])})
	return err
}

// bucket is a client that names the bucket in the path, as the engine wants it.
func bucket(cfg aws.Config) *s3.Client {
	return s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true })
}

func put(key string) func(context.Context, aws.Config) error {
	return func(ctx context.Context, cfg aws.Config) error {
		_, err := bucket(cfg).PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String(stage.Outputs["BucketName"]), Key: &key, Body: strings.NewReader("x")})
		return err
	}
}

func get(key string) func(context.Context, aws.Config) error {
	return func(ctx context.Context, cfg aws.Config) error {
		answer, err := bucket(cfg).GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(stage.Outputs["BucketName"]), Key: &key})
		if err != nil {
			return err
		}
		return answer.Body.Close()
	}
}
