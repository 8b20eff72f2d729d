package hookctl

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/onepagecrm/nylas-webhooks/notification/samples"
	"github.com/onepagecrm/nylas-webhooks/test/nylas"
	"github.com/onepagecrm/nylas-webhooks/test/rights"
)

// try runs a command with these credentials and returns all that it said.
func try(t *testing.T, user rights.User, stdin string, env []string, line string) (code int, said string) {
	t.Helper()
	code, stdout, stderr, err := stage.Hookctl(t.Context(), stdin, append(slices.Clone(user.Env), env...), strings.Fields(line)...)
	must(t, err)
	return code, stdout + stderr
}

const lacks = "lack a permission"

// use is what needs a permission: a command, or a call where no command can show it.
type use struct {
	line, stdin string
	call        func(*testing.T, aws.Config) error
}

// run returns what was said.
func (u use) run(t *testing.T, user rights.User) string {
	t.Helper()
	if u.call == nil {
		_, said := try(t, user, u.stdin, nil, u.line)
		return said
	}
	if err := u.call(t, user.AWS); err != nil {
		return err.Error()
	}
	return ""
}

// rightsGrant is the grant whose copy everywhere puts into the archive.
const rightsGrant = "grant-of-the-rights"

// uses are what needs each permission of a policy, by statement and action.
var uses = map[string]map[string]use{
	"OperatorPolicy": {
		"TakeDeadLetters/sqs:ReceiveMessage":              {line: "dlq ls --stage local"},
		"TakeDeadLetters/sqs:ChangeMessageVisibility":     {line: "dlq ls --stage local"},
		"TakeDeadLetters/sqs:GetQueueAttributes":          {line: "dlq ls --stage local"},
		"TakeDeadLetters/sqs:DeleteMessage":               {line: "dlq redrive --stage local --one-by-one"},
		"TakeDeadLetters/sqs:ListMessageMoveTasks":        {line: "dlq redrive --stage local"},
		"PutOntoQueue/sqs:SendMessage":                    {line: "dlq redrive --stage local --one-by-one"},
		"PutOntoQueue/sqs:GetQueueAttributes":             {line: "doctor --stage local"},
		"ListSpilled/s3:ListBucket":                       {line: "spill ls --stage local"},
		"TakeSpilled/s3:GetObject":                        {line: "spill replay --stage local"},
		"TakeSpilled/s3:DeleteObject":                     {line: "spill replay --stage local"},
		"ReadOverflow/s3:GetObject":                       {call: getOverflow},
		"ListArchive/s3:ListBucket":                       {line: "replay --stage local --since 1h"},
		"ReadAndEraseArchive/s3:GetObject":                {line: "replay --stage local --since 1h"},
		"ReadAndEraseArchive/s3:DeleteObject":             {line: "archive erase --stage local --grant " + rightsGrant + " --yes-erase " + rightsGrant},
		"TakeSpillNotices/sqs:ReceiveMessage":             {line: "spill replay --stage local"},
		"TakeSpillNotices/sqs:DeleteMessage":              {line: "spill replay --stage local"},
		"FindStack/cloudformation:DescribeStacks":         {line: "spill ls --stage local"},
		"ListResources/cloudformation:ListStackResources": {line: "tail --stage local --since 1m --no-follow"},
		"ReadLogs/logs:FilterLogEvents":                   {line: "gaps --stage local"},
		"ReadAlarms/cloudwatch:DescribeAlarms":            {line: "doctor --stage local"},
		"ReadMetrics/cloudwatch:GetMetricStatistics":      {line: "doctor --stage local"},
		// At the local stage doctor does not ask, as nobody is to hear of alarms.
		"ReadSubscribers/sns:ListSubscriptionsByTopic": {call: listSubscriptions},
	},
	"SecretPolicy": {
		"FindStack/cloudformation:DescribeStacks":              {line: "secret status --stage local"},
		"ReadSecret/secretsmanager:GetSecretValue":             {line: "secret status --stage local"},
		"ChangeSecret/secretsmanager:PutSecretValue":           {line: "secret set --stage local", stdin: "another-secret"},
		"ChangeSecret/secretsmanager:UpdateSecretVersionStage": {line: "secret revoke-previous --stage local --yes-revoke local"},
	},
}

