// Package localstage deploys the local stage on an engine of its own and runs the real
// hookctl against it. The tests of hookctl's commands and of its transcripts use it,
// each with an engine of its own, so that neither finds the other's messages.
package localstage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/onepagecrm/nylas-webhooks/internal/awsconfig"
	"github.com/onepagecrm/nylas-webhooks/notification/samples"
	"github.com/onepagecrm/nylas-webhooks/test/canary"
	"github.com/onepagecrm/nylas-webhooks/test/engine"
	"github.com/onepagecrm/nylas-webhooks/test/rights"
)

const stackName = "NylasWebhooks-local"

// Stage is the deployed local stage, with [samples.Secret] stored.
type Stage struct {
	*engine.Engine
	// Program is hookctl, which is on the PATH, too.
	Program string
	// Outputs are the stack's.
	Outputs map[string]string
	// AWS talks to the engine, as its root user.
	AWS aws.Config
	// Programs is what each program needs.
	Programs rights.Table

	users map[string]rights.User // by what they may do
}

// Start deploys to an empty engine whose state is .local/<name>. Call [engine.Engine.Stop]
// also when it fails.
func Start(ctx context.Context, name string) (*Stage, error) {
	e, err := engine.Start(ctx, name)
	s := &Stage{Engine: e, Program: filepath.Join(e.Dir, "bin", "hookctl"), users: map[string]rights.User{}}
	if err != nil {
		return s, err
	}
	if s.Programs, err = rights.ReadTable(e.Root); err != nil {
		return s, err
	}
	if _, err := s.Run(ctx, "go", "build", "-o", s.Program, "./cmd/hookctl"); err != nil {
		return s, err
	}
	if err := engine.Prepend(filepath.Dir(s.Program)); err != nil {
		return s, err
	}
	if s.Outputs, err = s.Deploy(ctx, stackName); err != nil {
		return s, err
	}
	if s.AWS, err = awsconfig.Load(ctx); err != nil {
		return s, err
	}
	_, err = secretsmanager.NewFromConfig(s.AWS).PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{
		SecretId: aws.String(s.Outputs["SecretName"]), SecretString: aws.String(samples.Secret),
	})
	return s, err
}

// Hookctl runs the program under the rights that its command needs, unless env has other
// credentials. Its error is for what kept it from running, and for mail,
// signatures and secrets in what it printed, but where it was asked to show a message;
// an exit code is none.
func (s *Stage) Hookctl(ctx context.Context, stdin string, env []string, args ...string) (code int, stdout, stderr string, err error) {
	environ, err := s.As(ctx, "hookctl "+strings.Join(args, " "))
	if err != nil {
		return 0, "", "", err
	}
	cmd := exec.CommandContext(ctx, s.Program, args...)
	cmd.Env = append(environ, env...)
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
