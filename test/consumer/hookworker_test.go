package consumer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/onepagecrm/nylas-webhooks/notification"
	"github.com/onepagecrm/nylas-webhooks/notification/samples"
	"github.com/onepagecrm/nylas-webhooks/test/canary"
)

const signingSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// standInCRM verifies every delivery by the official library, answers 503 with a
// Retry-After of 2 s to the first two, 422 to one sample, and takes the rest.
type standInCRM struct {
	t        *testing.T
	verifier *standardwebhooks.Webhook

	mu       sync.Mutex
	refused  []time.Time
	resumed  time.Time // the first call after the last refusal
	taken    map[string][]byte
	rejected int
}

func (c *standInCRM) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		c.t.Error(err)
	}
	if err := c.verifier.Verify(body, r.Header); err != nil {
		c.t.Errorf("delivery does not verify: %v", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.refused) < 2 {
		c.refused = append(c.refused, time.Now())
		w.Header().Set("Retry-After", "2")
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if c.resumed.IsZero() {
		c.resumed = time.Now()
	}
	id := r.Header.Get("webhook-id")
	if id == "rejected" {
		c.rejected++
		w.WriteHeader(http.StatusUnprocessableEntity)
		return
	}
	if c.taken[id] != nil {
		c.t.Errorf("%s came twice", id)
	}
	c.taken[id] = body
}

// TestHookworker runs the real program between a real queue and an HTTP server.
func TestHookworker(t *testing.T) {
	q, table := newQueues(t), newTable(t)
	verifier, err := standardwebhooks.NewWebhook(signingSecret)
	if err != nil {
		t.Fatal(err)
	}
	crm := &standInCRM{t: t, verifier: verifier, taken: map[string][]byte{}}
	server := httptest.NewServer(crm)
	defer server.Close()

	var notes []notification.Notification
	for _, s := range samples.All() {
		n := note(s.Name)
		n.Body, n.Signature = s.Body, notification.Sign(secret, s.Body)
		notes = append(notes, n, n) // and a duplicate
	}
	smoke := note("smoke")
	smoke.Type = notification.SmokeTestType
	notes = append(notes, smoke, note("rejected"))
	send(t, q.url, notes...)
	large := note("large")
	large.Body = noise(t)
	large.Signature = notification.Sign(secret, large.Body)
	sendOverflowing(t, q.url, large)

	binary := filepath.Join(t.TempDir(), "hookworker")
	if out, err := exec.Command("go", "build", "-o", binary, "../../cmd/hookworker").CombinedOutput(); err != nil {
		t.Fatalf("build: %v: %s", err, out)
	}
	address := freeAddress(t)
	program := exec.Command(binary)
	program.Env = append(worker(t).Environ(), "HOOKWORKER_QUEUE_URL="+q.url, "HOOKWORKER_DEAD_LETTER_QUEUE_URL="+q.dead,
		"HOOKWORKER_CRM_URL="+server.URL+"/hooks", "HOOKWORKER_SIGNING_SECRETS="+signingSecret, "HOOKWORKER_TABLE="+table, "HOOKWORKER_BUCKET="+stage.Outputs["BucketName"], "HOOKWORKER_LISTEN="+address)
	logs := new(lockedBuffer)
	program.Stderr = logs
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("hookworker's log:\n%s", logs)
		}
	})
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = program.Process.Kill() }() // where the test has failed; else it has ended

	await(t, "the queue is empty", 30*time.Second, func() bool { return depth(t, q.url) == 0 })
	for page, want := range map[string][]string{
		"/livez": {"ok"}, "/readyz": {"ok"},
		"/metrics": {`hookworker_events_total{kind="rejected"} 1`, `hookworker_crm_answers_total{status="422"} 1`,
			`hookworker_crm_answers_total{status="503"} 2`, "hookworker_paused 0", `hookworker_events_total{kind="smoke_test"} 1`,
			fmt.Sprintf(`hookworker_events_total{kind="handled"} %d`, len(samples.All())+1), fmt.Sprintf(`hookworker_events_total{kind="duplicate"} %d`, len(samples.All()))},
	} {
		text := get(t, "http://"+address+page)
		for _, line := range want {
			if !strings.Contains(text, line) {
				t.Errorf("%s does not say %s", page, line)
			}
		}
	}
	if err := program.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := program.Wait(); err != nil {
		t.Errorf("hookworker: %v", err)
	}

	for _, s := range samples.All() {
		if !bytes.Equal(crm.taken[s.Name], s.Body) {
			t.Errorf("%s: %d bytes, %d were signed", s.Name, len(crm.taken[s.Name]), len(s.Body))
		}
	}
	if !bytes.Equal(crm.taken["large"], large.Body) {
		t.Errorf("of the large one %d bytes came, %d were signed", len(crm.taken["large"]), len(large.Body))
	}
	if len(crm.taken) != len(samples.All())+1 || crm.rejected != 1 || depth(t, q.dead) != 1 {
		t.Errorf("%d taken, %d rejected, %d dead letters", len(crm.taken), crm.rejected, depth(t, q.dead))
	}
	// One probe at a time, and none before the CRM asked for it.
	if a, b := crm.refused[1].Sub(crm.refused[0]), crm.resumed.Sub(crm.refused[1]); a < 2*time.Second || b < 2*time.Second {
		t.Errorf("tried again after %s and %s", a, b)
	}
	judgeLog(t, logs.String())
}

// judgeLog: every line is JSON, the rejection has its reason, and nothing that was in
// a body, no signature and no secret is in it.
func judgeLog(t *testing.T, text string) {
	t.Helper()
	reason := false
	for line := range strings.Lines(text) {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Errorf("log line is no JSON: %s", line)
		}
		reason = reason || entry["msg"] == "consumer: rejected" && strings.Contains(fmt.Sprint(entry["error"]), "422")
	}
	if !reason {
		t.Error("the log does not say why one was rejected")
	}
	if found := canary.Find([]byte(text)); len(found) > 0 || strings.Contains(text, signingSecret) {
		t.Errorf("the log holds %v, or the secret that requests to the CRM are signed with", found)
	}
}

// lockedBuffer is written by the command while the test reads it.
type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

func get(t *testing.T, url string) string {
	t.Helper()
	response, err := http.Get(url) //nolint:gosec // the test's own server
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("%s: %s, %v", url, response.Status, err)
	}
	return string(text)
}
