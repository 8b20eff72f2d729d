package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/standin"
	"github.com/onepagecrm/nylas-webhooks/test/nylas"
)

// atNylas starts a stage and a Nylas, and points hookctl at both.
func atNylas(t *testing.T) (*standin.Stage, *nylas.API) {
	stage, api := standin.New(t), nylas.New()
	t.Cleanup(api.Server.Close)
	t.Setenv("NYLAS_API_URI", api.Server.URL)
	t.Setenv("NYLAS_API_KEY", nylas.Key)
	pause := nylasPause
	nylasPause = time.Millisecond
	t.Cleanup(func() { nylasPause = pause })
	return stage, api
}

const triggers = "message.created,grant.expired"

// registered is a stage whose webhook hookctl has created.
func registered(t *testing.T) (*standin.Stage, *nylas.API, string) {
	stage, api := atNylas(t)
	code, stdout, stderr := hookctl(t, "", "webhook", "create", "--stage", "local", "--triggers", triggers)
	if code != exitOK || !strings.Contains(stdout, "Registered, and its secret is stored.") {
		t.Fatalf("create: exit code %d\n%s%s", code, stdout, stderr)
	}
	return stage, api, api.Webhooks()[0].ID
}

// deliver lets Nylas send one notification and looks at the answer.
func deliver(t *testing.T, api *nylas.API, id string, want int) {
	t.Helper()
	body := fmt.Sprintf(`{"specversion":"1.0","type":"grant.expired","id":%q}`, t.Name())
	if status, err := api.Deliver(t.Context(), id, []byte(body)); err != nil || status != want {
		t.Errorf("a delivery got %d, %v; want %d", status, err, want)
	}
}

func TestWebhookCreate(t *testing.T) {
	stage, api, id := registered(t)
	deliver(t, api, id, 200)
	hook := api.Webhooks()[0]
	if hook.URL != stage.Server.URL+"/nylas" || !slices.Equal(hook.TriggerTypes, strings.Split(triggers, ",")) || hook.CompressedDelivery {
		t.Errorf("registered %+v", hook.URL)
	}
	// A second time: found, not made again, its secret left alone.
	code, stdout, stderr := hookctl(t, "", "webhook", "create", "--stage", "local", "--triggers", triggers)
	if code != exitOK || !strings.Contains(stdout, "nothing was changed") || len(api.Webhooks()) != 1 || api.Webhooks()[0].Secret != hook.Secret {
		t.Errorf("again: exit code %d, %d webhooks\n%s%s", code, len(api.Webhooks()), stdout, stderr)
	}
	if strings.Contains(stdout+stderr, hook.Secret) || strings.Contains(stdout+stderr, nylas.Key) {
		t.Error("a secret was printed")
	}
	// With other triggers: said, not changed.
	code, stdout, _ = hookctl(t, "", "webhook", "create", "--stage", "local", "--triggers", "message.created,event.created")
	if code != exitNotSo || !strings.Contains(stdout, "it lacks event.created; it also has grant.expired") || !strings.Contains(stdout, "hookctl webhook update --triggers message.created,event.created --stage local --id "+id) {
		t.Errorf("with other triggers: exit code %d\n%s", code, stdout)
	}
}

// TestWebhookCreateCrash ends create at each step; running it again finishes it.
func TestWebhookCreateCrash(t *testing.T) {
	for _, test := range []struct {
		name   string
		crash  func(*standin.Stage, *nylas.API)
		made   int // webhooks at Nylas after the crash
		stderr string
	}{
		{"the webhook's secret could not be stored", func(s *standin.Stage, _ *nylas.API) { s.Refuse["PutSecretValue"] = "InternalServiceError" }, 1,
			"Run this now, it gets another secret: hookctl webhook create --stage local"},
		{"Nylas made it, its answer was lost", func(_ *standin.Stage, a *nylas.API) {
			a.Break(nylas.Fault{Request: "POST /v3/webhooks", Lost: true, Times: 1})
		}, 1, "Nylas may have made the webhook. Run the same command again"},
		{"Nylas failed", func(_ *standin.Stage, a *nylas.API) {
			a.Break(nylas.Fault{Request: "POST /v3/webhooks", Status: 500, Times: 1})
		}, 0, "Nylas may have made the webhook. Run the same command again"},
		{"Nylas could not be asked what there is", func(_ *standin.Stage, a *nylas.API) {
			a.Break(nylas.Fault{Request: "GET /v3/webhooks", Status: 503, Times: 4})
		}, 0, "a fault of its own"},
	} {
		for _, lean := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, lean answers %t", test.name, lean), func(t *testing.T) {
				stage, api := atNylas(t)
				api.Lean = lean
				test.crash(stage, api)
				create := []string{"webhook", "create", "--stage", "local", "--triggers", triggers}
				code, stdout, stderr := hookctl(t, "", create...)
				if code != exitFailed || stdout != "" || !strings.Contains(stderr, test.stderr) {
					t.Errorf("exit code %d, lacks %q\n%s%s", code, test.stderr, stdout, stderr)
				}
				if n := len(api.Webhooks()); n != test.made || len(stage.Secrets()) != 0 {
					t.Errorf("%d webhooks, %d secrets", n, len(stage.Secrets()))
				}
				clear(stage.Refuse)
				code, stdout, stderr = hookctl(t, "", create...)
				if code != exitOK || len(api.Webhooks()) != 1 {
					t.Fatalf("again: exit code %d, %d webhooks\n%s%s", code, len(api.Webhooks()), stdout, stderr)
				}
				deliver(t, api, api.Webhooks()[0].ID, 200)
				secrets := stage.Secrets()
				if code, stdout, _ := hookctl(t, "", create...); code != exitOK || !slices.Equal(stage.Secrets(), secrets) {
					t.Errorf("a third time changes something: exit code %d\n%s", code, stdout)
				}
			})
		}
	}
}

