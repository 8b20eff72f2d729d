package hookctl

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/onepagecrm/nylas-webhooks/notification"
	"github.com/onepagecrm/nylas-webhooks/notification/samples"
	"github.com/onepagecrm/nylas-webhooks/test/hookctl/localstage"
	"github.com/onepagecrm/nylas-webhooks/test/rights"
)

var visibility = regexp.MustCompile(`"VisibilityTimeout":\d+`)

// between stands between hookctl and the engine. An action that is in hold does not
// get through; held says that one has come. S3's actions are called by their methods.
func between(t *testing.T, hold string) (address string, held chan string) {
	t.Helper()
	engine, err := url.Parse(os.Getenv("AWS_ENDPOINT_URL"))
	must(t, err)
	held = make(chan string)
	over := make(chan struct{})
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(engine) }}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, action, isJSON := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		if !isJSON {
			action = r.Method
		}
		switch action {
		case hold:
			select {
			case held <- action:
			case <-over:
			}
			<-over
			return
		case "ReceiveMessage":
			// A hold of seconds instead of minutes, so that the test sees its end.
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			body = visibility.ReplaceAll(body, []byte(`"VisibilityTimeout":3`))
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		close(over)
		server.Close()
	})
	return server.URL, held
}

// killAt runs hookctl until it asks for that action, and kills it there (kill -9).
func killAt(t *testing.T, action string, args ...string) {
	t.Helper()
	address, held := between(t, action)
	cmd := exec.CommandContext(t.Context(), stage.Program, args...)
	// As the root user, whose signatures the engine does not check: between changes requests.
	cmd.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+address, "AWS_ENDPOINT_URL_S3="+address)
	must(t, cmd.Start())
	select {
	case <-held:
	case <-time.After(30 * time.Second):
		t.Fatalf("no %s within 30 s", action)
	}
	must(t, cmd.Process.Kill())
	_ = cmd.Wait() // killed
}

// duplicates empties the queue and returns how many messages it had beyond one for each
// of n notifications, whose ids are of that form. None may be missing.
func duplicates(t *testing.T, n int, form string) int {
	t.Helper()
	messages, err := stage.Drain(t.Context(), stage.Queue())
	must(t, err)
	ids := map[string]int{}
	for _, m := range messages {
		ids[aws.ToString(m.MessageAttributes[notification.AttrNotificationID].StringValue)]++
	}
	for i := range n {
		if id := fmt.Sprintf(form, i); ids[id] == 0 {
			t.Errorf("%s is lost", id)
		}
	}
	return len(messages) - n
}

// TestRedriveKilled kills hookctl (kill -9) where it hurts most: when the queue has the
// messages and the dead-letter queue has them still, and before the queue has them.
func TestRedriveKilled(t *testing.T) {
	const n = 25
	for _, test := range []struct {
		at         string
		duplicates int
	}{{"DeleteMessageBatch", 10}, {"SendMessageBatch", 0}} {
		t.Run(test.at, func(t *testing.T) {
			var names []string
			for range n {
				names = append(names, "message_created")
			}
			dead(t, names...)
			killAt(t, test.at, "dlq", "redrive", "--stage", "local", "--one-by-one")
			untilVisible(t, n)

			hookctl(t, 0, "dlq", "redrive", "--stage", "local", "--one-by-one")
			if got := duplicates(t, n, "message_created-%06d"); got != test.duplicates {
				t.Errorf("%d duplicates, want %d, those of one batch", got, test.duplicates)
			}
			counts(t, 0, 0)
		})
	}
}

