package review

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const page = "../../docs/review-codes.md"

// codes are the codes of the source, each with the classes that it can have and one reason that is
// written beside it.
func codes(t *testing.T) map[string][2]string {
	t.Helper()
	found := map[string][2]string{}
	add := func(code, class, why string) {
		known := found[code]
		if !strings.Contains(known[0], class) {
			known[0] = strings.Trim(known[0]+", "+class, ", ")
		}
		if known[1] == "" {
			known[1] = why
		}
		found[code] = known
	}
	for _, file := range []string{"judge.go", "policy.go", "rules.go", "compare.go"} {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		class := func(name string) string {
			for i, c := range []string{"Nothing", "CodeOnly", "Changed", "Loosened", "Widened", "Replaced"} {
				if c == name {
					return Class(i).String()
				}
			}
			t.Fatalf("class %s", name)
			return ""
		}
		for _, m := range regexp.MustCompile(`(?:verdict\{|always\(|add\(|Class: )(Nothing|CodeOnly|Changed|Loosened|Widened|Replaced), (?:Code: )?"([a-z-]+)"(?:, "([^"]*)")?`).FindAllStringSubmatch(string(source), -1) {
			add(m[2], class(m[1]), m[3])
		}
		for _, m := range regexp.MustCompile(`(down|up|unless|moved)\("([a-z-]+)", "([^"]*)"`).FindAllStringSubmatch(string(source), -1) {
			add(m[2], "changed, loosened", m[3])
		}
	}
	return found
}

// docs/review-codes.md has every code that a finding can have.
func TestCodesAreOnThePage(t *testing.T) {
	all := codes(t)
	if len(all) < 40 {
		t.Fatalf("only %d codes were found in the source", len(all))
	}
	var names []string
	for code := range all {
		names = append(names, code)
	}
	slices.Sort(names)
	var b strings.Builder
	b.WriteString("# Codes of the review gate\n\nWhat `make review` says of a change, by its code ([how to read and accept it](reviewing.md)). A test writes this page: `UPDATE_SNAPSHOTS=1 go test ./internal/review`.\n\n| code | class | for example |\n| --- | --- | --- |\n")
	for _, code := range names {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", code, all[code][0], cell(all[code][1]))
	}
	if os.Getenv("UPDATE_SNAPSHOTS") != "" {
		if err := os.WriteFile(page, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	there, err := os.ReadFile(page)
	if err != nil || string(there) != b.String() {
		t.Errorf("%v; docs/review-codes.md is not what the source has. Run: UPDATE_SNAPSHOTS=1 go test ./internal/review", err)
	}
}
