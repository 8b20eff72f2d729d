package release

import (
	"os"
	"regexp"
	"testing"
)

// The newest entry of the changelog is about this version.
func TestChangelog(t *testing.T) {
	text, err := os.ReadFile("../../CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	newest := regexp.MustCompile(`(?m)^## (.+)$`).FindStringSubmatch(string(text))
	if newest == nil {
		t.Fatal("the changelog has no entry")
	}
	form := regexp.MustCompile(`^(v\d+\.\d+\.\d+)(-dev)?$`).FindStringSubmatch(Version)
	if form == nil {
		t.Fatalf("%q is no version", Version)
	}
	want := form[1]
	if form[2] != "" {
		want = "Unreleased"
	}
	if newest[1] != want {
		t.Errorf("version %s, and the changelog's newest entry is %q, want %q", Version, newest[1], want)
	}
}
