package hookctl

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/onepagecrm/nylas-webhooks/lambda/contract"
	"github.com/onepagecrm/nylas-webhooks/test/hookctl/localstage"
)

type gapsReport struct {
	Report struct {
		Gaps []struct {
			Kind  string
			Count int
			IDs   []string `json:"notification_ids"`
		}
		Types []string
	}
	AskNylas []struct {
		Calls []struct{ Request string }
	} `json:"ask_nylas"`
}

func TestGaps(t *testing.T) {
	must(t, stage.Log(t.Context(), localstage.Outage()))
	stdout, _ := hookctl(t, 1, "gaps", "--stage", "local", "--json")
	r := parse[gapsReport](t, stdout)
	got := map[string]int{}
	for _, g := range r.Report.Gaps {
		got[g.Kind] += g.Count
		if g.Kind == "not accepted" && strings.Join(g.IDs, " ") != "notification-064 notification-063 notification-062 notification-061" {
			t.Errorf("not accepted: %v", g.IDs)
		}
	}
	// 25 by the gateway and 5 by the receiver, of which one came through.
	for kind, want := range map[string]int{"lost at once": 2, "not accepted": 4, "possibly lost": 29, "silent": 0} {
		if n, there := got[kind]; n != want || !there {
			t.Errorf("%s: %d (there: %v), want %d\n%s", kind, n, there, want, stdout)
		}
	}
	if len(r.AskNylas) == 0 || !strings.Contains(r.AskNylas[0].Calls[0].Request, "/messages?received_after=") {
		t.Errorf("no call to fill the gap: %+v", r.AskNylas)
	}
}

func TestGapsNone(t *testing.T) {
	var calm []localstage.Request
	for m := range 65 {
		calm = append(calm, localstage.Request{Ago: time.Duration(m) * time.Minute, Status: 200, Outcome: contract.Accepted, Type: "event.updated"})
	}
	must(t, stage.Log(t.Context(), calm))
	stdout, stderr := hookctl(t, 0, "gaps", "--stage", "local", "--since", "1h")
	if !strings.Contains(stdout, "Nothing is missing.") || stderr != "" {
		t.Errorf("printed\n%s%s", stdout, stderr)
	}
	must(t, stage.Log(t.Context(), nil))
	stdout, _ = hookctl(t, 1, "gaps", "--stage", "local", "--since", "1h")
	if !strings.Contains(stdout, "silent") {
		t.Errorf("an hour without a line is not silent:\n%s", stdout)
	}
}

// TestAccessLogHasTheKeys holds what gaps reads against the format that the stack sets.
func TestAccessLogHasTheKeys(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(stage.Assembly(), "NylasWebhooks-local.template.json"))
	must(t, err)
	var template struct {
		Resources map[string]struct {
			Type       string
			Properties struct{ AccessLogSetting struct{ Format string } }
		}
	}
	must(t, json.Unmarshal(text, &template))
	var format map[string]string
	for _, r := range template.Resources {
		if r.Type == "AWS::ApiGateway::Stage" {
			must(t, json.Unmarshal([]byte(r.Properties.AccessLogSetting.Format), &format))
		}
	}
	for key, want := range map[string]string{"requestId": "$context.extendedRequestId", "time": "$context.requestTimeEpoch", "method": "$context.httpMethod", "status": "$context.status"} {
		if format[key] != want {
			t.Errorf("the access log has %q as %s, want %q", format[key], key, want)
		}
	}
}

func TestTail(t *testing.T) {
	must(t, stage.Log(t.Context(), localstage.Outage()))
	stdout, _ := hookctl(t, 0, "tail", "--stage", "local", "--since", "2h", "--no-follow", "--outcome", "sendfailed", "--json")
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if len(lines) != 5 || strings.Contains(stdout, "never shown") {
		t.Errorf("%d lines, want 5, none with a field that is not named:\n%s", len(lines), stdout)
	}
	for _, args := range []string{"--outcome nonsense", "--no-follow", "--since soon"} {
		hookctl(t, 2, append([]string{"tail", "--stage", "local"}, strings.Fields(args)...)...)
	}
}

func TestTailFollows(t *testing.T) {
	must(t, stage.Empty(t.Context()))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	args := []string{"tail", "--stage", "local", "--json"}
	cmd := exec.CommandContext(ctx, stage.Program, args...)
	cmd.Env = as(t, args...)
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	stderr, err := cmd.StderrPipe()
	must(t, err)
	must(t, cmd.Start())
	if _, err := bufio.NewReader(stderr).ReadString('\n'); err != nil { // it follows now
		t.Fatal(err)
	}
	sent, _ := hookctl(t, 0, "send", "--stage", "local", "message_created", "--json")
	id := parse[struct{ Notifications []struct{ ID string } }](t, sent).Notifications[0].ID
	hookctl(t, 0, "send", "--stage", "local", "message_created", "--unsigned")
	seen := map[string]int{}
	lines := bufio.NewScanner(stdout)
	for len(seen) < 2 && lines.Scan() {
		var r struct {
			Outcome        string
			NotificationID string `json:"notification_id"`
		}
		must(t, json.Unmarshal(lines.Bytes(), &r))
		if r.NotificationID == id || r.Outcome == "Refused" {
			seen[r.Outcome]++
		}
	}
	must(t, cmd.Process.Kill())
	rest, _ := io.ReadAll(stdout) // the pipe's end
	_ = cmd.Wait()                // killed
	if seen["Accepted"] != 1 || seen["Refused"] != 1 || strings.Contains(string(rest), id) {
		t.Errorf("seen %v, then %q", seen, rest)
	}
	// It read the log and not the queue.
	messages, err := stage.Drain(t.Context(), stage.Queue())
	must(t, err)
	if len(messages) != 1 || messages[0].Attributes["ApproximateReceiveCount"] != "1" {
		t.Errorf("%d messages on the queue, received before this test did", len(messages))
	}
}
