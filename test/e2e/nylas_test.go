package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/onepagecrm/nylas-webhooks/notification"
	"github.com/onepagecrm/nylas-webhooks/test/canary"
)

// mail stands in every subject, address and text that the tests send; nothing of a
// notification but its id, type and grant may be shown anywhere.
var mail = canary.New("mail")

// answers are all that the sender was told.
type answers struct {
	mu   sync.Mutex
	text []byte
}

func (a *answers) add(header http.Header, body []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.text = append(fmt.Appendf(a.text, "%v\n", header), body...)
}

func (a *answers) all() []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.text)
}

// answer is what the webhook answered.
type answer struct {
	status int
	header http.Header
	body   string
}

// send sends one request as it is. Header values are sent one by one.
func (s *system) send(t *testing.T, method, address string, body []byte, header http.Header) answer {
	t.Helper()
	return must[answer](t)(s.try(t.Context(), method, address, body, header))
}

// try is send for several goroutines at once, which may not end a test.
func (s *system) try(ctx context.Context, method, address string, body []byte, header http.Header) (answer, error) {
	// Longer than Nylas waits: sending 5 MB through the engine takes a while.
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	request.Header = header
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{}, err
	}
	if method != http.MethodGet { // which echoes its challenge
		s.answers.add(response.Header, text)
	}
	if method == http.MethodPost && response.StatusCode == http.StatusOK {
		s.ledger.accept(body)
	}
	return answer{response.StatusCode, response.Header, string(text)}, nil
}

// post sends a notification with these values in its signature header.
func (s *system) post(t *testing.T, body []byte, signatures ...string) answer {
	t.Helper()
	header := http.Header{"Content-Type": {"application/json"}}
	for _, signature := range signatures {
		header.Add(notification.SignatureHeader, signature)
		s.mustNotLog("a signature", signature)
	}
	return s.send(t, http.MethodPost, s.url, body, header)
}

// deliver signs body with the stored secret, sends it, and expects it accepted. It
// returns the signature.
func (s *system) deliver(t *testing.T, body []byte) string {
	t.Helper()
	signature := sign(s.secret(t), body)
	if got := s.post(t, body, signature); got.status != http.StatusOK || got.body != "" {
		t.Fatalf("answered %d %q, want 200 with nothing in it", got.status, got.body)
	}
	return signature
}

func sign(secret string, body []byte) string { return notification.Sign(secret, body).String() }

func (s *system) mustNotLog(what, value string) {
	const shortest = 8 // shorter ones stand in any text
	if len(value) >= shortest {
		s.sent[value] = what
	}
}

// challenge sends a GET with this query.
func (s *system) challenge(t *testing.T, query string) answer {
	t.Helper()
	return s.send(t, http.MethodGet, s.url+query, nil, nil)
}

func challengeQuery(value string) string { return "?" + url.Values{"challenge": {value}}.Encode() }

// note is a notification as Nylas sends it. Its zero value is a good one.
type note struct {
	ID, Type, Grant string
	Attempt         int
	Text            string // in the mail's body
}

// json returns the request body. Empty fields get values of their own.
func (n note) json() []byte {
	if n.ID == "" {
		n.ID = "e2e-" + rand.Text()
	}
	if n.Type == "" {
		n.Type = "message.created"
	}
	if n.Grant == "" {
		n.Grant = "c3b0a6de-52c7-4f7e-8f1d-0b9a7de41c20"
	}
	if n.Attempt == 0 {
		n.Attempt = 1
	}
	return []byte(fmt.Sprintf(
		`{"specversion":"1.0","type":%s,"source":"/google/emails/realtime","id":%s,"time":1767607390,"webhook_delivery_attempt":%d,`+
			`"data":{"application_id":"7d1f0c52","object":{"grant_id":%s,"object":"message","subject":%s,"from":[{"email":%s}],"body":%s}}}`,
		quote(n.Type), quote(n.ID), n.Attempt, quote(n.Grant),
		quote("subject "+mail), quote(mail+"@example.com"), quote("body "+mail+" "+n.Text)))
}

func quote(text string) string {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err) // strings always marshal
	}
	return string(quoted)
}

// received waits for the message with this signature and takes it off the queue.
func (s *system) received(t *testing.T, signature string) types.Message {
	t.Helper()
	eventually(t, soon, func() string {
		if _, ok := s.inbox[signature]; ok {
			return ""
		}
		s.receive(t)
		if _, ok := s.inbox[signature]; ok {
			return ""
		}
		return "the notification is not on the queue"
	})
	m := s.inbox[signature]
	delete(s.inbox, signature)
	return m
}

// receive moves what is on the queue, ten messages at most, into the inbox.
func (s *system) receive(t *testing.T) {
	t.Helper()
	must[int](t)(s.drain(t.Context()))
}

// drain is receive without a test; it returns how many messages there were.
func (s *system) drain(ctx context.Context) (int, error) {
	queue := s.outputs["QueueUrl"]
	batch, err := s.queue.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: &queue, MaxNumberOfMessages: 10, WaitTimeSeconds: 1, MessageAttributeNames: []string{"All"},
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
	})
	if err != nil {
		return 0, fmt.Errorf("receive: %w", err)
	}
	for _, m := range batch.Messages {
		n, err := s.read(ctx, m)
		if err != nil {
			return 0, fmt.Errorf("a message that no consumer can read: %w", err)
		}
		s.ledger.arrive(n.Body)
		s.inbox[attributes(m)[notification.AttrSignature]] = m
		if _, err := s.queue.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &queue, ReceiptHandle: m.ReceiptHandle}); err != nil {
			return 0, fmt.Errorf("delete: %w", err)
		}
	}
	return len(batch.Messages), nil
}

// notReceived fails where one of the signatures' messages is on the queue. It sends a
// notification of its own and waits for that, so that everything sent before it has
// had its time.
func (s *system) notReceived(t *testing.T, signatures ...string) {
	t.Helper()
	s.received(t, s.deliver(t, note{}.json()))
	for _, signature := range signatures {
		if _, ok := s.inbox[strings.ToLower(signature)]; ok {
			t.Errorf("a notification that was refused is on the queue")
		}
	}
}

func attributes(m types.Message) map[string]string {
	values := map[string]string{}
	for name, a := range m.MessageAttributes {
		values[name] = aws.ToString(a.StringValue)
	}
	return values
}

// decoded reads a message as a consumer does.
func decoded(t *testing.T, m types.Message) notification.Notification {
	t.Helper()
	return must[notification.Notification](t)(sys.read(t.Context(), m))
}

// secret returns the stored secret. The first time there is none: then it tells the
// demo's whole story first, which stores one.
func (s *system) secret(t *testing.T) string {
	t.Helper()
	firstDemo(t)
	value := aws.ToString(must[*secretsmanager.GetSecretValueOutput](t)(s.secrets.GetSecretValue(t.Context(),
		&secretsmanager.GetSecretValueInput{SecretId: aws.String(s.outputs["SecretName"])})).SecretString)
	s.mustNotLog("a webhook secret", value)
	return value
}
