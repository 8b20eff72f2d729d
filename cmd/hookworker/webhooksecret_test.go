package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/smithy-go"

	"github.com/onepagecrm/nylas-webhooks/consumer"
	"github.com/onepagecrm/nylas-webhooks/consumer/consumertest"
	"github.com/onepagecrm/nylas-webhooks/notification"
	"github.com/onepagecrm/nylas-webhooks/notification/samples"
)

const (
	webhookARN  = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:nylas-AbCdEf"
	firstValue  = "canary-first-value"
	secondValue = "canary-second-value"
	thirdValue  = "canary-third-value"
)

// labels is a secret of Secrets Manager: a value for each label, and when it was read.
type labels struct {
	mu        sync.Mutex
	values    map[string]string
	errs      map[string]error // by label
	noVersion bool
	reads     []time.Time // of AWSCURRENT, with which each read begins
}

func (l *labels) GetSecretValue(ctx context.Context, in *secretsmanager.GetSecretValueInput, _ ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	label := *in.VersionStage
	if *in.SecretId != webhookARN || ctx.Err() != nil {
		return nil, fmt.Errorf("asked for %s: %w", *in.SecretId, ctx.Err())
	}
	if label == "AWSCURRENT" {
		l.reads = append(l.reads, time.Now())
	}
	if err := l.errs[label]; err != nil {
		return nil, &smithy.OperationError{ServiceID: "Secrets Manager", OperationName: "GetSecretValue", Err: err}
	}
	value, ok := l.values[label]
	if !ok {
		return nil, &smithy.OperationError{ServiceID: "Secrets Manager", OperationName: "GetSecretValue", Err: &types.ResourceNotFoundException{}}
	}
	version := "v-" + label
	if l.noVersion {
		version = ""
	}
	return &secretsmanager.GetSecretValueOutput{SecretString: &value, VersionId: &version}, nil
}

// rotate stores a value, as hookctl secret rotate does.
func (l *labels) rotate(value string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if current, ok := l.values["AWSCURRENT"]; ok {
		l.values["AWSPREVIOUS"] = current
	}
	l.values["AWSCURRENT"] = value
}

func (l *labels) fail(label string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.errs = map[string]error{label: err}
}

func stage(values ...string) (*labels, *webhookSecret) {
	l := &labels{values: map[string]string{}}
	for _, value := range values {
		l.rotate(value)
	}
	return l, &webhookSecret{client: l, arn: webhookARN}
}

func want(t *testing.T, s *webhookSecret, values ...string) {
	t.Helper()
	if got, err := s.keys(t.Context()); err != nil || !slices.Equal(got, values) {
		t.Errorf("%q, %v; want %q", got, err, values)
	}
}

var mismatch = consumer.Event{Kind: consumer.Unverified, Err: fmt.Errorf("verify signature: %w", notification.ErrMismatch)}

func TestWebhookSecretIsReadOnceInFiveMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, s := stage(firstValue+"\n", secondValue) // the line feed is of echo
		for range 299 {
			want(t, s, secondValue, firstValue)
			time.Sleep(time.Second)
		}
		if len(l.reads) != 1 {
			t.Errorf("%d reads in five minutes", len(l.reads))
		}
		delete(l.values, "AWSPREVIOUS") // hookctl secret revoke-previous
		time.Sleep(time.Second)
		want(t, s, secondValue)
		if len(l.reads) != 2 {
			t.Errorf("%d reads after five minutes", len(l.reads))
		}
	})
}

func TestMismatchReadsAgainOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, s := stage(firstValue)
		want(t, s, firstValue)
		l.rotate(secondValue)
		for _, e := range []consumer.Event{{Kind: consumer.Handled}, {Kind: consumer.Failed, Err: notification.ErrMismatch}, {Kind: consumer.Unverified, Err: errors.New("of a proxy")}} {
			s.observe(e)
			time.Sleep(time.Minute)
			want(t, s, firstValue) // that says nothing of the secret
		}
		s.observe(mismatch)
		want(t, s, secondValue, firstValue)
		for range 120 { // forged ones do not stop
			s.observe(mismatch)
			want(t, s, secondValue, firstValue)
			time.Sleep(time.Second)
		}
		if len(l.reads) != 3 || l.reads[2].Sub(l.reads[1]) != time.Minute {
			t.Errorf("reads at %v, want one in the beginning, one at the mismatch and one a minute later", l.reads)
		}
		time.Sleep(time.Minute)
		want(t, s, secondValue, firstValue)
		time.Sleep(time.Minute)
		want(t, s, secondValue, firstValue)
		if len(l.reads) != 4 {
			t.Errorf("%d reads, want one more for the last mismatch and then none", len(l.reads))
		}
	})
}

