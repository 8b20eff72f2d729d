package main

import (
	"bytes"
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/standin"
	"github.com/onepagecrm/nylas-webhooks/test/canary"
)

// hookctl runs the program in this process and returns what it printed.
func hookctl(t *testing.T, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, strings.NewReader(stdin), &out, &errs)
	if found := canary.Find(slices.Concat(out.Bytes(), errs.Bytes())); len(found) > 0 && !slices.Contains(args, "show") {
		t.Errorf("hookctl %s printed %v", strings.Join(args, " "), found)
	}
	return code, out.String(), errs.String()
}

func TestExitCodesAndSentences(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*testing.T, *standin.Stage)
		args   string
		code   int
		stderr []string
	}{
		{"a command misspelt", nil, "dql ls", exitUsage, []string{`unknown command "dql"`, "Did you mean dlq?"}},
		{"a subcommand misspelt", nil, "dlq redirve --stage local", exitUsage, []string{`unknown command "redirve" for "hookctl dlq". Did you mean redrive?`}},
		{"unknown command", nil, "nonsense", exitUsage, []string{`unknown command "nonsense"`}},
		{"unknown flag", nil, "demo --nonsense", exitUsage, []string{"unknown flag", "hookctl demo --help"}},
		{"an argument too many", nil, "demo more", exitUsage, []string{"hookctl demo --help"}},
		{"no stage", nil, "demo", exitUsage, []string{"--stage is missing"}},
		{"a stack instead of a stage", nil, "dlq ls --stage NylasWebhooks-prod", exitUsage, []string{"Give --stage prod"}},
		{"an ARN instead of a stage", nil, "webhook list --stage arn:aws:cloudformation:eu-west-1:123456789012:stack/NylasWebhooks-prod/0a1b", exitUsage, []string{"Give --stage prod"}},
		{"a stage in capitals", nil, "dlq ls --stage PROD", exitUsage, []string{"Give --stage prod"}},
		{"what can be no stage", nil, "dlq ls --stage https://example.com", exitUsage, []string{"The stage is what follows NylasWebhooks- in the stack's name"}},
		{"a rate of nothing", nil, "spill replay --stage local --rate 0", exitUsage, []string{"--rate is a number from 1"}},
		{"none at most", nil, "spill replay --stage local --max -1", exitUsage, []string{"--max is a number from 1"}},
		{"demo against a real stage", nil, "demo --stage prod", exitUsage, []string{"--stage local only"}},
		{"demo without the engine", func(t *testing.T, _ *standin.Stage) { t.Setenv("AWS_ENDPOINT_URL", "") },
			"demo --stage local", exitUsage, []string{"AWS_ENDPOINT_URL is not set", "make run"}},
		{"a webhook elsewhere", func(_ *testing.T, s *standin.Stage) {
			s.Stacks["NylasWebhooks-local"]["WebhookUrl"] = "https://hooks.example.com/nylas"
		}, "send --stage local message_created", exitFailed, []string{"not this machine"}},
		{"no region", func(t *testing.T, _ *standin.Stage) { t.Setenv("AWS_REGION", ""); t.Setenv("AWS_DEFAULT_REGION", "") },
			"demo --stage local", exitFailed, []string{"AWS_REGION"}},
		{"no credentials", func(t *testing.T, _ *standin.Stage) {
			t.Setenv("AWS_ACCESS_KEY_ID", "")
			t.Setenv("AWS_SECRET_ACCESS_KEY", "")
		}, "demo --stage local", exitFailed, []string{"no AWS credentials", "AWS_PROFILE"}},
		{"credentials nobody knows", func(_ *testing.T, s *standin.Stage) { s.Refuse["DescribeStacks"] = "InvalidClientTokenId" },
			"demo --stage local", exitFailed, []string{"does not know these credentials"}},
		{"expired credentials", func(_ *testing.T, s *standin.Stage) { s.Refuse["DescribeStacks"] = "ExpiredToken" },
			"demo --stage local", exitFailed, []string{"expired", "Sign in"}},
		{"no permission", func(_ *testing.T, s *standin.Stage) { s.Refuse["DescribeStacks"] = "AccessDenied" },
			"demo --stage local", exitFailed, []string{"lack a permission", "DescribeStacks"}},
		{"no permission for the secret", func(_ *testing.T, s *standin.Stage) { s.Refuse["GetSecretValue"] = "AccessDeniedException" },
			"demo --stage local", exitFailed, []string{"lack a permission", "read the stored secret"}},
		{"not deployed", func(_ *testing.T, s *standin.Stage) { s.Stacks = nil },
			"demo --stage local", exitFailed, []string{`stage "local" is not deployed`, "make run"}},
		{"another stage deployed", func(_ *testing.T, s *standin.Stage) {
			s.Stacks = map[string]map[string]string{"NylasWebhooks-dev": {"WebhookUrl": "x"}, "NylasWebhooks-account": {}}
		}, "demo --stage local", exitFailed, []string{"deployed here: dev."}},
		{"half deployed", func(_ *testing.T, s *standin.Stage) { delete(s.Stacks["NylasWebhooks-local"], "QueueUrl") },
			"demo --stage local", exitFailed, []string{"no output QueueUrl", "CREATE_COMPLETE"}},
		{"engine not running", func(_ *testing.T, s *standin.Stage) { s.Server.Close() },
			"demo --stage local", exitFailed, []string{"nothing answers at", "make run"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			stage := standin.New(t)
			if test.change != nil {
				test.change(t, stage)
			}
			code, stdout, stderr := hookctl(t, "", strings.Fields(test.args)...)
			if code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			for _, want := range test.stderr {
				if !strings.Contains(stderr, want) {
					t.Errorf("standard error lacks %q:\n%s", want, stderr)
				}
			}
			if strings.Contains(stdout, "reached the queue") {
				t.Errorf("printed a result:\n%s", stdout)
			}
			if len(stage.Posts()) != 0 && test.code == exitUsage {
				t.Error("something was sent although the command was given wrongly")
			}
		})
	}
}

