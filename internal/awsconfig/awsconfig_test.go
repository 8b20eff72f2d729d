package awsconfig

import (
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// alone makes the settings those of the test, not of the machine.
func alone(t *testing.T, endpoint string) {
	nowhere := filepath.Join(t.TempDir(), "none")
	for name, value := range map[string]string{
		"AWS_CONFIG_FILE": nowhere, "AWS_SHARED_CREDENTIALS_FILE": nowhere, "AWS_PROFILE": "", "AWS_CA_BUNDLE": "",
		"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key", "AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL": endpoint,
		"AWS_MAX_ATTEMPTS": "", "AWS_RETRY_MODE": "",
	} {
		t.Setenv(name, value)
	}
}

// A replay of many notifications asks the queue's key often; the SDK does not know that
// SQS's words for "too often" are a throttle.
func TestThrottledKeyIsTriedAgain(t *testing.T) {
	for name, test := range map[string]struct {
		environment map[string]string
		fails       int
		ok          bool
		calls       int
	}{
		"by default":         {nil, 2, true, 3},
		"for ever":           {nil, 9, false, 3},
		"adaptive":           {map[string]string{"AWS_RETRY_MODE": "adaptive"}, 2, true, 3},
		"as the user set it": {map[string]string{"AWS_MAX_ATTEMPTS": "1"}, 9, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			alone(t, "http://127.0.0.1:1")
			for key, value := range test.environment {
				t.Setenv(key, value)
			}
			cfg, err := Load(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			// How the SDK's retryer calls what it is made of.
			kind := reflect.ValueOf(cfg.Retryer()).Elem().FieldByName("RetryerV2").Elem().Type()
			if adaptive := kind == reflect.TypeFor[*retry.AdaptiveMode](); adaptive != (name == "adaptive") {
				t.Errorf("the retryer is a %v", kind)
			}
			calls := 0
			cfg.HTTPClient = doer(func(*http.Request) (*http.Response, error) {
				calls++
				if calls <= test.fails {
					return answer(http.StatusBadRequest, `{"__type":"com.amazonaws.sqs#KmsThrottled"}`), nil
				}
				return answer(http.StatusOK, `{"MessageId":"m-1"}`), nil
			})
			synctest.Test(t, func(t *testing.T) { // the waits between the tries take no time
				_, err := sqs.NewFromConfig(cfg).SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: aws.String("http://127.0.0.1:1/1/q"), MessageBody: aws.String("text")})
				if (err == nil) != test.ok || calls != test.calls {
					t.Errorf("SendMessage = %v after %d requests, want success: %v after %d", err, calls, test.ok, test.calls)
				}
			})
		})
	}
}

type doer func(*http.Request) (*http.Response, error)

func (d doer) Do(r *http.Request) (*http.Response, error) { return d(r) }

func answer(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}}, Body: io.NopCloser(strings.NewReader(body))}
}

// What is read through a redirect, which the SDK follows for 307 and 308, is not S3's.
func TestNoRedirects(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/sorry" {
				http.Redirect(w, r, "/sorry", status)
				return
			}
			_, _ = io.WriteString(w, "<html>")
		}))
		alone(t, server.URL)
		cfg, err := Load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		client := s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true })
		if object, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("bucket"), Key: aws.String("key")}); err == nil {
			_ = object.Body.Close()
			t.Errorf("%d: a page is taken for the object", status)
		}
		server.Close()
	}
}
