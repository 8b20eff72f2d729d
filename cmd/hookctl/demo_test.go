package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/demo"
	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/standin"
	"github.com/onepagecrm/nylas-webhooks/notification"
)

func lastLine(text string) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return lines[len(lines)-1]
}

func TestDemoTwice(t *testing.T) {
	stage := standin.New(t)
	for i, want := range []string{
		"ok    a notification before a secret is stored   expected 503                 got 503\n",
		"-     a notification before a secret is stored   expected 503                 got not shown: a secret is stored, from an earlier run\n",
	} {
		code, stdout, stderr := hookctl(t, "", "demo", "--stage", "local")
		if code != exitOK || lastLine(stdout) != "10 of 10 notifications reached the queue" {
			t.Fatalf("run %d: exit code %d, printed\n%s%s", i+1, code, stdout, stderr)
		}
		if !strings.Contains(stdout, want) {
			t.Errorf("run %d lacks %q:\n%s", i+1, want, stdout)
		}
		if n := strings.Count(stdout, "equal to what was signed"); n != 10 {
			t.Errorf("run %d shows %d equal bodies, want 10", i+1, n)
		}
		secrets := stage.Secrets()
		if len(secrets) != 1 {
			t.Fatalf("%d secrets are stored after run %d, want the first run's alone", len(secrets), i+1)
		}
		if strings.Contains(stdout+stderr, secrets[0]) {
			t.Error("the secret was printed")
		}
	}
	if stage.Queued() != 0 || stage.Deleted != 20 {
		t.Errorf("%d messages left, %d deleted; want 0 and 20", stage.Queued(), stage.Deleted)
	}
}

func TestDemoJSON(t *testing.T) {
	standin.New(t)
	code, stdout, stderr := hookctl(t, "", "demo", "--stage", "local", "--json")
	var result demo.Result
	if err := json.Unmarshal([]byte(stdout), &result); err != nil {
		t.Fatalf("standard output is not JSON alone: %v\n%s", err, stdout)
	}
	if code != exitOK || !result.OK() || result.Reached != 10 || len(result.Messages) != 10 {
		t.Errorf("exit code %d, result %+v", code, result)
	}
	if !strings.Contains(stderr, "Playing Nylas") {
		t.Errorf("standard error has no story:\n%s", stderr)
	}
	if m := result.Messages[0]; m.RequestID == "" || m.Type != "calendar.updated" || m.GrantID == "" || m.Bytes == 0 || !m.Equal {
		t.Errorf("first message %+v", m)
	}
}

func TestDemoLeavesOtherMessagesAlone(t *testing.T) {
	stage := standin.New(t)
	for range 25 {
		stage.Enqueue([]byte(`{"id":"somebody-else"}`), notification.Signature{}, "request-0")
	}
	code, stdout, _ := hookctl(t, "", "demo", "--stage", "local")
	if code != exitOK || !strings.Contains(stdout, "25 other messages were on the queue and are there still") {
		t.Errorf("exit code %d\n%s", code, stdout)
	}
	if stage.Queued() != 25 || stage.GivenBack != 25 {
		t.Errorf("%d messages on the queue, %d given back; want 25 and 25", stage.Queued(), stage.GivenBack)
	}
}
