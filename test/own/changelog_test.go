package own

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/onepagecrm/nylas-webhooks/internal/review"
)

// What changes in the templates since the last release is what the changelog says to those who
// upgrade, by the review gate's codes.
func TestChangelogSaysWhatChanges(t *testing.T) {
	last := releases[len(releases)-1]
	dir := checkout(t, last.commit)
	in(t, dir, "cdk", "synth", "--quiet")
	head := t.TempDir()
	in(t, local.Root, "cdk", "synth", "--quiet", "--output", head)
	old, err := review.ReadAssembly(filepath.Join(dir, "cdk.out"))
	if err != nil {
		t.Fatal(err)
	}
	now, err := review.ReadAssembly(head)
	if err != nil {
		t.Fatal(err)
	}
	e, err := review.NewEngine(local.Root)
	if err != nil {
		t.Fatal(err)
	}
	found, err := review.Compare(e, old, now)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	var codes []string
	for _, f := range found {
		if f.Class > review.CodeOnly && !slices.Contains(codes, f.Code) {
			codes = append(codes, f.Code)
		}
		if f.Class == review.Replaced {
			t.Errorf("since %s: %s", last.version, f.Says)
		}
	}
	slices.Sort(codes)
	changelog, err := os.ReadFile(filepath.Join(local.Root, "CHANGELOG.md"))
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^- \*\*In the templates since ` + regexp.QuoteMeta(last.version) + `\*\*.*$`).FindString(string(changelog))
	var said []string
	for _, m := range regexp.MustCompile("`([a-z-]+)`").FindAllStringSubmatch(line, -1) {
		said = append(said, m[1])
	}
	slices.Sort(said)
	if !slices.Equal(codes, said) {
		t.Errorf("since %s the templates change by %q, the changelog says %q. Its line begins with\n%s",
			last.version, codes, said, fmt.Sprintf("- **In the templates since %s** (make review BASE=%[1]s):", last.version)+" "+strings.Join(codes, ", "))
	}
}
