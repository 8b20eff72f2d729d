package hookctl

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/onepagecrm/nylas-webhooks/consumer"
	"github.com/onepagecrm/nylas-webhooks/lambda/contract"
	"github.com/onepagecrm/nylas-webhooks/notification"
	"github.com/onepagecrm/nylas-webhooks/notification/samples"
)

// crm is a consumer on the stage's queue and table, and what it was told.
type crm struct {
	mu     sync.Mutex
	got    []notification.Notification
	events []consumer.Event
}

func newCRM(t *testing.T) *crm {
	t.Helper()
	c := &crm{}
	store, err := consumer.NewDynamoDBStore(dynamodb.NewFromConfig(stage.AWS), stage.Outputs["CompletedTableName"], 0)
	must(t, err)
	worker, err := consumer.New(consumer.Config{
		SQS: sqs.NewFromConfig(stage.AWS), QueueURL: stage.Queue(), Store: store,
		Secrets: func(context.Context) ([]string, error) { return []string{samples.Secret}, nil },
		Handler: func(_ context.Context, n notification.Notification) error {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.got = append(c.got, n)
			return nil
		},
		Observe: func(e consumer.Event) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.events = append(c.events, e)
		},
	})
	must(t, err)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- worker.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return c
}

// took is how often the CRM took the notification, by the replays' ids, and how many
// messages were dropped as duplicates.
func (c *crm) took(id string) (replays []string, duplicates int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range c.got {
		if n.ID == id {
			replays = append(replays, n.ReplayID)
		}
	}
	for _, e := range c.events {
		if e.Kind == consumer.Duplicate && e.NotificationID == id {
			duplicates++
		}
	}
	return replays, duplicates
}

func (c *crm) wait(t *testing.T, id string, took, duplicates int) []string {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		replays, dropped := c.took(id)
		if len(replays) == took && dropped == duplicates {
			return replays
		}
		if time.Now().After(deadline) || len(replays) > took || dropped > duplicates {
			t.Fatalf("the CRM took it %d times %v and %d were dropped, want %d and %d", len(replays), replays, dropped, took, duplicates)
		}
	}
}

// TestArchive is the whole way: a notification comes in by the front door, a copy is in the
// archive, a developer gets it, the CRM takes it once more with each replay, and no more
// often, and then it is erased.
func TestArchive(t *testing.T) {
	must(t, stage.Empty(t.Context()))
	store(t, samples.Secret)
	began := time.Now().Add(-time.Second)
	hookctl(t, 0, "send", "--stage", "local", "message_created")
	names, err := stage.Archived(t.Context())
	must(t, err)
	var key contract.ArchiveKey
	for _, name := range names {
		if k, ok := contract.ParseArchiveKey(name); ok && !k.ReceivedAt.Before(began) {
			key = k
		}
	}
	if key.ID == "" || key.GrantID == "" || key.Type != "message.created" || len(key.Signature) != 16 {
		t.Fatalf("of %v, this was just received: %+v", names, key)
	}
	c := newCRM(t)
	c.wait(t, key.ID, 1, 0)

	// The developer's program gets what Nylas signed.
	var mu sync.Mutex
	var bodies [][]byte
	program := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		signature, sigErr := notification.ParseSignature(r.Header.Get(notification.SignatureHeader))
		if err != nil || sigErr != nil || signature.Verify(body, samples.Secret) != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		bodies = append(bodies, body)
	}))
	defer program.Close()
	since := began.UTC().Format(time.RFC3339Nano)
	choice := []string{"--stage", "local", "--since", since, "--grant", key.GrantID}
	stdout, _ := hookctl(t, 0, append([]string{"forward", "--no-follow", "--to", program.URL + "/nylas"}, choice...)...)
	if len(bodies) != 1 || !bytes.Contains(bodies[0], []byte(key.ID)) || !strings.Contains(stdout, key.ID+"  200") {
		t.Errorf("%d sent to the program:\n%s", len(bodies), stdout)
	}

	// Counted, sent, and sent anew as the same replay: the CRM takes it once more.
	type counted struct {
		WouldSend struct{ Copies int } `json:"would_send"`
	}
	stdout, _ = hookctl(t, 0, append([]string{"replay", "--dry-run", "--json"}, choice...)...)
	if n := parse[counted](t, stdout).WouldSend.Copies; n != 1 {
		t.Errorf("%d would be sent:\n%s", n, stdout)
	}
	replay := append([]string{"replay", "--id", "first-" + strings.ToLower(key.Signature)}, choice...)
	hookctl(t, 0, replay...)
	c.wait(t, key.ID, 2, 0)
	hookctl(t, 0, replay...)
	c.wait(t, key.ID, 2, 1)
	hookctl(t, 0, append([]string{"replay"}, choice...)...)
	if replays := c.wait(t, key.ID, 3, 1); replays[0] != "" || replays[1] != replay[2] || len(replays[2]) != 8 {
		t.Errorf("the CRM took the replays %v", replays)
	}

	// Erased by its grant, and nothing else.
	must(t, stage.Archive(t.Context(), "grant_expired", "another grant", time.Now()))
	before, err := stage.Archived(t.Context())
	must(t, err)
	hookctl(t, 0, "archive", "erase", "--stage", "local", "--grant", key.GrantID, "--yes-erase", key.GrantID)
	left, err := stage.Archived(t.Context())
	must(t, err)
	gone := slices.DeleteFunc(before, func(name string) bool { return slices.Contains(left, name) })
	if len(gone) == 0 || !slices.Contains(gone, key.String()) {
		t.Errorf("erased %v", gone)
	}
	for _, name := range gone {
		if k, _ := contract.ParseArchiveKey(name); k.GrantID != key.GrantID {
			t.Errorf("%s is another grant's", name)
		}
	}
	if !slices.ContainsFunc(left, func(name string) bool { k, _ := contract.ParseArchiveKey(name); return k.GrantID == "another grant" }) {
		t.Errorf("of another grant nothing is left: %v", left)
	}
}
