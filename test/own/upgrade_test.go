package own

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/onepagecrm/nylas-webhooks/internal/awsconfig"
	"github.com/onepagecrm/nylas-webhooks/notification"
	"github.com/onepagecrm/nylas-webhooks/test/engine"
)

// releases are what a company may come from, each with the commit that it is made of.
// Add each release here.
var releases = []struct{ version, commit string }{
	{"v0.1.0", "9e93a042e0273a86643f0e5520295dd4d6eef709"},
	{"v0.2.0", "d27876b9b8e82863f159827db95c2f7f1d22f5ea"},
}

// keeps are the types of resources that must stay the same: those that hold data, and what
// makes the URL that is registered at Nylas.
var keeps = map[string]bool{
	"AWS::SQS::Queue": true, "AWS::S3::Bucket": true, "AWS::SecretsManager::Secret": true, "AWS::DynamoDB::Table": true,
	"AWS::KMS::Key": true, "AWS::ApiGateway::RestApi": true,
}

const upgraded, upgradedSecret = "NylasWebhooks-local", "0123456789abcdefghijklmnopqrstuv"

// From the first release to this commit, as a company's repository, while Nylas sends.
func TestUpgradesUnderTraffic(t *testing.T) {
	cfg, err := awsconfig.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	stacks := cloudformation.NewFromConfig(cfg)
	var outputs map[string]string
	var before map[string]string
	var traffic *traffic
	step := func(version, dir string) {
		began := time.Now()
		outputs = deploy(t, dir, upgraded)
		now := physical(t, stacks)
		for id, name := range before {
			switch {
			case now[id] == "":
				t.Errorf("%s: %s is gone, and what it held", version, id)
			case now[id] != name:
				t.Errorf("%s: %s was replaced: %s before, %s now", version, id, name, now[id])
			}
		}
		t.Logf("%s deployed in %.0f s, %d resources that must stay", version, time.Since(began).Seconds(), len(now))
		before = now
		if traffic == nil {
			if _, err := secretsmanager.NewFromConfig(cfg).PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{
				SecretId: aws.String(outputs["SecretName"]), SecretString: aws.String(upgradedSecret)}); err != nil {
				t.Fatal(err)
			}
			traffic = send(t, outputs["WebhookUrl"], 2*time.Second)
		}
		traffic.more(t, 50) // with this version, whatever the deployment took
	}
	for _, release := range releases {
		step(release.version, checkout(t, release.commit))
	}
	dir := repository(t, onEngine)
	edit(t, filepath.Join(dir, "main.go"), "[]stages.Stage{crmdev}", "[]stages.Stage{crmdev, stages.Local()}")
	in(t, dir, "go", "mod", "tidy")
	step("this commit", dir)

	sent := traffic.stop()
	got := arrived(t, sqs.NewFromConfig(cfg), outputs["QueueUrl"])
	spilled := objects(t, s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true }), outputs["BucketName"])
	lost := 0
	for _, body := range sent {
		if !got[body] {
			lost++
		}
	}
	t.Logf("%d sent, %d tries refused, %d given up, %d lost, %d in the bucket", len(sent)+traffic.givenUp, traffic.refused, traffic.givenUp, lost, spilled)
	if lost > spilled || traffic.givenUp > 0 {
		t.Errorf("%d lost, %d given up of %d", lost-spilled, traffic.givenUp, len(sent))
	}
	if len(sent) < 150 {
		t.Errorf("only %d were sent", len(sent))
	}
}

// checkout returns a folder with the source of a commit.
func checkout(t *testing.T, commit string) string {
	t.Helper()
	dir := t.TempDir()
	if _, err := engine.RunIn(t.Context(), local.Root, "git", "cat-file", "-e", commit); err != nil {
		t.Fatalf("commit %s of a release is not in this clone. Fetch the history: git fetch --unshallow", commit)
	}
	in(t, local.Root, "sh", "-c", `git archive "$0" | tar -x -C "$1"`, commit, dir)
	return dir
}

