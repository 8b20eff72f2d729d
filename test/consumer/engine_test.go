package consumer

import (
	"crypto/rand"
	"fmt"
	"os"
	"slices"
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
	"github.com/onepagecrm/nylas-webhooks/notification"
	"github.com/onepagecrm/nylas-webhooks/test/canary"
	"github.com/onepagecrm/nylas-webhooks/test/hookctl/localstage"
	"github.com/onepagecrm/nylas-webhooks/test/rights"
)

var (
	// stage is the deployed stage, of whose queues, table and bucket each test has all.
	stage *localstage.Stage
	// The clients of the test itself, which may do everything.
	queues *sqs.Client
	tables *dynamodb.Client
	s3s    *s3.Client
)

func TestMain(m *testing.M) {
	if os.Getenv(workerEnv) != "" {
		os.Exit(workerMain()) // this binary, started again by a test
	}
	os.Exit(localstage.Main(m, "consumer", func(s *localstage.Stage) {
		stage = s
		queues, tables = sqs.NewFromConfig(s.AWS), dynamodb.NewFromConfig(s.AWS)
		s3s = s3.NewFromConfig(s.AWS, func(o *s3.Options) { o.UsePathStyle = true }) // the engine's host has no subdomain per bucket
	}))
}

// worker may do what the stage's policies for consumers say, and no more: what is tested
// runs under it.
func worker(t *testing.T) rights.User {
	t.Helper()
	_, row := stage.Programs.For("hookworker")
	user, err := stage.User(t.Context(), row)
	if err != nil {
		t.Fatal(err)
	}
	return user
}

// pair is a queue and its dead-letter queue.
type pair struct{ url, dead string }

// newQueues empties the stage's queues, which make dead letters after 5 receives.
func newQueues(t *testing.T) pair {
	t.Helper()
	if err := stage.Empty(t.Context()); err != nil {
		t.Fatal(err)
	}
	return pair{stage.Queue(), stage.DeadLetters()}
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

// sendOverflowing puts what fits into no message beside it, as the receiver does.
func sendOverflowing(t *testing.T, url string, n notification.Notification) {
	t.Helper()
	wire, err := n.Encode()
	if err != nil || wire.Fits() {
		t.Fatalf("%d bytes: %v, fits: %v; want one that does not fit", len(n.Body), err, wire.Fits())
	}
	bucket, key := stage.Outputs["BucketName"], "overflow/"+n.ID
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

// newTable empties the stage's table for [consumer.DynamoDBStore] and names it.
func newTable(t *testing.T) string {
	t.Helper()
	name := stage.Outputs["CompletedTableName"]
	pages := dynamodb.NewScanPaginator(tables, &dynamodb.ScanInput{TableName: &name})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for items := range slices.Chunk(page.Items, 25) { // BatchWriteItem's limit
			var deletions []dynamodbtypes.WriteRequest
			for _, item := range items {
				deletions = append(deletions, dynamodbtypes.WriteRequest{DeleteRequest: &dynamodbtypes.DeleteRequest{
					Key: map[string]dynamodbtypes.AttributeValue{consumer.TableKey: item[consumer.TableKey]},
				}})
			}
			if _, err := tables.BatchWriteItem(t.Context(), &dynamodb.BatchWriteItemInput{
				RequestItems: map[string][]dynamodbtypes.WriteRequest{name: deletions},
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
	return name
}
