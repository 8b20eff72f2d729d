package main

import (
	"encoding/json"
	"os"
	"slices"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/deployment"
)

// assemblyManifest is what a synthesis in this folder has written (cdk.json, output).
const assemblyManifest = "cdk.out/manifest.json"

// stageNames are the stages of the CDK app in this folder, for completion and hints, as far as
// they are known: none where nothing was synthesized. What is deployed decides which of
// them there are.
func stageNames() []string {
	text, err := os.ReadFile(assemblyManifest)
	if err != nil {
		return nil
	}
	var manifest struct {
		Artifacts map[string]struct{ Type string }
	}
	if json.Unmarshal(text, &manifest) != nil {
		return nil
	}
	var names []string
	for id, artifact := range manifest.Artifacts {
		if artifact.Type != "aws:cloudformation:stack" {
			continue
		}
		if name, ok := deployment.StageName(id); ok && id == deployment.StackName(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// knownStages is a sentence with them, after another.
func knownStages() string {
	names := stageNames()
	if len(names) == 0 {
		return " The stage is what follows " + deployment.StackName("") + " in the stack's name"
	}
	return " The stages here are " + joined(names)
}