func TestWithoutValuesNothingIsVerified(t *testing.T) {
	denied := errors.New("AccessDenied canary-in-the-answer")
	for name, c := range map[string]struct {
		spoil func(*labels)
		says  string
	}{
		"cannot be read":         {func(l *labels) { l.fail("AWSCURRENT", denied) }, "AWSCURRENT: Secrets Manager GetSecretValue"},
		"previous cannot be":     {func(l *labels) { l.fail("AWSPREVIOUS", denied) }, "AWSPREVIOUS: Secrets Manager GetSecretValue"},
		"a proxy answers":        {func(l *labels) { l.noVersion = true }, "look for a proxy"},
		"none is stored":         {func(l *labels) { clear(l.values) }, "store it with: hookctl secret set"},
		"empty":                  {func(l *labels) { l.rotate(" ") }, "store it with: hookctl secret set"},
		"can be guessed":         {func(l *labels) { l.rotate("canary") }, "fewer than 8 characters"},
		"is Nylas's public mock": {func(l *labels) { l.rotate(notification.MockSecret) }, "public key of Nylas's test events"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				check := func(s *webhookSecret) {
					t.Helper()
					keys, err := s.keys(t.Context())
					if keys != nil || err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), webhookVar) {
						t.Errorf("%q, %v; want none, and %q", keys, err, c.says)
					}
					if err != nil && strings.Contains(err.Error(), "canary") {
						t.Errorf("the error repeats what is secret: %v", err)
					}
				}
				l, s := stage(firstValue, secondValue)
				c.spoil(l)
				check(s)

				// Values that were read are used for five minutes, and no longer.
				l, s = stage(firstValue, secondValue)
				want(t, s, secondValue, firstValue)
				c.spoil(l)
				time.Sleep(webhookSecretAge - time.Second)
				s.observe(mismatch)
				want(t, s, secondValue, firstValue)
				time.Sleep(time.Second + failureInterval)
				check(s)
				before := len(l.reads)
				for range 60 {
					check(s)
					time.Sleep(time.Second)
				}
				if reads := len(l.reads) - before; reads != 5 {
					t.Errorf("%d reads in a minute without values, want one each 10 s", reads)
				}
				// It goes on by itself.
				l.mu.Lock()
				l.noVersion, l.errs, l.values = false, nil, map[string]string{"AWSCURRENT": thirdValue}
				l.mu.Unlock()
				time.Sleep(failureInterval)
				want(t, s, thirdValue)
			})
		})
	}
}

// A message whose worker stops does not leave the others without values.
func TestMessageThatEndsDoesNotEndTheRead(t *testing.T) {
	_, s := stage(firstValue)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if keys, err := s.keys(ctx); err != nil || len(keys) != 1 {
		t.Errorf("%q, %v", keys, err)
	}
}

// With the consumer itself: forged messages come all the time, and Nylas signs with a new
// secret from the moment on that costs most. All that Nylas signed arrives, nothing else.
func TestRotationLosesNothing(t *testing.T) {
	for after := range 12 {
		synctest.Test(t, func(t *testing.T) {
			l, s := stage(firstValue)
			queue := consumertest.NewQueue()
			send := func(id, secret string) {
				n := consumertest.Signed(fmt.Appendf(nil, `{"id":%q,"type":"message.created"}`, id))
				n.Signature = notification.Sign(secret, n.Body)
				if _, err := queue.Send(n); err != nil {
					t.Error(err)
				}
			}
			var mu sync.Mutex
			var handled []string
			observed := 0
			config := consumer.Config{
				SQS: queue, QueueURL: consumertest.URL, DeadLetterQueueURL: consumertest.DeadLetterURL,
				Logger: slog.New(slog.DiscardHandler),
				Observe: func(e consumer.Event) {
					mu.Lock()
					defer mu.Unlock()
					if e.Kind == consumer.Unverified {
						observed++
					}
				},
				Handler: func(_ context.Context, n notification.Notification) error {
					mu.Lock()
					defer mu.Unlock()
					handled = append(handled, n.ID)
					return nil
				},
			}
			s.verify(&config)
			c, err := consumer.New(config)
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error)
			go func() { ended <- c.Run(ctx) }()
			send("before", firstValue)
			for i := range 30 {
				send(fmt.Sprint("forged-", i), "a-stranger's-secret")
				time.Sleep(5 * time.Second)
				if i == after {
					l.rotate(secondValue)
					send("new", secondValue)
					send("late", firstValue)
				}
			}
			for queue.Left() > 0 {
				time.Sleep(time.Second)
			}
			stop()
			if err := <-ended; err != nil {
				t.Fatal(err)
			}
			slices.Sort(handled)
			if !slices.Equal(handled, []string{"before", "late", "new"}) || len(queue.DeadLetters()) != 30 {
				t.Errorf("rotated after %d: handled %q, %d dead letters", after, handled, len(queue.DeadLetters()))
			}
			if observed < 5*30 {
				t.Errorf("the metrics saw %d of the unverified", observed)
			}
			for i := range l.reads[1:] {
				if apart := l.reads[i+1].Sub(l.reads[i]); apart < time.Minute {
					t.Errorf("two reads %s apart", apart)
				}
			}
		})
	}
}

