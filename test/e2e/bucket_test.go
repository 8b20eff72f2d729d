package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/onepagecrm/nylas-webhooks/lambda/contract"
	"github.com/onepagecrm/nylas-webhooks/notification"
)

// newBucket returns a client that the engine understands: its host has no subdomain
// per bucket, and its answers no checksum.
func newBucket(cfg aws.Config) *s3.Client {
	return s3.NewFromConfig(cfg, func(o *s3.Options) {
		o.UsePathStyle = true
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
	})
}

// read reads a message as a consumer does, its body from the bucket where it is there.
func (s *system) read(ctx context.Context, m types.Message) (notification.Notification, error) {
	body := aws.ToString(m.Body)
	pointer, isPointer, err := notification.ParsePointer(body, attributes(m))
	if err != nil {
		return notification.Notification{}, err
	}
	if isPointer {
		if pointer.Bucket != s.outputs["BucketName"] {
			return notification.Notification{}, fmt.Errorf("the message points to bucket %s", pointer.Bucket)
		}
		object, err := s.object(ctx, pointer.Key)
		if err != nil {
			return notification.Notification{}, err
		}
		body = string(object)
	}
	return notification.Decode(body, attributes(m))
}

func (s *system) object(ctx context.Context, key string) ([]byte, error) {
	answer, err := s.bucket.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(s.outputs["BucketName"]), Key: &key})
	if err != nil {
		return nil, fmt.Errorf("read object %s: %w", key, err)
	}
	defer answer.Body.Close()
	return io.ReadAll(answer.Body)
}

// spilled returns the notifications that wait for their replay, by their keys.
func (s *system) spilled(ctx context.Context) (map[string]notification.Notification, error) {
	found := map[string]notification.Notification{}
	pages := s3.NewListObjectsV2Paginator(s.bucket, &s3.ListObjectsV2Input{
		Bucket: aws.String(s.outputs["BucketName"]), Prefix: aws.String(contract.SpillPrefix),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list the bucket: %w", err)
		}
		for _, entry := range page.Contents {
			object, err := s.object(ctx, aws.ToString(entry.Key))
			if err != nil {
				return nil, err
			}
			wire, err := notification.Unspill(object)
			if err != nil {
				return nil, err
			}
			values := map[string]string{}
			for name, a := range wire.Attributes {
				values[name] = a.Value
			}
			if found[*entry.Key], err = notification.Decode(wire.Body, values); err != nil {
				return nil, err
			}
		}
	}
	return found, nil
}

// noise is a body that cannot be compressed into an SQS message.
func noise(t *testing.T) []byte {
	t.Helper()
	const size = 2_000_000 // twice what SQS takes
	body := make([]byte, size)
	if _, err := rand.Read(body); err != nil {
		t.Fatal(err)
	}
	return body
}

// What fits into no SQS message is put beside it, in the form of the SQS Extended
// Client Library.
func TestOverflow(t *testing.T) {
	body := noise(t)
	m := sys.received(t, sys.deliver(t, body))
	form := regexp.MustCompile(`^\["software\.amazon\.payloadoffloading\.PayloadS3Pointer",\{"s3BucketName":"[^"]+","s3Key":"overflow/[^"]+"\}\]$`)
	if !form.MatchString(aws.ToString(m.Body)) {
		t.Errorf("the message's body is %q", aws.ToString(m.Body))
	}
	pointer, _, err := notification.ParsePointer(aws.ToString(m.Body), attributes(m))
	if err != nil {
		t.Fatal(err)
	}
	object := must[[]byte](t)(sys.object(t.Context(), pointer.Key))
	size := m.MessageAttributes[notification.AttrPayloadSize]
	if aws.ToString(size.DataType) != "Number" || aws.ToString(size.StringValue) != strconv.Itoa(len(object)) {
		t.Errorf("%s is %s %q, the object has %d bytes", notification.AttrPayloadSize, aws.ToString(size.DataType), aws.ToString(size.StringValue), len(object))
	}
	if n := decoded(t, m); !bytes.Equal(n.Body, body) {
		t.Errorf("reads as %d bytes, which are not the %d that were signed", len(n.Body), len(body))
	}
}

// What SQS does not take is kept in the bucket, with all that putting it onto the
// queue later needs, somebody is told, and hookctl puts it there.
func TestSpill(t *testing.T) {
	n := note{ID: "e2e-" + rand.Text(), Grant: "grant-1"}
	body := n.json()
	signature := sign(sys.secret(t), body)
	restore := sys.without(t, "SendNotifications")
	line := sys.logged(t, func() {
		if got := sys.post(t, body, signature); got.status != http.StatusOK {
			t.Errorf("answered %d, want 200", got.status)
		}
	})
	restore()
	if line[contract.FieldOutcome] != string(contract.Spilled) || !strings.Contains(fmt.Sprint(line[contract.FieldError]), "AccessDenied") {
		t.Errorf("logged outcome %v, error %v", line[contract.FieldOutcome], line[contract.FieldError])
	}

	var key string
	for k, spilled := range must[map[string]notification.Notification](t)(sys.spilled(t.Context())) {
		if spilled.ID != n.ID {
			continue
		}
		key = k
		if !bytes.Equal(spilled.Body, body) || spilled.Signature.String() != signature || spilled.GrantID != "grant-1" || spilled.Type != "message.created" {
			t.Errorf("the object holds %+v, want what was sent", spilled)
		}
		if want := contract.SpillPrefix + spilled.ReceivedAt.Format("2006/01/02/15/") + spilled.RequestID + "." + signature[:16] + ".json.gz"; key != want {
			t.Errorf("the object is %s, want %s", key, want)
		}
	}
	if key == "" {
		t.Fatal("no object holds the notification")
	}

	// The notice's age is what the alarm reads.
	notices := sys.outputs["SpillNoticesQueueUrl"]
	eventually(t, soon, func() string {
		answer := must[*sqs.ReceiveMessageOutput](t)(sys.queue.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &notices, MaxNumberOfMessages: 10, WaitTimeSeconds: 1}))
		for _, notice := range answer.Messages {
			if strings.Contains(aws.ToString(notice.Body), key) {
				return ""
			}
		}
		return "no notice names " + key
	})
	sys.notReceived(t, signature)

	if output, err := sys.hookctl(t, "spill", "replay", "--stage", "local"); err != nil {
		t.Fatalf("hookctl spill replay: %v\n%s", err, output)
	}
	m := sys.received(t, signature)
	if replayed := decoded(t, m); !bytes.Equal(replayed.Body, body) || replayed.ID != n.ID || aws.ToString(m.MessageAttributes[notification.AttrGrantID].StringValue) != "grant-1" {
		t.Errorf("after the replay the queue has %+v, want what was sent", replayed)
	}
	if _, err := sys.object(t.Context(), key); err == nil {
		t.Error("the object is still there after its replay")
	}
}

