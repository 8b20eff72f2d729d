package consumer

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

// halfCRM is a CRM that is half well. It answers 20 ms after each delivery began, or what
// its rule says.
type halfCRM struct {
	rule func(id, grant string, atOnce int) (status int, retryAfter string)

	mu     sync.Mutex
	atOnce int
	taken  map[string]int
}

func (c *halfCRM) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := r.Header.Get("webhook-id")
	c.mu.Lock()
	c.atOnce++
	status, retryAfter := c.rule(id, r.Header.Get("Nylas-Grant-Id"), c.atOnce)
	c.mu.Unlock()
	if status == http.StatusOK {
		time.Sleep(20 * time.Millisecond) // what the CRM does with it
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.atOnce--
	if status == http.StatusOK {
		c.taken[id]++
	}
	if retryAfter != "" {
		w.Header().Set("Retry-After", retryAfter)
	}
	w.WriteHeader(status)
}

// good is how many notifications whose id begins so were taken.
func (c *halfCRM) good(begins string) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id := range c.taken {
		if strings.HasPrefix(id, begins) {
			n++
		}
	}
	return n
}

// letters are the messages of a queue by id, with when each was first sent.
func letters(t *testing.T, url string) (ids []string) {
	t.Helper()
	out, err := queues.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: 10,
		MessageAttributeNames: []string{"All"}, MessageSystemAttributeNames: []sqstypes.MessageSystemAttributeName{"All"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range out.Messages {
		ids = append(ids, fmt.Sprintf("%s %v", aws.ToString(m.MessageAttributes[notification.AttrNotificationID].StringValue), m.Attributes))
	}
	return ids
}

func many(n int, begins string, change func(i int, n *notification.Notification)) (notes []notification.Notification) {
	for i := range n {
		one := note(fmt.Sprintf("%s-%d", begins, i))
		if change != nil {
			change(i, &one)
		}
		notes = append(notes, one)
	}
	return notes
}

// TestHookworkerOnACRMThatIsHalfWell has the real program between a real queue and a CRM
// that fails in part. The simulated clock of package consumer has these scenarios, and
// more, at their whole length.
func TestHookworkerOnACRMThatIsHalfWell(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "hookworker")
	if out, err := exec.Command("go", "build", "-o", binary, "../../cmd/hookworker").CombinedOutput(); err != nil {
		t.Fatalf("build: %v: %s", err, out)
	}
	tokens, last := 2.0, time.Now()
	for _, test := range []struct {
		name    string
		notes   []notification.Notification
		workers int
		rule    func(id, grant string, atOnce int) (int, string)
		good    string // ids of what has to be taken begin so
		want    int
		within  time.Duration // several times what it takes
	}{
		{"twenty always refused, then good ones", append(many(20, "bad", nil), many(200, "good", nil)...), 1, func(id, _ string, _ int) (int, string) {
			if strings.HasPrefix(id, "bad") {
				return http.StatusInternalServerError, ""
			}
			return http.StatusOK, ""
		}, "good", 200, time.Minute},
		{"it takes three at once", many(300, "good", nil), 1, func(_, _ string, atOnce int) (int, string) {
			if atOnce > 3 {
				return http.StatusServiceUnavailable, ""
			}
			return http.StatusOK, ""
		}, "good", 300, time.Minute},
		{"three workers, it allows two a second", many(40, "good", nil), 3, func(string, string, int) (int, string) {
			now := time.Now()
			tokens, last = min(2, tokens+2*now.Sub(last).Seconds()), now
			if tokens < 1 {
				return http.StatusTooManyRequests, "1"
			}
			tokens--
			return http.StatusOK, ""
		}, "good", 40, time.Minute},
		{"one of ten grants is down", many(300, "good", func(i int, n *notification.Notification) {
			if n.GrantID = fmt.Sprintf("grant-%d", i%10); i%10 == 0 {
				n.ID = fmt.Sprintf("sick-%d", i)
			}
		}), 1, func(id, _ string, _ int) (int, string) {
			if strings.HasPrefix(id, "sick") {
				return http.StatusBadGateway, ""
			}
			return http.StatusOK, ""
		}, "good", 270, time.Minute},
	} {
		t.Run(test.name, func(t *testing.T) {
			q := newQueues(t)
			crm := &halfCRM{rule: test.rule, taken: map[string]int{}}
			server := httptest.NewServer(crm)
			defer server.Close()
			send(t, q.url, test.notes...)
			begin := time.Now()
			logs := new(lockedBuffer)
			var programs []*exec.Cmd
			for range test.workers {
				program := exec.Command(binary)
				program.Env = append(worker(t).Environ(), "HOOKWORKER_QUEUE_URL="+q.url, "HOOKWORKER_DEAD_LETTER_QUEUE_URL="+q.dead,
					"HOOKWORKER_CRM_URL="+server.URL, "HOOKWORKER_SIGNING_SECRETS="+signingSecret, "HOOKWORKER_LISTEN="+freeAddress(t))
				program.Stderr = logs
				if err := program.Start(); err != nil {
					t.Fatal(err)
				}
				defer func() { _ = program.Process.Kill() }() // where the test has failed; else it has ended
				programs = append(programs, program)
			}
			await(t, fmt.Sprintf("%d are taken", test.want), test.within, func() bool { return crm.good(test.good) == test.want })
			t.Logf("all %d good in %s", test.want, time.Since(begin).Round(100*time.Millisecond))
			for _, program := range programs {
				if err := program.Process.Signal(syscall.SIGTERM); err != nil {
					t.Fatal(err)
				}
				if err := program.Wait(); err != nil {
					t.Errorf("hookworker: %v\n%s", err, logs)
				}
			}
			for id, times := range crm.taken {
				if times > 1 {
					t.Errorf("%s was delivered %d times", id, times)
				}
			}
			if n := depth(t, q.dead); n > 0 {
				t.Errorf("%d dead letters after %s: %s\nhookworker:\n%s", n, time.Since(begin), letters(t, q.dead), logs)
			}
		})
	}
}
