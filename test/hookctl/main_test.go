package hookctl

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/onepagecrm/nylas-webhooks/test/hookctl/localstage"
)

// stage is the deployed stage that every test uses, one after the other.
var stage *localstage.Stage

func TestMain(m *testing.M) {
	os.Exit(localstage.Main(m, "test-hookctl", func(s *localstage.Stage) { stage = s }))
}

// hookctl runs the program and fails the test for another exit code.
func hookctl(t *testing.T, code int, args ...string) (stdout, stderr string) {
	t.Helper()
	return hookctlWith(t, code, "", nil, args...)
}

func hookctlWith(t *testing.T, code int, stdin string, env []string, args ...string) (stdout, stderr string) {
	t.Helper()
	got, stdout, stderr, err := stage.Hookctl(t.Context(), stdin, env, args...)
	if err != nil {
		t.Fatal(err)
	}
	if got != code {
		t.Fatalf("hookctl %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), got, code, stdout, stderr)
	}
	return stdout, stderr
}

// as is the environment in which hookctl may do what that command needs, and no more.
func as(t *testing.T, args ...string) []string {
	t.Helper()
	environ, err := stage.As(t.Context(), "hookctl "+strings.Join(args, " "))
	must(t, err)
	return environ
}

func parse[T any](t *testing.T, text string) (value T) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatalf("standard output is not the JSON that was expected: %v\n%s", err, text)
	}
	return value
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