// What is between may answer with what was sent; of AWS's words only those of known forms
// are shown.
func TestAWSsOwnWordsAreNotShown(t *testing.T) {
	for action, args := range map[string]string{
		"DescribeStacks": "dlq ls", "GetQueueAttributes": "dlq ls", "ReceiveMessage": "dlq redrive",
		"SendMessageBatch": "dlq redrive", "GetSecretValue": "secret status", "PurgeQueue": "dlq purge --yes-purge dead",
	} {
		stage := standin.New(t)
		stage.Bury(encoded(t, "one", "{}"))
		stage.Refuse[action] = "InternalFailure"
		code, stdout, stderr := hookctl(t, "", append(strings.Fields(args), "--stage", "local")...)
		if code != exitFailed || !strings.Contains(stderr, action+": 400 InternalFailure") || strings.Contains(stdout+stderr, "refused by the test") {
			t.Errorf("%s refused, %s: exit code %d\n%s%s", action, args, code, stdout, stderr)
		}
	}
}

// What a credential_process prints is credentials, and the SDK quotes what it cannot read.
func TestCredentialProcessIsNotQuoted(t *testing.T) {
	standin.New(t)
	profile := filepath.Join(t.TempDir(), "config")
	text := "[profile process]\nregion = eu-west-1\ncredential_process = echo Refreshing '{\"Version\":1,\"SecretAccessKey\":\"SUPERSECRET\"}'\n"
	if err := os.WriteFile(profile, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CONFIG_FILE", profile)
	t.Setenv("AWS_PROFILE", "process")
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"} {
		t.Setenv(name, "")
	}
	for _, args := range []string{"dlq ls --stage dev", "secret status --stage dev", "doctor --stage dev"} {
		code, stdout, stderr := hookctl(t, "", strings.Fields(args)...)
		if code != exitFailed || !strings.Contains(stderr, "credential_process") || strings.Contains(stdout+stderr, "SUPERSECRET") {
			t.Errorf("%s: exit code %d\n%s%s", args, code, stdout, stderr)
		}
	}
}

