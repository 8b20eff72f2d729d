package hookctl

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/onepagecrm/nylas-webhooks/notification"
	"github.com/onepagecrm/nylas-webhooks/notification/samples"
)

// dead puts samples on the queue and makes dead letters of them.
func dead(t *testing.T, names ...string) {
	t.Helper()
	must(t, stage.Empty(t.Context()))
	must(t, stage.Send(t.Context(), names...))
	must(t, stage.Kill(t.Context()))
	counts(t, 0, len(names))
}

// counts checks how many messages are visible on the queue and on the dead-letter
// queue, and that nobody holds any.
func counts(t *testing.T, queue, deadLetters int) {
	t.Helper()
	for url, want := range map[string]int{stage.Queue(): queue, stage.DeadLetters(): deadLetters} {
		visible, hidden, err := stage.Counts(t.Context(), url)
		must(t, err)
		if visible != want || hidden != 0 {
			t.Fatalf("%s has %d visible and %d hidden messages, want %d and 0", filepath.Base(url), visible, hidden, want)
		}
	}
}

type listed struct {
	Letters []struct {
		MessageID      string `json:"message_id"`
		NotificationID string `json:"notification_id"`
		Type           string
		Receives       int
	}
}

func TestDLQListGivesBack(t *testing.T) {
	dead(t, slices.Repeat([]string{"message_created", "grant_expired", "message_created_truncated"}, 9)...)
	for _, test := range []struct {
		args string
		want int
	}{
		{"", 27}, {"--max 5", 5}, {"--type message.created", 18}, {"--type message", 18}, {"--type message.create", 0},
		{"--type grant.expired", 9}, {"--grant nobody", 0}, {"--older-than 1h", 0}, {"--newer-than 1h", 27}, {"--newer-than 2d", 27},
	} {
		stdout, stderr := hookctl(t, 0, append([]string{"dlq", "ls", "--stage", "local", "--json"}, strings.Fields(test.args)...)...)
		if got := parse[listed](t, stdout); len(got.Letters) != test.want {
			t.Errorf("ls %s lists %d, want %d", test.args, len(got.Letters), test.want)
		}
		if !strings.Contains(stderr, "receive count") || !strings.Contains(stderr, "hidden from others") {
			t.Errorf("ls does not say what looking does: %s", stderr)
		}
		counts(t, 0, 27)
	}
}

func TestDLQShow(t *testing.T) {
	dead(t, "message_created", "grant_expired")
	sample, err := samples.Get("message_created")
	must(t, err)
	stdout, _ := hookctl(t, 0, "dlq", "show", "message_created-000000", "--stage", "local")
	if strings.Contains(stdout, "subject") || strings.Contains(stdout, "@") {
		t.Errorf("show prints the body without being asked:\n%s", stdout)
	}
	if !strings.Contains(stdout, sample.Signature) || !strings.Contains(stdout, "c3b0a6de") {
		t.Errorf("show lacks signature or grant:\n%s", stdout)
	}
	stdout, _ = hookctl(t, 0, "dlq", "show", "message_created-000000", "--stage", "local", "--body")
	if stdout != string(sample.Body) {
		t.Errorf("the body differs:\n%q\n%q", stdout, sample.Body)
	}
	stdout, _ = hookctl(t, 0, "dlq", "show", "message_created-000000", "--stage", "local", "--json")
	if strings.Contains(stdout, "subject") {
		t.Errorf("--json holds the body without being asked:\n%s", stdout)
	}
	_, stderr := hookctl(t, 1, "dlq", "show", "nobody", "--stage", "local")
	if !strings.Contains(stderr, "hookctl dlq ls --stage local") {
		t.Errorf("not found is not explained: %s", stderr)
	}
	counts(t, 0, 2)
}

func TestDLQRedrive(t *testing.T) {
	for _, test := range []struct {
		args        string
		queue, left int
	}{
		{"", 6, 0}, {"--one-by-one", 6, 0}, {"--type message", 4, 2}, {"--type message --max 1", 1, 5}, {"--max 3 --rate 10", 3, 3},
		{"--older-than 1h", 0, 6}, {"--dry-run", 0, 6}, {"--grant nobody", 0, 6}, {"--type grant.expired --json", 2, 4},
	} {
		t.Run(test.args, func(t *testing.T) {
			dead(t, slices.Repeat([]string{"message_created", "grant_expired", "message_created_truncated"}, 2)...)
			_, stderr := hookctl(t, 0, append([]string{"dlq", "redrive", "--stage", "local"}, strings.Fields(test.args)...)...)
			if fellBack := strings.Contains(stderr, "SQS cannot move them here"); fellBack != (test.args == "") {
				t.Errorf("fallback to the loop said: %v\n%s", fellBack, stderr)
			}
			counts(t, test.queue, test.left)
		})
	}
}

