package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// The files that a measurement writes, from the module's root.
const (
	resultsFile = "docs/performance.json"
	reportFile  = "docs/performance.md"
	readmeFile  = "README.md"
)

// read returns the figures of the last measurement.
func read(root string) (Results, error) {
	var r Results
	text, err := os.ReadFile(filepath.Join(root, resultsFile))
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		return r, fmt.Errorf("read %s: %w", resultsFile, err)
	}
	return r, nil
}

// write keeps what was found: the figures, the plots, and what the pages say of them.
func (r Results) write(root string) error {
	text, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return fmt.Errorf("write %s: %w", resultsFile, err)
	}
	files := map[string]string{resultsFile: string(text) + "\n"}
	for name, plot := range r.plots() {
		files[name] = plot
	}
	for _, page := range []string{reportFile, readmeFile} {
		text, err := os.ReadFile(filepath.Join(root, page))
		if err != nil {
			return fmt.Errorf("write figures into %s: %w", page, err)
		}
		if files[page], err = r.filled(string(text)); err != nil {
			return fmt.Errorf("write figures into %s: %w", page, err)
		}
	}
	if err := os.MkdirAll(filepath.Join(root, "docs", "pictures"), 0o750); err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil { //nolint:gosec // pages that anybody may read
			return err
		}
	}
	return nil
}

// parts are what a page may have between <!-- bench: NAME --> and <!-- /bench -->.
func (r Results) parts() map[string]string {
	return map[string]string{
		"machine": r.where(), "targets": r.targetTable(), "one CPU": r.standing(1), "two CPUs": r.standing(2),
		"start": r.starting(), "forms": r.forms(), "limits": r.limits(), "sentence": r.sentence(), "scale": r.scaling(), "scale machine": r.ScaleOn.where(r.ScaleDate) + "\n",
	}
}

// filled returns a page with its parts written anew.
func (r Results) filled(page string) (string, error) {
	const begin, end = "<!-- bench: ", "<!-- /bench -->"
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(page, begin)
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		name, rest, ok := strings.Cut(rest, " -->\n")
		text, known := r.parts()[name]
		_, after, ended := strings.Cut(rest, end)
		if !ok || !known || !ended {
			return "", fmt.Errorf("%s%s --> is no part, or has no %s", begin, name, end)
		}
		b.WriteString(begin + name + " -->\n" + text + end)
		page = after
	}
}
