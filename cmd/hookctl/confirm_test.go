package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/standin"
	"github.com/onepagecrm/nylas-webhooks/notification"
	"github.com/onepagecrm/nylas-webhooks/test/nylas"
)

// asking are the command lines that ask, without --stage, by the flag that answers.
// STAGE stands for the stage's name, SERVER for where its webhook is.
var asking = []struct{ line, flag string }{
	{"webhook pause", "--yes"},
	{"webhook update --triggers message.created", "--yes"},
	{"secret rotate", "--yes"},
	{"dlq redrive", "--yes"},
	{"dlq redrive --one-by-one", "--yes"},
	{"spill replay", "--yes"},
	{"spill replay --type message.created", "--yes"},
	{"replay --since 1h", "--yes"},
	{"forward --since 1h --no-follow --to SERVER/nylas", "--yes"},
	{"secret revoke-previous", "--yes-revoke STAGE"},
	{"webhook delete", "--yes-delete STAGE"},
	{"dlq purge", "--yes-purge dead"},
	{"archive erase --grant g1", "--yes-erase g1"},
	{"send message_created", "--yes-send STAGE"},
}

// anyway are those that ask at every stage, because they cannot be undone.
func anyway(flag string) bool { return flag != "--yes" && !strings.HasPrefix(flag, "--yes-send") }

// everything is a stage with something to lose, as local and dev, and protected as prod
// and staging. Of prod somebody has taken the termination protection.
func everything(t *testing.T) (*standin.Stage, *nylas.API) {
	t.Helper()
	stage, api, _ := registered(t)
	stage.Store("a-newer-secret")
	stage.Bury(encoded(t, "dead", "{}"))
	stage.Spill("spill/2026/01/05/10/1.json.gz", encoded(t, "spilled", "{}"), time.Minute)
	body := []byte(`{"id":"copied"}`)
	stage.Archive(notification.Notification{Body: body, ID: "copied", GrantID: "g1", Type: "message.created", ReceivedAt: time.Now(), Signature: notification.Sign("a-newer-secret", body)})
	for _, name := range []string{"prod", "staging", "dev"} {
		stage.Stacks["NylasWebhooks-"+name] = stage.Stacks["NylasWebhooks-local"]
	}
	stage.Protected = map[string]bool{"NylasWebhooks-staging": true}
	return stage, api
}

// state is all that a command could have changed.
func state(stage *standin.Stage, api *nylas.API) string {
	return fmt.Sprint(stage.Secrets(), stage.Queued(), stage.Buried(), stage.Kept(), stage.Notices(), api.Webhooks())
}

func words(line, flag, stage string) []string {
	line = strings.ReplaceAll(line, "SERVER", os.Getenv("AWS_ENDPOINT_URL"))
	return append(strings.Fields(line+" "+strings.ReplaceAll(flag, "STAGE", stage)), "--stage", stage)
}

func TestNobodyToAsk(t *testing.T) {
	for _, test := range asking {
		for _, name := range []string{"prod", "staging"} {
			if name != "prod" && strings.HasPrefix(test.line, "send") {
				continue // the others have no customers
			}
			for _, try := range []struct{ stdin, more, why string }{
				{"", "", "standard input is no terminal"},
				{"y\n", "", "standard input is no terminal"},
				{name + "\n", "", "standard input is no terminal"},
				{"dead\n", "--no-input", "--no-input is given"},
			} {
				stage, api := everything(t)
				before := state(stage, api)
				code, stdout, stderr := hookctl(t, try.stdin, words(test.line, try.more, name)...)
				want := fmt.Sprintf("hookctl: nothing was done, because this asks first and %s: give %s to confirm it\n", try.why, strings.ReplaceAll(test.flag, "STAGE", name))
				if code != exitUsage || stdout != "" || stderr != want || state(stage, api) != before {
					t.Errorf("%s --stage %s %s <<< %q: exit code %d, changed: %t\n%s%s", test.line, name, try.more, try.stdin, code, state(stage, api) != before, stdout, stderr)
				}
			}
		}
	}
}

