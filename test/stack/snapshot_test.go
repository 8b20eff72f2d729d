package stack

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/onepagecrm/nylas-webhooks/test/stack/synth"
)

const (
	// lineWidth is how long a snapshot's line may be before its object is spread out.
	lineWidth = 140
	// maxSnapshotLines keeps the snapshot something that a reviewer reads.
	maxSnapshotLines = 1600
)

// scrubs replace what changes with the function's code, not with the stack. By
// pattern only, so that nothing else can hide.
var scrubs = []struct {
	pattern     *regexp.Regexp
	replacement string
}{
	{regexp.MustCompile(`\b[0-9a-f]{64}\.zip\b`), "<asset>.zip"},
	{regexp.MustCompile(`\b(ReceiverCurrentVersion[0-9A-F]{8})[0-9a-f]{32}\b`), "$1<version>"},
	{regexp.MustCompile(`\b(EndpointDeployment[0-9A-F]{8})[0-9a-f]{32}\b`), "$1<deployment>"},
}

// render returns the template as the text of a snapshot.
func render(t template) string {
	var decoded any
	if err := json.Unmarshal([]byte(text(t)), &decoded); err != nil {
		panic(err)
	}
	out := compact(decoded, "", 0) + "\n"
	for _, s := range scrubs {
		out = s.pattern.ReplaceAllString(out, s.replacement)
	}
	return out
}

// compact writes JSON with sorted keys, an object or list on one line where it fits.
// used is how much of the line is taken.
func compact(v any, indent string, used int) string {
	flat := flatten(v)
	if len(indent)+used+len(flat) <= lineWidth {
		return flat
	}
	var lines []string
	inner := indent + "  "
	switch v := v.(type) {
	case map[string]any:
		if len(v) == 1 { // brackets around a single value take no line of their own
			for key, value := range v {
				name := quote(key) + ": "
				return "{" + name + compact(value, indent, used+len(name)+2) + "}"
			}
		}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			name := quote(key) + ": "
			lines = append(lines, inner+name+compact(v[key], inner, len(name)+1))
		}
		return "{\n" + strings.Join(lines, ",\n") + "\n" + indent + "}"
	case []any:
		if len(v) == 1 {
			return "[" + compact(v[0], indent, used+2) + "]"
		}
		if len(v) == 2 && v[0] == "" { // the arguments of Fn::Join
			return `["", ` + compact(v[1], indent, used+6) + "]"
		}
		for _, item := range v {
			lines = append(lines, inner+compact(item, inner, 1))
		}
		return "[\n" + strings.Join(lines, ",\n") + "\n" + indent + "]"
	}
	return flat
}