// unseen are the permissions that the engine does not ask for, as it has no move tasks.
// The exact statement is a rule in test/stack.
var unseen = []string{"TakeDeadLetters/sqs:StartMessageMoveTask", "TakeDeadLetters/sqs:CancelMessageMoveTask"}

func getOverflow(t *testing.T, cfg aws.Config) error {
	answer, err := s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true }).GetObject(t.Context(), &s3.GetObjectInput{
		Bucket: aws.String(stage.Outputs["BucketName"]), Key: aws.String("overflow/rights"),
	})
	if err != nil {
		return err
	}
	return answer.Body.Close()
}

func listSubscriptions(t *testing.T, cfg aws.Config) error {
	for _, role := range []string{"Pages", "Tickets"} {
		topic, err := stage.Resource(t.Context(), "AWS::SNS::Topic", role)
		must(t, err)
		if _, err := sns.NewFromConfig(cfg).ListSubscriptionsByTopic(t.Context(), &sns.ListSubscriptionsByTopicInput{TopicArn: &topic}); err != nil {
			return err
		}
	}
	return nil
}

// everywhere puts something to find wherever a command looks.
func everywhere(t *testing.T) {
	t.Helper()
	dead(t, "message_created")
	spill(t, 1)
	_, err := sqs.NewFromConfig(stage.AWS).SendMessage(t.Context(), &sqs.SendMessageInput{
		QueueUrl: aws.String(stage.Outputs["SpillNoticesQueueUrl"]), MessageBody: aws.String("a notice"),
	})
	must(t, err)
	_, err = s3.NewFromConfig(stage.AWS, func(o *s3.Options) { o.UsePathStyle = true }).PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: aws.String(stage.Outputs["BucketName"]), Key: aws.String("overflow/rights"), Body: strings.NewReader("x"),
	})
	must(t, err)
	must(t, stage.Archive(t.Context(), "message_created", rightsGrant, time.Now()))
	store(t, samples.Secret)
	store(t, "the-one-after-it") // so that there is a previous one
}

// clean leaves the stage as the other tests want it.
func clean(t *testing.T) {
	t.Helper()
	store(t, samples.Secret)
	user, err := stage.User(t.Context(), rights.Row{Policies: []string{"OperatorPolicy"}})
	must(t, err)
	try(t, user, "", nil, "spill replay --stage local")
}

// TestEachPermissionIsNeeded takes the permissions of hookctl's two policies away, one at
// a time, and sees what it is for refused, by its name; with the whole policy it is not.
func TestEachPermissionIsNeeded(t *testing.T) {
	defer clean(t)
	for _, role := range slices.Sorted(maps.Keys(uses)) {
		whole, err := rights.Read(t.Context(), stage.AWS, stage.Outputs[role+"Arn"])
		must(t, err)
		user, err := rights.NewUser(t.Context(), stage.AWS, "less-"+role)
		must(t, err)
		granted := slices.Clone(unseen)
		for i, statement := range whole.Statement {
			for _, action := range rights.Actions(statement) {
				permission := rights.Permission(statement, action)
				if slices.Contains(unseen, permission) {
					continue
				}
				granted = append(granted, permission)
				t.Run(permission, func(t *testing.T) {
					use, known := uses[role][permission]
					if !known {
						t.Fatal("say above what it is for, or take it from the policy")
					}
					everywhere(t)
					must(t, user.Allow(t.Context(), stage.AWS, whole.Without(i, action)))
					if said := use.run(t, user); !strings.Contains(said, action) {
						t.Errorf("%s without it does not say that %s is missing:\n%s", use.line, action, said)
					}
					everywhere(t)
					must(t, user.Allow(t.Context(), stage.AWS, whole))
					if said := use.run(t, user); strings.Contains(said, action) {
						t.Errorf("%s with the whole policy:\n%s", use.line, said)
					}
				})
			}
		}
		for permission := range uses[role] {
			if !slices.Contains(granted, permission) {
				t.Errorf("%s does not grant %s", role, permission)
			}
		}
	}
}

