// Package standin stands in for a deployed stage in hookctl's unit tests: the parts
// of AWS that hookctl calls, by their real protocols, and a webhook that answers as
// the status contract says. Everything listens on one loopback port.
//
// Only tests import it. It checks no permissions and no request signatures; the
// end-to-end tests do that on the engine.
package standin

import (
	"crypto/md5" //nolint:gosec // SQS's protocol has it
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/onepagecrm/nylas-webhooks/lambda/contract"
	"github.com/onepagecrm/nylas-webhooks/notification"
)

// Stage is one stand-in. Set fields before the first request.
type Stage struct {
	Server *httptest.Server
	// Webhook answers at /nylas; [Stage.Receive] when nil.
	Webhook http.HandlerFunc
	// Refuse maps an AWS action ("DescribeStacks", "ReceiveMessage", ...) to the
	// error code that it is answered with.
	Refuse map[string]string
	// Stacks are the outputs by stack name; New fills in NylasWebhooks-local.
	Stacks map[string]map[string]string
	// Protected are the stacks that have termination protection.
	Protected map[string]bool

	mu       sync.Mutex
	versions []version             // of the secret, oldest first
	queues   map[string]*[]message // by the last part of the URL: queue, dead, notices
	posts    [][]byte
	handles  int
	// Objects are those of the bucket, by key; Written is when, for those not written now.
	Objects map[string]string
	Written map[string]time.Time
	// OtherSecrets are the values of secrets beside the stage's, by name.
	OtherSecrets map[string]string
	// Puts counts the versions of the stage's secret that requests made.
	Puts int
	// Deleted and GivenBack count messages.
	Deleted, GivenBack int
}

type version struct {
	id, value string
	created   time.Time
	labels    map[string]bool
}

type message struct {
	id     string
	wire   notification.Wire
	handle string // "" while visible
}

// elsewhere is the handle of a message that somebody else has received.
const elsewhere = "somebody else's"

// New starts a stand-in for stage local, points the AWS settings of this test's
// environment at it, and ends it with the test.
func New(t *testing.T) *Stage {
	s := &Stage{Refuse: map[string]string{}, Objects: map[string]string{}, Written: map[string]time.Time{}, queues: map[string]*[]message{"queue": {}, "dead": {}, "notices": {}}}
	mux := http.NewServeMux()
	mux.HandleFunc("/nylas", func(w http.ResponseWriter, r *http.Request) {
		if s.Webhook != nil {
			s.Webhook(w, r)
			return
		}
		s.Receive(w, r)
	})
	mux.HandleFunc("POST /{$}", s.aws)
	mux.HandleFunc("GET /bucket", s.list)
	mux.HandleFunc("GET /bucket/{key...}", s.object)
	mux.HandleFunc("DELETE /bucket/{key...}", s.deleteObject)
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Server.Close)
	s.Stacks = map[string]map[string]string{"NylasWebhooks-local": {
		"WebhookUrl": s.Server.URL + "/nylas", "QueueUrl": s.Server.URL + "/000000000000/queue",
		"QueueArn": "arn:aws:sqs:us-east-1:000000000000:queue", "DeadLetterQueueUrl": s.Server.URL + "/000000000000/dead",
		"SecretName": "secret", "ConsumerPolicyArn": "arn:aws:iam::000000000000:policy/consumer", "DashboardUrl": "https://example.com/dashboard",
		"BucketName": "bucket", "SpillNoticesQueueUrl": "https://sqs.example.com/000000000000/notices",
	}}
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": s.Server.URL, "AWS_REGION": "us-east-1",
		"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_SESSION_TOKEN": "", "AWS_PROFILE": "",
		"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_MAX_ATTEMPTS": "1", "AWS_CA_BUNDLE": "", // as on most machines
	} {
		t.Setenv(name, value)
	}
	return s
}

// Receive is a webhook that follows the status contract, without its rate limits.
func (s *Stage) Receive(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		_, _ = fmt.Fprint(w, r.URL.Query().Get("challenge"))
		return
	}
	body, err := readAll(r)
	if err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	s.mu.Lock()
	s.posts = append(s.posts, body)
	s.mu.Unlock()
	signature, err := notification.ParseSignature(r.Header.Get(notification.SignatureHeader))
	switch {
	case err != nil, notification.IsTestEvent(body, signature):
		w.WriteHeader(http.StatusUnauthorized)
	case signature.Verify(body, s.Secrets()...) != nil:
		w.WriteHeader(http.StatusServiceUnavailable)
	default:
		s.Enqueue(body, signature, "request-1")
	}
}