func flatten(v any) string {
	var parts []string
	switch v := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			parts = append(parts, quote(key)+": "+flatten(v[key]))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case []any:
		for _, item := range v {
			parts = append(parts, flatten(item))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return quote(v)
}

// quote writes a scalar as JSON, without HTML's escapes.
func quote(v any) string {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		panic(err)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// nameless renders a stage's template without what only says which stage it is.
func nameless(d deployment) string {
	name := regexp.QuoteMeta(d.stage.Name)
	out := render(d.template)
	for _, s := range []struct{ pattern, replacement string }{
		// Logical ids in which the CDK itself puts the stage's or stack's name.
		{`\b(EndpointDeploymentStage)` + name + `[0-9A-F]{8}\b`, "$1"},
		{`\b(Endpointnylas(?:GET|POST)ApiPermission)NylasWebhooks` + name + `Endpoint[0-9A-F]{8}((?:GET|POST)nylas)[0-9A-F]{8}\b`, "$1$2"},
		{`\b(?i:NylasWebhooks)-` + name + `\b`, "NylasWebhooks-<stage>"},
		{`"` + name + `"`, `"<stage>"`},
		{`\bstage ` + name + `\b`, "stage <stage>"},
		{`\\"Stage\\",\\"` + name + `\\"`, `\"Stage\",\"<stage>\"`}, // in the dashboard
		{`\b` + name + `: (has|does)\b`, "<stage>: $1"},             // in the rule that refuses deployment
	} {
		out = regexp.MustCompile(s.pattern).ReplaceAllString(out, s.replacement)
	}
	return out
}

func TestProdSnapshot(t *testing.T) {
	snapshot := render(stacks["prod"].template)
	if lines := strings.Count(snapshot, "\n"); lines > maxSnapshotLines {
		t.Errorf("the snapshot has %d lines; nobody reads more than %d", lines, maxSnapshotLines)
	}
	golden(t, "prod.json", snapshot)
}

func TestAccountSnapshot(t *testing.T) { golden(t, "account.json", render(logging)) }

func TestOtherStagesAsDifferenceFromProd(t *testing.T) {
	prod := nameless(stacks["prod"])
	for _, s := range synth.All() {
		if s.Name == "prod" {
			continue
		}
		t.Run(s.Name, func(t *testing.T) {
			other := nameless(stacks[s.Name])
			if s.Name == "local" { // runs on whatever machine this is
				host := map[string]string{"amd64": "x86_64", "arm64": "arm64"}[runtime.GOARCH]
				other = strings.Replace(other, `"Architectures": ["`+host+`"]`, `"Architectures": ["<this machine's>"]`, 1)
			}
			golden(t, s.Name+".diff", string(diff.Diff("prod", []byte(prod), s.Name, []byte(other))))
		})
	}
}

// Only settings make stages differ, never their name; so what is tested as local is
// what prod gets, apart from what package stages says.
func TestStagesDifferBySettingsOnly(t *testing.T) {
	prod, twin := nameless(stacks["prod"]), nameless(stacks["twin"])
	if d := diff.Diff("prod", []byte(prod), "twin", []byte(twin)); len(d) > 0 {
		t.Errorf("two stages with equal settings differ by more than their name:\n%s", d)
	}
}

func TestInventory(t *testing.T) {
	in := make(map[string][]string) // line → stages
	for _, s := range synth.All() {
		for id, r := range stacks[s.Name].template.Resources {
			for _, scrub := range scrubs {
				id = scrub.pattern.ReplaceAllString(id, scrub.replacement)
			}
			id = strings.ReplaceAll(strings.ReplaceAll(id, "NylasWebhooks"+s.Name, "NylasWebhooks<stage>"), "Stage"+s.Name, "Stage<stage>")
			id = regexp.MustCompile(`^(.*<stage>.*?)[0-9A-F]{8}$`).ReplaceAllString(id, "$1") // the hash of a path with the stage's name
			in[r.Type+" "+id] = append(in[r.Type+" "+id], s.Name+map[string]string{"Retain": "(retained)", "RetainExceptOnCreate": "(retained)"}[r.DeletionPolicy])
		}
	}
	var b strings.Builder
	for _, line := range slices.Sorted(maps.Keys(in)) {
		kind, id, _ := strings.Cut(line, " ")
		fmt.Fprintf(&b, "%-34s %-70s %s\n", kind, id, strings.Join(in[line], " "))
	}
	golden(t, "inventory.txt", b.String())
}

// golden compares with testdata, or writes it where UPDATE_SNAPSHOTS is set.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("UPDATE_SNAPSHOTS") != "" {
		if os.Getenv("CI") != "" {
			t.Fatal("snapshots are not updated in CI: a person reads what changed, and commits it")
		}
		if err := os.MkdirAll("testdata", 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; write it with UPDATE_SNAPSHOTS=1", err)
	}
	if d := diff.Diff("testdata/"+name, want, "now", []byte(got)); len(d) > 0 {
		t.Errorf("the template has changed. If it should have, set UPDATE_SNAPSHOTS=1, read the change and commit it.\n%s", d)
	}
}
