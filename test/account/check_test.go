package account

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// initial is the stage before the check, by what is changed.
var initial = map[string]string{
	"concurrency": "500", "live": "7", "variables": `{"Variables": {"A": "b"}}`, "throttle": "2500\t2500", "key": "enabled",
}

// check runs the script for a stage, whose name is typed, and returns what it printed, its
// exit code and the folder with what it left.
func check(t *testing.T, stage string, variables ...string) (printed string, code int, state string) {
	t.Helper()
	dir, state := t.TempDir(), t.TempDir()
	command, err := filepath.Abs("testdata/command.sh")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"aws", "curl", "go", "sleep"} {
		if err := os.Symlink(command, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, value := range initial {
		if err := os.WriteFile(filepath.Join(state, name), []byte(value+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	script := exec.CommandContext(t.Context(), "bash", "check.sh")
	script.Env = append(os.Environ(), append(variables, "STAGE="+stage, "STATE="+state, "PATH="+dir+":"+os.Getenv("PATH"))...)
	script.Stdin = strings.NewReader(stage + "\n")
	script.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is pressed in the script's group only
	out, err := script.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(out), script.ProcessState.ExitCode(), state
}

// left says what of the stage is not as it was before.
func left(t *testing.T, state string) []string {
	t.Helper()
	var wrong []string
	for name, want := range initial {
		got, err := os.ReadFile(filepath.Join(state, name))
		if err != nil || strings.TrimSpace(string(got)) != want {
			wrong = append(wrong, fmt.Sprintf("%s is %q, %v, want %q", name, got, err, want))
		}
	}
	for _, name := range []string{"queue", "version-8"} {
		if _, err := os.Stat(filepath.Join(state, name)); err == nil {
			wrong = append(wrong, name+" is left behind")
		}
	}
	return wrong
}

func TestCheckSaysWhatItSawAndRepairs(t *testing.T) {
	t.Parallel()
	printed, code, state := check(t, "staging")
	if code != 0 || strings.Contains(printed, "WRONG") || strings.Count(printed, "\nok ") != 23 {
		t.Errorf("exit code %d and not 23 times ok:\n%s", code, printed)
	}
	for _, wrong := range left(t, state) {
		t.Error(wrong)
	}
}

// Wherever Ctrl-C is pressed, what was changed is changed back.
func TestInterruptedCheckRepairs(t *testing.T) {
	for _, call := range []string{
		"sqs create-queue", "lambda put-function-concurrency", "lambda update-function-configuration", "lambda publish-version",
		"lambda update-alias", "apigateway update-stage", "kms disable-key", "cloudwatch set-alarm-state",
	} {
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			printed, code, state := check(t, "staging", "INTERRUPT="+call)
			if _, err := os.Stat(filepath.Join(state, "interrupted")); err != nil {
				t.Fatalf("it was not interrupted:\n%s", printed)
			}
			if code != 130 {
				t.Errorf("exit code %d, want 130", code)
			}
			for _, wrong := range left(t, state) {
				t.Errorf("%s\n%s", wrong, printed)
			}
		})
	}
}

// An object that lies under spill/ since an earlier outage says nothing about this one.
func TestOlderObjectsProveNothing(t *testing.T) {
	t.Parallel()
	printed, code, _ := check(t, "staging", "ONLY_OLD=1")
	if want := "WRONG  a notification while the key is disabled: on the queue, want in the bucket"; code != 1 || !strings.Contains(printed, want) {
		t.Errorf("exit code %d, want 1 and %q:\n%s", code, want, printed)
	}
}

// On prod, or what may be it, nothing is asked and nothing changed.
func TestCheckRefusesProd(t *testing.T) {
	for _, stage := range []string{"prod", "PROD", "production", "eu-prod"} {
		printed, code, _ := check(t, stage)
		if code != 2 || !strings.HasPrefix(printed, "check: not on "+stage) {
			t.Errorf("%s: exit code %d:\n%s", stage, code, printed)
		}
	}
	printed, code, state := check(t, "staging\nno") // STAGE has two lines, of which one is typed
	if code != 2 || !strings.Contains(printed, "nothing was changed") {
		t.Errorf("another name was typed: exit code %d:\n%s", code, printed)
	}
	if wrong := left(t, state); len(wrong) > 0 {
		t.Error(wrong)
	}
}
