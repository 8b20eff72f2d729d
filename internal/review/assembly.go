package review

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// Stack is one of an assembly, as cdk synth writes it.
type Stack struct {
	// Name is what CloudFormation calls it.
	Name        string
	Environment string // aws://ACCOUNT/REGION, each unknown-… where the credentials decide
	Protected   bool
	Tags        map[string]string
	Parameters  map[string]string // what the CDK CLI gives the template
	// DeployRole is whom the CDK CLI becomes, ExecutionRole whom CloudFormation becomes.
	DeployRole, ExecutionRole string
	Template                  map[string]any
}

// ReadAssembly returns the stacks of a cloud assembly (cdk.out) by name, those of assemblies
// inside of it as well.
// https://docs.aws.amazon.com/cdk/v2/guide/deploy.html#deploy-how-synth-assembly
func ReadAssembly(dir string) (map[string]Stack, error) {
	var manifest struct {
		Artifacts map[string]struct {
			Type        string
			Environment string
			DisplayName string
			Properties  struct {
				StackName             string
				TemplateFile          string
				TerminationProtection bool
				Tags, Parameters      map[string]string
				AssumeRoleArn         string
				DirectoryName         string

				CloudFormationExecutionRoleArn string
			}
		}
	}
	if err := readJSON(filepath.Join(dir, "manifest.json"), &manifest); err != nil {
		return nil, fmt.Errorf("%s is no cloud assembly, which cdk synth writes: %w", dir, err)
	}
	stacks := map[string]Stack{}
	for id, a := range manifest.Artifacts {
		switch a.Type {
		case "aws:cloudformation:stack":
			s := Stack{Name: cmp.Or(a.Properties.StackName, id), Environment: a.Environment, Protected: a.Properties.TerminationProtection, Tags: a.Properties.Tags,
				Parameters: a.Properties.Parameters, DeployRole: a.Properties.AssumeRoleArn, ExecutionRole: a.Properties.CloudFormationExecutionRoleArn}
			if err := readJSON(filepath.Join(dir, a.Properties.TemplateFile), &s.Template); err != nil {
				return nil, err
			}
			if a.DisplayName != "" {
				id = a.DisplayName
			}
			stacks[id] = s
		case "cdk:cloud-assembly":
			inside, err := ReadAssembly(filepath.Join(dir, a.Properties.DirectoryName))
			if err != nil {
				return nil, err
			}
			for name, s := range inside {
				stacks[name] = s
			}
		}
	}
	return stacks, nil
}

func readJSON(path string, into any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
