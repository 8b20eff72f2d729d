package consumer

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamodbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/onepagecrm/nylas-webhooks/consumer"
	"github.com/onepagecrm/nylas-webhooks/internal/awsconfig"
	"github.com/onepagecrm/nylas-webhooks/notification"
	"github.com/onepagecrm/nylas-webhooks/test/canary"
	"github.com/onepagecrm/nylas-webhooks/test/engine"
)

// The clients of the engine.
var (
	queues *sqs.Client
	tables *dynamodb.Client
	s3s    *s3.Client
)

func TestMain(m *testing.M) {
	if os.Getenv(workerEnv) != "" {
		os.Exit(workerMain()) // this binary, started again by a test
	}
	os.Exit(run(m))
}

func run(m *testing.M) (code int) {
	fail := func(err error) int {
		fmt.Fprintln(os.Stderr, "test/consumer:", err)
		return 1
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	e, err := engine.Start(ctx, "consumer")
	defer func() {
		if err := e.Stop(); err != nil {
			code = fail(err)
		}
	}()
	if err != nil {
		return fail(err)
	}
	if err := connect(); err != nil {
		return fail(err)
	}
	return m.Run()
}

// connect makes the clients from the environment.
func connect() error {
	cfg, err := awsconfig.Load(context.Background())
	if err != nil {
		return err
	}
	queues, tables = sqs.NewFromConfig(cfg), dynamodb.NewFromConfig(cfg)
	s3s = s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true }) // the engine's host has no subdomain per bucket
	return nil
}

// pair is a queue and its dead-letter queue.
type pair struct{ url, dead string }

// newQueues makes queues as the stack does: dead letters after 5 receives.
func newQueues(t *testing.T) pair {
	t.Helper()
	name := fmt.Sprintf("q%d", time.Now().UnixNano())
	create := func(name string, attributes map[string]string) string {
		out, err := queues.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
		if err != nil {
			t.Fatal(err)
		}
		return *out.QueueUrl
	}
	dead := create(name+"-dead", nil)
	arn := attributes(t, dead, sqstypes.QueueAttributeNameQueueArn)["QueueArn"]
	url := create(name, map[string]string{
		"RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":5}`, arn),
	})
	return pair{url, dead}
}

func attributes(t *testing.T, url string, names ...sqstypes.QueueAttributeName) map[string]string {
	t.Helper()
	out, err := queues.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: names})
	if err != nil {
		t.Fatal(err)
	}
	return out.Attributes
}

// depth is how many messages a queue has, visible or not.
func depth(t *testing.T, url string) (n int) {
	t.Helper()
	for _, value := range attributes(t, url,
		sqstypes.QueueAttributeNameApproximateNumberOfMessages,
		sqstypes.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
		sqstypes.QueueAttributeNameApproximateNumberOfMessagesDelayed) {
		part, err := strconv.Atoi(value)
		if err != nil {
			t.Fatal(err)
		}
		n += part
	}
	return n
}

// await waits until the condition holds.
func await(t *testing.T, what string, limit time.Duration, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !condition(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", limit, what)
		}
	}
}

var secret = canary.New("secret")

// note is a signed notification.
func note(id string) notification.Notification {
	body := fmt.Appendf(nil, `{"id":%q,"type":"message.created","data":{"object":{"grant_id":"grant-1","subject":%q,"from":[{"email":"%s@example.com"}],"body":%q}}}`,
		id, canary.New("subject"), canary.New("address"), canary.New("body"))
	return notification.Notification{Body: body, ID: id, Type: "message.created", GrantID: "grant-1", Attempt: 1,
		ReceivedAt: time.Now(), Signature: notification.Sign(secret, body), RequestID: "request-1"}
}

// send puts the notifications on the queue, in tens, and returns how many messages
// that made: a few more, when the SDK sends a batch again whose answer it lost.
func send(t *testing.T, url string, notes ...notification.Notification) int {
	t.Helper()
	entries := make([]sqstypes.SendMessageBatchRequestEntry, 0, 10)
	flush := func() {
		if len(entries) == 0 {
			return
		}
		out, err := queues.SendMessageBatch(t.Context(), &sqs.SendMessageBatchInput{QueueUrl: &url, Entries: entries})
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Failed) > 0 {
			t.Fatalf("send: %s", aws.ToString(out.Failed[0].Message))
		}
		entries = entries[:0]
	}
	for _, n := range notes {
		wire, err := n.Encode()
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, sqstypes.SendMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(len(entries))),
			MessageBody: aws.String(wire.Body), MessageAttributes: attributesOf(wire), MessageGroupId: aws.String(wire.GroupID)})
		if len(entries) == 10 {
			flush()
		}
	}
	flush()
	return depth(t, url)
}

// noise is a body that cannot be compressed into an SQS message.
func noise(t *testing.T) []byte {
	t.Helper()
	body := make([]byte, 2_000_000) // twice what SQS takes
	if _, err := rand.Read(body); err != nil {
		t.Fatal(err)
	}
	return body
}

func newBucket(t *testing.T) string {
	t.Helper()
	name := fmt.Sprintf("b%d", time.Now().UnixNano())
	if _, err := s3s.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &name}); err != nil {
		t.Fatal(err)
	}
	return name
}

// sendOverflowing puts what fits into no message beside it, as the receiver does.
func sendOverflowing(t *testing.T, url, bucket string, n notification.Notification) {
	t.Helper()
	wire, err := n.Encode()
	if err != nil || wire.Fits() {
		t.Fatalf("%d bytes: %v, fits: %v; want one that does not fit", len(n.Body), err, wire.Fits())
	}
	key := "overflow/" + n.ID
	if _, err := s3s.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader(wire.Body)}); err != nil {
		t.Fatal(err)
	}
	if wire, err = wire.Overflow(notification.Pointer{Bucket: bucket, Key: key}); err != nil {
		t.Fatal(err)
	}
	if _, err := queues.SendMessage(t.Context(), &sqs.SendMessageInput{
		QueueUrl: &url, MessageBody: &wire.Body, MessageAttributes: attributesOf(wire), MessageGroupId: &wire.GroupID,
	}); err != nil {
		t.Fatal(err)
	}
}

func attributesOf(wire notification.Wire) map[string]sqstypes.MessageAttributeValue {
	attributes := map[string]sqstypes.MessageAttributeValue{}
	for name, a := range wire.Attributes {
		attributes[name] = sqstypes.MessageAttributeValue{DataType: aws.String(a.DataType), StringValue: aws.String(a.Value)}
	}
	return attributes
}

// newTable makes a table as the stack does for [consumer.DynamoDBStore].
func newTable(t *testing.T) string {
	t.Helper()
	name := fmt.Sprintf("t%d", time.Now().UnixNano())
	_, err := tables.CreateTable(t.Context(), &dynamodb.CreateTableInput{
		TableName:            &name,
		BillingMode:          dynamodbtypes.BillingModePayPerRequest,
		KeySchema:            []dynamodbtypes.KeySchemaElement{{AttributeName: aws.String(consumer.TableKey), KeyType: dynamodbtypes.KeyTypeHash}},
		AttributeDefinitions: []dynamodbtypes.AttributeDefinition{{AttributeName: aws.String(consumer.TableKey), AttributeType: dynamodbtypes.ScalarAttributeTypeS}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return name
}
