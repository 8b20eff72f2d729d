// Package localstage deploys the local stage on an engine of its own and runs the real
// hookctl against it. The tests of hookctl's commands and of its transcripts use it,
// each with an engine of its own, so that neither finds the other's messages.
package localstage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/onepagecrm/nylas-webhooks/internal/awsconfig"
	"github.com/onepagecrm/nylas-webhooks/notification/samples"
	"github.com/onepagecrm/nylas-webhooks/test/canary"
)

const stackName = "NylasWebhooks-local"

// Stage is the deployed local stage, with [samples.Secret] stored.
type Stage struct {
	// Dir holds what the engine and these tests make, Program is hookctl.
	Dir, Program string
	// Env points a process at the engine.
	Env []string
	// Outputs are the stack's.
	Outputs map[string]string
	// AWS talks to the engine.
	AWS aws.Config

	root, python string
}

// Start deploys to an empty engine whose state is .local/<name>. Call [Stage.Stop] also
// when it fails.
func Start(ctx context.Context, name string) (*Stage, error) {
	root, err := projectRoot()
	if err != nil {
		return &Stage{}, err
	}
	s := &Stage{root: root, Dir: filepath.Join(root, ".local", name), python: filepath.Join(root, ".local/venv/engine/bin/python")}
	s.Program = filepath.Join(s.Dir, "bin", "hookctl")
	cdk := filepath.Join(root, "tools/node_modules/.bin/cdk")
	for _, tool := range []string{s.python, cdk} {
		if _, err := os.Stat(tool); err != nil {
			return s, fmt.Errorf("%s is not installed. Run these tests by make", tool)
		}
	}
	for _, step := range []func() error{
		s.Stop, // one left by a run that was killed
		func() error { return s.point(ctx, filepath.Dir(cdk)) },
		func() error { return s.deploy(ctx, cdk) },
		func() error { return s.connect(ctx) },
		func() error { _, err := s.run(ctx, "go", "build", "-o", s.Program, "./cmd/hookctl"); return err },
	} {
		if err := step(); err != nil {
			return s, err
		}
	}
	return s, nil
}

// Stop ends the engine.
func (s *Stage) Stop() error {
	if s.python == "" {
		return nil
	}
	_, err := s.run(context.Background(), s.python, "tools/engine.py", "stop", "--state", s.Dir)
	return err
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

// point starts the engine and makes the environment that leads to it.
func (s *Stage) point(ctx context.Context, tools string) error {
	s.Env = slices.DeleteFunc(os.Environ(), func(pair string) bool { return strings.HasPrefix(pair, "ENGINE_PORT=") }) // make run's
	if _, err := s.run(ctx, s.python, "tools/engine.py", "start", "--state", s.Dir); err != nil {
		return err
	}
	exports, err := s.run(ctx, s.python, "tools/engine.py", "env", "--state", s.Dir)
	if err != nil {
		return err
	}
	// A shell reads what is written for one.
	all, err := s.run(ctx, "bash", "-c", `eval "$1" && env -0`, "bash", exports)
	if err != nil {
		return err
	}
	path := ""
	s.Env = slices.DeleteFunc(strings.Split(strings.TrimRight(all, "\x00"), "\x00"), func(pair string) bool {
		value, is := strings.CutPrefix(pair, "PATH=")
		if is {
			path = value
		}
		return is
	})
	s.Env = append(s.Env, "PATH="+filepath.Dir(s.Program)+":"+tools+":"+path, "AWS_EC2_METADATA_DISABLED=true")
	return nil
}

func (s *Stage) deploy(ctx context.Context, cdk string) error {
	file := filepath.Join(s.Dir, "outputs.json")
	// Where no cdk.json is no app is built, which bootstrapping does not need.
	if _, err := s.runIn(ctx, s.Dir, cdk, "bootstrap", "aws://000000000000/us-east-1", "--no-notices"); err != nil {
		return err
	}
	if _, err := s.run(ctx, cdk, "deploy", stackName, "--require-approval", "never",
		"--output", filepath.Join(s.Dir, "cdk.out"), "--outputs-file", file); err != nil {
		return err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var outputs map[string]map[string]string
	if err := json.Unmarshal(text, &outputs); err != nil {
		return fmt.Errorf("read %s: %w", file, err)
	}
	s.Outputs = outputs[stackName]
	return nil
}

// connect points this process at the engine, too, and stores the secret.
func (s *Stage) connect(ctx context.Context) error {
	for _, pair := range s.Env {
		name, value, _ := strings.Cut(pair, "=")
		if strings.HasPrefix(name, "AWS_") || name == "SSL_CERT_FILE" {
			if err := os.Setenv(name, value); err != nil {
				return err
			}
		}
	}
	var err error
	if s.AWS, err = awsconfig.Load(ctx); err != nil {
		return err
	}
	_, err = secretsmanager.NewFromConfig(s.AWS).PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{
		SecretId: aws.String(s.Outputs["SecretName"]), SecretString: aws.String(samples.Secret),
	})
	return err
}

// run runs a command in the project's root and returns what it printed; the error has
// all that it said.
func (s *Stage) run(ctx context.Context, name string, args ...string) (string, error) {
	return s.runIn(ctx, s.root, name, args...)
}

func (s *Stage) runIn(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, s.Env
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%s %s: %w\n%s%s", filepath.Base(name), strings.Join(args, " "), err, stdout.String(), stderr.String())
	}
	return stdout.String(), nil
}

// Hookctl runs the program. Its error is for what kept it from running, and for mail,
// signatures and secrets in what it printed, but where it was asked to show a message;
// an exit code is none.
func (s *Stage) Hookctl(ctx context.Context, stdin string, env []string, args ...string) (code int, stdout, stderr string, err error) {
	cmd := exec.CommandContext(ctx, s.Program, args...)
	cmd.Env = append(slices.Clone(s.Env), env...)
	cmd.Stdin = strings.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = nil
	}
	if found := canary.Find(slices.Concat(out.Bytes(), errs.Bytes())); err == nil && len(found) > 0 && !slices.Contains(args, "show") {
		err = fmt.Errorf("hookctl %s printed %v", strings.Join(args, " "), found)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String(), err
}
