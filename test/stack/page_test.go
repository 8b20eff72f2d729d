package stack

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/diff"
)

// This file keeps what is computed and stands in docs/ true: a part of a page between
// marks, or a whole file. UPDATE_SNAPSHOTS writes it anew, as the snapshots.

// keepComputed compares what stands between the marks of a page of docs/ with text.
func keepComputed(t *testing.T, page, text string) {
	t.Helper()
	const begin, end = "<!-- computed: make snapshots -->\n", "<!-- end -->"
	data, err := os.ReadFile(filepath.Join(root, "docs", page))
	if err != nil {
		t.Fatal(err)
	}
	head, rest, found := strings.Cut(string(data), begin)
	_, tail, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("docs/%s has no marks %q and %q", page, begin, end)
	}
	keepFile(t, page, head+begin+text+end+tail)
}

// keepFile compares a file of docs/ with text.
func keepFile(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join(root, "docs", name)
	if os.Getenv("UPDATE_SNAPSHOTS") != "" {
		if os.Getenv("CI") != "" {
			t.Fatalf("docs/%s is not updated in CI: a person reads what changed, and commits it", name)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil { //nolint:gosec // a file of this checkout
			t.Fatal(err)
		}
		return
	}
	old, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; write it with make snapshots", err)
	}
	if d := diff.Diff("docs/"+name, old, "now", []byte(text)); len(d) > 0 {
		t.Errorf("docs/%s says something else than the template. If the template is right, make snapshots, read the change and commit it.\n%s", name, d)
	}
}
