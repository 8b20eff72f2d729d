package stack

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"github.com/onepagecrm/nylas-webhooks/infra/account"
	"github.com/onepagecrm/nylas-webhooks/infra/stages"
	"github.com/onepagecrm/nylas-webhooks/infra/webhooks"
	"github.com/onepagecrm/nylas-webhooks/test/stack/synth"
)

// root is the module's root, seen from this package.
const root = "../.."

// What TestMain synthesized, by stage name: those of package stages, "full" with
// every optional setting, and "twin", which is prod under another name.
var (
	stacks    map[string]deployment
	logging   template // of the account's logging role
	manifests map[string]artifact
	warnings  []string // what the CDK has to say about the constructs
)

// deployment is one synthesized stage.
type deployment struct {
	stage    stages.Stage
	template template
}

// artifact is a stack's entry in the assembly's manifest.
type artifact struct {
	Type        string
	Environment string
	Properties  struct {
		TerminationProtection bool
		Tags                  map[string]string
	}
}

func twin() stages.Stage {
	s := synth.Named("prod")
	s.Name = "twin"
	return s
}

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	// Synthesizing needs no credentials, and must not find any to use.
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		if strings.HasPrefix(name, "AWS_") || strings.HasPrefix(name, "CDK_") {
			if err := os.Unsetenv(name); err != nil {
				return 1, err
			}
		}
	}
	dir, err := os.MkdirTemp("", "stack-")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	defer jsii.Close()
	if err := synthesizeAll(dir); err != nil {
		return 1, err
	}
	if err := buildAll(dir); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// synthesizeAll fills stacks, logging and manifests.
func synthesizeAll(dir string) error {
	app, err := synth.NewApp(root, filepath.Join(dir, "all"), false)
	if err != nil {
		return err
	}
	builder := webhooks.NewBuilder(root)
	stacks = make(map[string]deployment)
	for _, stage := range append(synth.All(), synth.Full(), twin()) {
		if err := stage.Validate(); err != nil {
			return err
		}
		if _, err := webhooks.NewStack(app, stage, builder); err != nil {
			return err
		}
		stacks[stage.Name] = deployment{stage: stage}
	}
	account.NewStack(awscdk.NewStage(app, jsii.String("account"), nil))
	app.Synth(nil)

	for name, d := range stacks {
		if err := decode(filepath.Join(dir, "all", webhooks.StackName(d.stage)+".template.json"), &d.template); err != nil {
			return err
		}
		stacks[name] = d
	}
	nested, err := filepath.Glob(filepath.Join(dir, "all", "assembly-account", "*.template.json"))
	if err != nil || len(nested) != 1 {
		return fmt.Errorf("find the account's template: %v, %w", nested, err)
	}
	if err := decode(nested[0], &logging); err != nil {
		return err
	}
	var manifest struct {
		Artifacts map[string]artifact
		Missing   []any
	}
	if err := decode(filepath.Join(dir, "all", "manifest.json"), &manifest); err != nil {
		return err
	}
	if len(manifest.Missing) > 0 {
		return fmt.Errorf("synthesizing wants to look something up in an AWS account: %v", manifest.Missing)
	}
	manifests = manifest.Artifacts
	return collectWarnings(filepath.Join(dir, "all"))
}

// collectWarnings fills warnings from the assembly's metadata.
func collectWarnings(assembly string) error {
	files, err := filepath.Glob(filepath.Join(assembly, "*.metadata.json"))
	if err != nil || len(files) < len(stacks) {
		return fmt.Errorf("find the metadata of %d stacks: %d files, %w", len(stacks), len(files), err)
	}
	for _, file := range files {
		var metadata map[string][]struct {
			Type string
			Data any
		}
		if err := decode(file, &metadata); err != nil {
			return err
		}
		for path, entries := range metadata {
			for _, entry := range entries {
				if slices.Contains([]string{"aws:cdk:warning", "aws:cdk:error", "aws:cdk:info"}, entry.Type) {
					warnings = append(warnings, fmt.Sprintf("%s: %v", path, entry.Data))
				}
			}
		}
	}
	return nil
}

func decode(path string, into any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("decode %s: %w", path, err)
	}
	return nil
}