// physical returns the physical ids of what must stay, by logical id.
func physical(t *testing.T, stacks *cloudformation.Client) map[string]string {
	t.Helper()
	answer, err := stacks.DescribeStackResources(t.Context(), &cloudformation.DescribeStackResourcesInput{StackName: aws.String(upgraded)})
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]string{}
	for _, r := range answer.StackResources {
		if keeps[aws.ToString(r.ResourceType)] {
			ids[aws.ToString(r.LogicalResourceId)] = aws.ToString(r.PhysicalResourceId)
		}
	}
	if len(ids) < 7 {
		t.Fatalf("only %d resources must stay: %v", len(ids), ids)
	}
	return ids
}

// traffic is Nylas, which sends one notification after the other, each three times at
// most.
type traffic struct {
	url    string
	wait   time.Duration // between two tries; it stands for the 10 to 20 minutes of Nylas
	cancel context.CancelFunc
	ended  chan struct{}

	mu               sync.Mutex
	changed          *sync.Cond
	accepted         []string // bodies
	refused, givenUp int
}

func send(t *testing.T, webhook string, wait time.Duration) *traffic {
	t.Helper()
	url, err := engine.Webhook(webhook)
	if err != nil {
		t.Fatal(err)
	}
	return sendTo(t, url, wait)
}

func sendTo(t *testing.T, url string, wait time.Duration) *traffic {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	s := &traffic{url: url, wait: wait, cancel: cancel, ended: make(chan struct{})}
	s.changed = sync.NewCond(&s.mu)
	go func() {
		defer close(s.ended)
		for i := 0; ctx.Err() == nil; i++ {
			s.one(fmt.Sprintf(`{"id":"upgrade-%d","type":"message.created"}`, i))
		}
	}()
	return s
}

func (s *traffic) one(body string) {
	for try := range 3 {
		if try > 0 {
			time.Sleep(s.wait)
		}
		err := s.post(body)
		s.mu.Lock()
		if err == nil {
			s.accepted = append(s.accepted, body)
		} else {
			s.refused++
		}
		s.changed.Broadcast()
		s.mu.Unlock()
		if err == nil {
			return
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.givenUp++
}

func (s *traffic) post(body string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second) // Nylas's
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader([]byte(body)))
	if err != nil {
		return err
	}
	request.Header.Set("X-Nylas-Signature", notification.Sign(upgradedSecret, []byte(body)).String())
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("answered %d", answer.StatusCode)
	}
	return nil
}

// more waits until n more were accepted.
func (s *traffic) more(t *testing.T, n int) {
	t.Helper()
	stop := context.AfterFunc(t.Context(), s.changed.Broadcast)
	defer stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for want := len(s.accepted) + n; len(s.accepted) < want && t.Context().Err() == nil && s.givenUp < 10; {
		s.changed.Wait()
	}
	if s.givenUp >= 10 {
		t.Fatalf("ten were given up, %d accepted", len(s.accepted))
	}
}

// failures is how many tries were refused until now.
func (s *traffic) failures() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused
}

// stop ends the sending and returns what was accepted.
func (s *traffic) stop() []string {
	s.cancel()
	<-s.ended
	return s.accepted
}

// arrived empties the queue.
func arrived(t *testing.T, queue *sqs.Client, url string) map[string]bool {
	t.Helper()
	got := map[string]bool{}
	for {
		answer, err := queue.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: 10, WaitTimeSeconds: 2})
		if err != nil {
			t.Fatal(err)
		}
		if len(answer.Messages) == 0 {
			return got
		}
		remove := &sqs.DeleteMessageBatchInput{QueueUrl: &url}
		for i, m := range answer.Messages {
			got[aws.ToString(m.Body)] = true
			remove.Entries = append(remove.Entries, types.DeleteMessageBatchRequestEntry{Id: aws.String(fmt.Sprint(i)), ReceiptHandle: m.ReceiptHandle})
		}
		if _, err := queue.DeleteMessageBatch(t.Context(), remove); err != nil {
			t.Fatal(err)
		}
	}
}

// objects is how many notifications were put into the bucket.
func objects(t *testing.T, bucket *s3.Client, name string) int {
	t.Helper()
	answer, err := bucket.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &name, Prefix: aws.String("spill/")})
	if err != nil {
		t.Fatal(err)
	}
	return len(answer.Contents)
}
