package hookctl

import (
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/onepagecrm/nylas-webhooks/notification"
	"github.com/onepagecrm/nylas-webhooks/notification/samples"
	"github.com/onepagecrm/nylas-webhooks/test/nylas"
)

const (
	// pace is the time from one notification to the next.
	pace = 150 * time.Millisecond
	// again is when a refused delivery is repeated, where Nylas takes minutes: after the
	// receiver may have read the secret anew, which it does at most every 10 s.
	again = 11 * time.Second
	// attempts of one notification, as Nylas has them.
	attempts = 3
)

// traffic is Nylas sending notifications all the time.
type traffic struct {
	api     *nylas.API
	webhook string
	ended   chan struct{}
	all     sync.WaitGroup

	mu      sync.Mutex
	sent    map[string]*delivery // by notification id
	waiting int                  // refused, and not repeated yet
}

type delivery struct {
	secret   string // that it was signed with at first
	resigned bool   // a repetition is signed with the secret of its moment
	answers  []int
	err      error
}

func startTraffic(ctx context.Context, api *nylas.API, webhook string) *traffic {
	tr := &traffic{api: api, webhook: webhook, ended: make(chan struct{}), sent: map[string]*delivery{}}
	tr.all.Go(func() {
		ticks := time.NewTicker(pace)
		defer ticks.Stop()
		for i := 0; ; i++ {
			select {
			case <-tr.ended:
				return
			case <-ticks.C:
				tr.all.Go(func() { tr.deliver(ctx, i) })
			}
		}
	})
	return tr
}

// deliver sends one notification up to three times. Nylas does not say whether it
// signs a repetition anew when the secret was rotated meanwhile: every other one is.
func (tr *traffic) deliver(ctx context.Context, i int) {
	hook := tr.api.Webhooks()[0]
	id := fmt.Sprintf("traffic-%04d", i)
	d := &delivery{secret: hook.Secret, resigned: i%2 == 1}
	tr.mu.Lock()
	tr.sent[id] = d
	tr.mu.Unlock()
	for attempt := 1; attempt <= attempts; attempt++ {
		secret := d.secret
		if d.resigned {
			secret = tr.api.Webhooks()[0].Secret
		}
		body := fmt.Sprintf(`{"specversion":"1.0","type":"grant.expired","id":%q,"webhook_delivery_attempt":%d,"data":{"object":{"grant_id":"g%d"}}}`, id, attempt, i%5)
		status, err := tr.api.DeliverSigned(ctx, hook.URL, []byte(body), secret)
		tr.mu.Lock()
		d.answers, d.err = append(d.answers, status), err
		done := err != nil || status == http.StatusOK || attempt == attempts
		if attempt > 1 {
			tr.waiting--
		}
		if !done {
			tr.waiting++
		}
		tr.mu.Unlock()
		if done {
			return
		}
		select {
		case <-time.After(again):
		case <-ctx.Done():
			return
		}
	}
}

// settle waits until nothing waits to be repeated any more.
func (tr *traffic) settle(t *testing.T) {
	t.Helper()
	eventually(t, attempts*again+10*time.Second, func() string {
		tr.mu.Lock()
		defer tr.mu.Unlock()
		if tr.waiting > 0 {
			return fmt.Sprintf("%d deliveries wait to be repeated", tr.waiting)
		}
		return ""
	})
}

// flows waits until n more notifications were accepted at once.
func (tr *traffic) flows(t *testing.T, n int) {
	t.Helper()
	count := func() (n int) {
		tr.mu.Lock()
		defer tr.mu.Unlock()
		for _, d := range tr.sent {
			if slices.Equal(d.answers, []int{http.StatusOK}) {
				n++
			}
		}
		return n
	}
	before := count()
	eventually(t, 30*time.Second, func() string {
		if got := count() - before; got < n {
			return fmt.Sprintf("%d notifications were accepted at once, want %d more", got, n-got)
		}
		return ""
	})
}