func TestDLQRedriveKeepsEverything(t *testing.T) {
	must(t, stage.Empty(t.Context()))
	client := sqs.NewFromConfig(stage.AWS)
	want := map[string]types.MessageAttributeValue{
		"binary": {DataType: aws.String("Binary"), BinaryValue: []byte{0, 1, 255}},
		"number": {DataType: aws.String("Number"), StringValue: aws.String("3")},
		"custom": {DataType: aws.String("String.own"), StringValue: aws.String("ü")},
	}
	_, err := client.SendMessage(t.Context(), &sqs.SendMessageInput{
		QueueUrl: aws.String(stage.DeadLetters()), MessageBody: aws.String("a\\/b \U0001F600\n"), MessageAttributes: want, MessageGroupId: aws.String("a-group"),
	})
	must(t, err)
	hookctl(t, 0, "dlq", "redrive", "--stage", "local")
	messages, err := stage.Drain(t.Context(), stage.Queue())
	must(t, err)
	if len(messages) != 1 {
		t.Fatalf("%d messages on the queue, want 1", len(messages))
	}
	m := messages[0]
	if *m.Body != "a\\/b \U0001F600\n" || m.Attributes["MessageGroupId"] != "a-group" || len(m.MessageAttributes) != 3 {
		t.Errorf("message %q, group %q, %d attributes", *m.Body, m.Attributes["MessageGroupId"], len(m.MessageAttributes))
	}
	for name, w := range want {
		g := m.MessageAttributes[name]
		if aws.ToString(g.DataType) != *w.DataType || aws.ToString(g.StringValue) != aws.ToString(w.StringValue) || !bytes.Equal(g.BinaryValue, w.BinaryValue) {
			t.Errorf("attribute %s: %+v, want %+v", name, g, w)
		}
	}
}

func TestDLQExport(t *testing.T) {
	dead(t, "message_created", "grant_expired")
	client := sqs.NewFromConfig(stage.AWS)
	odd := notification.Notification{Body: []byte("\xff\x00odd"), ID: "odd"}
	wire, err := odd.Encode()
	must(t, err)
	_, err = client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: aws.String(stage.DeadLetters()), MessageBody: &wire.Body, MessageAttributes: map[string]types.MessageAttributeValue{
		notification.AttrContractVersion: {DataType: aws.String("String"), StringValue: aws.String(notification.ContractVersion)},
		notification.AttrEncoding:        {DataType: aws.String("String"), StringValue: aws.String(notification.EncodingGzipBase64)},
		notification.AttrNotificationID:  {DataType: aws.String("String"), StringValue: aws.String("odd")},
	}})
	must(t, err)
	_, err = client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: aws.String(stage.DeadLetters()), MessageBody: aws.String("somebody else's")})
	must(t, err)

	dir := t.TempDir()
	file := filepath.Join(dir, "dead.jsonl")
	hookctl(t, 0, "dlq", "export", "--stage", "local", "--file", file)
	info, err := os.Stat(file)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want 0600", info.Mode())
	}
	text, err := os.ReadFile(file)
	must(t, err)
	got := map[string]string{}
	for line := range bytes.Lines(text) {
		var l struct {
			ID         string `json:"notification_id"`
			Body       *string
			BodyBase64 []byte `json:"body_base64"`
		}
		must(t, json.Unmarshal(line, &l))
		got[l.ID] = string(l.BodyBase64)
		if l.Body != nil {
			got[l.ID] = *l.Body
		}
	}
	sample, err := samples.Get("message_created")
	must(t, err)
	for id, want := range map[string]string{"message_created-000000": string(sample.Body), "odd": string(odd.Body), "": "somebody else's"} {
		if got[id] != want {
			t.Errorf("exported %q of %q, want %q", got[id], id, want)
		}
	}
	_, stderr := hookctl(t, 2, "dlq", "export", "--stage", "local", "--file", file)
	if !strings.Contains(stderr, "is there already") {
		t.Errorf("an existing file is not explained: %s", stderr)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("%v left beside the export, %v", entries, err)
	}
	counts(t, 0, 4)
}

func TestDLQPurge(t *testing.T) {
	dead(t, "message_created")
	name := filepath.Base(stage.DeadLetters())
	for _, stdin := range []string{"", "yes\n", name + "\n"} { // nobody is at a terminal
		_, stderr := hookctlWith(t, 2, stdin, nil, "dlq", "purge", "--stage", "local")
		if !strings.Contains(stderr, "give --yes-purge "+name) {
			t.Errorf("does not say how a script confirms it: %s", stderr)
		}
	}
	hookctl(t, 2, "dlq", "purge", "--stage", "local", "--yes-purge", "local")
	counts(t, 0, 1)
	hookctl(t, 0, "dlq", "purge", "--stage", "local", "--yes-purge", name)
	counts(t, 0, 0)
	hookctl(t, 0, "dlq", "purge", "--stage", "local", "--yes-purge", name)
}

