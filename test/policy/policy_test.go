package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// root is the module's root, seen from this package.
const root = "../.."

// What TestMain found out: the templates of every stage, what each checker says of
// them, and what each says of a template of prod that is broken on purpose.
var (
	synthesized assembly
	said        = make(map[string][]finding) // by checker
	brokenFile  string
)

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "policy:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	project, err := filepath.Abs(root)
	if err != nil {
		return 1, err
	}
	for _, tool := range []string{"tools/node_modules/.bin/node", "tools/policy/node_modules/cdk-nag", "tools/policy/node_modules/cdk-preflight", ".local/venv/policy/bin/checkov", ".local/venv/lint/bin/cfn-lint"} {
		if _, err := os.Stat(filepath.Join(project, tool)); err != nil {
			return 1, fmt.Errorf("%s is not installed. Run these tests by: make policy", tool)
		}
	}
	dir, err := os.MkdirTemp("", "policy-")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	full := filepath.Join(dir, "full")
	if err := synthesizeFull(full); err != nil {
		return 1, err
	}
	if synthesized, err = readAssembly(filepath.Join(project, "cdk.out"), full); err != nil {
		return 1, err
	}
	if brokenFile, err = breakProd(dir, synthesized.templates); err != nil {
		return 1, err
	}
	if err := askAll(project, append(slices.Clone(synthesized.templates), brokenFile)); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// askAll runs all checkers, each once over all templates: most of their time is their
// start.
func askAll(project string, templates []string) error {
	var (
		group  sync.WaitGroup
		lock   sync.Mutex
		failed []error
	)
	for _, c := range checkers {
		group.Go(func() {
			found, err := c.run(project, templates)
			lock.Lock()
			defer lock.Unlock()
			said[c.name] = found
			failed = append(failed, err)
		})
	}
	group.Wait()
	return errors.Join(failed...)
}

func TestFindingsAreAccepted(t *testing.T) {
	accepted := make(map[key]bool)
	for _, a := range synthesized.accepted {
		accepted[a.key] = true
	}
	for _, c := range checkers {
		t.Run(c.name, func(t *testing.T) {
			for _, f := range said[c.name] {
				if f.template != brokenFile && !accepted[f.key] {
					t.Errorf("%s: %s\n\tPut it right, or accept it with the reason beside the resource: findings.Accept in infra", f.key, f.says)
				}
			}
		})
	}
}

// A reason that outlives its finding misleads whoever reads it, and hides the finding
// should it come back.
func TestAcceptedIsFound(t *testing.T) {
	found := make(map[key]bool)
	for _, c := range checkers {
		for _, f := range said[c.name] {
			found[f.key] = true
		}
	}
	for _, a := range synthesized.accepted {
		switch known := slices.ContainsFunc(checkers, func(c checker) bool { return c.ids.MatchString(a.id) }); {
		case !known:
			t.Errorf("%s is accepted, and no checker has such ids", a.key)
		case !found[a.key]:
			t.Errorf("%s is accepted, and no checker says it any more. Take the acceptance away", a.key)
		case strings.TrimSpace(a.reason) == "":
			t.Errorf("%s is accepted without a reason", a.key)
		}
	}
}

// A checker that reads nothing finds nothing. Each has to notice what is broken here.
func TestCheckersNotice(t *testing.T) {
	for checker, want := range map[string][]string{
		"cdk-nag":       {"AwsSolutions-KMS5"},
		"cdk-preflight": {"pf-logs-filter-pattern-bracket", "F3012"}, // of its own, and of the CDK's validator
		"cfn-guard":     {"CT.KMS.PR.1"},
		"checkov":       {"CKV_AWS_7"},
		"cfn-lint":      {"ES1006"}, // of its serverless rules
	} {
		t.Run(checker, func(t *testing.T) {
			for _, id := range want {
				if !slices.ContainsFunc(said[checker], func(f finding) bool { return f.template == brokenFile && f.id == id }) {
					t.Errorf("does not report %s of a template that is broken in four ways, see breakProd", id)
				}
			}
		})
	}
}

// breakProd writes a template of prod without what the checkers have to miss.
func breakProd(dir string, templates []string) (string, error) {
	i := slices.IndexFunc(templates, func(path string) bool { return filepath.Base(path) == "NylasWebhooks-prod.template.json" })
	if i < 0 {
		return "", fmt.Errorf("there is no template of prod among %v", templates)
	}
	var template map[string]any
	if err := decode(templates[i], &template); err != nil {
		return "", err
	}
	for _, resource := range template["Resources"].(map[string]any) {
		properties, _ := resource.(map[string]any)["Properties"].(map[string]any)
		switch resource.(map[string]any)["Type"] {
		case "AWS::KMS::Key":
			delete(properties, "EnableKeyRotation")
		case "AWS::Lambda::Function":
			delete(properties, "Timeout")
		case "AWS::Logs::MetricFilter":
			properties["FilterPattern"] = "[time, status" // never closed
		case "AWS::CloudWatch::Dashboard":
			properties["DashboardBody"] = []any{} // a string
		}
	}
	data, err := json.Marshal(template)
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "broken.template.json")
	return file, os.WriteFile(file, data, 0o600)
}
