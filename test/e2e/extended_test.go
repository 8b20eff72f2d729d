package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

// The stock library reads what overflowed, without a line of ours.
func TestOverflowIsReadByTheExtendedClientLibrary(t *testing.T) {
	python := filepath.Join(sys.engine.Root, ".local/venv/extended/bin/python")
	if _, err := os.Stat(python); err != nil {
		t.Fatal("the SQS Extended Client Library is not installed. Run make e2e, which installs it.")
	}
	body := noise(t)
	signature := sys.deliver(t, body)
	consumer := sys.userWith(t, "ConsumerPolicyArn")
	eventually(t, soon, func() string {
		cmd := exec.CommandContext(t.Context(), python, "extended_client.py")
		cmd.Env = append(consumer.Environ(), "QUEUE_URL="+sys.outputs["QueueUrl"], "BUCKET="+sys.outputs["BucketName"])
		var problems bytes.Buffer
		cmd.Stderr = &problems
		lines, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %s", err, problems.Bytes())
		}
		for line := range strings.Lines(string(lines)) {
			fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
			if fields[0] != signature {
				continue
			}
			n, err := notification.Decode(fields[2], map[string]string{
				notification.AttrContractVersion: notification.ContractVersion, notification.AttrEncoding: fields[1],
			})
			if err != nil || !bytes.Equal(n.Body, body) {
				t.Errorf("read %d bytes (%v), want the %d that were signed", len(n.Body), err, len(body))
			}
			return ""
		}
		return "the message that points to the bucket"
	})
	sys.received(t, signature) // off the queue
}
