// Package starter writes the repository in which a company keeps its stages: a module that
// uses this one. What it writes once is the company's; what it writes for the tools
// (Makefile, workflows) can be compared with this version's later, and taken anew.
package starter

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"go/format"
	"go/token"
	"io/fs"
	"net/mail"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
)

// files are the templates. A name that ends in .tmpl loses that, so that no tool takes
// them for what they become.
//
//go:embed all:files
var files embed.FS

// packages are the versions of the CDK CLI and of its diff engine with which the stack was
// tested. A test holds them to tools/package.json.
var packages = map[string]string{"aws-cdk": "2.1148.1", "@aws-cdk/cloudformation-diff": "2.187.5"}

// Package is the version of one of them.
func (Repository) Package(name string) string { return packages[name] }

// Stage is one stage to begin with.
type Stage struct {
	Name, Account, Region string
	Production            bool
}

// Check says whether the name can be a variable in main.go.
func (s Stage) Check() error {
	if token.IsKeyword(s.Name) || slices.Contains([]string{"app", "awscdk", "jsii", "stages", "delivery", "synthesize", "ours", "company", "main", "string"}, s.Name) {
		return fmt.Errorf("a stage named %s would be in the way of the Go code in main.go. Take another name", s.Name)
	}
	return nil
}

// Repository is what the files are made of.
type Repository struct {
	// Module is the Go module's path.
	Module string
	// Version is the required version of nylas-webhooks, and Replace, unless it is empty,
	// the folder of a checkout that takes its place.
	Version, Replace string
	Stages           []Stage
	// Pages and Tickets are mail addresses and https URLs.
	Pages, Tickets []string
}

// Owner and Name are those of the repository on GitHub, as far as the module's path tells.
func (r Repository) Owner() string { return r.part(-2) }

// Name is the repository's.
func (r Repository) Name() string { return r.part(-1) }

func (r Repository) part(i int) string {
	parts := strings.Split(r.Module, "/")
	return parts[max(0, len(parts)+i)]
}

// Before is the job that has to go well before the i-th stage is deployed.
func (r Repository) Before(i int) string {
	if i == 0 {
		return "synthesize"
	}
	return r.Stages[i-1].Name
}

// Emails and Endpoints sort recipients.
func (Repository) Emails(recipients []string) []string {
	return slices.DeleteFunc(slices.Clone(recipients), isURL)
}

// Endpoints are those of them that are https URLs.
func (Repository) Endpoints(recipients []string) []string {
	return slices.DeleteFunc(slices.Clone(recipients), func(r string) bool { return !isURL(r) })
}

func isURL(recipient string) bool {
	address, err := url.Parse(recipient)
	return err == nil && address.Scheme == "https" && address.Host != ""
}

// Recipient says what is wrong with the address of somebody who hears of alarms.
func Recipient(text string) error {
	if address, err := mail.ParseAddress(text); !isURL(text) && (err != nil || address.Address != text) {
		return fmt.Errorf("%q is neither a mail address nor an https URL", text)
	}
	return nil
}

// once are the files that belong to the company from the first day on.
// The last three name the stages.
var once = []string{"go.mod", "main.go", "main_test.go", "README.md", ".github/workflows/deploy.yml", ".github/workflows/drift.yml", ".github/workflows/heartbeat.yml"}

// File is one of the repository's.
type File struct {
	Path string
	Text []byte
	// Once: it is written where it is missing, and never compared.
	Once bool
}

// Files returns all of them, folder by folder.
func (r Repository) Files() ([]File, error) {
	var all []File
	err := fs.WalkDir(files, "files", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		source, err := files.ReadFile(path)
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(strings.TrimSuffix(path, ".tmpl"), "files/")
		text := source
		if name != strings.TrimPrefix(path, "files/") {
			if text, err = r.render(name, source); err != nil {
				return err
			}
		}
		all = append(all, File{Path: name, Text: text, Once: slices.Contains(once, name)})
		return nil
	})
	return all, err
}

func (r Repository) render(name string, source []byte) ([]byte, error) {
	parsed, err := template.New(name).Delims("[[", "]]").Parse(string(source)) // {{ }} is GitHub's and Go's own
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	if err := parsed.Execute(&text, r); err != nil {
		return nil, err
	}
	if !strings.HasSuffix(name, ".go") {
		return text.Bytes(), nil
	}
	formatted, err := format.Source(text.Bytes())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return formatted, nil
}

// State is what is to say about a file in a folder.
type State int

// A file is missing, or the same, or different, or the company's own.
const (
	Missing State = iota
	Same
	Different
	Yours
)

// Compare returns the state of each file in the folder, which need not exist.
func Compare(dir string, all []File) (map[string]State, error) {
	states := make(map[string]State, len(all))
	for _, f := range all {
		there, err := os.ReadFile(filepath.Join(dir, f.Path))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			states[f.Path] = Missing
		case err != nil:
			return nil, err
		case f.Once:
			states[f.Path] = Yours
		case bytes.Equal(there, f.Text):
			states[f.Path] = Same
		default:
			states[f.Path] = Different
		}
	}
	return states, nil
}

// Write writes the file into the folder.
func (f File) Write(dir string) error {
	path := filepath.Join(dir, f.Path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // a repository that others read
		return err
	}
	return os.WriteFile(path, f.Text, 0o644) //nolint:gosec // as above
}