// Of what is accepted the archive has a copy, found by its name; and where it may have
// none, that is written down and changes nothing else.
func TestArchive(t *testing.T) {
	n := note{ID: "e2e-" + rand.Text(), Grant: "grant/1,ü", Type: "event.updated"}
	body := n.json()
	m := sys.received(t, sys.deliver(t, body))
	at := must[time.Time](t)(time.Parse(time.RFC3339, aws.ToString(m.MessageAttributes[notification.AttrReceivedAt].StringValue)))
	signature := aws.ToString(m.MessageAttributes[notification.AttrSignature].StringValue)
	key := contract.ArchiveKey{ReceivedAt: at, GrantID: n.Grant, Type: n.Type, ID: n.ID, Signature: signature[:16]}
	wire := must[notification.Wire](t)(notification.Unspill(must[[]byte](t)(sys.object(t.Context(), key.String()))))
	if wire.Body != aws.ToString(m.Body) || wire.GroupID != m.Attributes[string(types.MessageSystemAttributeNameMessageGroupId)] || len(wire.Attributes) != len(m.MessageAttributes) {
		t.Errorf("the copy is %+v, the queue got %+v", wire, m)
	}
	if listed, ok := contract.ParseArchiveKey(must[string](t)(sys.firstKey(t.Context(), contract.ArchiveFrom(at)))); !ok || listed.GrantID != n.Grant {
		t.Errorf("it is listed as %+v, %v", listed, ok)
	}

	other := note{ID: "e2e-" + rand.Text(), Grant: "grant-1"}.json()
	restore := sys.without(t, "Archive")
	defer restore()
	line := sys.logged(t, func() { sys.received(t, sys.deliver(t, other)) })
	if line[contract.FieldOutcome] != string(contract.Accepted) || line[string(contract.ArchiveFailed)] != 1.0 || !strings.Contains(fmt.Sprint(line[contract.FieldArchiveError]), "AccessDenied") {
		t.Errorf("logged outcome %v, ArchiveFailed %v, archive_error %v", line[contract.FieldOutcome], line[string(contract.ArchiveFailed)], line[contract.FieldArchiveError])
	}
}

// firstKey is the name of the first object of the archive after another.
func (s *system) firstKey(ctx context.Context, after string) (string, error) {
	page, err := s.bucket.ListObjectsV2(ctx, &s3.ListObjectsV2Input{
		Bucket: aws.String(s.outputs["BucketName"]), Prefix: aws.String(contract.ArchivePrefix), StartAfter: &after,
	})
	if err != nil || len(page.Contents) == 0 {
		return "", fmt.Errorf("list the archive after %s: %v, %w", after, page, err)
	}
	return aws.ToString(page.Contents[0].Key), nil
}

// With neither place there is no 200; when the permission is back, Nylas's next try
// is accepted.
func TestNeitherQueueNorBucket(t *testing.T) {
	for _, test := range []struct {
		name   string
		body   []byte
		sids   []string
		reason contract.Reason
	}{
		{"a message", note{}.json(), []string{"SendNotifications", "Spill"}, contract.ReasonSendFailed},
		{"one too large for a message", noise(t), []string{"Overflow"}, contract.ReasonTooLarge},
	} {
		t.Run(test.name, func(t *testing.T) {
			signature := sign(sys.secret(t), test.body)
			restore := sys.without(t, test.sids...)
			line := sys.logged(t, func() {
				if got := sys.post(t, test.body, signature); got.status != http.StatusServiceUnavailable {
					t.Errorf("answered %d, want 503", got.status)
				}
			})
			if line[contract.FieldReason] != string(test.reason) || !strings.Contains(fmt.Sprint(line[contract.FieldError]), "AccessDenied") {
				t.Errorf("logged reason %v, error %v", line[contract.FieldReason], line[contract.FieldError])
			}
			if got := sys.challenge(t, challengeQuery("a")); got.status != http.StatusOK {
				t.Errorf("the challenge, which needs neither, is answered %d", got.status)
			}
			restore()
			if got := sys.post(t, test.body, signature); got.status != http.StatusOK {
				t.Errorf("sent again with the permission back: answered %d, want 200", got.status)
			}
			sys.received(t, signature)
		})
	}
}
