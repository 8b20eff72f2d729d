package starter

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// equivalent mutant: Files: return err -> return nil
// The files are in the program, and each test that writes them shows that they can be rendered.

var acme = Repository{
	Module: "example.com/acme/webhooks", Version: "v1.2.3",
	Stages:  []Stage{{"dev", "111122223333", "eu-west-1", false}, {"prod", "444455556666", "eu-central-1", true}},
	Pages:   []string{"https://events.example.com/pages", "on-call@example.com"},
	Tickets: []string{"team@example.com"},
}

func text(t *testing.T, r Repository, path string) string {
	t.Helper()
	all, err := r.Files()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if f.Path == path {
			return string(f.Text)
		}
	}
	t.Fatalf("no file %s", path)
	return ""
}

func TestStagesAreWritten(t *testing.T) {
	main := text(t, acme, "main.go")
	for _, want := range []string{
		`dev := stages.New("dev")`,
		`dev.Account, dev.Region = "111122223333", "eu-west-1"`,
		`prod := stages.Production("prod")`,
		`prod.Pages = stages.Recipients{Emails: []string{"on-call@example.com"}, Endpoints: []string{"https://events.example.com/pages"}}`,
		`prod.Tickets = stages.Recipients{Emails: []string{"team@example.com"}}`,
		`return []stages.Stage{dev, prod}`,
	} {
		if !strings.Contains(main, want) {
			t.Errorf("main.go lacks %s\n%s", want, main)
		}
	}
	if strings.Contains(main, "dev.Pages") {
		t.Error("a stage that nobody has to look after pages somebody")
	}
	if mod := text(t, acme, "go.mod"); strings.Contains(mod, "replace") || !strings.Contains(mod, "nylas-webhooks v1.2.3\n") {
		t.Error(mod)
	}
}

func TestRecipients(t *testing.T) {
	for recipient, ok := range map[string]bool{
		"on-call@example.com": true, "https://events.example.com/x": true,
		"http://events.example.com": false, "https://": false, "https://exa mple.com": false, "//events.example.com": false, "nobody": false, "Ops <ops@example.com>": false, "": false,
	} {
		if err := Recipient(recipient); (err == nil) != ok {
			t.Errorf("%q: %v", recipient, err)
		}
	}
}

// A stage's name is a variable in main.go.
func TestNamesOfStages(t *testing.T) {
	for name, ok := range map[string]bool{"dev": true, "prod": true, "func": false, "range": false, "stages": false, "jsii": false} {
		if err := (Stage{Name: name}).Check(); (err == nil) != ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNamesOfTheRepository(t *testing.T) {
	for module, want := range map[string][2]string{
		"example.com/acme/webhooks": {"acme", "webhooks"}, "acme/webhooks": {"acme", "webhooks"}, "webhooks": {"webhooks", "webhooks"},
	} {
		r := Repository{Module: module}
		if got := [2]string{r.Owner(), r.Name()}; got != want {
			t.Errorf("%s: %q", module, got)
		}
	}
	if acme.Before(0) != "synthesize" || acme.Before(1) != "dev" {
		t.Errorf("before the stages are deployed: %s, %s", acme.Before(0), acme.Before(1))
	}
}

// A template that is wrong is an error, and no file.
func TestRender(t *testing.T) {
	for source, says := range map[string]string{
		"[[":                 "unclosed action",
		"[[ .Nobody ]]":      "can't evaluate field Nobody",
		"package [[ 1 ]]":    "x.go: 1:9: expected 'IDENT'",
		"package  a;var b=1": "",
	} {
		text, err := acme.render("x.go", []byte(source))
		if says == "" {
			if err != nil || string(text) != "package a\n\nvar b = 1\n" {
				t.Errorf("%s: %q, %v", source, text, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), says) || text != nil {
			t.Errorf("%s: %q, %v", source, text, err)
		}
	}
	// What is no Go code is left as it is.
	if text, err := acme.render("x", []byte("a  b")); err != nil || string(text) != "a  b" {
		t.Errorf("%q, %v", text, err)
	}
}

// Others read the repository.
func TestModes(t *testing.T) {
	dir := t.TempDir()
	if err := (File{Path: "a/b", Text: []byte("c")}).Write(dir); err != nil {
		t.Fatal(err)
	}
	// Less what the machine's umask takes.
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "folder"), 0o755), os.WriteFile(filepath.Join(dir, "file"), nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	mode := func(path string) os.FileMode {
		info, err := os.Stat(filepath.Join(dir, path))
		if err != nil {
			t.Fatal(err)
		}
		return info.Mode()
	}
	for path, like := range map[string]string{"a": "folder", "a/b": "file"} {
		if got, want := mode(path), mode(like); got != want {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
	// A file in the place of a folder, and a folder in that of a file.
	if err := (File{Path: "a/b/c"}).Write(dir); err == nil {
		t.Error("wrote into a file")
	}
	if err := (File{Path: "a"}).Write(dir); err == nil {
		t.Error("wrote over a folder")
	}
	if states, err := Compare(dir, []File{{Path: "a"}}); err == nil {
		t.Errorf("a folder is %v", states)
	}
}

func TestCompare(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not there yet")
	all, err := acme.Files()
	if err != nil {
		t.Fatal(err)
	}
	expect := func(what string, want map[string]State) {
		t.Helper()
		states, err := Compare(dir, all)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range all {
			wanted, named := want[f.Path]
			if !named {
				wanted = want[""]
			}
			if state, said := states[f.Path]; state != wanted || !said {
				t.Errorf("%s: %s is %d (%v), want %d", what, f.Path, state, said, wanted)
			}
		}
	}
	expect("at first", map[string]State{"": Missing})
	for _, f := range all {
		if err := f.Write(dir); err != nil {
			t.Fatal(err)
		}
	}
	own := map[string]State{"": Same, "go.mod": Yours, "main.go": Yours, "main_test.go": Yours, "README.md": Yours, ".github/workflows/deploy.yml": Yours, ".github/workflows/drift.yml": Yours, ".github/workflows/heartbeat.yml": Yours}
	expect("written", own)
	for _, path := range []string{"Makefile", "main.go"} {
		if err := os.WriteFile(filepath.Join(dir, path), []byte("edited"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	own["Makefile"] = Different
	expect("edited", own)
}
