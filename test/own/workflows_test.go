package own

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/onepagecrm/nylas-webhooks/internal/starter"
	"github.com/onepagecrm/nylas-webhooks/test/engine"
)

// Two stages in two accounts.
var (
	crmdev  = starter.Stage{Name: "crmdev", Account: "111122223333", Region: "us-east-1"}
	crmprod = starter.Stage{Name: "crmprod", Account: "444455556666", Region: "us-east-1"}
)

// commit is a push to main.
func commit(t *testing.T, dir, message string) {
	t.Helper()
	in(t, dir, "git", "add", "-A", "--", ".", ":!node_modules") // a link here
	in(t, dir, "git", "-c", "user.name=Dev", "-c", "user.email=dev@example.com", "commit", "--quiet", "--message", message)
}

// The workflows that hookctl init writes, step by step and in order, with two stages as two
// accounts and with the rights that each job's role has, while Nylas sends to both.
func TestWorkflows(t *testing.T) {
	dir := repository(t, crmdev, crmprod)
	in(t, dir, "make", "test")
	in(t, dir, "git", "init", "--quiet", "--initial-branch", "main")
	commit(t, dir, "Our webhooks")
	outputs, traffics := map[string]map[string]string{}, map[string]*traffic{}
	r := &runner{t: t, repository: dir, name: "acme/webhooks", github: t.TempDir(), accounts: map[string]*account{}}
	for _, stage := range []starter.Stage{crmdev, crmprod} {
		a := newAccount(t, stage)
		r.accounts[stage.Account] = a
		outputs[stage.Name] = a.setUp(t, dir)
		url, err := engine.WebhookAt(a.environment["AWS_ENDPOINT_URL"], outputs[stage.Name]["WebhookUrl"])
		if err != nil {
			t.Fatal(err)
		}
		traffics[stage.Name] = sendTo(t, url, 30*time.Second)
	}
	dev, prod := r.accounts[crmdev.Account], r.accounts[crmprod.Account]
	more := func() {
		for _, s := range traffics {
			s.more(t, 20)
		}
	}
	finish := func(what string, got ran, want map[string]string) {
		t.Helper()
		for name, became := range want {
			if got.jobs[name] != became {
				t.Fatalf("%s: job %s: %s, want %s\n%s", what, name, got.jobs[name], became, got.log)
			}
		}
	}

	// A release that is well, and changes something.
	was := prod.template(t)
	for _, stage := range []string{"crmdev", "crmprod"} {
		edit(t, filepath.Join(dir, "main.go"), "	return []stages", "	"+stage+".LogDays = 30\n	return []stages")
	}
	commit(t, dir, "Keep logs for a month")
	first := r.run("deploy.yml", event{})
	finish("a release", first, map[string]string{"synthesize": "success", "crmdev": "success", "crmprod": "success"})
	if prod.template(t) == was {
		t.Error("the release did not reach crmprod")
	}
	if err := os.WriteFile(filepath.Join(r.github, "last-success"), []byte(first.id), 0o600); err != nil {
		t.Fatal(err)
	}
	more()

	// Nobody else gets the role, and it may do nothing by itself.
	deployer := "arn:aws:iam::" + crmprod.Account + ":role/NylasWebhooks-crmprod-delivery-Deployer"
	for _, subject := range []string{"repo:acme/webhooks:environment:crmdev", "repo:acme/webhooks:ref:refs/heads/main", "repo:acme/webhooks2:environment:crmprod", "repo:acme/webhooks:environment:crmprod-diff"} {
		if _, err := prod.assumed(t, deployer, subject); err == nil {
			t.Errorf("%s gets the role that deploys crmprod", subject)
		}
	}
	who, err := prod.assumed(t, deployer, "repo:acme/webhooks:environment:crmprod")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := run(t, who, dir, "go", "tool", "hookctl", "secret", "set", "--stage", "crmprod", "--no-input"); err == nil {
		t.Errorf("who deploys can change the secret: %s", out)
	}

	// Nor may who looks, every half hour and without an approval.
	doctor := "arn:aws:iam::" + crmprod.Account + ":role/NylasWebhooks-crmprod-delivery-Doctor"
	if who, err = prod.assumed(t, doctor, "repo:acme/webhooks:environment:crmprod-doctor"); err != nil {
		t.Fatal(err)
	}
	cfg := prod.cfg
	cfg.Credentials = credentials.NewStaticCredentialsProvider(who["AWS_ACCESS_KEY_ID"], who["AWS_SECRET_ACCESS_KEY"], who["AWS_SESSION_TOKEN"])
	if _, err := secretsmanager.NewFromConfig(cfg).PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{
		SecretId: aws.String(outputs["crmprod"]["SecretName"]), SecretString: aws.String("another")}); err == nil || !strings.Contains(err.Error(), "AccessDenied") {
		t.Errorf("who looks can change the secret: %v", err)
	}
	if _, err := sqs.NewFromConfig(cfg).SendMessage(t.Context(), &sqs.SendMessageInput{
		QueueUrl: aws.String(outputs["crmprod"]["QueueUrl"]), MessageBody: aws.String("forged")}); err == nil || !strings.Contains(err.Error(), "AccessDenied") {
		t.Errorf("who looks can put something onto the queue: %v", err)
	}

	// A release that hands notifications to a queue that is not there, and to no bucket. It ends
	// at crmdev, which has the previous assembly afterwards; crmprod never had it.
	before := dev.template(t)
	edit(t, filepath.Join(dir, "main.go"), "	awscdk.Tags_Of(stacks)", `	for _, stage := range []string{"crmdev", "crmprod"} {
		function := stacks.Node().FindChild(jsii.String("NylasWebhooks-" + stage)).Node().FindChild(jsii.String("Receiver")).Node().DefaultChild().(awscdk.CfnResource)
		function.AddPropertyOverride(jsii.String("Environment.Variables.WEBHOOK_QUEUE_URL"), "https://sqs.us-east-1.amazonaws.com/000000000000/gone")
		function.AddPropertyOverride(jsii.String("Environment.Variables.WEBHOOK_BUCKET"), "gone")
	}
	awscdk.Tags_Of(stacks)`)
	commit(t, dir, "A bad idea")
	bad := r.run("deploy.yml", event{})
	finish("a bad release", bad, map[string]string{"synthesize": "success", "crmdev": "failure", "crmprod": "skipped"})
	if !strings.Contains(bad.log, "$ make doctor STAGE=crmdev") || dev.template(t) != before {
		t.Fatalf("doctor was not asked, or crmdev does not have the previous assembly\n%s", bad.log)
	}
	more()
	if s := traffics["crmprod"]; s.failures() != 0 {
		t.Errorf("crmprod refused %d while crmdev had the bad release", s.failures())
	}
	if s := traffics["crmdev"]; s.failures() == 0 {
		t.Error("crmdev refused nothing, so the bad release was not there")
	}

	// A run that breaks before it deploys anything takes nothing back: what is there may be newer
	// than the last run, by hand.
	broken := r.run("deploy.yml", event{lost: "assembly"})
	finish("a run without its assembly", broken, map[string]string{"crmdev": "failure", "crmprod": "skipped"})
	if strings.Contains(broken.log, "$ last=") || strings.Contains(broken.log, "make release") {
		t.Errorf("it deployed something\n%s", broken.log)
	}

	// What was changed by hand is in an issue, one for each stage, whatever happens how often.
	scheduled := event{name: "schedule"}
	finish("drift of nothing", r.run("drift.yml", scheduled), map[string]string{"crmdev": "success", "crmprod": "success"})
	if _, err := sqs.NewFromConfig(dev.cfg).SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{
		QueueUrl: aws.String(outputs["crmdev"]["QueueUrl"]), Attributes: map[string]string{"MessageRetentionPeriod": "3600"}}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		finish("drift", r.run("drift.yml", scheduled), map[string]string{"crmdev": "failure", "crmprod": "success"})
	}
	if told, want := r.told(), []string{"issue: Stage crmdev was changed by hand, or could not be compared", "comment on 7"}; !slices.Equal(told, want) {
		t.Errorf("gh was told %q", told)
	}

	// The heartbeat, where it is switched on.
	key := map[string]string{"secrets.NYLAS_API_KEY": ""}
	const condition = "vars.HEARTBEAT == 'on' || github.event_name == 'workflow_dispatch'"
	finish("no heartbeat", r.run("heartbeat.yml", event{values: key, condition: map[string]bool{condition: false}}), map[string]string{"crmdev": "skipped", "crmprod": "skipped"})
	finish("a heartbeat", r.run("heartbeat.yml", event{values: key, condition: map[string]bool{condition: true}}), map[string]string{"crmdev": "success", "crmprod": "success"})

	for _, a := range r.accounts {
		s, stage := traffics[a.stage.Name], a.stage
		sent := s.stop()
		got := arrived(t, sqs.NewFromConfig(a.cfg), outputs[stage.Name]["QueueUrl"])
		lost := 0
		for _, body := range sent {
			if !got[body] {
				lost++
			}
		}
		t.Logf("%s: %d accepted, %d tries refused, %d given up, %d lost", stage.Name, len(sent), s.refused, s.givenUp, lost)
		if lost > 0 || s.givenUp > 0 {
			t.Errorf("%s: %d lost, %d given up", stage.Name, lost, s.givenUp)
		}
	}
}
