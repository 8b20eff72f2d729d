package awserror

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/onepagecrm/nylas-webhooks/internal/sdkhttp"
)

var credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: "id", SecretAccessKey: "key"}, nil
})

// canary stands for what must not be shown: a subject, a secret.
const canary = "CANARY"

// send has the SDK send a message to a server that answers so.
func send(t *testing.T, answer http.HandlerFunc) error {
	t.Helper()
	server := httptest.NewServer(answer)
	defer server.Close()
	client := sqs.NewFromConfig(aws.Config{Region: "us-east-1", Credentials: credentials, BaseEndpoint: &server.URL, RetryMaxAttempts: 1, HTTPClient: sdkhttp.Client(&http.Client{})})
	_, err := client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: aws.String(server.URL + "/1/q"), MessageBody: aws.String(canary + strings.Repeat("x", 900_000))})
	if err == nil {
		t.Fatal("no error")
	}
	return fmt.Errorf("send to queue: %w", err)
}

// refuse answers as SQS does.
func refuse(status int, code, message string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(message, "%s") { // it echoes the request
			body, _ := io.ReadAll(r.Body)
			message = fmt.Sprintf(message, body)
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		w.Header().Set("X-Amzn-RequestId", "5f8a-1")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]string{"__type": "com.amazonaws.sqs#" + code, "message": message})
	}
}

func TestText(t *testing.T) {
	const denied = "User: arn:aws:sts::123456789012:assumed-role/Receiver/x is not authorized to perform: sqs:sendmessage on resource: arn:aws:sqs:eu-west-1:123456789012:q because no identity-based policy allows the sqs:sendmessage action"
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"code, status, request":    {refuse(400, "InvalidMessageContents", "no"), "send to queue: SQS SendMessage: 400 InvalidMessageContents, request 5f8a-1"},
		"echo":                     {refuse(400, "UnsupportedOperation", "cannot take %s"), "send to queue: SQS SendMessage: 400 UnsupportedOperation, request 5f8a-1"},
		"a known message":          {refuse(403, "AccessDenied", denied), "send to queue: SQS SendMessage: 403 AccessDenied, request 5f8a-1: " + denied},
		"a known message and more": {refuse(403, "AccessDenied", denied+" %s"), "send to queue: SQS SendMessage: 403 AccessDenied, request 5f8a-1"},
		"a key":                    {refuse(400, "KmsDisabled", "arn:aws:kms:eu-west-1:123456789012:key/0 is disabled."), "send to queue: SQS SendMessage: 400 KmsDisabled, request 5f8a-1: arn:aws:kms:eu-west-1:123456789012:key/0 is disabled."},
		"a code that is a text":    {refuse(400, "x "+canary, "no"), "send to queue: SQS SendMessage: 400 an error without a code that can be shown, request 5f8a-1"},
		"a page instead of an answer": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "<html>"+canary)
		}, "send to queue: SQS SendMessage: 200 the answer cannot be read, so it is not AWS's"},
		"closed": {func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			panic(http.ErrAbortHandler)
		}, "send to queue: SQS SendMessage: the connection was closed before the answer was whole"},
	} {
		err := send(t, test.answer)
		if got := Text(err); got != test.want {
			t.Errorf("%s:\n %s\nwant\n %s", name, got, test.want)
		}
	}
}

func TestNoAnswer(t *testing.T) {
	client := sqs.NewFromConfig(aws.Config{Region: "us-east-1", Credentials: credentials, BaseEndpoint: aws.String("http://127.0.0.1:1"), RetryMaxAttempts: 1})
	in := &sqs.SendMessageInput{QueueUrl: aws.String("http://127.0.0.1:1/1/q"), MessageBody: aws.String(canary)}
	_, err := client.SendMessage(t.Context(), in)
	if got, want := Text(err), "SQS SendMessage: connection refused"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	_, err = client.SendMessage(ctx, in)
	if got, want := Text(err), "SQS SendMessage: no answer in time"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	client = sqs.NewFromConfig(aws.Config{Region: "us-east-1", Credentials: credentials, BaseEndpoint: aws.String("http://127.0.0.1:1"), RetryMaxAttempts: 2})
	_, err = client.SendMessage(t.Context(), in)
	if got, want := Text(err), "SQS SendMessage: connection refused, 2 tries"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// Answers of Secrets Manager that are broken, each in another way.
func TestNoSecretInTheText(t *testing.T) {
	for _, answer := range []string{
		`{"SecretString":"CANARY`, `{"SecretString":CANARY}`, `{"SecretString":["CANARY"]}`, `{"SecretString":{"a":"CANARY"}}`,
		`{"SecretString":"CANARY","CreatedDate":"CANARY"}`, `{"SecretString":"CANARY","VersionStages":"CANARY"}`, `"CANARY"`, `CANARY`,
		`{"SecretString":"CANARY","CreatedDate":1e400}`, `{"SecretBinary":"CANARY"}`,
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/x-amz-json-1.1")
			_, _ = io.WriteString(w, answer)
		}))
		client := secretsmanager.NewFromConfig(aws.Config{Region: "us-east-1", Credentials: credentials, BaseEndpoint: &server.URL, RetryMaxAttempts: 1})
		_, err := client.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: aws.String("s")})
		server.Close()
		if err == nil {
			continue // the SDK takes it
		}
		if text := Text(err); strings.Contains(text, canary) || !strings.HasPrefix(text, "Secrets Manager GetSecretValue: 200") {
			t.Errorf("%s: %s", answer, text)
		}
	}
}

// Every call in a joined error is described, and what is ours stays.
func TestJoined(t *testing.T) {
	err := errors.Join(send(t, refuse(500, "InternalError", "%s")), errors.New("ours"), fmt.Errorf("two: %w, %w", send(t, refuse(503, "A", "%s")), send(t, refuse(503, "B", "%s"))))
	want := "send to queue: SQS SendMessage: 500 InternalError, request 5f8a-1\nours\ntwo: send to queue: SQS SendMessage: 503 A, request 5f8a-1, send to queue: SQS SendMessage: 503 B, request 5f8a-1"
	if got := Text(err); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

func TestTextIsShort(t *testing.T) {
	long := strings.Repeat("a", 1999) + "ü" + strings.Repeat("b", 100_000)
	got := Text(errors.New(long))
	if want := strings.Repeat("a", 1999) + "…"; got != want || !utf8.ValidString(got) {
		t.Errorf("%d bytes, ends with %q", len(got), got[1990:])
	}
	if got := Text(errors.New(long[:1999])); got != long[:1999] {
		t.Errorf("a text that fits is changed: %d bytes", len(got))
	}
}
