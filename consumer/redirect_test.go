package consumer

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

// What answers from another address is not AWS, whichever client the program made: a
// page is no body, and no record of what was handled.
func TestRedirectIsNoAnswer(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/sorry" {
				http.Redirect(w, r, "/sorry", status)
				return
			}
			w.Header().Set("Content-Type", "application/x-amz-json-1.0")
			_, _ = io.WriteString(w, "{}")
		}))
		credentials := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "id", SecretAccessKey: "key"}, nil
		})
		// The client of net/http follows every redirect.
		cfg := aws.Config{Region: "eu-west-1", Credentials: credentials, BaseEndpoint: &server.URL, HTTPClient: &http.Client{}, RetryMaxAttempts: 1}

		c := Config{Bucket: "bucket", S3: s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true })}
		if body, err := c.fetch(t.Context(), notification.Pointer{Bucket: "bucket", Key: "overflow/1"}); err == nil {
			t.Errorf("%d: the body is %q", status, body)
		}
		store, err := NewDynamoDBStore(dynamodb.NewFromConfig(cfg), "table", 0)
		if err != nil {
			t.Fatal(err)
		}
		if claim, err := store.Begin(t.Context(), "n1", "owner", time.Now().Add(time.Minute)); err == nil {
			t.Errorf("%d: Begin = %v", status, claim)
		}
		if err := store.Extend(t.Context(), "n1", "owner", time.Now().Add(time.Minute)); err == nil {
			t.Errorf("%d: extended", status)
		}
		if err := store.Complete(t.Context(), "n1", "owner"); err == nil {
			t.Errorf("%d: completed", status)
		}
		if err := store.Release(t.Context(), "n1", "owner"); err == nil {
			t.Errorf("%d: released", status)
		}
		server.Close()
	}
}
