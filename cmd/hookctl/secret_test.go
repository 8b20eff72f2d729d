package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/standin"
	"github.com/onepagecrm/nylas-webhooks/notification"
	"github.com/onepagecrm/nylas-webhooks/test/nylas"
)

func TestSecretSet(t *testing.T) {
	stage := standin.New(t)
	for _, step := range []struct {
		args, stdin    string
		code           int
		stdout, stderr string
		want           []string
	}{
		{"", "first-secret\n", exitOK, "Stored.", "", []string{"first-secret"}},
		{"", "first-secret", exitOK, "current already; nothing was written", "", []string{"first-secret"}},
		{"", "secret-tpyo\n", exitOK, "The previous one verifies until 20", "", []string{"secret-tpyo", "first-secret"}},
		{"--correct", "second-secret\n", exitOK, "Corrected", "", []string{"second-secret", "first-secret"}},
		{"", notification.MockSecret + "\n", exitUsage, "", "the public key of Nylas's test events", []string{"second-secret", "first-secret"}},
		{"", "", exitUsage, "", "standard input is empty", []string{"second-secret", "first-secret"}},
		{"", "two words\n", exitUsage, "", "Nothing was stored", []string{"second-secret", "first-secret"}},
		{"", "first-line\nsecond-line\n", exitUsage, "", "more than one line", []string{"second-secret", "first-secret"}},
		{"--correct", `{"webhook_secret":"third-secret"}`, exitUsage, "", "looks like JSON", []string{"second-secret", "first-secret"}},
		{"", `"third-secret"`, exitUsage, "", "it has quotes", []string{"second-secret", "first-secret"}},
		{"", "t", exitUsage, "", "fewer than 8 characters", []string{"second-secret", "first-secret"}},
		{"third-secret", "x\n", exitUsage, "", "unknown command", []string{"second-secret", "first-secret"}},
	} {
		code, stdout, stderr := hookctl(t, step.stdin, append([]string{"secret", "set", "--stage", "local"}, strings.Fields(step.args)...)...)
		if code != step.code || !strings.Contains(stdout, step.stdout) || !strings.Contains(stderr, step.stderr) {
			t.Errorf("set %s <<< %q: exit code %d\n%s%s", step.args, step.stdin, code, stdout, stderr)
		}
		if got := stage.Secrets(); !slices.Equal(got, step.want) {
			t.Errorf("set %s <<< %q: stored %q, want %q", step.args, step.stdin, got, step.want)
		}
		if value := strings.TrimSpace(step.stdin); value != "" && len(value) > 1 && strings.Contains(stdout+stderr, value) {
			t.Errorf("the value was printed: %s%s", stdout, stderr)
		}
	}
}

func TestSecretStatus(t *testing.T) {
	for _, test := range []struct {
		name   string
		stored []string
		code   int
		want   []string
	}{
		{"nothing", nil, exitNotSo, []string{"No secret is stored", "hookctl secret set --stage local"}},
		{"an empty one", []string{""}, exitNotSo, []string{"AWSCURRENT", "it is empty", "hookctl secret set --stage local\n"}},
		{"the mock key", []string{notification.MockSecret}, exitNotSo, []string{"the public key of Nylas's test events", "No notification of Nylas verifies"}},
		{"JSON", []string{`{"webhook_secret":"secret-1"}`}, exitNotSo, []string{"it looks like JSON", "hookctl secret set --stage local --correct"}},
		{"quotes, and before it a good one", []string{"secret-1", `"secret-2"`}, exitNotSo, []string{"it has quotes", "until 20"}},
		{"one", []string{"secret-1"}, exitOK, []string{"AWSCURRENT", "version-1", "yes"}},
		{"two", []string{"secret-1", "secret-2"}, exitOK, []string{"version-2", "AWSPREVIOUS", "version-1", "until 20"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			stage := standin.New(t)
			for _, value := range test.stored {
				stage.Store(value)
			}
			code, stdout, stderr := hookctl(t, "", "secret", "status", "--stage", "local")
			if code != test.code || stderr != "" {
				t.Errorf("exit code %d, want %d\n%s", code, test.code, stderr)
			}
			for _, want := range test.want {
				if !strings.Contains(stdout, want) {
					t.Errorf("lacks %q:\n%s", want, stdout)
				}
			}
			_, asJSON, _ := hookctl(t, "", "secret", "status", "--stage", "local", "--json")
			var status secretStatus
			if err := json.Unmarshal([]byte(asJSON), &status); err != nil || status.Usable != (test.code == exitOK) || len(status.Versions) != len(test.stored) {
				t.Errorf("%v, %+v", err, status)
			}
			for _, value := range test.stored {
				if len(value) > 0 && value != notification.MockSecret && strings.Contains(stdout+asJSON, strings.Trim(value, `"`)) {
					t.Errorf("the value was printed:\n%s%s", stdout, asJSON)
				}
			}
		})
	}
}

