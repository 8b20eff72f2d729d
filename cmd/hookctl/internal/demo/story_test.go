package demo

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/secret"
	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/sender"
	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/standin"
	"github.com/onepagecrm/nylas-webhooks/internal/awsconfig"
	"github.com/onepagecrm/nylas-webhooks/notification"
	"github.com/onepagecrm/nylas-webhooks/notification/samples"
)

func newStory(t *testing.T, stage *standin.Stage) Story {
	t.Helper()
	cfg, err := awsconfig.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	url := stage.Server.URL + "/nylas"
	return Story{
		Stage: "local", URL: url, Webhook: sender.New(url, 1), Samples: samples.All(),
		Secrets:  secret.Store{API: secretsmanager.NewFromConfig(cfg), Name: "secret"},
		Queue:    SQS{API: sqs.NewFromConfig(cfg), URL: stage.Server.URL + "/000000000000/queue"},
		Patience: time.Second, Arrival: 100 * time.Millisecond,
		Done: func(Step) {}, Wait: func(string) {},
	}
}

// TestRunWaitsForTheSecret: the function may still hold "no secret" for a while.
func TestRunWaitsForTheSecret(t *testing.T) {
	stage := standin.New(t)
	behind := 2 // POSTs after which the function knows the secret
	stage.Webhook = func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && len(stage.Secrets()) > 0 && behind > 0 {
			behind--
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		stage.Receive(w, r)
	}
	story := newStory(t, stage)
	story.Patience = Patience
	var waits []string
	story.Wait = func(sentence string) { waits = append(waits, sentence) }
	result, err := story.Run(t.Context())
	if err != nil || !result.OK() || result.Reached != 10 {
		t.Errorf("error %v, result %+v", err, result)
	}
	if len(waits) != 1 {
		t.Errorf("told %d times that it waits, want once: %q", len(waits), waits)
	}
}

// crm is a CRM that gets some of what it should.
type crm struct{ arrived int }

func (c crm) Deliver(_ context.Context, want map[string][]byte) (int, int, error) {
	return min(c.arrived, len(want)), 0, nil
}

// TestRunLeavesTheQueueToTheCRM: what the demo looked at is given back for the worker.
func TestRunLeavesTheQueueToTheCRM(t *testing.T) {
	for arrived, ok := range map[int]bool{10: true, 9: false} {
		stage := standin.New(t)
		story := newStory(t, stage)
		story.CRM = crm{arrived}
		result, err := story.Run(t.Context())
		if err != nil || result.OK() != ok || result.Reached != 10 {
			t.Errorf("%d arrived: error %v, OK %t with %d reached", arrived, err, result.OK(), result.Reached)
		}
		left, err := story.Queue.Receive(t.Context())
		if err != nil || len(left) != 10 {
			t.Errorf("%d messages are left for the worker (%v), want 10", len(left), err)
		}
	}
}

// TestRunSees breaks the stage in one way each; the demo must not be content.
func TestRunSees(t *testing.T) {
	for _, test := range []struct {
		name    string
		webhook func(*standin.Stage) http.HandlerFunc
		reached int
		step    string // of one that is not OK
	}{
		{"a mock in place of the function", func(*standin.Stage) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "Mock") }
		}, 0, "challenge, as when a webhook is created"},
		{"a challenge that is not echoed", func(s *standin.Stage) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodGet {
					_, _ = fmt.Fprintf(w, "%q", r.URL.Query().Get("challenge"))
					return
				}
				s.Receive(w, r)
			}
		}, 10, "challenge, as when a webhook is created"},
		{"a body parsed and written again", func(s *standin.Stage) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				accept(s, w, r, func(body []byte) []byte { return bytes.ReplaceAll(body, []byte("é"), []byte(`\u00e9`)) }, "request-1")
			}
		}, 9, ""},
		{"no request id", func(s *standin.Stage) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				accept(s, w, r, func(body []byte) []byte { return body }, "")
			}
		}, 0, ""},
		{"forged ones let in", func(s *standin.Stage) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				signature, _ := notification.ParseSignature(r.Header.Get(notification.SignatureHeader))
				if r.Method == http.MethodPost && len(s.Secrets()) > 0 {
					s.Enqueue(body, signature, "request-1")
					return
				}
				s.Receive(w, r)
			}
		}, 10, "refused ones that reached the queue"},
	} {
		t.Run(test.name, func(t *testing.T) {
			stage := standin.New(t)
			stage.Webhook = test.webhook(stage)
			result, err := newStory(t, stage).Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if result.OK() || result.Reached != test.reached {
				t.Errorf("OK %t with %d reached, want false with %d", result.OK(), result.Reached, test.reached)
			}
			if test.step != "" && !slices.ContainsFunc(result.Steps, func(s Step) bool { return s.Name == test.step && !s.OK }) {
				t.Errorf("step %q is content: %+v", test.step, result.Steps)
			}
		})
	}
}

// accept does what the stand-in's webhook does, but changes what goes on the queue.
func accept(s *standin.Stage, w http.ResponseWriter, r *http.Request, change func([]byte) []byte, requestID string) {
	body, _ := io.ReadAll(r.Body)
	signature, err := notification.ParseSignature(r.Header.Get(notification.SignatureHeader))
	if err == nil && signature.Verify(body, s.Secrets()...) == nil {
		s.Enqueue(change(body), signature, requestID)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	s.Receive(w, r)
}
