package review

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// template is a template from its JSON.
func template(t *testing.T, text string) map[string]any {
	t.Helper()
	var decoded map[string]any
	if err := json.Unmarshal([]byte(text), &decoded); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return decoded
}

// said lists findings as "class code resource path", in their order.
func said(found []Finding) []string {
	var all []string
	for _, f := range found {
		all = append(all, strings.Join(strings.Fields(f.Class.String()+" "+f.Code+" "+f.Resource+" "+f.Path), " "))
	}
	return all
}

// What is beside the resources, or stands in the place of one.
func TestSections(t *testing.T) {
	e := reviewer(t)
	for name, c := range map[string]struct {
		old, new string
		want     []string
	}{
		"nothing":                    {`{}`, `{"Resources": {}}`, nil},
		"a rule":                     {`{}`, `{"Rules": {"R": {"Assertions": [1]}}}`, []string{"changed rule Rules.R.Assertions"}},
		"another rule":               {`{"Rules": {"R": {"Assertions": [1]}}}`, `{"Rules": {"R": {"Assertions": [2]}}}`, []string{"loosened rule Rules.R.Assertions.0"}},
		"no rule":                    {`{"Rules": {"R": {"Assertions": [1]}}}`, `{}`, []string{"loosened rule Rules.R.Assertions"}},
		"an output":                  {`{"Outputs": {"A": {"Value": 1}}}`, `{"Outputs": {"A": {"Value": 2}}}`, []string{"changed output Outputs.A.Value"}},
		"a parameter":                {`{"Parameters": {"A": {"Default": 1}}}`, `{"Parameters": {"A": {"Default": 2}}}`, []string{"changed parameter Parameters.A.Default"}},
		"a parameter is shown":       {`{"Parameters": {"A": {"NoEcho": true}}}`, `{"Parameters": {"A": {"NoEcho": false}}}`, []string{"loosened parameter Parameters.A.NoEcho"}},
		"a condition":                {`{}`, `{"Conditions": {"C": "x"}}`, []string{"replaced condition Conditions.C"}},
		"a mapping":                  {`{}`, `{"Mappings": {"C": "x"}}`, []string{"replaced condition Mappings.C"}},
		"a macro":                    {`{}`, `{"Transform": "Macro"}`, []string{"replaced condition Transform"}},
		"another macro":              {`{"Fn::Transform": {"Name": "A"}}`, `{"Fn::Transform": {"Name": "B"}}`, []string{"replaced condition Fn::Transform.Name"}},
		"a note":                     {`{}`, `{"Metadata": {"N": "x"}}`, []string{"nothing metadata Metadata.N"}},
		"a description":              {`{}`, `{"Description": "x"}`, []string{"changed text Description"}},
		"a version":                  {`{}`, `{"AWSTemplateFormatVersion": "2010-09-09"}`, []string{"changed text AWSTemplateFormatVersion"}},
		"what nobody knows":          {`{"Hooks": {"H": 1}}`, `{"Hooks": {"H": 2}}`, []string{"loosened section Hooks.H"}},
		"a loop that makes some":     {`{}`, `{"Resources": {"Fn::ForEach::Users": ["Name", ["a"], {"User${Name}": {"Type": "AWS::IAM::User"}}]}}`, []string{"replaced unreadable Fn::ForEach::Users"}},
		"a macro that makes some":    {`{}`, `{"Resources": {"Fn::Transform": {"Name": "A"}}}`, []string{"replaced unreadable Fn::Transform"}},
		"a macro that writes one":    {`{"Resources": {"R": {"Fn::Transform": {"Name": "A"}}}}`, `{"Resources": {"R": {"Fn::Transform": {"Name": "B"}}}}`, []string{"loosened attribute R Fn::Transform.Name"}},
		"two, by name":               {`{}`, `{"Resources": {"B": {"Type": "AWS::CloudWatch::Alarm"}, "A": {"Type": "AWS::CloudWatch::Alarm"}}}`, []string{"changed added A", "changed added B"}},
		"a version follows another":  {`{"Resources": {"V1": {"Type": "AWS::Lambda::Version"}}}`, `{"Resources": {"V2": {"Type": "AWS::Lambda::Version"}}}`, []string{"nothing released V1", "code only function-version V2"}},
		"no version follows":         {`{"Resources": {"V1": {"Type": "AWS::Lambda::Version"}}}`, `{"Resources": {"D": {"Type": "AWS::ApiGateway::Deployment"}}}`, []string{"changed api-deployment D", "changed release-gone V1"}},
		"one of two versions is old": {`{"Resources": {"V1": {"Type": "AWS::Lambda::Version"}, "V2": {"Type": "AWS::Lambda::Version"}}}`, `{"Resources": {"V2": {"Type": "AWS::Lambda::Version"}}}`, []string{"changed release-gone V1"}},
		"an alias of a function that is made anew": {
			`{"Resources": {"F": {"Type": "AWS::Lambda::Function", "Properties": {"FunctionName": "a"}}, "A": {"Type": "AWS::Lambda::Alias", "Properties": {"FunctionName": {"Ref": "F"}}}}}`,
			`{"Resources": {"F": {"Type": "AWS::Lambda::Function", "Properties": {"FunctionName": "b"}}, "A": {"Type": "AWS::Lambda::Alias", "Properties": {"FunctionName": {"Ref": "F"}}}}}`,
			[]string{"replaced replaced A Properties.FunctionName", "replaced replaced F Properties.FunctionName", "loosened unknown F Properties.FunctionName"},
		},
	} {
		found, err := CompareTemplates(e, template(t, c.old), template(t, c.new))
		if got := said(found); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, %v, want %q", name, got, err, c.want)
		}
	}
}

