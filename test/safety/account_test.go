package safety

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// long is for what compiles and deploys; short for what should end by itself within
// seconds, but waits for a frozen engine if it was frozen at the wrong moment.
const long, short = 8 * time.Minute, time.Minute

// signal sends one to the engine of the checkout's copy.
func signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(checkout, ".local", "engine", "engine.json"))
	if err != nil {
		t.Error(err) // not Fatal: another goroutine may call this
		return
	}
	var record struct{ PID int }
	if err := json.Unmarshal(text, &record); err != nil {
		t.Error(err)
		return
	}
	if err := syscall.Kill(record.PID, s); err != nil {
		t.Error(err)
	}
}

func TestMakeRunReachesTheEngineAlone(t *testing.T) {
	environment, connections := watched(t)
	output, err := in(t, environment, "", nil, long, "make", "run")
	if err != nil || !strings.HasSuffix(output, "10 of 10 notifications reached the queue\n") {
		t.Errorf("make run: %v\n%s", err, output)
	}
	for _, target := range []string{"diff", "deploy"} {
		if output, err := in(t, environment, "", nil, long, "make", target, "STAGE=local"); err != nil {
			t.Errorf("make %s STAGE=local: %v\n%s", target, err, output)
		}
	}
	if n := connections.Load(); n > 0 {
		t.Errorf("the account was reached %d times", n)
	}
}

// Each of the lines is printed before a step that is meant for the engine.
func TestMakeRunWhenTheEngineGoesAway(t *testing.T) {
	for _, test := range []struct {
		name, line string
		signal     syscall.Signal
	}{
		{"frozen after it was found healthy", "engine: started", syscall.SIGSTOP},
		{"killed before the bootstrap", "cdk: bootstrap", syscall.SIGKILL},
		{"killed before Nylas is played", "hookworker: build", syscall.SIGKILL},
	} {
		t.Run(test.name, func(t *testing.T) {
			environment, connections := watched(t)
			if output, err := in(t, environment, "", nil, short, "make", "stop"); err != nil {
				t.Fatalf("make stop: %v\n%s", err, output)
			}
			seen := false
			output, err := in(t, environment, "", func(line string) {
				if !seen && strings.HasPrefix(line, test.line) {
					seen = true
					signal(t, test.signal)
				}
			}, 3*time.Minute, "make", "run")
			if !seen {
				t.Errorf("make run never came to %q", test.line)
			}
			if err == nil || strings.Contains(output, "10 of 10") {
				t.Errorf("make run succeeded\n%s", output)
			}
			if n := connections.Load(); n > 0 {
				t.Errorf("the account was reached %d times\n%s", n, output)
			}
		})
	}
}
