package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/sender"
	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/standin"
	"github.com/onepagecrm/nylas-webhooks/notification/samples"
)

func TestSend(t *testing.T) {
	for _, test := range []struct {
		name   string
		args   string
		code   int
		last   string // line of standard output
		queued int
	}{
		{"one sample", "message_created", exitOK, "Answered 200, as expected: 1 of 1", 1},
		{"two samples", "message_created grant_expired", exitOK, "Answered 200, as expected: 2 of 2", 2},
		{"all samples in turn", "--count 25 --grants 3", exitOK, "Answered 200, as expected: 25 of 25", 25},
		{"at a rate", "message_created --count 3 --rate 1000", exitOK, "Answered 200, as expected: 3 of 3", 3},
		{"tampered", "message_created --tamper", exitOK, "Answered 503, as expected: 1 of 1", 0},
		{"unsigned", "message_created --unsigned", exitOK, "Answered 401, as expected: 1 of 1", 0},
		{"wrong secret", "message_created --wrong-secret", exitOK, "Answered 503, as expected: 1 of 1", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			stage := standin.New(t)
			stage.Store("secret-of-the-stage")
			code, stdout, stderr := hookctl(t, "", append([]string{"send", "--stage", "local"}, strings.Fields(test.args)...)...)
			if code != test.code || lastLine(stdout) != test.last || stage.Queued() != test.queued {
				t.Errorf("exit code %d, %d queued, printed\n%s%s", code, stage.Queued(), stdout, stderr)
			}
		})
	}
}

func TestSendMakesEveryNotificationAnother(t *testing.T) {
	stage := standin.New(t)
	stage.Store("secret-of-the-stage")
	code, stdout, _ := hookctl(t, "", "send", "--stage", "local", "--count", "40", "--grants", "4", "--json")
	var result sendResult
	if err := json.Unmarshal([]byte(stdout), &result); err != nil || code != exitOK {
		t.Fatalf("exit code %d, %v", code, err)
	}
	ids, grants := map[string]bool{}, map[string]bool{}
	for i, body := range stage.Posts() {
		e := sender.ReadEnvelope(body)
		ids[e.ID], grants[e.GrantID] = true, true
		if result.Notifications[i].Status != http.StatusOK {
			t.Errorf("notification %d: %+v", i, result.Notifications[i])
		}
	}
	if len(ids) != 40 || len(grants) != 4 {
		t.Errorf("%d ids and %d grants, want 40 and 4", len(ids), len(grants))
	}
}

