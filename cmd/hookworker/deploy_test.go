package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/onepagecrm/nylas-webhooks/consumer"
)

// stopTakes is the default of HOOKWORKER_STOP_TIMEOUT, which is package consumer's.
const stopTakes = 25 * time.Second

// fits tells whether a stop is over when that many seconds are. ECS gives 120 at most.
func fits(seconds string) bool {
	n, err := strconv.Atoi(seconds)
	return err == nil && time.Duration(n)*time.Second > stopTakes && n <= 120
}

// find returns what the pattern's parentheses match.
func find(t *testing.T, text []byte, pattern string) (found []string) {
	t.Helper()
	for _, match := range regexp.MustCompile(pattern).FindAllSubmatch(text, -1) {
		found = append(found, string(match[1]))
	}
	return found
}

// The examples name settings, pages and times that there are. make lint asks Kubernetes's and
// AWS's own schemas about the rest.
func TestDeployments(t *testing.T) {
	port := strings.TrimPrefix(defaultListen, ":")
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
	for _, want := range []string{"containerPort: " + port + "\n", `prometheus.io/port: "` + port + `"`, "runAsNonRoot: true\n", "readOnlyRootFilesystem: true\n", "drop: [ALL]\n"} {
		if !strings.Contains(string(kubernetes), want) {
			t.Errorf("kubernetes.yaml lacks %q", want)
		}
	}
	if seconds := find(t, kubernetes, `terminationGracePeriodSeconds: (\d+)`); len(seconds) != 1 || !fits(seconds[0]) {
		t.Errorf("kubernetes.yaml gives %q seconds to stop, which takes %s", seconds, stopTakes)
	}
	// The probes ask pages that there are, as Kubernetes does.
	served := pages(prometheus.NewRegistry(), func() consumer.Status { return consumer.Status{Polled: time.Now()} }, 1)
	paths := find(t, kubernetes, `path: (\S+)`)
	if !slices.Contains(paths, "/livez") || !slices.Contains(paths, "/readyz") || len(find(t, kubernetes, `(?m)^ +port: (http)$`)) != len(paths) || len(find(t, kubernetes, `- name: (http)\n`)) != 1 {
		t.Errorf("kubernetes.yaml asks for %q, by the port's name http", paths)
	}
	for _, path := range paths {
		answer := httptest.NewRecorder()
		if served.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path, nil)); answer.Code != http.StatusOK {
			t.Errorf("kubernetes.yaml asks for %s, which answers %d", path, answer.Code)
		}
	}
	// With what it sets, and a file where the secret is mounted, hookworker starts.
	mounted := write(t, signingSecret)
	var environ []string
	for _, pair := range regexp.MustCompile(`- name: ([A-Z_]+)\n +value: (\S+)\n`).FindAllStringSubmatch(string(kubernetes), -1) {
		if pair[1] == secretsFileVar {
			if directory, _ := filepath.Split(pair[2]); !strings.Contains(string(kubernetes), "mountPath: "+strings.TrimSuffix(directory, "/")+"\n") {
				t.Errorf("kubernetes.yaml mounts nothing at %s", directory)
			}
			pair[2] = mounted
		}
		environ = append(environ, pair[1]+"="+pair[2])
	}
	if _, err := load(environ); err != nil {
		t.Errorf("kubernetes.yaml: %v", err)
	}
	var task struct {
		ContainerDefinitions []struct {
			User                   string
			ReadonlyRootFilesystem bool
			StopTimeout            int
			PortMappings           []struct{ ContainerPort int }
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
	if container.User != "65532:65532" || !container.ReadonlyRootFilesystem || !fits(strconv.Itoa(container.StopTimeout)) ||
		len(container.PortMappings) != 1 || strconv.Itoa(container.PortMappings[0].ContainerPort) != port {
		t.Errorf("%+v", container)
	}
	// With what it sets, and a secret that is there, hookworker starts.
	environ = nil
	for _, e := range container.Environment {
		environ = append(environ, e.Name+"="+e.Value)
	}
	if _, err := load(environ); err != nil {
		t.Errorf("ecs-task.json: %v", err)
	}
}
