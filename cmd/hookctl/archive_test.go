package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/standin"
	"github.com/onepagecrm/nylas-webhooks/notification"
)

// archiving is a stage whose archive has three copies of two grants, from three hours ago on,
// and a smoke test.
func archiving(t *testing.T) *standin.Stage {
	t.Helper()
	stage := standin.New(t)
	for i, typ := range []string{"message.created", "message.created.truncated", "grant.expired", "smoke.test"} {
		body := fmt.Appendf(nil, `{"id":"n%d"}`, i)
		stage.Archive(notification.Notification{
			Body: body, ID: fmt.Sprint("n", i), GrantID: fmt.Sprint("g", i%2), Type: typ, Attempt: 1,
			ReceivedAt: time.Now().Add(time.Duration(i-3) * time.Hour), Signature: notification.Sign("the stage's secret", body),
		})
	}
	return stage
}

func TestReplay(t *testing.T) {
	for args, want := range map[string]struct {
		sent   int
		stdout string
	}{
		"--since 1d":                                   {3, `^3 sent as replay [a-z0-9]{8}\n$`},
		"--since 1d --id again-1":                      {3, `^3 sent as replay again-1\n$`},
		"--since 150m":                                 {2, "^2 sent"},
		"--since 1d --until 150m":                      {1, "^1 sent"},
		"--since 1d --grant g0":                        {2, "^2 sent"},
		"--since 1d --grant g2":                        {0, "^0 sent"},
		"--since 1d --type message.created":            {2, "^2 sent"},
		"--since 1d --type message --type grant":       {3, "^3 sent"},
		"--since 1d --type message.created --grant g1": {1, "^1 sent"},
		"--since 1d --dry-run":                         {0, `^TYPE +NOTIFICATIONS\ngrant.expired +1\nmessage.created +1\nmessage.created.truncated +1\n$`},
		"--since 1d --dry-run --grant nobody":          {0, "^$"},
		"--since 1d --dry-run --json":                  {0, `"copies": 3`},
		"--since 1d --json --rate 1000 --id abc":       {3, `(?s)"replay_id": "abc".*"sent": 3`},
	} {
		t.Run(args, func(t *testing.T) {
			stage := archiving(t)
			code, stdout, stderr := hookctl(t, "", append(strings.Fields("replay --stage local"), strings.Fields(args)...)...)
			if code != exitOK || stage.Queued() != want.sent || !regexp.MustCompile(want.stdout).MatchString(stdout) || len(stage.Kept()) != 4 {
				t.Errorf("exit code %d, %d on the queue, %d kept; want %d\n%s%s", code, stage.Queued(), len(stage.Kept()), want.sent, stdout, stderr)
			}
			ids := map[string]bool{}
			for _, id := range stage.ReplayIDs() {
				ids[id] = true
			}
			if want.sent > 0 && (len(ids) != 1 || ids[""]) {
				t.Errorf("the messages are of the replays %v", ids)
			}
		})
	}
}

func TestArchiveCommandsGivenWrongly(t *testing.T) {
	for line, want := range map[string]string{
		"replay":                                                "--since is missing",
		"replay --since soon":                                   "give how long ago (90m, 12h, 3d), or a time as in RFC 3339",
		"replay --since 1h --until 2h":                          "is not before --until",
		"replay --since 1h --rate 0":                            "--rate is a number from 1",
		"replay --since 1h --id Ümlaut":                         "--id takes up to 64",
		"replay --since 1h --type message.*":                    "--type takes a notification type",
		"replay --since 1h --grant " + strings.Repeat("g", 300): "--grant is longer than",
		"archive erase":                                         "--grant is missing",
		"forward":                                               "--to is missing",
		"forward --to localhost:3000":                           "it looks like http://localhost:3000/nylas",
		"forward --to ftp://localhost/x":                        "it looks like http://localhost:3000/nylas",
		"forward --to http://203.0.113.1/":                      "--allow-remote",
		"forward --to http://localhost.example.com/":            "--allow-remote",
		"forward --to http://203.0.113.1/ --allow-remote":       "Give an https address",
		"forward --to http://[::1]:1/ --no-follow":              "--no-follow without --since",
	} {
		stage := archiving(t)
		code, stdout, stderr := hookctl(t, "", append(strings.Fields(line), "--stage", "local")...)
		if code != exitUsage || !strings.Contains(stderr, want) || stage.Queued() != 0 || stdout != "" {
			t.Errorf("%s: exit code %d\n%s%s", line, code, stdout, stderr)
		}
	}
}

func TestStageWithoutAnArchive(t *testing.T) {
	standin.New(t)
	for _, line := range []string{"replay --since 1h", "archive erase --grant g", "forward --to http://localhost:1"} {
		code, _, stderr := hookctl(t, "", append(strings.Fields(line), "--stage", "local")...)
		if code != exitFailed || !strings.Contains(stderr, "stage local keeps no archive") || !strings.Contains(stderr, "set ArchiveDays of stage local") || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: exit code %d\n%s", line, code, stderr)
		}
	}
}

// What is interrupted says how to go on: with the same id and times.
func TestReplaySaysHowToGoOn(t *testing.T) {
	stage := archiving(t)
	stage.Refuse["SendMessage"] = "RequestThrottled"
	code, _, stderr := hookctl(t, "", strings.Fields("replay --stage local --since 1d --until 1m --grant g0 --type message --rate 7")...)
	form := `\n  hookctl replay --stage local --since \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z --until \S+Z --id [a-z0-9]{8} --grant g0 --type message --rate 7\n`
	if lines := regexp.MustCompile(form).FindAllString(stderr, -1); code != exitFailed || len(lines) != 2 || lines[0] != lines[1] {
		t.Fatalf("exit code %d\n%s", code, stderr)
	}
	again := regexp.MustCompile(`hookctl (replay .*)`).FindStringSubmatch(stderr)[1]
	delete(stage.Refuse, "SendMessage")
	if code, stdout, stderr := hookctl(t, "", strings.Fields(again)...); code != exitOK || stage.Queued() != 1 {
		t.Errorf("%s: exit code %d, %d on the queue\n%s%s", again, code, stage.Queued(), stdout, stderr)
	}
}

