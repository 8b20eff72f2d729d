package own

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// runner runs a workflow's jobs and their steps one after the other, as GitHub does, each job in
// a checkout of its own and with the AWS credentials that its own role gives it. Of GitHub it
// plays what the workflows use of it: expressions, failure() and always(), four actions, and the
// command gh, which is testdata/gh.
type runner struct {
	t          *testing.T
	repository string              // the git repository
	name       string              // as GitHub calls it: acme/webhooks
	accounts   map[string]*account // by number
	github     string              // what GitHub keeps: artifacts, by run, and what gh is told
	runs       int
}

// event is what started a run.
type event struct {
	name      string
	values    map[string]string // of expressions, as github.event.workflow_run.id
	condition map[string]bool   // of jobs
	commit    string            // what is checked out; the branch's last one where it is empty
	lost      string            // an artifact that cannot be fetched
}

type workflow struct {
	Jobs map[string]struct {
		If          string
		Needs       string
		Environment string
		Permissions map[string]string // of the job's token
		Steps       []step
	}
}

type step struct {
	ID, Name, Uses, Run, If string
	Env, With               map[string]string
}

// ran is what became of a run.
type ran struct {
	id   string
	jobs map[string]string // "success", "failure" or "skipped"
	log  string
}

// run runs a workflow of the repository.
func (r *runner) run(file string, e event) ran {
	r.t.Helper()
	r.runs++
	result := ran{id: fmt.Sprint(r.runs), jobs: map[string]string{}}
	text, err := os.ReadFile(filepath.Join(r.repository, ".github", "workflows", file))
	if err != nil {
		r.t.Fatal(err)
	}
	var w workflow
	if err := yaml.Unmarshal(text, &w); err != nil {
		r.t.Fatal(err)
	}
	for len(result.jobs) < len(w.Jobs) {
		for _, name := range slices.Sorted(maps.Keys(w.Jobs)) {
			job := w.Jobs[name]
			if result.jobs[name] != "" || job.Needs != "" && result.jobs[job.Needs] == "" {
				continue // done, or its turn has not come
			}
			if job.Needs != "" && result.jobs[job.Needs] != "success" {
				result.jobs[name] = "skipped"
				continue
			}
			if wanted, known := e.condition[job.If]; job.If != "" && !known {
				r.t.Fatalf("%s: the condition %q of job %s is not in the test", file, job.If, name)
			} else if job.If != "" && !wanted {
				result.jobs[name] = "skipped"
				continue
			}
			j := r.job(result.id, job.Environment, job.Permissions, e)
			result.jobs[name] = "success"
			began := map[string]bool{} // steps, by id
			for _, s := range job.Steps {
				failed := result.jobs[name] == "failure"
				wanted := !failed
				if id := onFailureAfter.FindStringSubmatch(s.If); id != nil {
					wanted = failed && began[id[1]]
				} else if s.If == "failure()" || s.If == "always()" {
					wanted = failed || s.If == "always()"
				} else if s.If != "" {
					r.t.Fatalf("%s: the condition %q is not in the test", file, s.If)
				}
				if !wanted {
					continue
				}
				began[s.ID] = true
				if err := j.step(s); err != nil {
					result.jobs[name] = "failure"
					fmt.Fprintf(&j.log, "step failed: %v\n", err)
				}
			}
			result.log += fmt.Sprintf("== %s, job %s: %s\n%s", file, name, result.jobs[name], j.log.String())
		}
	}
	r.t.Logf("%s: %v", file, result.jobs)
	return result
}

// onFailureAfter is the condition of a step that mends what another one did: a step that was not
// reached has the outcome "skipped".
var onFailureAfter = regexp.MustCompile(`^failure\(\) && steps\.([a-z]+)\.outcome != 'skipped'$`)

// job is a machine of GitHub's, which begins empty.
type job struct {
	*runner
	run         string
	environment string
	permissions map[string]string
	event       event
	dir         string
	aws         map[string]string // credentials, in the environment of the steps
	log         strings.Builder
}

func (r *runner) job(run, environment string, permissions map[string]string, e event) *job {
	return &job{runner: r, run: run, environment: environment, permissions: permissions, event: e, dir: filepath.Join(r.t.TempDir(), "work"), aws: map[string]string{}}
}