// Enqueue puts a notification on the queue as the receiver does.
func (s *Stage) Enqueue(body []byte, signature notification.Signature, requestID string) {
	var e struct {
		ID   string `json:"id"`
		Type string `json:"type"`
		Data struct {
			GrantID string `json:"grant_id"`
			Object  struct {
				GrantID string `json:"grant_id"`
			} `json:"object"`
		} `json:"data"`
	}
	_ = json.Unmarshal(body, &e) // what is no JSON has no envelope
	grant := e.Data.GrantID
	if grant == "" {
		grant = e.Data.Object.GrantID
	}
	wire, err := notification.Notification{
		Body: body, ID: e.ID, Type: e.Type, GrantID: grant, Attempt: 1,
		ReceivedAt: time.Now(), Signature: signature, RequestID: requestID,
	}.Encode()
	if err != nil {
		panic(err)
	}
	s.add("queue", wire)
}

func (s *Stage) add(queue string, wire notification.Wire) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handles++
	q := s.queues[queue]
	*q = append(*q, message{id: "message-" + strconv.Itoa(s.handles), wire: wire})
}

// Spill keeps a notification in the bucket as the receiver does when SQS does not take it,
// written that long ago, and puts its notice on the queue of notices.
func (s *Stage) Spill(key string, wire notification.Wire, ago time.Duration) {
	object, err := wire.Spill()
	if err != nil {
		panic(err)
	}
	s.mu.Lock()
	s.Objects[key], s.Written[key] = string(object), time.Now().Add(-ago)
	s.mu.Unlock()
	s.add("notices", notification.Wire{Body: key})
}

// Archive keeps a copy of a notification as the receiver of a stage with an archive does,
// and makes the stage one.
func (s *Stage) Archive(n notification.Notification) {
	wire, err := n.Encode()
	if err != nil {
		panic(err)
	}
	object, err := wire.Spill()
	if err != nil {
		panic(err)
	}
	key := contract.ArchiveKey{ReceivedAt: n.ReceivedAt, GrantID: n.GrantID, Type: n.Type, ID: n.ID, Signature: n.Signature.String()[:16]}
	s.mu.Lock()
	defer s.mu.Unlock()
	if outputs := s.Stacks["NylasWebhooks-local"]; outputs["ArchiveDays"] == "" {
		outputs["ArchiveDays"] = "14"
	}
	s.Objects[key.String()] = string(object)
}

// ReplayIDs are those of the messages on the queue.
func (s *Stage) ReplayIDs() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []string
	for _, m := range *s.queues["queue"] {
		ids = append(ids, m.wire.Attributes[notification.AttrReplay].Value)
	}
	return ids
}

// Kept are the keys of the bucket's objects.
func (s *Stage) Kept() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.Objects))
}

// Notices is how many notices of spilled notifications there are.
func (s *Stage) Notices() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(*s.queues["notices"])
}

// Bury puts a message on the dead-letter queue.
func (s *Stage) Bury(wire notification.Wire) { s.add("dead", wire) }

// Hold lets somebody else receive the first dead letter, and never give it back.
func (s *Stage) Hold() {
	s.mu.Lock()
	defer s.mu.Unlock()
	(*s.queues["dead"])[0].handle = elsewhere
}

// Posts returns the bodies of all POSTs to the webhook.
func (s *Stage) Posts() [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.posts
}

// Queued is how many messages are on the queue, hidden ones included.
func (s *Stage) Queued() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(*s.queues["queue"])
}

// Buried is how many dead letters there are, hidden ones included.
func (s *Stage) Buried() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(*s.queues["dead"])
}

func (s *Stage) aws(w http.ResponseWriter, r *http.Request) {
	body, err := readAll(r)
	if err != nil {
		panic(err)
	}
	target := r.Header.Get("X-Amz-Target")
	if target == "" {
		s.cloudFormation(w, string(body))
		return
	}
	_, action, _ := strings.Cut(target, ".")
	if code := s.Refuse[action]; code != "" {
		refuse(w, code, "refused by the test")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var answer any
	switch action {
	case "ReceiveMessage", "DeleteMessageBatch", "ChangeMessageVisibilityBatch", "GetQueueAttributes", "SendMessage", "SendMessageBatch", "PurgeQueue":
		answer = s.sqs(action, body)
	case "ListMessageMoveTasks": // as the local engine
		refuse(w, "InvalidAction", action)
		return
	default:
		s.secretsManager(w, action, body)
		return
	}
	reply(w, answer)
}

func reply(w http.ResponseWriter, answer any) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		panic(err)
	}
}

func refuse(w http.ResponseWriter, code, message string) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.WriteHeader(http.StatusBadRequest)
	_, _ = fmt.Fprintf(w, `{"__type":%q,"message":%q}`, code, message)
}

func md5hex(text string) string {
	sum := md5.Sum([]byte(text)) //nolint:gosec // SQS's protocol has it
	return hex.EncodeToString(sum[:])
}
