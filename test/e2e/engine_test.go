package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const stackName = "NylasWebhooks-local"

// engine is the local engine of these tests, and the commands that are run on it.
type engine struct {
	root   string // of the project
	state  string // directory of the engine, relative to root
	python string
	locked *os.File
}

// newEngine checks that the tools are there. It starts nothing.
func newEngine() (*engine, error) {
	root, err := filepath.Abs("../..")
	if err != nil {
		return nil, err
	}
	e := &engine{root: root, state: ".local/e2e", python: filepath.Join(root, ".local/venv/engine/bin/python")}
	for _, tool := range []string{e.python, e.cdk()} {
		if _, err := os.Stat(tool); err != nil {
			return nil, fmt.Errorf("%s is not installed. Run these tests by: make e2e", tool)
		}
	}
	return e, nil
}

func (e *engine) cdk() string { return filepath.Join(e.root, "tools/node_modules/.bin/cdk") }

// lock waits until no other run of these tests uses the engine. It is let go when the
// process ends, however that happens.
func (e *engine) lock(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Join(e.root, e.state), 0o750); err != nil {
		return err
	}
	file, err := os.OpenFile(filepath.Join(e.root, e.state, "tests.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	e.locked = file
	for told := false; ; told = true {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return err
		}
		if !told {
			fmt.Println("e2e: another run of these tests is under way in this checkout; waiting for its end")
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for another run of these tests: %w", ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// start begins with an empty account, and points this process at it.
func (e *engine) start(ctx context.Context) error {
	if err := os.Unsetenv("ENGINE_PORT"); err != nil { // it is for make run's engine
		return err
	}
	if err := e.stop(); err != nil { // left by a run that was killed
		return err
	}
	if _, err := e.output(ctx, e.python, "tools/engine.py", "start", "--state", e.state); err != nil {
		return err
	}
	exports, err := e.output(ctx, e.python, "tools/engine.py", "env", "--state", e.state)
	if err != nil {
		return err
	}
	// The shell reads what is written for a shell.
	environment, err := e.output(ctx, "bash", "-c", `eval "$1" && env -0`, "bash", exports)
	if err != nil {
		return err
	}
	os.Clearenv()
	for pair := range strings.SplitSeq(strings.TrimRight(environment, "\x00"), "\x00") {
		name, value, _ := strings.Cut(pair, "=")
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	// The CDK CLI's own Node.
	return os.Setenv("PATH", filepath.Dir(e.cdk())+string(os.PathListSeparator)+os.Getenv("PATH"))
}

func (e *engine) stop() error {
	_, err := e.output(context.Background(), e.python, "tools/engine.py", "stop", "--state", e.state)
	return err
}

// deployStack synthesizes, bootstraps, deploys and returns the stack's outputs.
func (e *engine) deployStack(ctx context.Context) (map[string]string, error) {
	file := filepath.Join(e.root, e.state, "outputs.json")
	for _, args := range [][]string{
		// Once, for both; and not into cdk.out, which others may be using.
		{"synth", "--quiet", "--output", e.assembly()},
		{"bootstrap", "--app", e.assembly(), "aws://000000000000/us-east-1"},
		{"deploy", "--app", e.assembly(), stackName, "--require-approval", "never", "--outputs-file", file},
	} {
		if _, err := e.output(ctx, e.cdk(), args...); err != nil {
			return nil, err
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var outputs map[string]map[string]string
	if err := json.Unmarshal(text, &outputs); err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	return outputs[stackName], nil
}

// assembly is where the CDK CLI writes the templates.
func (e *engine) assembly() string { return filepath.Join(e.root, e.state, "cdk.out") }

// output runs a command in the project's root and returns what it printed; the error
// has what it said.
func (e *engine) output(ctx context.Context, name string, args ...string) (string, error) {
	cmd := e.command(ctx, name, args)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.Output()
	if err != nil {
		return string(stdout), fmt.Errorf("%s %s: %w\n%s%s", filepath.Base(name), strings.Join(args, " "), err, stdout, stderr.Bytes())
	}
	return string(stdout), nil
}

// combined is output with what the command says on standard error: the CDK CLI says
// everything there.
func (e *engine) combined(ctx context.Context, name string, args ...string) (string, error) {
	text, err := e.command(ctx, name, args).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", filepath.Base(name), strings.Join(args, " "), err, text)
	}
	return string(text), nil
}

func (e *engine) command(ctx context.Context, name string, args []string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = e.root
	return cmd
}
