package starter

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

const example = "../../examples/own-repository"

// examples/own-repository is what init writes, so that it can be read without running
// anything, and every test of it is one of init.
func TestTheExampleIsWhatInitWrites(t *testing.T) {
	r := acme
	r.Version, r.Replace, r.CDK = "v0.0.0", "../..", pinnedCDK(t)
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

// pinnedCDK is the version of the CDK CLI that this repository uses.
func pinnedCDK(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("../../tools/package.json")
	if err != nil {
		t.Fatal(err)
	}
	var tools struct{ Dependencies map[string]string }
	if err := json.Unmarshal(data, &tools); err != nil {
		t.Fatal(err)
	}
	return tools.Dependencies["aws-cdk"]
}

// The version that init writes is the one that this repository uses.
func TestVersionOfTheCDKCLI(t *testing.T) {
	if pinned := pinnedCDK(t); CDK != pinned {
		t.Errorf("init writes %s, tools/package.json has %s", CDK, pinned)
	}
}
