// Package engine gives a test package a local engine of its own, so that none finds
// another's messages, and runs the real CDK CLI on it.
package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// Engine is a running local engine.
type Engine struct {
	// Root is the project's directory, Dir that of what the engine and its tests make:
	// .local/<name>.
	Root, Dir string

	python string
	lock   *os.File
}

// Start begins with an empty account and points this process, and what it starts, at
// it. Another run of the same tests in this checkout is waited for. Call [Engine.Stop]
// also when it fails.
func Start(ctx context.Context, name string) (*Engine, error) {
	e, err := start(ctx, name, "000000000000", nil)
	if err != nil {
		return e, err
	}
	return e, e.point(ctx)
}

// Beside starts another engine that plays another AWS account, with an empty one. This process
// goes on pointing where it does; [Engine.Environment] leads a program to the new one.
// What trusts e's certificate trusts the new one's. Call [Engine.Stop] also when it fails.
func (e *Engine) Beside(ctx context.Context, name, account string) (*Engine, error) {
	return start(ctx, name, account, e)
}

func start(ctx context.Context, name, account string, certified *Engine) (*Engine, error) {
	root, err := projectRoot()
	if err != nil {
		return &Engine{}, err
	}
	e := &Engine{Root: root, Dir: filepath.Join(root, ".local", name)}
	python := filepath.Join(root, ".local/venv/engine/bin/python")
	for _, tool := range []string{python, e.CDK()} {
		if _, err := os.Stat(tool); err != nil {
			return e, fmt.Errorf("%s is not installed. Run these tests by make", tool)
		}
	}
	if err := e.wait(ctx); err != nil {
		return e, err
	}
	e.python = python // from here on there is something to stop
	for _, step := range []func() error{
		func() error { return os.Unsetenv("ENGINE_PORT") }, // make run's
		e.stop, // one left by a run that was killed
		func() error { return e.certificate(certified) },
		func() error { _, err := e.tool(ctx, "start", "--account", account); return err },
	} {
		if err := step(); err != nil {
			return e, err
		}
	}
	return e, nil
}

// certificate takes another engine's, where one is given.
func (e *Engine) certificate(of *Engine) error {
	if of == nil {
		return nil
	}
	for _, name := range []string{"cert.pem", "key.pem"} {
		text, err := os.ReadFile(filepath.Join(of.Dir, name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(e.Dir, name), text, 0o600); err != nil { //nolint:gosec // the checkout's own folder
			return err
		}
	}
	return nil
}

// Stop ends the engine, and lets the next run of the same tests begin.
func (e *Engine) Stop() error {
	if e.python == "" {
		return nil
	}
	return errors.Join(e.stop(), e.lock.Close())
}

func (e *Engine) stop() error {
	_, err := e.tool(context.Background(), "stop")
	return err
}

func (e *Engine) tool(ctx context.Context, verb string, args ...string) (string, error) {
	return e.Run(ctx, e.python, append([]string{"tools/engine.py", verb, "--state", e.Dir}, args...)...)
}

func projectRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("no go.mod above the working directory")
		}
	}
}

// wait takes the lock that a process lets go when it ends, however that happens.
func (e *Engine) wait(ctx context.Context) (err error) {
	if err := os.MkdirAll(e.Dir, 0o750); err != nil {
		return err
	}
	if e.lock, err = os.OpenFile(filepath.Join(e.Dir, "tests.lock"), os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return err
	}
	for told := false; ; told = true {
		err := syscall.Flock(int(e.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return err
		}
		if !told {
			fmt.Println("another run of these tests is under way in this checkout; waiting for its end")
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for another run of these tests: %w", ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// point makes the environment of this process the one that leads to the engine.
func (e *Engine) point(ctx context.Context) error {
	environment, err := e.Environment(ctx)
	if err != nil {
		return err
	}
	os.Clearenv()
	for name, value := range environment {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	return Prepend(filepath.Dir(e.CDK())) // with the CLI's own Node
}

// Environment is that of this process, leading to the engine and to nothing else.
func (e *Engine) Environment(ctx context.Context) (map[string]string, error) {
	exports, err := e.tool(ctx, "env")
	if err != nil {
		return nil, err
	}
	// A shell reads what is written for one.
	all, err := e.Run(ctx, "bash", "-c", `eval "$1" && env -0`, "bash", exports)
	if err != nil {
		return nil, err
	}
	environment := map[string]string{}
	for pair := range strings.SplitSeq(strings.TrimRight(all, "\x00"), "\x00") {
		name, value, _ := strings.Cut(pair, "=")
		environment[name] = value
	}
	return environment, nil
}

// Prepend lets this process find programs in dir before all others.
func Prepend(dir string) error {
	return os.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
}

// CDK is the path of the CDK CLI.
func (e *Engine) CDK() string { return filepath.Join(e.Root, "tools/node_modules/.bin/cdk") }

// Assembly is where [Engine.Deploy] writes the templates of all stages; not cdk.out,
// which others may be using.
func (e *Engine) Assembly() string { return filepath.Join(e.Dir, "cdk.out") }

// Bootstrap makes the CDK's own bucket and roles. It needs no app, and where no cdk.json is none
// is looked for.
func (e *Engine) Bootstrap(ctx context.Context) error {
	_, err := RunIn(ctx, e.Dir, e.CDK(), "bootstrap", "aws://000000000000/us-east-1", "--no-notices")
	return err
}

// Deploy synthesizes, bootstraps, deploys a stack and returns its outputs.
func (e *Engine) Deploy(ctx context.Context, stack string) (map[string]string, error) {
	file := filepath.Join(e.Dir, "outputs.json")
	for _, args := range [][]string{
		{"synth", "--quiet", "--output", e.Assembly()}, // once, for both
		{"bootstrap", "--app", e.Assembly(), "aws://000000000000/us-east-1"},
		{"deploy", "--app", e.Assembly(), stack, "--require-approval", "never", "--outputs-file", file},
	} {
		if _, err := e.Run(ctx, e.CDK(), args...); err != nil {
			return nil, err
		}
	}
	return Outputs(file, stack)
}

// Outputs reads a stack's outputs from what the CDK CLI writes (--outputs-file).
func Outputs(file, stack string) (map[string]string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var outputs map[string]map[string]string
	if err := json.Unmarshal(text, &outputs); err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	return outputs[stack], nil
}

// Run runs a command in the project's root and returns its standard output; the error
// has all that it said.
func (e *Engine) Run(ctx context.Context, name string, args ...string) (string, error) {
	return RunIn(ctx, e.Root, name, args...)
}

// RunIn is [Engine.Run] in another directory.
func RunIn(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%s %s: %w\n%s%s", filepath.Base(name), strings.Join(args, " "), err, stdout.Bytes(), stderr.Bytes())
	}
	return stdout.String(), nil
}

var webhookURL = regexp.MustCompile(`^https://([a-z0-9]+)\.execute-api\.[^/]+/([^/]+)/(.+)$`)

// Webhook returns where the engine serves a webhook, whose URL (the output WebhookUrl)
// names AWS's domain.
func Webhook(url string) (string, error) { return WebhookAt(os.Getenv("AWS_ENDPOINT_URL"), url) }

// WebhookAt is [Webhook] of the engine at an endpoint.
func WebhookAt(endpoint, url string) (string, error) {
	parts := webhookURL.FindStringSubmatch(url)
	if parts == nil {
		return "", fmt.Errorf("the stack's WebhookUrl is %q, which is not API Gateway's", url)
	}
	return fmt.Sprintf("%s/restapis/%s/%s/_user_request_/%s", endpoint, parts[1], parts[2], parts[3]), nil
}
