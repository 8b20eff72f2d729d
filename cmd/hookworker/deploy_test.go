package main

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The examples name settings, pages and times that there are. make lint asks Kubernetes's and
// AWS's own schemas about the rest.
func TestDeployments(t *testing.T) {
	for _, name := range []string{"hookworker.service", "kubernetes.yaml", "ecs-task.json"} {
		text, err := os.ReadFile("deploy/" + name)
		if err != nil {
			t.Fatal(err)
		}
		used := regexp.MustCompile(`HOOKWORKER_[A-Z_]+`).FindAllString(string(text), -1)
		if len(used) == 0 {
			t.Errorf("%s sets nothing", name)
		}
		for _, variable := range used {
			if !slices.ContainsFunc(variables, func(v struct{ name, help string }) bool { return v.name == variable }) {
				t.Errorf("%s: %s is no setting", name, variable)
			}
		}
	}
	kubernetes, err := os.ReadFile("deploy/kubernetes.yaml")
	if err != nil {
		t.Fatal(err)
	}
	// Beyond the 25 s that its own stop takes; the pages of pages.go; the port of defaultListen.
	for _, want := range []string{"terminationGracePeriodSeconds: 30\n", "path: /livez\n", "path: /readyz\n", "containerPort: 8080\n", "runAsNonRoot: true\n"} {
		if !strings.Contains(string(kubernetes), want) {
			t.Errorf("kubernetes.yaml lacks %q", want)
		}
	}
	for _, page := range []string{"/livez", "/readyz"} {
		if !strings.Contains(string(kubernetes), "path: "+page) {
			t.Errorf("nothing asks for %s", page)
		}
	}
	if defaultListen != ":8080" {
		t.Errorf("the examples and the image say port 8080, and hookworker listens at %s", defaultListen)
	}
	var task struct {
		ContainerDefinitions []struct {
			User                   string
			ReadonlyRootFilesystem bool
			StopTimeout            int
			Environment            []struct{ Name, Value string }
		}
	}
	text, err := os.ReadFile("deploy/ecs-task.json")
	if err == nil {
		err = json.Unmarshal(text, &task)
	}
	if err != nil || len(task.ContainerDefinitions) != 1 {
		t.Fatalf("%v, %d containers", err, len(task.ContainerDefinitions))
	}
	container := task.ContainerDefinitions[0]
	if container.User != "65532:65532" || !container.ReadonlyRootFilesystem || container.StopTimeout != 30 {
		t.Errorf("%+v", container)
	}
	// With what it sets, and a secret that is there, hookworker starts.
	var environ []string
	for _, e := range container.Environment {
		environ = append(environ, e.Name+"="+e.Value)
	}
	if _, err := load(environ); err != nil {
		t.Errorf("ecs-task.json: %v", err)
	}
}