// The whole program: a message that Nylas did not sign does not reach the CRM, and no log
// line has a secret.
func TestRunVerifiesOnceMore(t *testing.T) {
	l, _ := stage(samples.Secret)
	queue := consumertest.NewQueue()
	amazon := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch _, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), "."); operation {
		case "GetSecretValue":
			answer(t, w, r, l.GetSecretValue)
		case "ReceiveMessage":
			answer(t, w, r, queue.ReceiveMessage)
		case "DeleteMessageBatch":
			answer(t, w, r, queue.DeleteMessageBatch)
		case "ChangeMessageVisibility":
			answer(t, w, r, queue.ChangeMessageVisibility)
		case "ChangeMessageVisibilityBatch":
			answer(t, w, r, queue.ChangeMessageVisibilityBatch)
		default:
			t.Errorf("unexpected call of %q", operation)
		}
	}))
	defer amazon.Close()
	for name, value := range map[string]string{"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key", "AWS_ENDPOINT_URL": amazon.URL,
		"AWS_CONFIG_FILE": "/nowhere", "AWS_SHARED_CREDENTIALS_FILE": "/nowhere", "AWS_PROFILE": ""} {
		t.Setenv(name, value)
	}
	server, got := crm(t, func(http.ResponseWriter, *http.Request) {})
	environ := environment(map[string]string{crmVar: server.URL, webhookVar: webhookARN, listenVar: "127.0.0.1:0", queueVar: consumertest.URL, deadVar: consumertest.DeadLetterURL})

	forged := consumertest.Sample("message_created")
	forged.ID, forged.Signature = "forged", notification.Sign("a-stranger's-secret", forged.Body)
	for _, n := range []notification.Notification{forged, consumertest.Sample("grant_expired")} {
		if _, err := queue.Send(n); err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	reader, logs := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, nil, environ, io.Discard, logs)
		_ = logs.Close()
	}()
	var unverified, handled bool
	all := &strings.Builder{}
	for lines := json.NewDecoder(io.TeeReader(reader, all)); ; {
		var line struct{ Msg string }
		if err := lines.Decode(&line); err != nil {
			break // it ended
		}
		unverified = unverified || line.Msg == "consumer: unverified"
		handled = handled || line.Msg == "consumer: handled"
		if unverified && handled {
			stop()
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if !unverified || !handled {
		t.Fatalf("the log is:\n%s", all)
	}
	if delivery := <-got; len(got) != 0 || delivery.header.Get(headerType) != "grant.expired" {
		t.Errorf("the CRM got %v and %d more", delivery.header, len(got))
	}
	if strings.Contains(all.String(), samples.Secret) {
		t.Errorf("the log is:\n%s", all)
	}

	// A worker that could verify nothing does not start.
	clear(l.values)
	ctx, stop = context.WithTimeout(t.Context(), 5*time.Second)
	defer stop()
	if err := run(ctx, nil, environ, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), "hookctl secret set") {
		t.Errorf("without a value: %v", err)
	}
}

// answer is one call of AWS, whose JSON has the names of the SDK's fields.
func answer[In, Out, Options any](t *testing.T, w http.ResponseWriter, r *http.Request, call func(context.Context, *In, ...func(*Options)) (*Out, error)) {
	in := new(In)
	if err := json.NewDecoder(r.Body).Decode(in); err != nil {
		t.Error(err)
	}
	out, err := call(r.Context(), in)
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if notFound := (*types.ResourceNotFoundException)(nil); errors.As(err, &notFound) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"__type":"ResourceNotFoundException"}`)
		return
	}
	if err != nil {
		w.WriteHeader(http.StatusBadRequest) // the worker stops
		return
	}
	text, err := json.Marshal(out)
	if err != nil {
		t.Error(err)
	}
	_, _ = w.Write(text)
}