func TestSendFileByteForByte(t *testing.T) {
	stage := standin.New(t)
	stage.Store("secret-of-the-stage")
	body := "{\"id\": \"\xff ü\" }\r\n"
	file := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(file, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := hookctl(t, "", "send", "--stage", "local", "--file", file); code != exitOK {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	if code, _, stderr := hookctl(t, body, "send", "--stage", "local", "--file", "-"); code != exitOK {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	for _, got := range stage.Posts() {
		if string(got) != body {
			t.Errorf("sent %q, want %q", got, body)
		}
	}
}

func TestSendRefusals(t *testing.T) {
	for _, test := range []struct {
		name, args, stdin string
		change            func(*standin.Stage)
		code              int
		stderr            string
	}{
		{"nothing named", "--stage local", "", nil, exitUsage, "The samples are calendar_updated, "},
		{"unknown sample", "--stage local nonsense", "", nil, exitUsage, `no sample "nonsense"`},
		{"file and sample", "--stage local message_created --file x", "", nil, exitUsage, "not both"},
		{"no such file", "--stage local --file /nowhere/x", "", nil, exitUsage, "no such file"},
		{"a broken file, more than once", "--stage local --file - --count 2", `{"id":`, nil, exitUsage, "Send it alone"},
		{"a broken file, with grants", "--stage local --file - --grants 2", `{"id":`, nil, exitUsage, "Send it alone"},
		{"no grant to replace", "--stage local --file - --grants 2", `{"id":"0123456789abcdef","empty":""}`, nil, exitUsage, "no grant id"},
		{"somebody else's 200", "--stage local message_created", "", func(s *standin.Stage) {
			s.Store("secret-of-the-stage")
			s.Webhook = func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>Sign in")) }
		}, exitNotSo, "hookctl tail --stage local"},
		{"count of zero", "--stage local message_created --count 0", "", nil, exitUsage, "numbers from 1"},
		{"two refusals at once", "--stage local message_created --tamper --unsigned", "", nil, exitUsage, "one of --tamper"},
		{"no secret stored", "--stage local message_created", "", nil, exitFailed, "hookctl secret set --stage local"},
		{"what is stored is not Nylas's", "--stage local message_created", "", func(s *standin.Stage) { s.Store(`"41dD3-nXTUfebYuk81Gr"`) }, exitFailed, "it has quotes"},
		{"prod, not confirmed", "--stage prod message_created", "prod\n", func(s *standin.Stage) { s.Stacks["NylasWebhooks-prod"] = s.Stacks["NylasWebhooks-local"] }, exitUsage, "nothing was done"},
		{"webhook gone", "--stage local message_created", "", func(s *standin.Stage) {
			s.Store("secret-of-the-stage")
			s.Stacks["NylasWebhooks-local"]["WebhookUrl"] = "http://127.0.0.1:1/nylas"
		}, exitFailed, "nothing answers"},
		{"not accepted", "--stage local message_created", "", func(s *standin.Stage) {
			s.Store("secret-of-the-stage")
			s.Webhook = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }
		}, exitNotSo, "hookctl tail --stage local"},
	} {
		t.Run(test.name, func(t *testing.T) {
			stage := standin.New(t)
			if test.change != nil {
				test.change(stage)
			}
			code, _, stderr := hookctl(t, test.stdin, append([]string{"send"}, strings.Fields(test.args)...)...)
			if code != test.code || !strings.Contains(stderr, test.stderr) {
				t.Errorf("exit code %d, want %d; standard error lacks %q:\n%s", code, test.code, test.stderr, stderr)
			}
			if stage.Queued() != 0 {
				t.Error("something reached the queue")
			}
		})
	}
}

func TestVerify(t *testing.T) {
	sample, err := samples.Get("message_created")
	if err != nil {
		t.Fatal(err)
	}
	body := string(sample.Body)
	for _, test := range []struct {
		name, body, signature string
		secrets               []string // oldest first
		code                  int
		stdout                string
	}{
		{"good", body, sample.Signature, []string{samples.Secret}, exitOK, "under the current secret"},
		{"prefix and upper case", body, "sha256=" + strings.ToUpper(sample.Signature), []string{samples.Secret}, exitOK, "verified"},
		{"rotated just now", body, sample.Signature, []string{samples.Secret, "newer"}, exitOK, "under the previous secret"},
		{"another secret", body, sample.Signature, []string{"quite-different-value"}, exitNotSo, "matches none of the secrets"},
		{"newline added", body + "\n", sample.Signature, []string{samples.Secret}, exitNotSo, "Without the newline"},
		{"cut signature", body, sample.Signature[1:], []string{samples.Secret}, exitNotSo, "63 hex digits"},
		{"base64 signature", body, "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", []string{samples.Secret}, exitNotSo, "Nylas sends hex"},
		{"test button", `{"a":1}`, "58b749378e390a5b07fb7e03e537fcbbbf0f6a2bab9a2c2d7b72fdfad8d14389", []string{samples.Secret}, exitNotSo, "test button"},
	} {
		t.Run(test.name, func(t *testing.T) {
			stage := standin.New(t)
			for _, value := range test.secrets {
				stage.Store(value)
			}
			code, stdout, stderr := hookctl(t, test.body, "verify", "-", "--signature", test.signature, "--stage", "local")
			if code != test.code || !strings.Contains(stdout, test.stdout) {
				t.Errorf("exit code %d, want %d; printed, without %q:\n%s%s", code, test.code, test.stdout, stdout, stderr)
			}
			for _, value := range test.secrets {
				if strings.Contains(stdout+stderr, value) {
					t.Error("the secret was printed")
				}
			}
		})
	}
}

func TestVerifyWithSecretFromStandardInput(t *testing.T) {
	sample := samples.All()[0]
	file := filepath.Join(t.TempDir(), "body.json")
	if err := os.WriteFile(file, sample.Body, 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := hookctl(t, samples.Secret+"\n", "verify", file, "--signature", sample.Signature, "--secret-stdin", "--json")
	var r verdictResult
	if err := json.Unmarshal([]byte(stdout), &r); err != nil || code != exitOK || r.With != "given" || !r.Verified {
		t.Errorf("exit code %d, %v, printed %s%s", code, err, stdout, stderr)
	}
	if code, _, _ := hookctl(t, "", "verify", file, "--signature", sample.Signature, "--secret-stdin"); code != exitUsage {
		t.Errorf("exit code %d without a secret", code)
	}
	if code, _, _ := hookctl(t, "", "verify", file, "--secret-stdin"); code != exitUsage {
		t.Errorf("exit code %d without a signature", code)
	}
}