// TestEachPolicyIsNeeded runs every command of the table in docs/least-privilege.md
// without one of the policies of its row, and with no policy.
func TestEachPolicyIsNeeded(t *testing.T) {
	defer clean(t)
	everywhere(t)
	dir := t.TempDir()
	sample, err := samples.Get("message_created")
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "body.json"), sample.Body, 0o600))
	api := nylas.New()
	defer api.Server.Close()
	env := []string{"NYLAS_API_URI=" + api.Server.URL, "NYLAS_API_KEY=" + nylas.Key}
	more := map[string]string{ // what a command asks for beyond --stage
		"dlq show": "x", "dlq export": "--file " + filepath.Join(dir, "dead.jsonl"), "dlq purge": "--yes-purge " + filepath.Base(stage.DeadLetters()),
		"tail": "--since 1m --no-follow", "replay": "--since 1h", "forward": "--since 1h --no-follow --to http://localhost:9", "archive erase": "--grant nobody", "send": "message_created", "verify": filepath.Join(dir, "body.json") + " --signature " + sample.Signature,
		"webhook create": "--triggers message.created", "webhook update": "--triggers message.created", "webhook delete": "--yes-delete local", "secret revoke-previous": "--yes-revoke local",
	}
	for program, row := range stage.Programs {
		command, ok := strings.CutPrefix(program, "hookctl ")
		if !ok {
			continue // test/consumer has hookworker
		}
		line := fmt.Sprintf("%s --stage local %s", command, more[command])
		for _, less := range steps(row) {
			user, err := stage.User(t.Context(), less)
			must(t, err)
			code, said := try(t, user, "another-secret\n", env, line)
			if code == 0 || code != 3 && command != "doctor" || !strings.Contains(said, lacks) {
				t.Errorf("hookctl %s with no more than %v %v: exit code %d, want 3 (doctor, with findings, 1) and that a permission is missing:\n%s", line, less.Policies, less.Actions, code, said)
			}
		}
	}
}

// steps are a row's rights with one less each.
func steps(row rights.Row) []rights.Row {
	var all []rights.Row
	for i := range row.Policies {
		all = append(all, rights.Row{Policies: slices.Delete(slices.Clone(row.Policies), i, i+1), Actions: row.Actions})
	}
	for i := range row.Actions {
		all = append(all, rights.Row{Policies: row.Policies, Actions: slices.Delete(slices.Clone(row.Actions), i, i+1)})
	}
	return all
}

// TestDoctorMayNotLook: under the operator's policy alone doctor names what it may not look
// at and goes on.
func TestDoctorMayNotLook(t *testing.T) {
	must(t, stage.Empty(t.Context()))
	user, err := stage.User(t.Context(), rights.Row{Policies: []string{"OperatorPolicy"}})
	must(t, err)
	api := nylas.New()
	defer api.Server.Close()
	sent, _ := hookctl(t, 0, "send", "--stage", "local", "message_created", "--json")
	url := parse[struct {
		WebhookURL string `json:"webhook_url"`
	}](t, sent).WebhookURL
	api.Add(nylas.Webhook{URL: url, TriggerTypes: []string{"message.created"}, CompressedDelivery: true})
	env := append(slices.Clone(user.Env), "NYLAS_API_URI="+api.Server.URL, "NYLAS_API_KEY="+nylas.Key)
	stdout, _ := hookctlWith(t, 1, "", env, "doctor", "--stage", "local", "--json")
	d := parse[diagnosis](t, stdout)
	const denied, missing = "Not looked at: ", "(secretsmanager:GetSecretValue)"
	for _, check := range []string{"webhook at Nylas", "secret", "smoke test"} {
		d.says(t, check, "denied", denied, "SecretPolicyArn")
		d.says(t, check, "denied", missing, "")
	}
	d.says(t, "webhook at Nylas", "finding", "compressed_delivery is on", "") // what it may see it says
	d.says(t, "smoke test", "ok", "refused (401)", "")
	for _, check := range []string{"queue", "dead letters", "spilled", "alarms", "who hears of alarms"} {
		d.says(t, check, "ok", "", "")
	}
	// Without findings it is still not green.
	_, stderr := hookctlWith(t, 3, "", append(user.Env, "NYLAS_API_KEY="), "doctor", "--stage", "local")
	if !strings.Contains(stderr, "2 of the checks could not be made") {
		t.Errorf("it ends with: %s", stderr)
	}
}
