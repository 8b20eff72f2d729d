package own

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/onepagecrm/nylas-webhooks/internal/awsconfig"
	"github.com/onepagecrm/nylas-webhooks/test/engine"
)

// Two engines are two regions, with a webhook at Nylas for each. One is killed in the
// middle of a burst: the other has every notification.
func TestARegionIsGone(t *testing.T) {
	here := os.Environ()
	t.Cleanup(func() { restore(t, here) })
	other, err := engine.Start(t.Context(), "own-other-region")
	t.Cleanup(func() {
		if err := other.Stop(); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Bootstrap(t.Context()); err != nil {
		t.Fatal(err)
	}
	dir := repository(t, onEngine)
	in(t, dir, "go", "mod", "tidy")
	goes := region(t, dir)
	restore(t, here)
	stays := region(t, dir)

	var clients sync.WaitGroup
	const burst, killedAt = 400, 150
	var mu sync.Mutex
	sent, accepted := 0, map[string]bool{}
	killed := false
	for range 4 {
		clients.Go(func() {
			for {
				mu.Lock()
				i := sent
				sent++
				if i == killedAt {
					kill(t, other)
					killed = true
				}
				mu.Unlock()
				if i >= burst {
					return
				}
				body := fmt.Sprintf(`{"id":"burst-%d","type":"message.created"}`, i)
				// Nylas sends to every webhook of the trigger, and again to all where one has failed.
				for range 3 {
					first, second := goes.post(body), stays.post(body)
					mu.Lock()
					accepted[body] = accepted[body] || first == nil || second == nil
					mu.Unlock()
					if first == nil && second == nil {
						break
					}
				}
			}
		})
	}
	clients.Wait()
	cfg, err := awsconfig.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := arrived(t, sqs.NewFromConfig(cfg), stays.queue)
	lost := 0
	for body := range accepted {
		if !got[body] {
			lost++
		}
	}
	t.Logf("%d sent, a region killed after %d, %d lost", len(accepted), killedAt, lost)
	if lost > 0 || len(accepted) != burst || !killed {
		t.Errorf("%d of %d lost, killed: %v", lost, len(accepted), killed)
	}
	if goes.post(`{"id":"late","type":"message.created"}`) == nil {
		t.Error("the region that was killed still answers")
	}
}

// deployedRegion is the stage in one region.
type deployedRegion struct {
	traffic
	queue string
}

// region deploys the stage to the engine that the environment leads to.
func region(t *testing.T, dir string) *deployedRegion {
	t.Helper()
	outputs := deploy(t, dir, "NylasWebhooks-"+onEngine.Name)
	cfg, err := awsconfig.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := secretsmanager.NewFromConfig(cfg).PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{
		SecretId: aws.String(outputs["SecretName"]), SecretString: aws.String(upgradedSecret)}); err != nil {
		t.Fatal(err)
	}
	url, err := engine.Webhook(outputs["WebhookUrl"])
	if err != nil {
		t.Fatal(err)
	}
	return &deployedRegion{traffic: traffic{url: url}, queue: outputs["QueueUrl"]}
}

func restore(t *testing.T, environment []string) {
	t.Helper()
	os.Clearenv()
	for _, pair := range environment {
		name, value, _ := strings.Cut(pair, "=")
		if err := os.Setenv(name, value); err != nil { //nolint:usetesting // for what comes after as well
			t.Fatal(err)
		}
	}
}

func kill(t *testing.T, e *engine.Engine) {
	text, err := os.ReadFile(filepath.Join(e.Dir, "engine.json"))
	var record struct{ PID int }
	if err == nil {
		err = json.Unmarshal(text, &record)
	}
	if err == nil {
		err = syscall.Kill(-record.PID, syscall.SIGKILL)
	}
	if err != nil {
		t.Error(err)
	}
}
