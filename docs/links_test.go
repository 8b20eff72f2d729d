package docs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// root is the module's directory, seen from this one.
const root = ".."

var (
	fence   = regexp.MustCompile("(?ms)^ *```.*?^ *```$")
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	// testLink is a link whose text is a test, or a rule on the template, in the file it leads to.
	testLink = regexp.MustCompile(`\[(Test\w+|rule: [^\]]+)\]\(([^)]+_test\.go)\)`)
	// unspoken is what GitHub leaves out of a heading's anchor.
	unspoken = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// Every link from a page of this repository to another, and to a heading, leads somewhere:
// alarms point at headings of the runbook, and whoever is woken follows them.
func TestLinksLeadSomewhere(t *testing.T) {
	var pages int
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		// What is not committed: .local, .git, cdk.out, node_modules.
		if name := entry.Name(); entry.IsDir() && path != root && (strings.HasPrefix(name, ".") && name != ".github" || name == "cdk.out" || name == "node_modules") {
			return fs.SkipDir
		}
		if filepath.Ext(path) != ".md" {
			return nil
		}
		pages++
		for _, m := range link.FindAllStringSubmatch(read(t, path), -1) {
			if strings.Contains(m[1], ":") { // https:, mailto:
				continue
			}
			file, anchor, _ := strings.Cut(m[1], "#")
			target := path
			if file != "" {
				target = filepath.Join(filepath.Dir(path), file)
			}
			if _, err := os.Stat(target); errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s links to %s, which is not there", path, m[1])
			} else if anchor != "" && !anchors(read(t, target))[anchor] {
				t.Errorf("%s links to %s, which has no such heading", path, m[1])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if pages < 20 { // there are more than 30
		t.Errorf("only %d pages were read", pages)
	}
}

// Every test and every rule that a page names is in the file that the page links to. What
// nobody tests any more must not stand there as shown.
func TestNamedTestsAreThere(t *testing.T) {
	var named int
	pages, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		for _, m := range testLink.FindAllStringSubmatch(read(t, page), -1) {
			named++
			want := "\nfunc " + m[1] + "(t *testing.T) {"
			if rule, is := strings.CutPrefix(m[1], "rule: "); is {
				want = `name: "` + rule + `", why: "`
			}
			file, err := os.ReadFile(m[2])
			if err != nil {
				t.Errorf("%s names %s: %v", page, m[1], err)
			} else if !strings.Contains(string(file), want) {
				t.Errorf("%s names %s, which is not in %s. If it has another name now, say that; if it is gone, so is what the page says.", page, m[1], m[2])
			}
		}
	}
	if named < 40 { // the threat model alone has as many
		t.Errorf("only %d tests are named", named)
	}
}

// read returns a page without its code blocks.
func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return fence.ReplaceAllString(string(data), "")
}

// anchors are the headings' names in links, as GitHub makes them.
func anchors(page string) map[string]bool {
	all := make(map[string]bool)
	for _, m := range heading.FindAllStringSubmatch(page, -1) {
		all[strings.ReplaceAll(unspoken.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")] = true
	}
	return all
}
