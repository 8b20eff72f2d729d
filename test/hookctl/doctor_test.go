package hookctl

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/onepagecrm/nylas-webhooks/notification"
	"github.com/onepagecrm/nylas-webhooks/notification/samples"
	"github.com/onepagecrm/nylas-webhooks/test/nylas"
)

type diagnosis struct {
	Findings int
	Reports  []struct{ Check, State, Says, Next string }
}

// finding returns what the check says, and fails the test unless it has one report
// in that state that says it.
func (d diagnosis) says(t *testing.T, check, state, says, next string) {
	t.Helper()
	for _, r := range d.Reports {
		if r.Check == check && r.State == state && strings.Contains(r.Says, says) && strings.Contains(r.Next, next) {
			return
		}
	}
	t.Errorf("no report of %q in state %s says %q (next: %q):\n%+v", check, state, says, next, d.Reports)
}

func store(t *testing.T, value string) {
	t.Helper()
	_, err := secretsmanager.NewFromConfig(stage.AWS).PutSecretValue(context.WithoutCancel(t.Context()), &secretsmanager.PutSecretValueInput{
		SecretId: aws.String(stage.Outputs["SecretName"]), SecretString: &value,
	})
	must(t, err)
}

func TestDoctorHealthy(t *testing.T) {
	must(t, stage.Empty(t.Context()))
	stdout, stderr := hookctl(t, 0, "doctor", "--stage", "local", "--json")
	d := parse[diagnosis](t, stdout)
	d.says(t, "webhook at Nylas", "unchecked", "NYLAS_API_KEY", "NYLAS_API_KEY=")
	d.says(t, "secret", "ok", "Only a notification of Nylas", "")
	d.says(t, "smoke test", "ok", "challenge is echoed", "")
	d.says(t, "smoke test", "ok", "refused (401)", "")
	d.says(t, "smoke test", "ok", "signed with the stored value was accepted", "")
	d.says(t, "queue", "ok", "Notifications that wait: about", "")
	d.says(t, "dead letters", "ok", "none", "")
	d.says(t, "alarms", "ok", "None of", "")
	if d.Findings != 0 || strings.Contains(stdout+stderr, samples.Secret) {
		t.Errorf("%d findings, or the secret was printed:\n%s%s", d.Findings, stdout, stderr)
	}
	// The smoke test is on the queue, nothing was taken off it.
	messages, err := stage.Drain(t.Context(), stage.Queue())
	must(t, err)
	if len(messages) != 1 || *messages[0].MessageAttributes[notification.AttrType].StringValue != notification.SmokeTestType {
		t.Errorf("%d messages on the queue, want the smoke test alone", len(messages))
	}
}

func TestDoctorFindings(t *testing.T) {
	dead(t, "message_created", "grant_expired")
	store(t, notification.MockSecret)
	metrics := cloudwatch.NewFromConfig(stage.AWS)
	name := aws.String("NylasWebhooks-local-SendFailed")
	set := func(state cwtypes.StateValue) {
		_, err := metrics.SetAlarmState(context.WithoutCancel(t.Context()), &cloudwatch.SetAlarmStateInput{AlarmName: name, StateValue: state, StateReason: aws.String("test")})
		must(t, err)
	}
	set(cwtypes.StateValueAlarm)
	t.Cleanup(func() {
		store(t, samples.Secret)
		set(cwtypes.StateValueOk)
	})
	stdout, _ := hookctl(t, 1, "doctor", "--stage", "local", "--json")
	d := parse[diagnosis](t, stdout)
	d.says(t, "dead letters", "finding", "There are about 2.", "hookctl dlq ls --stage local")
	d.says(t, "secret", "finding", "not a webhook secret of Nylas", "hookctl secret set --stage local")
	// The engine leaves alarms' descriptions out; a unit test has one.
	d.says(t, "alarms", "finding", "SendFailed is in ALARM. See docs/runbook.md#sendfailed", "")
	d.says(t, "smoke test", "unchecked", "cannot be Nylas's", "hookctl secret set --correct --stage local")
	if d.Findings != 3 {
		t.Errorf("%d findings, want 3:\n%s", d.Findings, stdout)
	}
	text, _ := hookctl(t, 1, "doctor", "--stage", "local")
	if !strings.Contains(text, "Findings: 3.") || !strings.Contains(text, "Next: hookctl dlq ls --stage local") {
		t.Errorf("the text lacks findings or what to do:\n%s", text)
	}
}

func TestDoctorAtNylas(t *testing.T) {
	must(t, stage.Empty(t.Context()))
	sent, _ := hookctl(t, 0, "send", "--stage", "local", "message_created", "--json")
	url := parse[struct {
		WebhookURL string `json:"webhook_url"`
	}](t, sent).WebhookURL
	later := time.Now().Add(time.Hour).Unix()
	for _, test := range []struct {
		name, state, says, next string
		webhook                 nylas.Webhook
		code                    int
	}{
		{"as it should be", "ok", "has the deployed URL", "", nylas.Webhook{URL: url, TriggerTypes: []string{"message.created"}, CreatedAt: 1}, 0},
		{"another URL", "finding", "No webhook at Nylas has this stage's URL", "hookctl webhook create", nylas.Webhook{URL: "https://example.com/nylas"}, 1},
		{"paused", "finding", "is paused", "hookctl webhook activate", nylas.Webhook{URL: url, Status: "pause", TriggerTypes: []string{"message.created"}}, 1},
		{"compressed", "finding", "compressed_delivery is on", "hookctl webhook update", nylas.Webhook{URL: url, CompressedDelivery: true, TriggerTypes: []string{"message.created"}}, 1},
		{"no triggers", "finding", "has no triggers", "--triggers", nylas.Webhook{URL: url}, 1},
		{"newer than the secret", "finding", "older than the webhook", "hookctl secret rotate", nylas.Webhook{URL: url, TriggerTypes: []string{"message.created"}, CreatedAt: later}, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			api := nylas.New()
			defer api.Server.Close()
			api.Add(test.webhook)
			env := []string{"NYLAS_API_URI=" + api.Server.URL, "NYLAS_API_KEY=" + nylas.Key}
			stdout, _ := hookctlWith(t, test.code, "", env, "doctor", "--stage", "local", "--json")
			parse[diagnosis](t, stdout).says(t, "webhook at Nylas", test.state, test.says, test.next)
		})
	}
	api := nylas.New()
	api.Server.Close()
	stdout, _ := hookctlWith(t, 3, "", []string{"NYLAS_API_URI=" + api.Server.URL, "NYLAS_API_KEY=wrong"}, "doctor", "--stage", "local", "--json")
	parse[diagnosis](t, stdout).says(t, "webhook at Nylas", "failed", "", "")
}