func TestWebhookCreateMakesNoWebhookThatItCannotFinish(t *testing.T) {
	stage, api := atNylas(t)
	stage.Store("secret-of-an-earlier-webhook")
	stage.Refuse["PutSecretValue"] = "AccessDeniedException"
	code, _, stderr := hookctl(t, "", "webhook", "create", "--stage", "local", "--triggers", triggers)
	if code != exitFailed || !strings.Contains(stderr, "lack a permission") || len(api.Webhooks()) != 0 {
		t.Errorf("exit code %d, %d webhooks\n%s", code, len(api.Webhooks()), stderr)
	}
}

func TestWebhookStatusFindsWhatIsWrong(t *testing.T) {
	now := time.Now().Unix()
	for _, test := range []struct {
		name   string
		hook   nylas.Webhook
		secret string
		id     bool
		want   []string
	}{
		{"paused", nylas.Webhook{Status: "pause"}, "41dD3-nXTUfebYuk81Gr", false, []string{"it is paused", "hookctl webhook activate --stage local --id webhook-1"}},
		{"failed", nylas.Webhook{Status: "failed"}, "41dD3-nXTUfebYuk81Gr", false, []string{"not sent later", "webhook activate"}},
		{"failing", nylas.Webhook{Status: "failing"}, "41dD3-nXTUfebYuk81Gr", false, []string{"it is failing", "95 % of", "hookctl doctor"}},
		{"a status to come", nylas.Webhook{Status: "new"}, "41dD3-nXTUfebYuk81Gr", false, []string{`its status is "new"`}},
		{"compressed", nylas.Webhook{CompressedDelivery: true}, "41dD3-nXTUfebYuk81Gr", false, []string{"compressed_delivery is on", "hookctl webhook update"}},
		{"nothing stored", nylas.Webhook{}, "", false, []string{"no secret is stored", "hookctl webhook create"}},
		{"an older secret", nylas.Webhook{CreatedAt: now + 60}, "41dD3-nXTUfebYuk81Gr", false, []string{"older than the webhook", "hookctl secret rotate"}},
		{"the mock key", nylas.Webhook{}, "mock-webhook-secret", false, []string{"not a webhook secret of Nylas", "hookctl secret rotate"}},
		{"another URL", nylas.Webhook{URL: "https://example.com/old"}, "41dD3-nXTUfebYuk81Gr", true, []string{"registered for https://example.com/old", "hookctl webhook update --deployed-url --stage local --id webhook-1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			stage, api := atNylas(t)
			if test.secret != "" {
				stage.Store(test.secret)
			}
			if test.hook.URL == "" {
				test.hook.URL = stage.Server.URL + "/nylas/" // Nylas may give it back with a slash
			}
			if test.hook.CreatedAt == 0 {
				test.hook.CreatedAt = now - 60
			}
			test.hook.TriggerTypes = []string{"grant.expired"}
			args := []string{"webhook", "status", "--stage", "local"}
			if id := api.Add(test.hook); test.id {
				args = append(args, "--id", id)
			}
			code, stdout, stderr := hookctl(t, "", args...)
			if code != exitNotSo {
				t.Errorf("exit code %d\n%s", code, stderr)
			}
			for _, want := range test.want {
				if !strings.Contains(stdout, want) {
					t.Errorf("lacks %q:\n%s", want, stdout)
				}
			}
			if n := strings.Count(stdout, "\n! "); n != 1 {
				t.Errorf("%d findings, want 1:\n%s", n, stdout)
			}
		})
	}
}