func TestUntrustedCertificate(t *testing.T) {
	stage := standin.New(t)
	stage.Store("secret-of-the-stage")
	server := httptest.NewTLSServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	defer server.Close()
	stage.Stacks["NylasWebhooks-local"]["WebhookUrl"] = server.URL + "/nylas"
	for _, args := range []string{"send --stage local message_created", "dlq ls --stage local"} {
		code, _, stderr := hookctl(t, "", strings.Fields(args)...)
		if code != exitFailed || !strings.Contains(stderr, "certificate is not trusted") || !strings.Contains(stderr, "AWS_CA_BUNDLE") || strings.Contains(stderr, "nothing answers") {
			t.Errorf("%s: exit code %d\n%s", args, code, stderr)
		}
		t.Setenv("AWS_ENDPOINT_URL", server.URL) // the next one does not trust AWS
	}
}

func TestInterrupted(t *testing.T) {
	stage := standin.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	stage.Webhook = func(http.ResponseWriter, *http.Request) { cancel() }
	var errs bytes.Buffer
	if code := run(ctx, []string{"demo", "--stage", "local"}, strings.NewReader(""), io.Discard, &errs); code != exitInterrupted {
		t.Errorf("exit code %d, want %d\n%s", code, exitInterrupted, errs.String())
	}
}

func TestHelpAndCompletion(t *testing.T) {
	for _, args := range []string{"", "--help", "demo --help", "completion bash"} {
		code, stdout, stderr := hookctl(t, "", strings.Fields(args)...)
		if code != exitOK || stdout == "" || stderr != "" {
			t.Errorf("hookctl %s: exit code %d, %d bytes, stderr %q", args, code, len(stdout), stderr)
		}
	}
	_, help, _ := hookctl(t, "", "demo", "--help")
	if !strings.Contains(help, "NylasWebhooks-prod") {
		t.Errorf("the help of --stage does not say what a stage is:\n%s", help)
	}
}

// The stages that completion offers and hints name are those of the app in this folder.
func TestStagesOfTheAppHere(t *testing.T) {
	t.Chdir(t.TempDir())
	if _, offered, _ := hookctl(t, "", "__complete", "demo", "--stage", ""); !strings.HasPrefix(offered, ":") {
		t.Errorf("nothing is synthesized, and offered is %q", offered)
	}
	code, _, stderr := hookctl(t, "", "dlq", "ls")
	if code != exitUsage || !strings.Contains(stderr, "what follows NylasWebhooks- in the stack's name") {
		t.Errorf("exit code %d, %q", code, stderr)
	}
	if err := os.Mkdir("cdk.out", 0o750); err != nil {
		t.Fatal(err)
	}
	manifest := `{"artifacts": {
		"NylasWebhooks-prod": {"type": "aws:cloudformation:stack"}, "NylasWebhooks-prod.assets": {"type": "cdk:asset-manifest"},
		"NylasWebhooks-crmdev": {"type": "aws:cloudformation:stack"}, "Another-stack": {"type": "aws:cloudformation:stack"}}}`
	if err := os.WriteFile("cdk.out/manifest.json", []byte(manifest), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, offered, _ := hookctl(t, "", "__complete", "demo", "--stage", ""); !strings.HasPrefix(offered, "crmdev\nprod\n:") {
		t.Errorf("offered is %q", offered)
	}
	_, _, stderr = hookctl(t, "", "dlq", "ls")
	if !strings.Contains(stderr, "The stages here are crmdev, prod") {
		t.Errorf("%q", stderr)
	}
}

func TestStageOfTheEnvironment(t *testing.T) {
	stage := standin.New(t)
	stage.Bury(encoded(t, "one", "{}"))
	t.Setenv("HOOKCTL_STAGE", "local")
	for _, args := range []string{"dlq ls", "dlq list"} {
		if code, stdout, stderr := hookctl(t, "", strings.Fields(args)...); code != exitOK {
			t.Errorf("%s: exit code %d\n%s%s", args, code, stdout, stderr)
		}
	}
	if code, _, stderr := hookctl(t, "", "dlq", "ls", "--stage", "dev"); code == exitOK {
		t.Errorf("--stage dev was not heeded\n%s", stderr)
	}
}
