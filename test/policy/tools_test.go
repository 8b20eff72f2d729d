package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
)

// finding is what a checker has to say of a resource.
type finding struct {
	key
	says string
}

// checker is one of the tools. ids is the form of its rules' ids.
type checker struct {
	name string
	ids  *regexp.Regexp
	run  func(root string, templates []string) ([]finding, error)
}

var checkers = []checker{
	{"cdk-nag", regexp.MustCompile(`^(AwsSolutions|Serverless)-`), script("nag.js")},
	{"cdk-preflight", regexp.MustCompile(`^(pf-|F[0-9]{4}$)`), script("deployment.js")},
	{"cfn-guard", regexp.MustCompile(`^CT\.`), cfnGuard},
	{"checkov", regexp.MustCompile(`^CKV2?_`), checkov},
	{"cfn-lint", regexp.MustCompile(`^[EWI]S?[0-9]{4}$`), cfnLint},
}

// ask runs a tool in the project's root and decodes the JSON it prints. That it exits
// with one of the codes found only says that it found something.
func ask(into any, root string, found []int, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		for _, code := range found {
			if exit.ExitCode() == code {
				err = nil
			}
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w\n%s%s", filepath.Base(name), err, stdout, stderr.Bytes())
	}
	if err := json.Unmarshal(stdout, into); err != nil {
		return fmt.Errorf("%s printed no JSON: %w\n%s%s", filepath.Base(name), err, stdout, stderr.Bytes())
	}
	return nil
}

// script asks a program of tools/policy, each of which prints the same.
func script(name string) func(root string, templates []string) ([]finding, error) {
	return func(root string, templates []string) ([]finding, error) {
		var said []struct{ Template, Resource, ID, Says string }
		args := append([]string{filepath.Join("tools/policy", name)}, templates...)
		if err := ask(&said, root, nil, filepath.Join(root, "tools/node_modules/.bin/node"), args...); err != nil {
			return nil, err
		}
		var found []finding
		for _, s := range said {
			found = append(found, finding{key{s.Template, s.Resource, s.ID}, s.Says})
		}
		return found, nil
	}
}

// cfnGuard runs the binary that the npm package brings, because the package itself is
// a plugin of an app. Where a rule failed stands only deep in its report, as the path
// of each value that was looked at.
func cfnGuard(root string, templates []string) ([]finding, error) {
	machine := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]
	plugin := filepath.Join(root, "tools/policy/node_modules/@cdklabs/cdk-validator-cfnguard")
	args := []string{"validate", "--structured", "--output-format", "json", "--show-summary", "none",
		"--rules", filepath.Join(plugin, "rules/control-tower/cfn-guard")}
	for _, template := range templates {
		args = append(args, "--data", template)
	}
	var said []struct {
		Name         string
		NotCompliant []struct{ Rule json.RawMessage } `json:"not_compliant"`
	}
	// 19: a rule failed
	if err := ask(&said, root, []int{19}, filepath.Join(plugin, "bin/ubuntu", machine, "cfn-guard"), args...); err != nil {
		return nil, err
	}
	if len(said) != len(templates) {
		return nil, fmt.Errorf("cfn-guard reports on %d of %d templates", len(said), len(templates))
	}
	rule := regexp.MustCompile(`\[(CT\.[A-Z0-9]+\.PR\.[0-9]+)\]: ([^\n\\]+)`)
	path := regexp.MustCompile(`"path": *"/Resources/([A-Za-z0-9]+)[/"]`)
	var found []finding
	for _, template := range said {
		for _, broken := range template.NotCompliant {
			name := rule.FindSubmatch(broken.Rule)
			resources := path.FindAllSubmatch(broken.Rule, -1)
			if name == nil || len(resources) == 0 {
				return nil, fmt.Errorf("cfn-guard reports on %s, and neither rule nor resource can be read: %s", template.Name, broken.Rule)
			}
			seen := make(map[string]bool)
			for _, resource := range resources {
				if id := string(resource[1]); !seen[id] {
					seen[id] = true
					found = append(found, finding{key{template.Name, id, string(name[1])}, string(name[2])})
				}
			}
		}
	}
	return found, nil
}

func checkov(root string, templates []string) ([]finding, error) {
	args := []string{"--framework", "cloudformation", "--skip-download", "--quiet", "--compact", "--output", "json"}
	for _, template := range templates {
		args = append(args, "--file", template)
	}
	var said struct {
		Results struct {
			Failed []struct {
				CheckID   string `json:"check_id"`
				CheckName string `json:"check_name"`
				File      string `json:"file_abs_path"`
				Resource  string // type.logical id
			} `json:"failed_checks"`
		}
		Summary struct {
			ParsingErrors int `json:"parsing_errors"`
		}
	}
	if err := ask(&said, root, []int{1}, filepath.Join(root, ".local/venv/policy/bin/checkov"), args...); err != nil {
		return nil, err
	}
	if said.Summary.ParsingErrors > 0 {
		return nil, fmt.Errorf("checkov could not read %d templates", said.Summary.ParsingErrors)
	}
	var found []finding
	for _, s := range said.Results.Failed {
		resource := s.Resource[strings.LastIndex(s.Resource, ".")+1:]
		found = append(found, finding{key{s.File, resource, s.CheckID}, s.CheckName})
	}
	return found, nil
}

func cfnLint(root string, templates []string) ([]finding, error) {
	// Bits of what was found: 2 errors, 4 warnings, 8 informational.
	// No configuration of this directory: what is accepted stands beside the resources.
	args := append([]string{"--config-file", os.DevNull, "--append-rules", "cfn_lint_serverless.rules", "--format", "json", "--"}, templates...)
	var said []struct {
		Filename string
		Message  string
		Rule     struct{ ID string }
		Location struct{ Path []any }
	}
	if err := ask(&said, root, []int{2, 4, 6, 8, 10, 12, 14}, filepath.Join(root, ".local/venv/lint/bin/cfn-lint"), args...); err != nil {
		return nil, err
	}
	var found []finding
	for _, s := range said {
		resource := "the template"
		if len(s.Location.Path) > 1 {
			resource = fmt.Sprint(s.Location.Path[1])
		}
		found = append(found, finding{key{s.Filename, resource, s.Rule.ID}, s.Message})
	}
	return found, nil
}
