package e2e

import (
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/onepagecrm/nylas-webhooks/test/rights"
)

// demo is what `make run` runs after the deployment.
type demo struct {
	output string
	err    error
}

var first struct {
	sync.Once
	demo
	told bool // how it failed
}

// firstDemo runs the demo once, on the stack as it was deployed: without a secret.
func firstDemo(t *testing.T) demo {
	t.Helper()
	first.Do(func() { first.demo = runDemo(t) })
	if first.err != nil && first.told {
		t.Fatal("the demo, with which every test begins, has failed; the first test that did says how")
	}
	if first.err != nil {
		first.told = true
		t.Fatalf("the demo, with which every test begins: %v", first.err)
	}
	return first.demo
}

// hookctl runs the demo's program under what docs/least-privilege.md names for its
// command, and returns all that it said.
func (s *system) hookctl(t *testing.T, args ...string) (output string, err error) {
	t.Helper()
	table, err := rights.ReadTable(s.engine.Root)
	if err != nil {
		return "", err
	}
	_, row := table.For("hookctl " + strings.Join(args, " "))
	var outputs []string
	for _, role := range row.Policies {
		outputs = append(outputs, role+"Arn")
	}
	cmd := exec.CommandContext(t.Context(), s.program(), args...)
	cmd.Env = s.userWith(t, outputs...).Environ()
	said, err := cmd.CombinedOutput()
	return string(said), err
}

func (s *system) program() string { return filepath.Join(s.engine.Dir, "hookctl") }

func runDemo(t *testing.T) demo {
	if output, err := sys.engine.Run(t.Context(), "go", "build", "-o", sys.program(), "./cmd/hookctl"); err != nil {
		return demo{output, err}
	}
	output, err := sys.hookctl(t, "demo", "--stage", "local")
	return demo{output, err}
}

func TestDemo(t *testing.T) {
	const last = "\n10 of 10 notifications reached the queue\n"
	expect := func(d demo, lines ...string) {
		t.Helper()
		if d.err != nil {
			t.Fatalf("%v\n%s", d.err, d.output)
		}
		for _, line := range append(lines,
			"ok    a forged one, signed with a wrong secret   expected 503 ",
			"ok    an unsigned one                            expected 401 ",
			"ok    one signed with Nylas's public mock key    expected 401 ",
		) {
			if !strings.Contains(d.output, line) {
				t.Errorf("lacks %q:\n%s", line, d.output)
			}
		}
		if !strings.HasSuffix(d.output, last) {
			t.Errorf("does not end with %q:\n%s", last, d.output)
		}
	}
	expect(firstDemo(t), "ok    a notification before a secret is stored   expected 503                 got 503\n")
	expect(runDemo(t), "-     a notification before a secret is stored")
}
