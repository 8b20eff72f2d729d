package hookctl

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// TestVanishedQueue deletes a queue of the stage, so it has to run last: tests run in the
// order of their files' names.
func TestVanishedQueue(t *testing.T) {
	url := stage.DeadLetters()
	_, err := sqs.NewFromConfig(stage.AWS).DeleteQueue(t.Context(), &sqs.DeleteQueueInput{QueueUrl: &url})
	must(t, err)
	for _, args := range []string{"ls", "redrive", "show x", "purge --yes-purge " + filepath.Base(url), "export --file " + filepath.Join(t.TempDir(), "x")} {
		_, stderr := hookctl(t, 3, append([]string{"dlq"}, append(strings.Fields(args), "--stage", "local")...)...)
		if !strings.Contains(stderr, "is gone") {
			t.Errorf("dlq %s does not say that the queue is gone: %s", args, stderr)
		}
	}
}
