package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/spilled"
	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/standin"
	"github.com/onepagecrm/nylas-webhooks/notification"
)

// waiting is a stage where two notifications were spilled: message.created.truncated three
// hours ago, grant.expired a minute ago.
func waiting(t *testing.T) *standin.Stage {
	t.Helper()
	stage := standin.New(t)
	for i, typ := range []string{"message.created.truncated", "grant.expired"} {
		wire := encoded(t, fmt.Sprint("n-", i), "{}")
		wire.Attributes[notification.AttrType] = notification.Attribute{DataType: "String", Value: typ}
		stage.Spill(fmt.Sprintf("spill/2026/01/05/1%d/request-%d.0123456789abcdef.json.gz", i, i), wire, []time.Duration{3 * time.Hour, time.Minute}[i])
	}
	return stage
}

func TestSpillReplay(t *testing.T) {
	const more = "More is waiting in the bucket. The alarm SpillWaiting stays"
	for _, test := range []struct {
		args          string
		stdout        string // its last line
		stderr        string
		kept, notices int
	}{
		{"", "2 replayed", "", 0, 0},
		{"--max 1", "1 replayed", more, 1, 2},
		{"--type message.created", "1 replayed, 1 left out by --since or --type", more, 1, 2},
		{"--type message.created --type grant", "2 replayed", "", 0, 0},
		{"--type message.created,grant.expired", "2 replayed", "", 0, 0},
		{"--type event", "0 replayed, 2 left out by --since or --type", more, 2, 2},
		{"--since 1h", "1 replayed, 1 left out by --since or --type", more, 1, 2},
		{"--since " + time.Now().Add(-time.Hour).Format(time.RFC3339), "1 replayed, 1 left out by --since or --type", more, 1, 2},
		{"--since 1d", "2 replayed", "", 0, 0},
		{"--since 1h --type message", "0 replayed, 2 left out by --since or --type", more, 2, 2},
		{"--dry-run", "would replay 2; nothing was changed", "", 2, 2},
		{"--dry-run --type message", "would replay 1, 1 left out by --since or --type; nothing was changed", "", 2, 2},
		{"--dry-run --max 1", "would replay 1; nothing was changed", "", 2, 2},
	} {
		t.Run(test.args, func(t *testing.T) {
			stage := waiting(t)
			code, stdout, stderr := hookctl(t, "", append(strings.Fields("spill replay --stage local"), strings.Fields(test.args)...)...)
			if code != exitOK || lastLine(stdout) != test.stdout || !strings.Contains(stderr, test.stderr) || test.stderr == "" && stderr != "" {
				t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
			}
			sent := 2 - test.kept
			if len(stage.Kept()) != test.kept || stage.Notices() != test.notices || stage.Queued() != sent {
				t.Errorf("%d kept, %d notices, %d on the queue; want %d, %d, %d", len(stage.Kept()), stage.Notices(), stage.Queued(), test.kept, test.notices, sent)
			}
		})
	}
}

func TestSpillReplayDryRun(t *testing.T) {
	waiting(t)
	_, stdout, _ := hookctl(t, "", "spill", "replay", "--stage", "local", "--dry-run")
	for _, want := range []string{"request-0 ", "message.created.truncated  n-0 ", "3h ago", "grant.expired              n-1 "} {
		if !strings.Contains(stdout, want) {
			t.Errorf("lacks %q:\n%s", want, stdout)
		}
	}
	if strings.Index(stdout, "request-0") > strings.Index(stdout, "request-1") {
		t.Errorf("not the oldest first:\n%s", stdout)
	}
	_, stdout, _ = hookctl(t, "", "spill", "replay", "--stage", "local", "--dry-run", "--json", "--type", "grant")
	var got struct {
		WouldReplay int  `json:"would_replay"`
		LeftOut     int  `json:"left_out"`
		DryRun      bool `json:"dry_run"`
		Objects     []spilled.Entry
	}
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || !got.DryRun || got.WouldReplay != 1 || got.LeftOut != 1 || len(got.Objects) != 1 || got.Objects[0].Type != "grant.expired" || got.Objects[0].RequestID != "request-1" {
		t.Errorf("%v: %s", err, stdout)
	}
}

func TestSpillReplayJSON(t *testing.T) {
	waiting(t)
	code, stdout, stderr := hookctl(t, "", "spill", "replay", "--stage", "local", "--json", "--type", "grant")
	var got struct{ Result spilled.Result }
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || code != exitOK || got.Result.Replayed != 1 || got.Result.LeftOut != 1 {
		t.Errorf("exit code %d, %v: %s%s", code, err, stdout, stderr)
	}
}

// What cannot be read is named, in a dry run as well.
func TestSpillReplayOfWhatIsNone(t *testing.T) {
	for _, args := range []string{"", "--dry-run", "--type message"} {
		stage := waiting(t)
		stage.Objects["spill/2026/01/05/10/broken.json.gz"] = "?"
		code, _, stderr := hookctl(t, "", append(strings.Fields("spill replay --stage local"), strings.Fields(args)...)...)
		if code != exitNotSo || !strings.Contains(stderr, "1 could not be replayed and stay in the bucket. The first: spill/2026/01/05/10/broken.json.gz") {
			t.Errorf("%s: exit code %d\n%s", args, code, stderr)
		}
	}
}

func TestSpillReplayGivenWrongly(t *testing.T) {
	for args, want := range map[string]string{
		"--since soon":                 "give how long ago (90m, 12h, 3d), or a time as in RFC 3339",
		"--since 2026-01-05":           "RFC 3339",
		"--since -1h":                  "RFC 3339",
		"--since 2999-01-01T00:00:00Z": "still to come",
		"--type message.*":             `"message.*" is none. Give message.created, or message`,
		"--type message.created,,x":    "--type takes a notification type",
		"--type message.":              "--type takes a notification type",
		"--type=":                      "--type is empty",
		"--max -1":                     "--max is a number from 1",
		"--rate 0":                     "--rate is a number from 1",
	} {
		stage := waiting(t)
		code, _, stderr := hookctl(t, "", append(strings.Fields("spill replay --stage local"), strings.Fields(args)...)...)
		if code != exitUsage || !strings.Contains(stderr, want) || stage.Queued() != 0 {
			t.Errorf("%s: exit code %d, %d on the queue\n%s", args, code, stage.Queued(), stderr)
		}
	}
}