func TestWebhookChanges(t *testing.T) {
	stage, api, id := registered(t)
	hook := func() nylas.Webhook { return api.Webhooks()[0] }
	step := func(args string, code int, want string) {
		t.Helper()
		got, stdout, stderr := hookctl(t, "", strings.Fields("webhook "+args+" --stage local")...)
		if got != code || !strings.Contains(stdout+stderr, want) {
			t.Errorf("webhook %s: exit code %d, want %d; lacks %q\n%s%s", args, got, code, want, stdout, stderr)
		}
	}
	step("status", exitOK, "message.created, grant.expired")
	step("pause", exitOK, "pause")
	step("pause", exitOK, "in status pause already")
	if hook().Status != "pause" {
		t.Errorf("status %s", hook().Status)
	}
	step("activate", exitOK, "active")
	step("activate", exitOK, "in status active already")
	step("update --triggers grant.expired --notify oncall@example.com,b@example.com --description CRM", exitOK, "oncall@example.com, b@example.com")
	if h := hook(); len(h.TriggerTypes) != 1 || h.Description != "CRM" || h.Status != "active" {
		t.Errorf("updated to %+v", h.TriggerTypes)
	}
	step("update", exitOK, "active") // only turns compressed_delivery off
	step("update --deployed-url", exitUsage, "needs --id")
	// The stack was deployed anew, somewhere else.
	stage.Stacks["NylasWebhooks-local"]["WebhookUrl"] = stage.Server.URL + "/nylas?new"
	step("status", exitNotSo, "no webhook is registered for "+stage.Server.URL+"/nylas?new")
	step("update --deployed-url --id "+id, exitOK, "/nylas?new")
	step("status", exitOK, id)
}

func TestWebhookActivateNeedsTheChallenge(t *testing.T) {
	stage, api, _ := registered(t)
	hookctl(t, "", "webhook", "pause", "--stage", "local")
	stage.Stacks["NylasWebhooks-local"]["WebhookUrl"] = stage.Server.URL + "/nylas"
	api.Client.Timeout = time.Nanosecond // nobody answers Nylas in time
	code, _, stderr := hookctl(t, "", "webhook", "activate", "--stage", "local")
	if code != exitFailed || !strings.Contains(stderr, "did not get it back") || api.Webhooks()[0].Status != "pause" {
		t.Errorf("exit code %d, status %s\n%s", code, api.Webhooks()[0].Status, stderr)
	}
}

func TestWebhookDelete(t *testing.T) {
	_, api, _ := registered(t)
	for _, step := range []struct {
		stdin, args string
		code        int
		want        string
		left        int
	}{
		{"", "", exitUsage, "give --yes-delete local", 1},
		{"local\n", "", exitUsage, "standard input is no terminal", 1},
		{"", "--yes-delete dev", exitUsage, "not confirmed, nothing was done. Type local", 1},
		{"", "--yes-delete local", exitOK, "Deleted webhook webhook-1", 0},
		{"", "", exitOK, "nothing was changed", 0}, // it asks nobody about nothing
		{"", "--yes-delete local --id webhook-1", exitOK, "nothing was changed", 0},
	} {
		code, stdout, stderr := hookctl(t, step.stdin, append([]string{"webhook", "delete", "--stage", "local"}, strings.Fields(step.args)...)...)
		if code != step.code || !strings.Contains(stdout+stderr, step.want) || len(api.Webhooks()) != step.left {
			t.Errorf("%q %s: exit code %d, %d left\n%s%s", step.stdin, step.args, code, len(api.Webhooks()), stdout, stderr)
		}
	}
}

func TestWebhookList(t *testing.T) {
	_, api, id := registered(t)
	api.Add(nylas.Webhook{URL: "https://example.com/other", TriggerTypes: []string{"grant.expired"}})
	code, stdout, stderr := hookctl(t, "", "webhook", "list", "--stage", "local")
	if code != exitOK || !strings.Contains(stdout, "https://example.com/other") || strings.Count(stdout, " local ") != 1 {
		t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
	}
	t.Setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1") // without a stage nobody asks AWS
	code, stdout, stderr = hookctl(t, "", "webhook", "list", "--json")
	var listed []listedWebhook
	if err := json.Unmarshal([]byte(stdout), &listed); err != nil || code != exitOK || len(listed) != 2 || listed[0].ID != id || listed[0].Stage != "" {
		t.Errorf("exit code %d, %v\n%s%s", code, err, stdout, stderr)
	}
	if strings.Contains(stdout, "webhook_secret") {
		t.Error("a secret was printed")
	}
}