func TestDLQHundreds(t *testing.T) {
	var names []string
	for i := range 300 {
		names = append(names, []string{"message_created", "grant_expired", "contact_updated"}[i%3])
	}
	dead(t, names...)
	stdout, _ := hookctl(t, 0, "dlq", "redrive", "--stage", "local", "--one-by-one", "--json")
	var result struct{ Moved, Duplicated int }
	must(t, json.Unmarshal([]byte(stdout), &result))
	messages, err := stage.Drain(t.Context(), stage.Queue())
	must(t, err)
	ids := map[string]bool{}
	for _, m := range messages {
		ids[aws.ToString(m.MessageAttributes[notification.AttrNotificationID].StringValue)] = true
	}
	if result.Moved != 300 || len(messages) != 300 || len(ids) != 300 {
		t.Errorf("moved %d; %d messages with %d ids on the queue, want 300", result.Moved, len(messages), len(ids))
	}
	for i, name := range names {
		if id := fmt.Sprintf("%s-%06d", name, i); !ids[id] {
			t.Errorf("%s is not on the queue", id)
		}
	}
	counts(t, 0, 0)
}

// A body that was too large for SQS is read from the bucket, and a letter whose object is
// gone is exported as far as it goes.
func TestDLQBodyInS3(t *testing.T) {
	must(t, stage.Empty(t.Context()))
	client := sqs.NewFromConfig(stage.AWS)
	objects := s3.NewFromConfig(stage.AWS, func(o *s3.Options) { o.UsePathStyle = true })
	bucket := stage.Outputs["BucketName"]
	body := `{"id":"large","type":"message.created"}`
	for _, id := range []string{"large", "gone"} {
		plain, err := notification.Notification{Body: []byte(body), ID: id, Attempt: 3, RequestID: "request"}.Encode()
		must(t, err)
		wire, err := plain.Compress()
		must(t, err)
		pointer, err := wire.Overflow(notification.Pointer{Bucket: bucket, Key: "overflow/" + id})
		must(t, err)
		if id == "large" {
			_, err = objects.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: aws.String("overflow/" + id), Body: strings.NewReader(wire.Body)})
			must(t, err)
		}
		in := &sqs.SendMessageInput{QueueUrl: aws.String(stage.DeadLetters()), MessageBody: &pointer.Body, MessageAttributes: map[string]types.MessageAttributeValue{}}
		for name, a := range pointer.Attributes {
			in.MessageAttributes[name] = types.MessageAttributeValue{DataType: aws.String(a.DataType), StringValue: aws.String(a.Value)}
		}
		_, err = client.SendMessage(t.Context(), in)
		must(t, err)
	}
	if stdout, _ := hookctl(t, 0, "dlq", "show", "large", "--stage", "local", "--body"); stdout != body {
		t.Errorf("the body is %q", stdout)
	}
	stdout, stderr := hookctl(t, 1, "dlq", "show", "gone", "--stage", "local", "--body")
	if stdout != "" || !strings.Contains(stderr, "overflow/gone") {
		t.Errorf("printed %q, %s", stdout, stderr)
	}
	file := filepath.Join(t.TempDir(), "dead.jsonl")
	stdout, _ = hookctl(t, 1, "dlq", "export", "--stage", "local", "--file", file, "--json")
	if got := parse[struct {
		Exported int
		Missing  int `json:"bodies_missing"`
	}](t, stdout); got.Exported != 2 || got.Missing != 1 {
		t.Errorf("%+v", got)
	}
	text, err := os.ReadFile(file)
	must(t, err)
	if n := bytes.Count(text, []byte(`"delivery_attempt":3`)); n != 2 || !bytes.Contains(text, []byte(`"request_id":"request"`)) {
		t.Errorf("attempt or request are missing:\n%s", text)
	}
	counts(t, 0, 2)
}

// What somebody else has received is said, and not purged.
func TestDLQInFlight(t *testing.T) {
	dead(t, "message_created", "grant_expired")
	client := sqs.NewFromConfig(stage.AWS)
	taken, err := client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: aws.String(stage.DeadLetters()), MaxNumberOfMessages: 1, VisibilityTimeout: 60})
	must(t, err)
	file := filepath.Join(t.TempDir(), "dead.jsonl")
	for _, args := range [][]string{{"ls"}, {"export", "--file", file}, {"purge", "--yes-purge", filepath.Base(stage.DeadLetters())}, {"redrive"}} {
		_, stderr := hookctl(t, 1, append(append([]string{"dlq"}, args...), "--stage", "local")...)
		if !strings.Contains(stderr, "in flight") {
			t.Errorf("%s does not say it: %s", args[0], stderr)
		}
	}
	_, err = client.ChangeMessageVisibility(t.Context(), &sqs.ChangeMessageVisibilityInput{QueueUrl: aws.String(stage.DeadLetters()), ReceiptHandle: taken.Messages[0].ReceiptHandle})
	must(t, err)
	hookctl(t, 0, "dlq", "redrive", "--stage", "local")
	counts(t, 2, 0)
}