func TestFlagsAnswer(t *testing.T) {
	for _, test := range asking {
		for _, more := range []string{"", " --no-input"} {
			stage, api := everything(t)
			before := state(stage, api)
			code, stdout, stderr := hookctl(t, "", words(test.line, test.flag+more, "prod")...)
			if code != exitOK || state(stage, api) == before {
				t.Errorf("%s %s%s: exit code %d, changed: %t\n%s%s", test.line, test.flag, more, code, state(stage, api) != before, stdout, stderr)
			}
		}
		if test.flag == "--yes" {
			continue
		}
		stage, api := everything(t)
		before := state(stage, api)
		flag, _, _ := strings.Cut(test.flag, " ")
		code, _, stderr := hookctl(t, "", words(test.line, flag+" local", "prod")...)
		if code != exitUsage || !strings.Contains(stderr, "not confirmed, nothing was done. Type ") || state(stage, api) != before {
			t.Errorf("%s %s local at prod: exit code %d, changed: %t\n%s", test.line, flag, code, state(stage, api) != before, stderr)
		}
	}
}

// At a stage that is not protected only what cannot be undone asks.
func TestUnprotectedStages(t *testing.T) {
	for _, test := range asking {
		stage, api := everything(t)
		before := state(stage, api)
		code, stdout, stderr := hookctl(t, "", words(test.line, "", "dev")...)
		if asks := anyway(test.flag); asks != (code == exitUsage) || asks == (state(stage, api) != before) {
			t.Errorf("%s: exit code %d, changed: %t\n%s%s", test.line, code, state(stage, api) != before, stdout, stderr)
		}
	}
}

// What changes nothing, or only what was selected, asks nobody.
func TestNothingToAsk(t *testing.T) {
	for _, line := range []string{
		"dlq redrive --dry-run", "dlq redrive --max 1", "dlq redrive --type message", "dlq ls", "spill replay --dry-run", "spill ls", "replay --since 1h --dry-run",
		"webhook activate", "webhook update --description CRM", "webhook update --triggers message.created,grant.expired,event.created", "secret status",
		"send message_created --tamper",
	} {
		stage, _ := everything(t)
		if code, stdout, stderr := hookctl(t, "", words(line, "--no-input", "prod")...); code == exitUsage || code == exitFailed {
			t.Errorf("%s: exit code %d\n%s%s", line, code, stdout, stderr)
		}
		if strings.Contains(line, "--dry-run") && (stage.Queued() != 0 || stage.Notices() != 1 || len(stage.Kept()) != 2 || stage.Buried() != 1) {
			t.Errorf("%s changed something", line)
		}
	}
	stage, _, _ := registered(t)
	stage.Stacks["NylasWebhooks-prod"] = stage.Stacks["NylasWebhooks-local"]
	code, stdout, stderr := hookctl(t, "", "secret", "revoke-previous", "--stage", "prod")
	if code != exitOK || !strings.Contains(stdout, "nothing was changed") {
		t.Errorf("revoke-previous of nothing: exit code %d\n%s%s", code, stdout, stderr)
	}
}

// Every command is known to ask or not to: who adds one decides it here.
func TestEveryCommandAsksOrNeedNot(t *testing.T) {
	needNot := map[string]string{
		"demo": "local only", "doctor": "looks", "gaps": "looks", "tail": "looks", "verify": "looks", "version": "looks", "dlq ls": "looks", "dlq show": "looks",
		"dlq export": "looks, and overwrites no file", "spill ls": "looks", "secret status": "looks", "webhook list": "looks", "webhook status": "looks",
		"secret set": "the value that is given confirms it", "webhook create": "changes nothing that is there", "webhook activate": "ends a pause", "init": "overwrites nothing without --update",
	}
	everyCommand(func(cmd *cobra.Command) {
		path := strings.TrimPrefix(cmd.CommandPath(), "hookctl ")
		if cmd.HasSubCommands() || path == "help" || strings.HasPrefix(path, "completion") {
			return
		}
		flag := ""
		for _, one := range asking {
			if strings.HasPrefix(one.line+" ", path+" ") {
				flag, _, _ = strings.Cut(strings.TrimPrefix(one.flag, "--"), " ")
			}
		}
		has := slices.ContainsFunc([]string{"yes", "yes-purge", "yes-send", "yes-delete", "yes-revoke", "yes-erase"}, func(name string) bool { return cmd.Flags().Lookup(name) != nil })
		switch {
		case flag == "" && (needNot[path] == "" || has):
			t.Errorf("%s: say above why it need not ask, or how it asks", path)
		case flag != "" && cmd.Flags().Lookup(flag) == nil:
			t.Errorf("%s has no flag --%s", path, flag)
		}
	})
}
