package starter

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"testing"
)

const example = "../../examples/own-repository"

// examples/own-repository is what init writes, so that it can be read without running
// anything, and every test of it is one of init.
func TestTheExampleIsWhatInitWrites(t *testing.T) {
	r := acme
	r.Version, r.Replace = "v0.0.0", "../.."
	all, err := r.Files()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if os.Getenv("UPDATE_SNAPSHOTS") != "" {
			if f.Path != "go.mod" { // go mod tidy adds the indirect ones
				if err := f.Write(example); err != nil {
					t.Fatal(err)
				}
			}
			continue
		}
		there, err := os.ReadFile(filepath.Join(example, f.Path))
		if err != nil {
			t.Fatal(err)
		}
		// go mod tidy adds to go.mod what it finds.
		if same := bytes.Equal(there, f.Text); !same && f.Path != "go.mod" {
			t.Errorf("%s is not what init writes. Run: UPDATE_SNAPSHOTS=1 go test ./internal/starter, and read the change", f.Path)
		}
	}
}

// The versions that init writes are those that this repository uses.
func TestVersionsOfPackages(t *testing.T) {
	data, err := os.ReadFile("../../tools/package.json")
	if err != nil {
		t.Fatal(err)
	}
	var tools struct{ Dependencies map[string]string }
	if err := json.Unmarshal(data, &tools); err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(tools.Dependencies, packages) {
		t.Errorf("init writes %v, tools/package.json has %v", packages, tools.Dependencies)
	}
}

// A company's pull requests are reviewed by the workflows that review this repository's.
func TestReviewIsOurs(t *testing.T) {
	for _, name := range []string{"review.yml", "comment.yml"} {
		ours, err := os.ReadFile("../../.github/workflows/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if text(t, acme, ".github/workflows/"+name) != string(ours) {
			t.Errorf("%s is another in internal/starter/files than in .github/workflows", name)
		}
	}
}
