package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/standin"
	"github.com/onepagecrm/nylas-webhooks/notification"
)

// encoded is a notification as the receiver writes it; its body travels compressed.
func encoded(t *testing.T, id, body string) notification.Wire {
	t.Helper()
	wire, err := notification.Notification{
		Body: []byte(body), ID: id, Type: "message.created", GrantID: "grant", Attempt: 2, RequestID: "request-" + id,
		ReceivedAt: time.Date(2026, 1, 5, 10, 0, 0, 0, time.UTC), Signature: notification.Sign("a-secret-of-nylas", []byte(body)),
	}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	compressed, err := wire.Compress()
	if err != nil {
		t.Fatal(err)
	}
	return compressed
}

// large is one whose body is in S3, under that key.
func large(t *testing.T, stage *standin.Stage, id, body, key string) {
	t.Helper()
	wire := encoded(t, id, body)
	pointer, err := wire.Overflow(notification.Pointer{Bucket: "bucket", Key: key})
	if err != nil {
		t.Fatal(err)
	}
	stage.Objects[key] = wire.Body
	stage.Bury(pointer)
}

func TestDLQBodiesInS3(t *testing.T) {
	stage := standin.New(t)
	large(t, stage, "large", `{"here":1}`, "overflow/1")
	large(t, stage, "gone", `{"here":2}`, "overflow/2")
	delete(stage.Objects, "overflow/2")
	code, stdout, stderr := hookctl(t, "", "dlq", "show", "large", "--stage", "local", "--body")
	if code != exitOK || stdout != `{"here":1}` {
		t.Errorf("exit code %d, %q\n%s", code, stdout, stderr)
	}
	code, stdout, stderr = hookctl(t, "", "dlq", "show", "gone", "--stage", "local", "--body")
	if code != exitNotSo || stdout != "" || !strings.Contains(stderr, "s3://bucket/overflow/2") || !strings.Contains(stderr, "has deleted it") {
		t.Errorf("exit code %d, %q\n%s", code, stdout, stderr)
	}
	code, stdout, stderr = hookctl(t, "", "dlq", "show", "gone", "--stage", "local")
	if code != exitOK || !strings.Contains(stdout, "in S3, fetched and shown with --body: s3://bucket/overflow/2") {
		t.Errorf("exit code %d, %q\n%s", code, stdout, stderr)
	}
	file := filepath.Join(t.TempDir(), "dead.jsonl")
	code, stdout, stderr = hookctl(t, "", "dlq", "export", "--stage", "local", "--file", file)
	if code != exitNotSo || !strings.HasPrefix(stdout, "exported 2 to ") || !strings.Contains(stderr, "The bodies of 1 of them are not in the file") {
		t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines", len(lines))
	}
	for i, id := range []string{"large", "gone"} {
		var r letterRecord
		if err := json.Unmarshal([]byte(lines[i]), &r); err != nil {
			t.Fatal(err)
		}
		if r.NotificationID != id || r.Attempt != 2 || r.RequestID != "request-"+id || r.ReceivedAt.Year() != 2026 || r.Receives != 6 || r.GroupID != "grant" ||
			r.Object != fmt.Sprintf("s3://bucket/overflow/%d", i+1) || r.Attributes[notification.AttrPayloadSize].Type != "Number" {
			t.Errorf("the line lacks something: %s", lines[i])
		}
		if whole := r.Body != nil && *r.Body == `{"here":1}`; whole != (id == "large") || (r.Problem == "") != whole {
			t.Errorf("%s: body %v, problem %q", id, r.Body, r.Problem)
		}
	}
	stage.Refuse["GetObject"] = "AccessDenied"
	code, _, stderr = hookctl(t, "", "dlq", "show", "large", "--stage", "local", "--body", "--json")
	if code != exitNotSo || !strings.Contains(stderr, "s3:GetObject") || strings.Contains(stderr, "refused by the test") {
		t.Errorf("exit code %d\n%s", code, stderr)
	}
}

