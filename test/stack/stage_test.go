package stack

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/onepagecrm/nylas-webhooks/infra/stages"
	"github.com/onepagecrm/nylas-webhooks/infra/webhooks"
	"github.com/onepagecrm/nylas-webhooks/test/stack/synth"
)

func TestStackProperties(t *testing.T) {
	for name, d := range stacks {
		a := manifests[webhooks.StackName(d.stage)]
		if a.Properties.TerminationProtection != d.stage.Protected {
			t.Errorf("%s: termination protection is %v", name, a.Properties.TerminationProtection)
		}
		if a.Properties.Tags["Project"] != "nylas-webhooks" || a.Properties.Tags["Stage"] != name {
			t.Errorf("%s: the tags are %v", name, a.Properties.Tags)
		}
		if d.template.Description == "" {
			t.Errorf("%s: the stack has no description", name)
		}
		want := "aws://unknown-account/unknown-region"
		if d.stage.Account != "" {
			want = "aws://" + d.stage.Account + "/" + d.stage.Region // so that the CDK CLI refuses any other account
		}
		if a.Environment != want {
			t.Errorf("%s: the environment is %s, want %s", name, a.Environment, want)
		}
	}
}

// The CDK CLI prints these with every command, until nobody reads them.
func TestNoWarnings(t *testing.T) {
	for _, warning := range warnings {
		t.Error(warning)
	}
}

// "cdk deploy --all" takes the main assembly's stacks, and must not overwrite the
// account's logging role.
func TestAccountStackIsNotPartOfAll(t *testing.T) {
	for name, a := range manifests {
		if a.Type == "aws:cloudformation:stack" && strings.Contains(name, "account") {
			t.Errorf("%s is in the main assembly", name)
		}
	}
	for id, r := range logging.Resources {
		if r.DeletionPolicy != "Retain" {
			t.Errorf("%s is deleted with the stack, and with it every API's logging", id)
		}
	}
}

// synthesized returns the template of a stage that is made for one test.
func synthesized(t *testing.T, stage stages.Stage) template {
	t.Helper()
	app, err := synth.NewApp(root, filepath.Join(t.TempDir(), "out"), false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := webhooks.NewStack(app, stage, webhooks.NewBuilder(root)); err != nil {
		t.Fatal(err)
	}
	app.Synth(nil)
	var made template
	if err := decode(filepath.Join(*app.Outdir(), webhooks.StackName(stage)+".template.json"), &made); err != nil {
		t.Fatal(err)
	}
	return made
}

func TestAlarmsOff(t *testing.T) {
	stage := synth.Named("dev")
	stage.AlarmsOff = map[string]string{"QueueAge": "nobody reads this queue"}
	off := synthesized(t, stage)
	if id := off.id(alarmType, "QueueAgeAlarm"); id != "" {
		t.Errorf("%s exists although it is switched off", id)
	}
	if got, want := len(off.of(alarmType)), len(stacks["dev"].template.of(alarmType))-1; got != want {
		t.Errorf("%d alarms are left of %d", got, want+1)
	}

	stage.AlarmsOff = map[string]string{"QueueAgee": "mistyped"}
	app, err := synth.NewApp(root, filepath.Join(t.TempDir(), "out"), false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := webhooks.NewStack(app, stage, webhooks.NewBuilder(root)); err == nil || !strings.Contains(err.Error(), "QueueAgee") {
		t.Errorf("switching off an alarm that does not exist: %v", err)
	}
}

// The console of each partition has a domain of its own.
// https://docs.aws.amazon.com/general/latest/gr/mgmt-console.html
func TestConsoleOfEachPartition(t *testing.T) {
	for region, want := range map[string]string{
		"eu-central-1":   "console.aws.amazon.com",
		"us-gov-west-1":  "console.amazonaws-us-gov.com",
		"eusc-de-east-1": "console.amazonaws-eusc.eu",
	} {
		stage := synth.Named("dev")
		stage.Account, stage.Region = "123456789012", region
		if err := stage.Validate(); err != nil {
			t.Fatal(err)
		}
		there := synthesized(t, stage)
		if url := literal(there.Outputs["DashboardUrl"].Value); !strings.HasPrefix(url, "https://<AWS::Region>."+want+"/") {
			t.Errorf("%s: the dashboard is at %s, want %s", region, url, want)
		}
	}
}

// A queue that keeps longer leaves less time among the dead letters, and is told of earlier.
func TestRetentionOfAStage(t *testing.T) {
	for days, want := range map[int]struct{ queue, body, expiring, hours float64 }{
		1:  {86_400, 45, 43_200, 168},    // 13 days are left; CloudWatch looks back over 7
		7:  {604_800, 51, 302_400, 120},  // of 7 days, the last 2 are to act in
		10: {864_000, 54, 432_000, 48},   // of 4
		13: {1_123_200, 57, 561_600, 12}, // of 1
	} {
		stage := synth.Named("dev")
		stage.RetentionDays = days
		if err := stage.Validate(); err != nil {
			t.Fatal(err)
		}
		made := synthesized(t, stage)
		var f findings
		f.want("the queue's", made.props(queueType, "Queue").at("MessageRetentionPeriod"), want.queue)
		f.want("the bodies'", objects(made.props(bucketType, "Bucket").at("LifecycleConfiguration", "Rules"))[0].at("ExpirationInDays"), want.body)
		f.want("QueueExpiring's", made.props(alarmType, "QueueExpiringAlarm").at("Threshold"), want.expiring)
		f.want("DeadLettersExpiring's", made.props(alarmType, "DeadLettersExpiringAlarm").at("EvaluationPeriods"), want.hours)
		for _, finding := range f {
			t.Errorf("%d days: %s", days, finding)
		}
	}
}

// A threshold of one's own is what the alarm has, and the page says so.
func TestThresholdsOfAStage(t *testing.T) {
	stage := synth.Named("dev")
	stage.Thresholds = map[string]stages.Threshold{"QueueAge": {Limit: 1800, Reason: "the CRM works by night"}}
	made := synthesized(t, stage)
	var f findings
	f.want("the threshold", made.props(alarmType, "QueueAgeAlarm").at("Threshold"), 1800)
	f.want("another alarm's", made.props(alarmType, "BacklogAlarm").at("Threshold"), stacks["dev"].template.props(alarmType, "BacklogAlarm").at("Threshold"))
	for _, finding := range f {
		t.Error(finding)
	}
	if page := text(made.props(alarmType, "QueueAgeAlarm").at("AlarmDescription")); !strings.Contains(page, "On this stage it rings at 1800 instead of 300: the CRM works by night") {
		t.Errorf("the page does not say so: %s", page)
	}
	stage.Thresholds = map[string]stages.Threshold{"QueueAgee": {Limit: 1, Reason: "mistyped"}}
	app, err := synth.NewApp(root, filepath.Join(t.TempDir(), "out"), false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := webhooks.NewStack(app, stage, webhooks.NewBuilder(root)); err == nil || !strings.Contains(err.Error(), "QueueAgee") {
		t.Errorf("the threshold of an alarm that does not exist: %v", err)
	}
}