func TestWebhookSentences(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*testing.T, *standin.Stage, *nylas.API)
		args   string
		code   int
		want   []string
	}{
		{"no triggers", nil, "create --stage local", exitUsage, []string{"--triggers is missing"}},
		{"a trigger that is sent by itself", nil, "create --stage local --triggers message.created.truncated", exitUsage, []string{"cannot be subscribed to", "Give message.created"}},
		{"a list with blanks", nil, "create --stage local --triggers a,,b", exitUsage, []string{"no trigger type"}},
		{"an unknown trigger", nil, "create --stage local --triggers contact.created", exitFailed, []string{"Nylas refuses", "contact.created"}},
		{"no stage", nil, "status", exitUsage, []string{"--stage is missing"}},
		{"no key", func(t *testing.T, _ *standin.Stage, _ *nylas.API) { t.Setenv("NYLAS_API_KEY", "") },
			"status --stage local", exitFailed, []string{"no Nylas API key", "NYLAS_API_KEY", "--nylas-key-secret"}},
		{"a wrong key", func(t *testing.T, _ *standin.Stage, _ *nylas.API) { t.Setenv("NYLAS_API_KEY", "wrong") },
			"status --stage local", exitFailed, []string{"does not accept this API key", "--nylas-region"}},
		{"a key with a line feed in it", func(t *testing.T, _ *standin.Stage, _ *nylas.API) { t.Setenv("NYLAS_API_KEY", "a\nb") },
			"status --stage local", exitUsage, []string{"Nylas API key is empty or has a character"}},
		{"a region that is none", nil, "status --stage local --nylas-region asia", exitUsage, []string{`no region "asia"`, "us or eu"}},
		{"the key from Secrets Manager", func(t *testing.T, s *standin.Stage, _ *nylas.API) {
			t.Setenv("NYLAS_API_KEY", "")
			s.OtherSecrets = map[string]string{"nylas/key": nylas.Key + "\n"}
		}, "list --nylas-key-secret nylas/key", exitOK, nil},
		{"no such key secret", nil, "list --nylas-key-secret nylas/key", exitUsage, []string{"no secret nylas/key"}},
		{"a stage that Nylas cannot reach", func(t *testing.T, _ *standin.Stage, _ *nylas.API) { t.Setenv("NYLAS_API_URI", "") },
			"create --stage local --triggers grant.expired", exitFailed, []string{"cannot reach http://127.0.0.1"}},
		{"not registered", nil, "pause --stage local", exitFailed, []string{"no webhook is registered for http", "hookctl webhook create --stage local"}},
		{"no such id", nil, "pause --stage local --id nope", exitFailed, []string{"no such webhook", "hookctl webhook list"}},
		{"twice registered", func(_ *testing.T, s *standin.Stage, a *nylas.API) {
			a.Add(nylas.Webhook{URL: s.Server.URL + "/nylas"})
			a.Add(nylas.Webhook{URL: s.Server.URL + "/nylas/"})
		}, "status --stage local", exitFailed, []string{"webhook-1, webhook-2", "Keep one"}},
		{"Nylas is down", func(_ *testing.T, _ *standin.Stage, a *nylas.API) { a.Server.Close() },
			"status --stage local", exitFailed, []string{"gives no answer", "Trying again in"}},
		{"Nylas limits", func(_ *testing.T, _ *standin.Stage, a *nylas.API) {
			a.Break(nylas.Fault{Status: 429, RetryAfter: "120", Times: 9})
		}, "status --stage local", exitFailed, []string{"asks to wait 2m0s"}},
		{"Nylas has a fault", func(_ *testing.T, _ *standin.Stage, a *nylas.API) { a.Break(nylas.Fault{Status: 500, Times: 9}) },
			"status --stage local", exitFailed, []string{"a fault of its own"}},
		{"a wrong stage", nil, "status --stage prod", exitFailed, []string{`stage "prod" is not deployed`, "deployed here: local"}},
		{"no permission", func(_ *testing.T, s *standin.Stage, _ *nylas.API) {
			s.Refuse["GetSecretValue"] = "AccessDeniedException"
		},
			"create --stage local --triggers grant.expired", exitFailed, []string{"lack a permission"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			stage, api := atNylas(t)
			if test.change != nil {
				test.change(t, stage, api)
			}
			code, stdout, stderr := hookctl(t, "", strings.Fields("webhook "+test.args)...)
			if code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			for _, want := range test.want {
				if !strings.Contains(stderr, want) {
					t.Errorf("lacks %q:\n%s%s", want, stdout, stderr)
				}
			}
			if strings.Contains(stdout+stderr, nylas.Key) {
				t.Error("the API key was printed")
			}
			if len(stage.Secrets()) != 0 {
				t.Error("a secret was stored")
			}
		})
	}
}

func TestTriggerCompletion(t *testing.T) {
	_, stdout, _ := hookctl(t, "", "__complete", "webhook", "create", "--triggers", "message.created,gra")
	if !strings.Contains(stdout, "message.created,grant.expired\n") || strings.Contains(stdout, "message.created,message.created\n") {
		t.Errorf("offers\n%s", stdout)
	}
}
