package starter

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

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
		"http://events.example.com": false, "https://": false, "nobody": false, "Ops <ops@example.com>": false, "": false,
	} {
		if err := Recipient(recipient); (err == nil) != ok {
			t.Errorf("%q: %v", recipient, err)
		}
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
			if states[f.Path] != wanted {
				t.Errorf("%s: %s is %d, want %d", what, f.Path, states[f.Path], wanted)
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