// TestSecretUnderTraffic registers the stage at Nylas and then does to its secret all
// that happens to secrets, while notifications keep coming: every one of them reaches
// the queue, but for those that were signed with a secret that a crash has lost.
func TestSecretUnderTraffic(t *testing.T) {
	must(t, stage.Empty(t.Context()))
	t.Cleanup(func() { restoreSecret(t) })
	api := nylas.New()
	defer api.Server.Close()
	env := []string{"NYLAS_API_URI=" + api.Server.URL, "NYLAS_API_KEY=" + nylas.Key}
	run := func(code int, stdin string, args ...string) (output string) {
		t.Helper()
		stdout, stderr := hookctlWith(t, code, stdin, env, append(args, "--stage", "local")...)
		for _, hook := range api.Webhooks() {
			if strings.Contains(stdout+stderr, hook.Secret) {
				t.Errorf("hookctl %s printed the secret", args)
			}
		}
		return stdout + stderr
	}
	secret := func() string { return api.Webhooks()[0].Secret }
	rotateElsewhere := func() { // as in Nylas's dashboard
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, api.Server.URL+"/v3/webhooks/rotate-secret/"+api.Webhooks()[0].ID, nil)
		must(t, err)
		request.Header.Set("Authorization", "Bearer "+nylas.Key)
		response, err := http.DefaultClient.Do(request)
		must(t, err)
		must(t, response.Body.Close())
	}

	run(0, "", "webhook", "create", "--triggers", "grant.expired") // the challenge is the real endpoint's
	tr := startTraffic(t.Context(), api, api.Webhooks()[0].ID)
	tr.flows(t, 5)

	// The same value twice.
	if out := run(0, secret()+"\n", "secret", "set"); !strings.Contains(out, "nothing was written") {
		t.Errorf("the same value: %s", out)
	}
	tr.flows(t, 3)

	// A value that nobody signs with, stored by mistake: what it replaced verifies.
	run(0, "tpyo-of-the-secret\n", "secret", "set")
	tr.flows(t, 3)
	run(0, secret()+"\n", "secret", "set", "--correct")
	tr.flows(t, 3)

	// Rotated in the dashboard, typed wrongly, corrected.
	first := secret()
	rotateElsewhere()
	run(0, "tpyo-of-the-next\n", "secret", "set")
	run(0, secret()+"\n", "secret", "set", "--correct")
	tr.settle(t)
	verifies(t, api, first) // what was signed before the mistake
	tr.flows(t, 5)

	run(0, "", "secret", "rotate")
	tr.settle(t)
	tr.flows(t, 5)

	// Killed when Nylas has chosen and hookctl does not know it yet.
	before := secret()
	lost := killedRotation(t, api, env)
	time.Sleep(2 * time.Second) // the time that a person needs, in which Nylas signs with the lost secret
	run(0, "", "secret", "rotate")
	tr.settle(t)
	verifies(t, api, before)
	tr.flows(t, 5)

	if out := run(0, "", "secret", "revoke-previous", "--yes-revoke", "local"); !strings.Contains(out, "Revoked version") {
		t.Errorf("revoke: %s", out)
	}
	tr.flows(t, 5)
	run(0, "", "webhook", "status")
	close(tr.ended)
	tr.all.Wait()

	onQueue := map[string]bool{}
	messages, err := stage.Drain(t.Context(), stage.Queue())
	must(t, err)
	for _, m := range messages {
		onQueue[aws.ToString(m.MessageAttributes[notification.AttrNotificationID].StringValue)] = true
	}
	repeated, unsaved := 0, 0
	for id, d := range tr.sent {
		// Signed once and for all with a secret that nobody has.
		hopeless := d.secret == lost && !d.resigned
		if len(d.answers) > 1 {
			repeated++
		}
		switch {
		case hopeless && !onQueue[id]:
			unsaved++
		case !onQueue[id] || d.err != nil:
			t.Errorf("%s is not on the queue; answers %v, error %v, signed anew %t", id, d.answers, d.err, d.resigned)
		}
	}
	t.Logf("%d notifications, %d repeated, %d signed with the lost secret only", len(tr.sent), repeated, unsaved)
	if repeated == 0 || unsaved == 0 {
		t.Error("the test did not come into the moments that it is for")
	}
}

// killedRotation kills hookctl with SIGKILL after Nylas has chosen a new secret and
// before it has said which. It returns the secret, which nobody stores.
func killedRotation(t *testing.T, api *nylas.API, env []string) (lost string) {
	t.Helper()
	args := []string{"secret", "rotate", "--stage", "local"}
	cmd := exec.CommandContext(t.Context(), stage.Program, args...)
	cmd.Env = append(as(t, args...), env...)
	api.Break(nylas.Fault{Request: "POST /v3/webhooks/rotate-secret", Times: 1, Lost: true, Then: func() {
		lost = api.Webhooks()[0].Secret
		if err := cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
	}})
	if err := cmd.Run(); err == nil || cmd.ProcessState.ExitCode() != -1 {
		t.Fatalf("hookctl was not killed: %v", err)
	}
	return lost
}

// verifies sends one notification that is signed with secret.
func verifies(t *testing.T, api *nylas.API, secret string) {
	t.Helper()
	status, err := api.DeliverSigned(t.Context(), api.Webhooks()[0].URL, []byte(`{"id":"earlier","type":"grant.expired"}`), secret)
	if err != nil || status != http.StatusOK {
		t.Errorf("the previous secret: answered %d, %v", status, err)
	}
}

// restoreSecret stores what the other tests sign with.
func restoreSecret(t *testing.T) {
	_, err := secretsmanager.NewFromConfig(stage.AWS).PutSecretValue(context.WithoutCancel(t.Context()), &secretsmanager.PutSecretValueInput{
		SecretId: aws.String(stage.Outputs["SecretName"]), SecretString: aws.String(samples.Secret),
	})
	if err != nil {
		t.Error(err)
	}
}

// eventually waits until problem returns "".
func eventually(t *testing.T, most time.Duration, problem func() string) {
	t.Helper()
	for deadline := time.Now().Add(most); ; time.Sleep(50 * time.Millisecond) {
		what := problem()
		if what == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %s: %s", most, what)
		}
	}
}