// What becomes of each stack, the gravest first, then by stack, resource, path and sentence.
func TestCompare(t *testing.T) {
	e := reviewer(t)
	alarm := template(t, `{"Resources": {"Alarm": {"Type": "AWS::CloudWatch::Alarm"}}}`)
	queue := template(t, `{"Resources": {"Queue": {"Type": "AWS::SQS::Queue", "DeletionPolicy": "Retain"}}, "Description": "x"}`)
	base := map[string]Stack{
		"gone": {Name: "A", Template: alarm}, "same": {Name: "B", Template: alarm}, "moved": {Name: "C", Environment: "aws://1/a", Template: alarm},
		"placed": {Name: "D", Environment: "aws://unknown-account/a", Template: alarm}, "other": {Name: "E", Template: queue}, "safe": {Name: "F", Template: alarm},
		"unsafe": {Name: "G", Protected: true, Template: alarm}, "role": {DeployRole: "a", Template: alarm},
	}
	head := map[string]Stack{
		"new": {Name: "A", Template: alarm}, "same": {Name: "B", Template: alarm}, "moved": {Name: "C", Environment: "aws://2/a", Template: alarm},
		"placed": {Name: "D", Environment: "aws://1/a", Template: alarm}, "other": {Name: "E", Template: alarm}, "safe": {Name: "F", Protected: true, Template: alarm},
		"unsafe": {Name: "G", Template: alarm}, "role": {DeployRole: "b", Template: alarm},
	}
	found, err := Compare(e, base, head)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i, sentence := range said(found) {
		got = append(got, found[i].Stack+" "+sentence)
	}
	want := []string{
		"gone replaced stack-removed", "moved replaced stack-elsewhere", "other replaced removed Queue",
		"role widened stack-role", "unsafe loosened stack-protection",
		"new changed stack-added", "new changed added Alarm", "other changed text Description", "other changed added Alarm",
		"placed changed stack-elsewhere", "safe changed stack-protection",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
}

// The engine's failure is not taken for "no difference".
func TestTheEngineFails(t *testing.T) {
	alarm := template(t, `{"Resources": {"Alarm": {"Type": "AWS::CloudWatch::Alarm"}}}`)
	one, none := map[string]Stack{"s": {Template: alarm}}, map[string]Stack{}
	for name, pair := range map[string][2]map[string]Stack{"of a new stack": {none, one}, "of one that stays": {one, one}} {
		e, err := NewEngine(root)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if found, err := Compare(e, pair[0], pair[1]); err == nil || !strings.Contains(err.Error(), "ask @aws-cdk/cloudformation-diff: ") || !strings.Contains(err.Error(), "signal: killed") {
			t.Errorf("%s: %v, %v", name, found, err)
		}
	}
	e, err := NewEngine(root)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.in.Write([]byte("no JSON\n")); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err == nil || !strings.Contains(err.Error(), "SyntaxError") {
		t.Errorf("what Node says of its failure is not told: %v", err)
	}
}

// equivalent mutant: NewEngine: return nil, err -> return nil, nil
// A process has the folder that it runs in, and pipes for a program that has not begun.

// The engine is looked for in the folder, and in its tools.
func TestNewEngine(t *testing.T) {
	dir := t.TempDir()
	if _, err := NewEngine(dir); err == nil || !strings.Contains(err.Error(), "is not installed in "+dir+"/node_modules. Run make") {
		t.Errorf("%v", err)
	}
	place := func(dir string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Join(dir, "node_modules", ".bin"), 0o700); err != nil {
			t.Fatal(err)
		}
		installed, err := filepath.Abs(root + "/tools/node_modules/@aws-cdk")
		if err == nil {
			err = os.Symlink(installed, filepath.Join(dir, "node_modules", "@aws-cdk"))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	tools := filepath.Join(dir, "tools")
	place(tools)
	place(dir)
	for _, own := range []struct {
		mode  os.FileMode
		fails string // what is started is not Node
	}{{0o600, ""}, {0o700, "this is not Node"}} {
		if err := os.WriteFile(filepath.Join(dir, "node_modules", ".bin", "node"), []byte("#!/bin/sh\necho this is not Node >&2; exit 1\n"), own.mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(dir, "node_modules", ".bin", "node"), own.mode); err != nil {
			t.Fatal(err)
		}
		e, err := NewEngine(dir)
		if err != nil {
			t.Fatal(err)
		}
		_, err = e.diff(map[string]any{}, map[string]any{})
		if own.fails == "" && err != nil || own.fails != "" && (err == nil || !strings.Contains(err.Error(), own.fails)) {
			t.Errorf("the node beside it is %v: %v", own.mode, err)
		}
		_ = e.Close()
	}
	if err := os.RemoveAll(filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	e, err := NewEngine(dir)
	if err != nil {
		t.Fatal(err)
	}
	if e.cmd.Dir != tools {
		t.Errorf("it runs in %s, not in %s", e.cmd.Dir, tools)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(tools, "node_modules", ".bin", "node"), []byte("\x7fELF"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := NewEngine(dir); err == nil || !strings.Contains(err.Error(), "start Node for @aws-cdk/cloudformation-diff: ") {
		t.Errorf("a node that is no program: %v", err)
	}
}

func TestReadAssembly(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := ReadAssembly(dir); err == nil || !strings.Contains(err.Error(), dir+" is no cloud assembly, which cdk synth writes: ") {
		t.Errorf("an empty folder: %v", err)
	}
	put("manifest.json", `{"artifacts": {
		"Tree": {"type": "cdk:tree"},
		"Id": {"type": "aws:cloudformation:stack", "environment": "aws://1/a", "displayName": "inside/Id", "properties": {
			"stackName": "Name", "templateFile": "a.json", "terminationProtection": true, "tags": {"a": "b"}, "parameters": {"c": "d"},
			"assumeRoleArn": "deploy", "cloudFormationExecutionRoleArn": "execute"}},
		"Plain": {"type": "aws:cloudformation:stack", "properties": {"templateFile": "a.json"}},
		"Inner": {"type": "cdk:cloud-assembly", "properties": {"directoryName": "inner"}}}}`)
	put("inner/manifest.json", `{"artifacts": {"Nested": {"type": "aws:cloudformation:stack", "properties": {"templateFile": "b.json"}}}}`)
	put("a.json", `{"Description": "a"}`)
	if _, err := ReadAssembly(dir); err == nil || !strings.Contains(err.Error(), "b.json") {
		t.Errorf("a template that is not there, in an assembly inside: %v", err)
	}
	put("inner/b.json", `{"Description": "b"}`)
	stacks, err := ReadAssembly(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]Stack{
		"inside/Id": {Name: "Name", Environment: "aws://1/a", Protected: true, Tags: map[string]string{"a": "b"}, Parameters: map[string]string{"c": "d"},
			DeployRole: "deploy", ExecutionRole: "execute", Template: map[string]any{"Description": "a"}},
		"Plain":  {Name: "Plain", Template: map[string]any{"Description": "a"}},
		"Nested": {Name: "Nested", Template: map[string]any{"Description": "b"}},
	}
	if got, wanted := asJSON(t, stacks), asJSON(t, want); got != wanted {
		t.Errorf("%s\nwant %s", got, wanted)
	}
	put("a.json", `{`)
	if _, err := ReadAssembly(dir); err == nil || !strings.Contains(err.Error(), filepath.Join(dir, "a.json")+": unexpected end of JSON input") {
		t.Errorf("a broken template: %v", err)
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	encoded, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(encoded)
}