// What somebody else holds is not handed out: that is said, and no command takes what it
// saw for all.
func TestDLQHeldByOthers(t *testing.T) {
	file := filepath.Join(t.TempDir(), "dead.jsonl")
	for _, test := range []struct {
		args   string
		held   bool
		code   int
		stdout string
		stderr string
		left   int
	}{
		{"ls", false, exitOK, "", "2 shown.", 2},
		{"ls", true, exitNotSo, "", "About 1 dead letters are missing here", 2},
		{"ls --json", true, exitNotSo, `"approximately_not_seen": 1`, "dead letters are missing here", 2},
		{"ls --max 1", true, exitNotSo, "", "1 shown", 2}, // whether there are more is not known
		{"export --file " + file, true, exitNotSo, "exported 1", "About 1 dead letters are missing here", 2},
		{"export --max 1 --file " + file + "1", false, exitNotSo, "exported 1", "There are more than --max 1", 2},
		{"export --max 1 --json --file " + file + "2", false, exitNotSo, `"more": true`, "There are more than --max 1", 2},
		{"export --max 2 --file " + file + "3", false, exitOK, "exported 2", "", 2},
		{"redrive --dry-run", true, exitNotSo, "would move 1", "About 1 dead letters are missing here", 2},
		{"redrive", true, exitNotSo, "moved 1", "About 1 dead letters are missing here", 1},
		{"redrive --one-by-one --json", true, exitNotSo, `"approximately_not_seen": 1`, "dead letters are missing here", 1},
		{"redrive", false, exitOK, "moved 2", "", 0},
		{"redrive --max 1", true, exitOK, "moved 1", "", 1},
		{"purge --yes-purge dead", true, exitNotSo, "", "Nothing was purged. Somebody has received about 1", 2},
		{"purge --yes-purge dead", false, exitOK, "purged dead", "", 0},
	} {
		t.Run(test.args, func(t *testing.T) {
			stage := standin.New(t)
			stage.Bury(encoded(t, "one", "{}"))
			stage.Bury(encoded(t, "two", "{}"))
			if test.held {
				stage.Hold()
			}
			code, stdout, stderr := hookctl(t, "", append([]string{"dlq"}, append(strings.Fields(test.args), "--stage", "local")...)...)
			if code != test.code || !strings.Contains(stdout, test.stdout) || !strings.Contains(stderr, test.stderr) || stage.Buried() != test.left {
				t.Errorf("exit code %d, want %d; %d left, want %d\n%s%s", code, test.code, stage.Buried(), test.left, stdout, stderr)
			}
		})
	}
}

func TestDLQListSaysThatThereAreMore(t *testing.T) {
	stage := standin.New(t)
	for i := range 1001 {
		stage.Bury(encoded(t, fmt.Sprint("n-", i), "{}"))
	}
	for _, test := range []struct {
		args   string
		listed int
		more   bool
	}{{"", 1000, true}, {"--max 1000", 1000, true}, {"--max 1001", 1001, false}, {"--max 0", 1001, false}} {
		code, stdout, stderr := hookctl(t, "", append(strings.Fields("dlq ls --stage local --json"), strings.Fields(test.args)...)...)
		var got struct {
			Letters []listEntry
			More    bool
		}
		if err := json.Unmarshal([]byte(stdout), &got); err != nil || code != exitOK || len(got.Letters) != test.listed || got.More != test.more {
			t.Errorf("ls %s: exit code %d, %d listed, more: %t, %v\n%s", test.args, code, len(got.Letters), got.More, err, stderr)
		}
	}
	if _, _, stderr := hookctl(t, "", strings.Fields("dlq ls --stage local --max 5")...); !strings.Contains(stderr, "5 shown, there are more (--max)") {
		t.Errorf("says nothing of the others: %s", stderr)
	}
}