func (j *job) step(s step) error {
	action, _, _ := strings.Cut(s.Uses, "@")
	with := map[string]string{}
	for name, value := range s.With {
		with[name] = j.fill(value)
	}
	artifact := func(run string) string { return filepath.Join(j.github, run, with["name"]) }
	switch action {
	case "":
		return j.shell(s)
	case "actions/checkout":
		in(j.t, j.repository, "git", "clone", "--quiet", ".", j.dir)
		if j.event.commit != "" {
			in(j.t, j.dir, "git", "checkout", "--quiet", j.event.commit)
		}
		link(j.t, j.dir)
		return nil
	case "actions/setup-go":
		return nil
	case "actions/upload-artifact":
		found, err := filepath.Glob(filepath.Join(j.dir, with["path"]))
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return fmt.Errorf("there is no %s to keep as %s", with["path"], with["name"])
		}
		for _, path := range found {
			if info, err := os.Stat(path); err == nil && info.IsDir() {
				return copyAll(path, artifact(j.run))
			}
			if err := copyFile(path, filepath.Join(artifact(j.run), filepath.Base(path))); err != nil {
				return err
			}
		}
		return nil
	case "actions/download-artifact":
		if with["name"] == j.event.lost {
			return fmt.Errorf("%s cannot be fetched", with["name"])
		}
		run := j.run
		if with["run-id"] != "" {
			run = with["run-id"]
			if j.permissions["actions"] != "read" {
				return errors.New("the job may not read other runs")
			}
		}
		return copyAll(artifact(run), filepath.Join(j.dir, with["path"]))
	case "aws-actions/configure-aws-credentials":
		return j.assume(with)
	}
	j.t.Fatalf("the action %s is not in the test", action)
	return nil
}

// assume takes a role as a job of this environment of this repository.
func (j *job) assume(with map[string]string) error {
	role := with["role-to-assume"]
	account, known := j.accounts[strings.Split(role+":::::", ":")[4]]
	if !known {
		j.t.Fatalf("the role %s is in no account of the test", role)
	}
	assume := func() (map[string]string, error) {
		return account.assumed(j.t, role, fmt.Sprintf("repo:%s:environment:%s", j.name, j.environment))
	}
	if with["role-chaining"] != "true" && j.permissions["id-token"] != "write" {
		return errors.New("the job gets no token to take the role with")
	}
	if with["role-chaining"] == "true" {
		assume = func() (map[string]string, error) { return account.chained(j.t, role, j.aws) }
	}
	environment, err := assume()
	if err != nil {
		return err
	}
	fmt.Fprintf(&j.log, "is %s\n", role)
	j.aws = environment
	j.aws["AWS_REGION"], j.aws["AWS_DEFAULT_REGION"] = with["aws-region"], with["aws-region"]
	return nil
}

// shell runs a step's script in the way of GitHub's runners.
func (j *job) shell(s step) error {
	script := filepath.Join(j.t.TempDir(), "step.sh")
	if err := os.WriteFile(script, []byte(j.fill(s.Run)), 0o600); err != nil {
		return err
	}
	var may []string
	for what, how := range j.permissions {
		may = append(may, what+":"+how)
	}
	environment := maps.Clone(j.aws)
	maps.Copy(environment, map[string]string{
		"GITHUB_STEP_SUMMARY": filepath.Join(j.github, "summary.md"), "GITHUB": j.github, "RUN_ID": j.run, "MAY": strings.Join(may, " "),
		"PATH": filepath.Join(local.Root, "test", "own", "testdata") + ":" + os.Getenv("PATH"),
	})
	for name, value := range s.Env {
		environment[name] = j.fill(value)
	}
	// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idstepsshell
	cmd := exec.CommandContext(j.t.Context(), "bash", "-e", script)
	cmd.Dir, cmd.Env = j.dir, outside(environment)
	output, err := cmd.CombinedOutput()
	fmt.Fprintf(&j.log, "$ %s\n%s", strings.TrimSpace(s.Run), output)
	return err
}

// outside is the test's own environment without what leads to AWS, and with what is given.
func outside(given map[string]string) []string {
	environment := slices.DeleteFunc(os.Environ(), func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		_, replaced := given[name]
		return replaced || strings.HasPrefix(name, "AWS_")
	})
	for name, value := range given {
		environment = append(environment, name+"="+value)
	}
	return environment
}

var expression = regexp.MustCompile(`\$\{\{\s*(.+?)\s*\}\}`)

// fill puts the values of expressions in their places.
func (j *job) fill(text string) string {
	return expression.ReplaceAllStringFunc(text, func(found string) string {
		name := expression.FindStringSubmatch(found)[1]
		value, known := map[string]string{
			"github.token": "token", "github.repository": j.name, "github.server_url": "https://github.com", "github.run_id": j.run,
		}[name]
		if !known {
			value, known = j.event.values[name]
		}
		if !known {
			j.t.Fatalf("the expression %q is not in the test", name)
		}
		return value
	})
}

func copyAll(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		return copyFile(path, filepath.Join(to, name))
	})
}

// copyFile copies a file without its mode, as artifacts do.
func copyFile(from, to string) error {
	text, err := os.ReadFile(from)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(to), 0o750)
	}
	if err == nil {
		err = os.WriteFile(to, text, 0o600) //nolint:gosec // the test's own folders
	}
	return err
}

// told is what gh was told to do, a line each.
func (r *runner) told() []string {
	text, err := os.ReadFile(filepath.Join(r.github, "told"))
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSpace(string(bytes.TrimSpace(text))), "\n")
}
