package stack

import (
	"os/exec"
	"strings"
	"testing"
)

// most is how many packages the CDK app may be made of. They are compiled on every new machine:
// 495 took 96 s of CPU, 298 take 60. One import of a CDK library for events' targets or code
// deployments brings thirty along, the AWS SDK a hundred and fifty.
const most = 300

func TestTheAppIsQuickToCompile(t *testing.T) {
	cmd := exec.Command("go", "list", "-deps", "./infra")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if n := len(strings.Fields(string(out))); n > most {
		t.Errorf("the app is made of %d packages, %d at most. Which import brought them? go list -deps ./infra", n, most)
	}
}