// TestReplayKilled kills hookctl when the queue has messages whose objects are still in
// the bucket, and before the queue has any.
func TestReplayKilled(t *testing.T) {
	const n, workers = 25, 8
	for _, test := range []struct {
		at                 string
		fewest, duplicates int
	}{{http.MethodDelete, 1, workers}, {"SendMessage", 0, 0}} {
		t.Run(test.at, func(t *testing.T) {
			must(t, stage.Empty(t.Context()))
			spill(t, n)
			killAt(t, test.at, "spill", "replay", "--stage", "local")

			hookctl(t, 0, "spill", "replay", "--stage", "local")
			if got := duplicates(t, n, "spilled-%02d"); got < test.fewest || got > test.duplicates {
				t.Errorf("%d duplicates, want %d to %d, one for each that was under way", got, test.fewest, test.duplicates)
			}
			if _, stderr := hookctl(t, 0, "spill", "ls", "--stage", "local"); !strings.Contains(stderr, "Nothing was spilled") {
				t.Errorf("something is left: %s", stderr)
			}
		})
	}
}

// spill keeps n notifications as the receiver does what SQS does not take.
func spill(t *testing.T, n int) {
	t.Helper()
	client := s3.NewFromConfig(stage.AWS, func(o *s3.Options) { o.UsePathStyle = true }) // the engine's host has no subdomain per bucket
	sample, err := samples.Get("message_created")
	must(t, err)
	for i := range n {
		wire, err := localstage.Wire(sample, fmt.Sprintf("spilled-%02d", i))
		must(t, err)
		object, err := wire.Spill()
		must(t, err)
		key := fmt.Sprintf("spill/2026/01/05/10/%08d.json.gz", i)
		_, err = client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(stage.Outputs["BucketName"]), Key: &key, Body: bytes.NewReader(object)})
		must(t, err)
	}
}

// untilVisible waits until what the killed hookctl held has come back.
func untilVisible(t *testing.T, n int) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		visible, _, err := stage.Counts(t.Context(), stage.DeadLetters())
		must(t, err)
		if visible == n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d came back within 30 s", visible, n)
		}
	}
}

func TestSentences(t *testing.T) {
	must(t, stage.Empty(t.Context()))
	user, err := rights.NewUser(t.Context(), stage.AWS, "reader")
	must(t, err)
	must(t, user.Allow(t.Context(), stage.AWS, rights.Policy{Version: "2012-10-17", Statement: []map[string]any{
		{"Sid": "Find", "Effect": "Allow", "Action": "cloudformation:Describe*", "Resource": "*"},
	}}))
	reader := user.Env
	for _, test := range []struct {
		args   string
		env    []string
		code   int
		stderr string
	}{
		{"dlq ls --stage nowhere", reader, 3, `stage "nowhere" is not deployed`},
		{"dlq ls --stage nowhere", nil, 3, "is --stage right?"}, // the operator's policy knows its own stage only
		{"dlq ls", nil, 2, "--stage is missing"},
		{"dlq ls --stage local", reader, 3, "lack a permission"},
		{"dlq redrive --stage local", reader, 3, "lack a permission"},
		{"dlq purge --stage local --yes-purge x", reader, 3, "lack a permission"},
		{"dlq export --stage local --file x", reader, 3, "lack a permission"},
		{"send --stage local message_created", reader, 3, "lack a permission"},
		{"dlq ls --stage local", []string{"AWS_ACCESS_KEY_ID=nobody"}, 3, "does not know these credentials"},
		{"dlq ls --stage local", []string{"AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY="}, 3, "no AWS credentials"},
		{"dlq ls --stage local", []string{"AWS_ENDPOINT_URL=http://127.0.0.1:1"}, 3, "nothing answers"},
		{"dlq redrive --stage local --older-than soon", nil, 2, "90m, 12h or 3d"},
		{"dlq redrive --stage local --rate 0", nil, 2, "--rate is a number from 1"},
		{"dlq export --stage local", nil, 2, "--file is missing"},
		{"dlq nonsense", nil, 2, "unknown command"},
	} {
		_, stderr := hookctlWith(t, test.code, "", test.env, strings.Fields(test.args)...)
		if !strings.Contains(stderr, test.stderr) {
			t.Errorf("hookctl %s does not say %q:\n%s", test.args, test.stderr, stderr)
		}
	}
	counts(t, 0, 0)
}
