package drill

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"

	"github.com/onepagecrm/nylas-webhooks/consumer"
)

// policy is one of the stack's policies and what the engine can show of it.
type policy struct {
	role string // logical id without the CDK's hash
	// calls are the AWS calls by what allows them, as statement/action.
	calls map[string]func(context.Context, aws.Config) error
	// unseen are the others, with where they are held instead.
	unseen map[string]string
}

const (
	moveTask = "the engine has no message move tasks; the exact statement is a rule in test/stack"
	ownLog   = "the engine does not ask for it when a function logs; the exact statement is a rule in test/stack"
)

func policies() []policy {
	queue, dead, notices := stage.Outputs["QueueUrl"], stage.Outputs["DeadLetterQueueUrl"], stage.Outputs["SpillNoticesQueueUrl"]
	p := []policy{
		{
			role: "ReceiverPolicy",
			calls: map[string]func(context.Context, aws.Config) error{
				"SendNotifications/sqs:SendMessage":        send(queue),
				"ReadSecret/secretsmanager:GetSecretValue": readSecret,
				"Spill/s3:PutObject":                       put("spill/drill"),
				"Overflow/s3:PutObject":                    put("overflow/drill"),
			},
			unseen: map[string]string{"WriteLogs/logs:CreateLogStream": ownLog, "WriteLogs/logs:PutLogEvents": ownLog},
		},
		{
			role:  "ConsumerPolicy",
			calls: map[string]func(context.Context, aws.Config) error{"ReadOverflow/s3:GetObject": get("overflow/drill")},
		},
		{
			role: "OperatorPolicy",
			calls: map[string]func(context.Context, aws.Config) error{
				"PutOntoQueue/sqs:SendMessage":            send(queue),
				"PutOntoQueue/sqs:GetQueueAttributes":     look(queue),
				"PutOntoQueue/sqs:GetQueueUrl":            find(queue),
				"ListSpilled/s3:ListBucket":               list("spill/"),
				"TakeSpilled/s3:GetObject":                get("spill/drill"),
				"TakeSpilled/s3:DeleteObject":             remove("spill/drill"),
				"FindStack/cloudformation:DescribeStacks": describeStack,
			},
			unseen: map[string]string{
				"TakeDeadLetters/sqs:StartMessageMoveTask": moveTask, "TakeDeadLetters/sqs:ListMessageMoveTasks": moveTask,
				"TakeDeadLetters/sqs:CancelMessageMoveTask": moveTask,
			},
		},
	}
	p = append(p, policy{
		role: "WorkerPolicy",
		calls: map[string]func(context.Context, aws.Config) error{
			"PutAside/sqs:SendMessage":      send(dead),
			"WriteDown/dynamodb:PutItem":    putItem,
			"WriteDown/dynamodb:UpdateItem": updateItem,
			"WriteDown/dynamodb:DeleteItem": deleteItem,
		},
	})
	reads(p[1], "ReadQueue", queue)
	reads(p[2], "TakeDeadLetters", dead)
	reads(p[2], "TakeSpillNotices", notices)
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
			user := newUser(t, "drill-"+p.role)
			whole := documentOf(t, p.role)
			if denied := user.denied(t, whole, p); len(denied) > 0 {
				t.Errorf("with the whole policy these are denied: %v", denied)
			}
			var granted []string
			for i, statement := range whole.Statement {
				for _, action := range actions(statement) {
					permission := fmt.Sprintf("%v/%s", statement["Sid"], action)
					granted = append(granted, permission)
					if p.unseen[permission] != "" {
						continue
					}
					if p.calls[permission] == nil {
						t.Errorf("%s: say here which call it is for, or what holds it instead", permission)
						continue
					}
					if denied := user.denied(t, whole.without(i, action), p); !slices.Equal(denied, []string{permission}) {
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

// document is an IAM policy, its statements as they are.
type document struct {
	Version   string
	Statement []map[string]any
}

// without is the policy without an action of its i-th statement.
func (d document) without(i int, action string) document {
	less := document{Version: d.Version}
	for j, statement := range d.Statement {
		if i != j {
			less.Statement = append(less.Statement, statement)
			continue
		}
		rest := slices.DeleteFunc(actions(statement), func(a string) bool { return a == action })
		if len(rest) == 0 {
			continue
		}
		changed := map[string]any{}
		for name, value := range statement {
			changed[name] = value
		}
		changed["Action"] = rest
		less.Statement = append(less.Statement, changed)
	}
	return less
}

func actions(statement map[string]any) []string {
	if one, ok := statement["Action"].(string); ok {
		return []string{one}
	}
	var all []string
	several, _ := statement["Action"].([]any)
	for _, action := range several {
		all = append(all, fmt.Sprint(action))
	}
	return all
}

// documentOf reads a deployed policy.
func documentOf(t *testing.T, role string) document {
	t.Helper()
	client := iam.NewFromConfig(stage.AWS)
	arn := physicalID(t, "AWS::IAM::ManagedPolicy", role)
	policy, err := client.GetPolicy(t.Context(), &iam.GetPolicyInput{PolicyArn: &arn})
	if err != nil {
		t.Fatal(err)
	}
	version, err := client.GetPolicyVersion(t.Context(), &iam.GetPolicyVersionInput{PolicyArn: &arn, VersionId: policy.Policy.DefaultVersionId})
	if err != nil {
		t.Fatal(err)
	}
	text, err := url.PathUnescape(aws.ToString(version.PolicyVersion.Document)) // IAM answers it URL-encoded
	if err != nil {
		t.Fatal(err)
	}
	var d document
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		t.Fatalf("the policy is %s: %v", text, err)
	}
	return d
}

// user is somebody who may do what his one policy says.
type user struct {
	name string
	cfg  aws.Config
}

func newUser(t *testing.T, name string) user {
	t.Helper()
	client := iam.NewFromConfig(stage.AWS)
	if _, err := client.CreateUser(t.Context(), &iam.CreateUserInput{UserName: &name}); err != nil {
		t.Fatal(err)
	}
	key, err := client.CreateAccessKey(t.Context(), &iam.CreateAccessKeyInput{UserName: &name})
	if err != nil {
		t.Fatal(err)
	}
	cfg := stage.AWS.Copy()
	cfg.Credentials = credentials.NewStaticCredentialsProvider(aws.ToString(key.AccessKey.AccessKeyId), aws.ToString(key.AccessKey.SecretAccessKey), "")
	return user{name: name, cfg: cfg}
}

// denied tries everything under a policy and returns what is denied, sorted.
func (u user) denied(t *testing.T, d document, p policy) []string {
	t.Helper()
	text, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := iam.NewFromConfig(stage.AWS).PutUserPolicy(t.Context(), &iam.PutUserPolicyInput{
		UserName: &u.name, PolicyName: aws.String("drill"), PolicyDocument: aws.String(string(text)),
	}); err != nil {
		t.Fatal(err)
	}
	var found []string
	for permission, call := range p.calls {
		var refused smithy.APIError
		if err := call(t.Context(), u.cfg); errors.As(err, &refused) && strings.Contains(refused.ErrorCode(), "AccessDenied") {
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

func describeStack(ctx context.Context, cfg aws.Config) error {
	_, err := cloudformation.NewFromConfig(cfg).DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: aws.String(stackName)})
	return err
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

func remove(key string) func(context.Context, aws.Config) error {
	return func(ctx context.Context, cfg aws.Config) error {
		_, err := bucket(cfg).DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: aws.String(stage.Outputs["BucketName"]), Key: &key})
		return err
	}
}

func list(prefix string) func(context.Context, aws.Config) error {
	return func(ctx context.Context, cfg aws.Config) error {
		_, err := bucket(cfg).ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String(stage.Outputs["BucketName"]), Prefix: &prefix})
		return err
	}
}
