package policy

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/aws/jsii-runtime-go"

	"github.com/onepagecrm/nylas-webhooks/infra/webhooks"
	"github.com/onepagecrm/nylas-webhooks/test/stack/synth"
)

// assembly is what was synthesized.
type assembly struct {
	templates []string // files, by path
	accepted  []acceptance
}

// acceptance is one finding that infra/findings accepted.
type acceptance struct {
	key
	reason string
}

// key is what findings and acceptances are compared by.
type key struct {
	template string // file
	resource string // logical id
	id       string // of the checker's rule
}

func (k key) String() string {
	return fmt.Sprintf("%s: %s of %s", strings.TrimSuffix(filepath.Base(k.template), ".template.json"), k.id, k.resource)
}

// synthesizeFull writes the assembly of a stage with every optional setting, which the
// checkers would else see on the day somebody sets one.
func synthesizeFull(outdir string) error {
	defer jsii.Close()
	app, err := synth.NewApp(root, outdir, false)
	if err != nil {
		return err
	}
	if _, err := webhooks.NewStack(app, synth.Full(), webhooks.NewBuilder(root)); err != nil {
		return err
	}
	app.Synth(nil)
	return nil
}

// readAssembly reads the templates and acceptances of directories, that of the
// account's stack within them too.
func readAssembly(dirs ...string) (assembly, error) {
	var a assembly
	for _, dir := range dirs {
		for _, pattern := range []string{"*.template.json", "*/*.template.json"} {
			files, err := filepath.Glob(filepath.Join(dir, pattern))
			if err != nil {
				return a, err
			}
			a.templates = append(a.templates, files...)
		}
	}
	if len(a.templates) < 6 { // four stages, the account and the stage with every setting
		return a, fmt.Errorf("%v have %d templates, want at least 6. Run these tests by: make policy", dirs, len(a.templates))
	}
	for _, template := range a.templates {
		accepted, err := readAcceptances(template)
		if err != nil {
			return a, err
		}
		a.accepted = append(a.accepted, accepted...)
	}
	return a, nil
}

// readAcceptances reads what was accepted from the metadata beside a template.
func readAcceptances(template string) ([]acceptance, error) {
	var metadata map[string][]struct {
		Type string
		Data json.RawMessage
	}
	if err := decode(strings.TrimSuffix(template, ".template.json")+".metadata.json", &metadata); err != nil {
		return nil, err
	}
	logical := make(map[string]string) // construct's path → its resource
	for path, entries := range metadata {
		for _, entry := range entries {
			if entry.Type == "aws:cdk:logicalId" {
				var id string
				if err := json.Unmarshal(entry.Data, &id); err != nil {
					return nil, fmt.Errorf("logical id of %s: %w", path, err)
				}
				logical[path] = id
			}
		}
	}
	var accepted []acceptance
	for _, path := range slices.Sorted(maps.Keys(metadata)) {
		for _, entry := range metadata[path] {
			if entry.Type != "aws:cdk:acknowledged-rules" {
				continue
			}
			var reasons map[string]string
			if err := json.Unmarshal(entry.Data, &reasons); err != nil {
				return nil, fmt.Errorf("acceptances of %s: %w", path, err)
			}
			// Of the construct's own resource, never of all below it: a new one has to be
			// looked at anew.
			resource := logical[path]
			for _, child := range []string{"/Resource", "/Default"} { // the CDK's names of it
				if resource == "" {
					resource = logical[path+child]
				}
			}
			if resource == "" {
				return nil, fmt.Errorf("%s accepts a finding and is no resource; accept it on the construct it is about", path)
			}
			for id, reason := range reasons {
				// The CDK adds the prefix to an id without one.
				accepted = append(accepted, acceptance{key{template, resource, strings.TrimPrefix(id, "Annotation::")}, reason})
			}
		}
	}
	return accepted, nil
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
