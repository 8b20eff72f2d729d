package transcripts

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// tree are hookctl's commands by their path ("dlq ls"), each with its help.
func tree(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	var walk func(path []string)
	walk = func(path []string) {
		code, help, errs, err := stage.Hookctl(t.Context(), "", nil, append(slices.Clone(path), "--help")...)
		if err != nil || code != 0 {
			t.Fatalf("hookctl %s --help: exit code %d, %v, %s", strings.Join(path, " "), code, err, errs)
		}
		all[strings.Join(path, " ")] = help
		_, list, _ := strings.Cut(help, "\nAvailable Commands:\n")
		list, _, _ = strings.Cut(list, "\n\n")
		for line := range strings.Lines(list) {
			if name := strings.Fields(line); len(name) > 0 && name[0] != "completion" && name[0] != "help" { // cobra's own
				walk(append(slices.Clone(path), name[0]))
			}
		}
	}
	walk(nil)
	return all
}

func isLeaf(help string) bool { return !strings.Contains(help, "\nAvailable Commands:\n") }

// mention is a hookctl command that a page names.
type mention struct {
	where string
	words []string
}

var (
	span    = regexp.MustCompile("`[^`\n]*`")
	inCode  = regexp.MustCompile("(?:^|[\\s`$(/])hookctl((?: +[^\\s`|;&<>()\"'#]+)*)")
	leaving = []string{".git", ".local", "node_modules", "cdk.out", "bin"}
)

// mentions finds the commands in the code of all pages of the repository.
func mentions(t *testing.T) []mention {
	t.Helper()
	var all []mention
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && slices.Contains(leaving, entry.Name()) {
			return filepath.SkipDir
		}
		if filepath.Ext(path) != ".md" {
			return nil
		}
		text, err := os.ReadFile(path) //nolint:gosec // the checkout is the tester's own
		if err != nil {
			return err
		}
		fenced := false
		for i, line := range strings.Split(string(text), "\n") {
			if strings.HasPrefix(strings.TrimSpace(line), "```") {
				fenced = !fenced
				continue
			}
			code := []string{line}
			if !fenced {
				code = span.FindAllString(line, -1)
			}
			for _, c := range code {
				for _, m := range inCode.FindAllStringSubmatch(c, -1) {
					all = append(all, mention{fmt.Sprintf("%s:%d", strings.TrimPrefix(path, "../../"), i+1), strings.Fields(m[1])})
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestDocumentedCommandsExist holds every hookctl command that any page names against
// the commands and flags that there are.
func TestDocumentedCommandsExist(t *testing.T) {
	commands := tree(t)
	all := mentions(t)
	if len(all) < 50 {
		t.Errorf("found only %d mentions of hookctl; the search is broken", len(all))
	}
	for _, m := range all {
		for _, problem := range check(m.words, commands) {
			t.Errorf("%s: hookctl %s: %s", m.where, strings.Join(m.words, " "), problem)
		}
	}
}

func check(words []string, commands map[string]string) (problems []string) {
	path := ""
	for len(words) > 0 {
		longer := strings.TrimSpace(path + " " + words[0])
		if _, ok := commands[longer]; !ok {
			break
		}
		path, words = longer, words[1:]
	}
	// A group takes no argument, so a word after it is meant to be a command.
	if !isLeaf(commands[path]) && len(words) > 0 && regexp.MustCompile(`^[a-z][a-z-]*$`).MatchString(words[0]) && words[0] != "completion" {
		return []string{fmt.Sprintf("there is no command %q", strings.TrimSpace(path+" "+words[0]))}
	}
	for _, word := range words {
		flag, _, _ := strings.Cut(strings.TrimRight(word, ".,:]"), "=")
		if strings.HasPrefix(flag, "--") && len(flag) > 2 && !regexp.MustCompile(`(?m)^ .*`+flag+`\b`).MatchString(commands[path]) {
			problems = append(problems, "there is no flag "+flag)
		}
	}
	return problems
}

// TestEveryCommandHasATranscript wants each command to be shown and replayed.
func TestEveryCommandHasATranscript(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(pages, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	var shown strings.Builder
	for _, file := range files {
		page, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		commands, err := parse(string(page))
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, c := range commands {
			shown.WriteString(c.text + " \n")
		}
	}
	for path, help := range tree(t) {
		if isLeaf(help) && !strings.Contains(shown.String(), "hookctl "+path+" ") {
			t.Errorf("no transcript in docs/hookctl runs hookctl %s", path)
		}
		if !strings.Contains(help, "\nExamples:\n") && isLeaf(help) {
			t.Errorf("the help of hookctl %s has no example", path)
		}
	}
}

func TestCheck(t *testing.T) {
	commands := map[string]string{"": "\nAvailable Commands:\n  dlq", "dlq": "\nAvailable Commands:\n  ls", "dlq ls": "\n      --stage string   the stage\n"}
	for words, want := range map[string]int{
		"": 0, "--help me": 1, "dlq": 0, "dlq ls --stage prod": 0, "dlq ls --stage=prod": 0, "dlq ls id": 0, "nonsense": 1, "dlq nonsense": 1, "dlq ls --nonsense": 1, "dlq ls --stag": 1,
	} {
		if got := check(strings.Fields(words), commands); len(got) != want {
			t.Errorf("hookctl %s: %v, want %d problems", words, got, want)
		}
	}
}
