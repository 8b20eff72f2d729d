package transcripts

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/onepagecrm/nylas-webhooks/test/hookctl/localstage"
	"github.com/onepagecrm/nylas-webhooks/test/nylas"
)

// pages are where the transcripts are.
const pages = "../../docs/hookctl"

var stage *localstage.Stage

func TestMain(m *testing.M) {
	os.Exit(localstage.Main(m, "test-transcripts", func(s *localstage.Stage) { stage = s }))
}

// TestTranscripts replays each page from its top, in a directory and a state of its own.
// With UPDATE_TRANSCRIPTS set it writes into the pages what is printed now, where that
// does not fit; read the difference before you commit it.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(pages, "*.md"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts in %s: %v", pages, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			page := string(text)
			commands, err := parse(page)
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			outputs, problems := replay(t, file, commands)
			if len(problems) > 0 && os.Getenv("UPDATE_TRANSCRIPTS") != "" {
				if err := os.WriteFile(file, []byte(update(page, commands, outputs)), 0o644); err != nil { //nolint:gosec // a page that everybody may read
					t.Fatal(err)
				}
				return
			}
			for _, problem := range problems {
				t.Error(problem)
			}
		})
	}
}

// replay runs a page's commands. It returns what those print that do not do what the
// page shows, by their place, and a sentence for each.
func replay(t *testing.T, file string, commands []command) (outputs map[int][]string, problems []string) {
	t.Helper()
	if err := fresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	api := nylas.New()
	defer api.Server.Close()
	dir := t.TempDir()
	checkout, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	env := []string{"CHECKOUT=" + checkout, "NYLAS_API_URI=" + api.Server.URL, "NYLAS_API_KEY=" + nylas.Key, "HOME=" + dir}
	outputs = map[int][]string{}
	for i, c := range commands {
		for _, name := range c.setups {
			prepare := setups[name]
			if prepare == nil {
				t.Fatalf("%s:%d: there is no setup %q", file, c.line, name)
			}
			if err := prepare(t.Context()); err != nil {
				t.Fatalf("%s:%d: setup %s: %v", file, c.line, name, err)
			}
		}
		var programs []string // what the line runs, which may do what these need and no more
		for _, m := range inCode.FindAllStringSubmatch(c.text, -1) {
			programs = append(programs, "hookctl "+m[1])
		}
		environ, err := stage.As(t.Context(), programs...)
		if err != nil {
			t.Fatalf("%s:%d: %v", file, c.line, err)
		}
		cmd := exec.CommandContext(t.Context(), "bash", "-o", "pipefail", "-c", c.text)
		cmd.Dir, cmd.Env = dir, append(environ, env...)
		output, err := cmd.CombinedOutput() // in their order, as at a terminal
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatalf("%s:%d: %v", file, c.line, err)
		}
		code := cmd.ProcessState.ExitCode()
		if code == c.exit && fits(c.output, lines(string(output))) {
			continue
		}
		outputs[i] = lines(string(output))
		if code != 0 {
			outputs[i] = append(outputs[i], fmt.Sprintf("[exit code %d]", code))
		}
		problems = append(problems, fmt.Sprintf("%s:%d: $ %s\nexit code %d, the page says %d. It prints\n%s\nand the page shows\n%s",
			file, c.line, c.text, code, c.exit, indent(output), indent([]byte(strings.Join(c.output, "\n")))))
	}
	return outputs, problems
}

func indent(text []byte) string {
	return "    " + strings.ReplaceAll(strings.TrimRight(string(text), "\n"), "\n", "\n    ")
}

func TestFits(t *testing.T) {
	for _, test := range []struct {
		shown, got string
		want       bool
	}{
		{"a  b", "a b", true},
		{"a", "b", false},
		{"a", "a\nb", false},
		{"a\n…", "a\nb\nc", true},
		{"…\nc", "a\nb\nc", true},
		{"…", "", true},
		{"a … z", "a b c z", true},
		{"at 2026-11-24T22:30:14Z, 12 ms", "at 2027-01-01T00:00:00.123Z, 3 ms", true},
		{"at 2026-11-24T22:30:14Z", "at noon", false},
		{"3 of 4", "4 of 4", false},
		{`"age_seconds": 2,`, `"age_seconds": 88,`, true},
		{"2s ago", "1m3s ago", true},
		{"moved 3", "moved 4", false},
		{"Qm4vT8bXw1RzK6TKDMAW7XO4SX", "Rc8uI4oFs7TnB1PU5JJ2RQY3T4", true},
		{"(a.b)", "(axb)", false},
	} {
		if got := fits(lines(test.shown), lines(test.got)); got != test.want {
			t.Errorf("%q shown for %q: %v, want %v", test.shown, test.got, got, test.want)
		}
	}
}

func TestParse(t *testing.T) {
	commands, err := parse("text\n<!-- setup: dead letters -->\n```console\n$ one \\\n  more\nout\n\nput\n[exit code 3]\n$ two\n```\n```sh\n$ not this\n```\n")
	if err != nil || len(commands) != 2 {
		t.Fatalf("%+v, %v", commands, err)
	}
	one := commands[0]
	if one.text != "one more" || one.exit != 3 || !slices.Equal(one.output, []string{"out", "", "put"}) || !slices.Equal(one.setups, []string{"dead letters"}) {
		t.Errorf("%+v", one)
	}
	for _, bad := range []string{"```console\nout\n```\n", "<!-- setup: x -->\n"} {
		if _, err := parse(bad); err == nil {
			t.Errorf("no error for %q", bad)
		}
	}
}
