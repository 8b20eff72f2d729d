package engine

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

// account plays the AWS account of whoever runs make: it counts the requests that reach
// it, and environment is a shell's that leads there by every way that AWS's tools know.
type account struct {
	requests    atomic.Int32
	environment []string
}

func newAccount(t *testing.T) *account {
	a := &account{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		a.requests.Add(1)
		w.WriteHeader(http.StatusForbidden)
	}))
	t.Cleanup(server.Close)
	profile := filepath.Join(t.TempDir(), "config")
	text := "[default]\nregion = eu-west-1\naws_access_key_id = USERSKEY\naws_secret_access_key = USERSSECRET\nendpoint_url = " + server.URL + "\n[profile work]\nendpoint_url = " + server.URL + "\n"
	if err := os.WriteFile(profile, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, setting := range os.Environ() {
		if !strings.HasPrefix(setting, "AWS_") {
			a.environment = append(a.environment, setting)
		}
	}
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": server.URL, "AWS_ENDPOINT_URL_STS": server.URL, "AWS_ENDPOINT_URL_CLOUDFORMATION": server.URL,
		"AWS_ACCESS_KEY_ID": "USERSKEY", "AWS_SECRET_ACCESS_KEY": "USERSSECRET", "AWS_SESSION_TOKEN": "USERSTOKEN",
		"AWS_CONFIG_FILE": profile, "AWS_SHARED_CREDENTIALS_FILE": profile, "AWS_PROFILE": "work",
		"CDK_DEFAULT_ACCOUNT": "123456789012", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
	} {
		a.environment = append(a.environment, name+"="+value)
	}
	return a
}

// run runs a program in the checkout with the account's environment.
func (a *account) run(t *testing.T, root, program string, arguments ...string) (output string, ok bool) {
	t.Helper()
	command := exec.CommandContext(t.Context(), program, arguments...)
	command.Dir, command.Env = root, a.environment
	text, err := command.CombinedOutput()
	return string(text), err == nil
}

// What is meant for the engine reaches nobody's account, whatever has become of the
// engine: it is the one the program runs against, or the program does not run.
func TestNothingReachesTheUsersAccount(t *testing.T) {
	root, err := projectRoot()
	if err != nil {
		t.Fatal(err)
	}
	python := filepath.Join(root, ".local/venv/engine/bin/python")
	if _, err := os.Stat(python); err != nil {
		t.Fatalf("%s is not installed. Run these tests by make", python)
	}
	state := filepath.Join(t.TempDir(), "engine")
	user := newAccount(t)
	tool := func(verb string) {
		t.Helper()
		if text, ok := user.run(t, root, python, "tools/engine.py", verb, "--state", state); !ok {
			t.Fatalf("engine.py %s: %s", verb, text)
		}
	}
	pid := func() int {
		t.Helper()
		var record struct{ PID int }
		text, err := os.ReadFile(filepath.Join(state, "engine.json"))
		if err == nil {
			err = json.Unmarshal(text, &record)
		}
		if err != nil {
			t.Fatal(err)
		}
		return record.PID
	}
	signal := func(s syscall.Signal) {
		t.Helper()
		if err := syscall.Kill(pid(), s); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { user.run(t, root, python, "tools/engine.py", "stop", "--state", state) })
	for _, c := range []struct {
		name    string
		prepare func()
		answers bool
	}{
		{"never started", func() {}, false},
		{"running", func() { tool("start") }, true},
		{"frozen", func() { signal(syscall.SIGSTOP) }, false},
		{"thawed", func() { signal(syscall.SIGCONT) }, true},
		{"killed", func() { signal(syscall.SIGKILL) }, false},
		{"stopped", func() { tool("start"); tool("stop") }, false},
	} {
		c.prepare()
		// A program that is meant for the engine.
		text, ran := user.run(t, root, "python3", "tools/engine.py", "exec", "--state", state, "--", "env")
		if ran != c.answers || strings.Contains(text, "USERS") {
			t.Errorf("%s: exec ran the program: %v, want %v, with %s", c.name, ran, c.answers, text)
		}
		// A shell that is to be pointed at it, and goes on whatever eval says.
		text, _ = user.run(t, root, "bash", "-c", `eval "$(python3 tools/engine.py env --state "$1" 2>/dev/null)" && echo pointed; env`, "bash", state)
		if c.name == "never started" && strings.Contains(text, state) {
			t.Errorf("%s: the shell is left with certificates that are not there:\n%s", c.name, text)
		}
		if strings.Contains(text, "pointed") != c.answers || strings.Contains(text, "USERS") || strings.Contains(text, "AWS_PROFILE") {
			t.Errorf("%s: eval says that it worked: %v, want %v; then\n%s", c.name, strings.Contains(text, "pointed"), c.answers, text)
		}
		if c.answers {
			continue
		}
		for _, target := range []string{"deploy", "destroy", "diff"} {
			text, ok := user.run(t, root, "make", target, "STAGE=local", "on_engine=python3 tools/engine.py exec --state "+state+" --")
			if ok || !strings.Contains(text, "the engine") {
				t.Errorf("%s: make %s STAGE=local succeeds or does not say why not: %s", c.name, target, text)
			}
		}
	}
	if n := user.requests.Load(); n > 0 {
		t.Errorf("%d requests reached the user's account", n)
	}
}

// Every line of a recipe that is meant for the engine is run by exec.
func TestRecipesForTheEngine(t *testing.T) {
	root, err := projectRoot()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for i, line := range strings.Split(strings.ReplaceAll(string(text), "\\\n", " "), "\n") {
		for _, meant := range []string{"cdk bootstrap", "cdk deploy $(local)", "hookctl demo"} {
			before, _, has := strings.Cut(line, meant)
			if !has || !strings.HasPrefix(line, "\t") || strings.Contains(before[strings.LastIndexAny(before, ";{|")+1:], "echo") {
				continue
			}
			found++
			if !strings.Contains(before, "$(on_engine)") {
				t.Errorf("line %s of the recipes: %s", strconv.Itoa(i+1), strings.TrimSpace(line))
			}
		}
	}
	if found != 3 {
		t.Errorf("%d such lines, want 3: this test no longer finds them", found)
	}
}