func TestArchiveErase(t *testing.T) {
	stage := archiving(t)
	code, stdout, stderr := hookctl(t, "", strings.Fields("archive erase --stage local --grant g0 --yes-erase g0")...)
	if code != exitOK || stdout != "2 copies deleted\n" || len(stage.Kept()) != 2 {
		t.Errorf("exit code %d, %d kept\n%s%s", code, len(stage.Kept()), stdout, stderr)
	}
	code, stdout, _ = hookctl(t, "", strings.Fields("archive erase --stage local --grant g0 --json")...)
	if code != exitOK || !strings.Contains(stdout, `"deleted": 0`) {
		t.Errorf("of nothing: exit code %d\n%s", code, stdout)
	}
}

// program is a developer's: it keeps what comes, and answers with a status.
type program struct {
	*httptest.Server
	mu    sync.Mutex
	posts []*http.Request
	texts [][]byte
}

func newProgram(t *testing.T, status int) *program {
	p := &program{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.posts, p.texts = append(p.posts, r), append(p.texts, body)
		w.WriteHeader(status)
	}))
	t.Cleanup(p.Close)
	return p
}

func TestForward(t *testing.T) {
	for _, test := range []struct {
		args         string
		status, code int
		ids          string
	}{
		{"--since 1d", 200, exitOK, "n0 n1 n2"},
		{"--since 1d", 500, exitNotSo, "n0 n1 n2"},
		{"--since 1d --grant g0", 204, exitOK, "n0 n2"},
		{"--since 1d --type grant --json", 200, exitOK, "n2"},
		{"--since 1m", 200, exitOK, ""},
	} {
		stage := archiving(t)
		p := newProgram(t, test.status)
		code, stdout, stderr := hookctl(t, "", append(strings.Fields("forward --stage local --no-follow --to "+p.URL+"/nylas"), strings.Fields(test.args)...)...)
		var ids []string
		for i, r := range p.posts {
			signature, err := notification.ParseSignature(r.Header.Get("X-Nylas-Signature"))
			if err != nil || signature.Verify(p.texts[i], "the stage's secret") != nil || r.Method != "POST" || r.URL.Path != "/nylas" || r.Header.Get("Content-Type") != "application/json" {
				t.Errorf("%s: sent %s %s %v", test.args, r.Method, r.URL, r.Header)
			}
			var n struct{ ID string }
			if err := json.Unmarshal(p.texts[i], &n); err != nil {
				t.Error(err)
			}
			ids = append(ids, n.ID)
		}
		if code != test.code || strings.Join(ids, " ") != test.ids || strings.Count(stdout, "\n") != len(ids) || stage.Queued() != 0 || len(stage.Kept()) != 4 {
			t.Errorf("%s: exit code %d, sent %v\n%s%s", test.args, code, ids, stdout, stderr)
		}
		if len(ids) > 0 && !strings.Contains(stdout, fmt.Sprint(test.status)) {
			t.Errorf("%s: it does not say %d\n%s", test.args, test.status, stdout)
		}
	}
}

// A program that redirects gets no mail sent elsewhere; one that is not there is told of.
func TestForwardGoesNowhereElse(t *testing.T) {
	archiving(t)
	elsewhere := newProgram(t, 200)
	p := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer p.Close()
	code, stdout, _ := hookctl(t, "", strings.Fields("forward --stage local --since 1d --no-follow --to "+p.URL)...)
	if code != exitNotSo || len(elsewhere.posts) != 0 || !strings.Contains(stdout, "307") {
		t.Errorf("exit code %d, %d sent elsewhere\n%s", code, len(elsewhere.posts), stdout)
	}
	p.Close()
	code, stdout, _ = hookctl(t, "", strings.Fields("forward --stage local --since 1d --no-follow --to "+p.URL)...)
	if code != exitNotSo || strings.Count(stdout, "connection refused") != 3 {
		t.Errorf("nobody there: exit code %d\n%s", code, stdout)
	}
}

// It goes on with what arrives, until it is interrupted.
func TestForwardFollows(t *testing.T) {
	stage := archiving(t)
	p := newProgram(t, 200)
	var errs bytes.Buffer
	ctx, interrupt := context.WithCancel(t.Context())
	done := make(chan int)
	shown, out := io.Pipe()
	go func() {
		code := run(ctx, strings.Fields("forward --stage local --to "+p.URL), strings.NewReader(""), out, &errs)
		_ = out.Close() // a pipe's never fails
		done <- code
	}()
	body := []byte(`{"id":"new"}`)
	stage.Archive(notification.Notification{Body: body, ID: "new", Type: "message.created", ReceivedAt: time.Now().Add(time.Second), Signature: notification.Sign("the stage's secret", body)})
	line, err := bufio.NewReader(shown).ReadString('\n')
	interrupt()
	go func() { _, _ = io.Copy(io.Discard, shown) }() // what is said after that
	if code := <-done; err != nil || code != exitInterrupted || len(p.posts) != 1 || !bytes.Equal(p.texts[0], body) || !strings.Contains(line, "new  200") {
		t.Errorf("%v, exit code %d, %d sent\n%s%s", err, code, len(p.posts), line, errs.String())
	}
}