func TestSecretStatusOfAnInterruptedCorrection(t *testing.T) {
	stage := standin.New(t)
	stage.Store("secret-1")
	stage.Store("secret-tpyo")
	stage.Refuse["PutSecretValue"] = "InternalServiceError"
	if code, _, stderr := hookctl(t, "secret-2\n", "secret", "set", "--correct", "--stage", "local"); code != exitFailed || !strings.Contains(stderr, "Run the same command again") {
		t.Errorf("exit code %d\n%s", code, stderr)
	}
	_, stdout, _ := hookctl(t, "", "secret", "status", "--stage", "local")
	if !strings.Contains(stdout, "hookctl secret set --correct --stage local") {
		t.Errorf("says nothing of the correction:\n%s", stdout)
	}
}

func TestSecretRevokePrevious(t *testing.T) {
	stage := standin.New(t)
	stage.Store("secret-1")
	stage.Store("secret-2")
	for _, want := range []string{"Revoked version version-1", "no previous version; nothing was changed"} {
		code, stdout, stderr := hookctl(t, "", "secret", "revoke-previous", "--stage", "local", "--yes-revoke", "local")
		if code != exitOK || !strings.Contains(stdout, want) {
			t.Errorf("exit code %d, lacks %q\n%s%s", code, want, stdout, stderr)
		}
		if got := stage.Secrets(); !slices.Equal(got, []string{"secret-2"}) {
			t.Errorf("stored %q", got)
		}
	}
}

func TestSecretRotate(t *testing.T) {
	stage, api, id := registered(t)
	before := api.Webhooks()[0].Secret
	code, stdout, stderr := hookctl(t, "", "secret", "rotate", "--stage", "local")
	after := api.Webhooks()[0].Secret
	if code != exitOK || before == after || !slices.Equal(stage.Secrets(), []string{after, before}) {
		t.Errorf("exit code %d, changed at Nylas: %t, stored: %t\n%s", code, before != after, slices.Equal(stage.Secrets(), []string{after, before}), stderr)
	}
	if !strings.Contains(stdout, "The previous one verifies until") || strings.Contains(stdout+stderr, after) {
		t.Errorf("printed %s%s", stdout, stderr)
	}
	deliver(t, api, id, 200)
}

// TestSecretRotateCrash loses the new secret at each point between Nylas's choice and
// its storing; the second rotation repairs it.
func TestSecretRotateCrash(t *testing.T) {
	for _, test := range []struct {
		name       string
		crash      func(*standin.Stage, *nylas.API)
		recover    func(*standin.Stage)
		rotated    bool // the crash comes after Nylas has chosen
		wantStderr []string
	}{
		{"Nylas fails", func(_ *standin.Stage, api *nylas.API) {
			api.Break(nylas.Fault{Request: "POST /v3/webhooks/rotate-secret", Status: 500, Times: 4})
		}, nil, false, []string{"Nylas may sign with a new secret already", "hookctl secret rotate --stage local --id webhook-1", "Trying again in"}},
		{"Nylas's answer is lost", func(_ *standin.Stage, api *nylas.API) {
			api.Break(nylas.Fault{Request: "POST /v3/webhooks/rotate-secret", Lost: true, Times: 1})
		}, nil, true, []string{"Nylas may sign with a new secret already", "hookctl secret rotate --stage local --id webhook-1"}},
		{"the new secret cannot be stored", func(stage *standin.Stage, api *nylas.API) {
			// From the moment on at which Nylas has chosen, nothing can be stored.
			api.Break(nylas.Fault{Request: "POST /v3/webhooks/rotate-secret", Then: func() { stage.Refuse["PutSecretValue"] = "InternalServiceError" }, Times: 1})
		}, func(stage *standin.Stage) { clear(stage.Refuse) }, true, []string{"Nylas signs with a new secret, which is not stored", "hookctl secret rotate --stage local --id webhook-1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			stage, api, id := registered(t)
			before := stage.Secrets()
			test.crash(stage, api)
			code, stdout, stderr := hookctl(t, "", "secret", "rotate", "--stage", "local")
			if code != exitFailed || stdout != "" || !slices.Equal(stage.Secrets(), before) {
				t.Errorf("exit code %d, stored %d values\n%s%s", code, len(stage.Secrets()), stdout, stderr)
			}
			for _, want := range test.wantStderr {
				if !strings.Contains(stderr, want) {
					t.Errorf("lacks %q:\n%s", want, stderr)
				}
			}
			if test.rotated {
				deliver(t, api, id, 503) // the new secret is not there
			}
			if test.recover != nil {
				test.recover(stage)
			}
			if code, _, stderr := hookctl(t, "", "secret", "rotate", "--stage", "local"); code != exitOK {
				t.Errorf("again: exit code %d\n%s", code, stderr)
			}
			deliver(t, api, id, 200)
			if got := stage.Secrets(); len(got) != 2 || got[1] != before[0] {
				t.Error("the secret before the crash must be the previous one")
			}
		})
	}
}

func TestSecretRotateAsksFirstWhetherItCanStore(t *testing.T) {
	stage, api, id := registered(t)
	stage.Refuse["PutSecretValue"] = "AccessDeniedException"
	code, _, stderr := hookctl(t, "", "secret", "rotate", "--stage", "local")
	if code != exitFailed || !strings.Contains(stderr, "lack a permission") {
		t.Errorf("exit code %d\n%s", code, stderr)
	}
	if n := len(api.Requests("POST /v3/webhooks/rotate-secret")); n != 0 {
		t.Errorf("%d rotations at Nylas", n)
	}
	deliver(t, api, id, 200)
}
