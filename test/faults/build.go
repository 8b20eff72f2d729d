package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// buildFlags are those of the deployment, infra/webhooks/build.go; a test compares them.
var buildFlags = []string{
	"-tags", "lambda.norpc,nethttpomithttp2", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid=",
}

// BuildArguments are go's for a program that is built as the receiver is deployed; the
// package's path follows them.
func BuildArguments(program string) []string {
	return append([]string{"build", "-o", program}, buildFlags...)
}

// Root returns the module's directory.
func Root(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("find the module (run this inside it): %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// Build compiles the receiver as it is deployed, but for this machine, into dir and
// returns the program's path. overlay replaces source files, by path from root; nil
// builds what is there.
func Build(ctx context.Context, root, dir string, overlay map[string][]byte) (string, error) {
	program := filepath.Join(dir, "bootstrap")
	args := BuildArguments(program)
	if len(overlay) > 0 {
		list, err := writeOverlay(root, dir, overlay)
		if err != nil {
			return "", err
		}
		args = append(args, "-overlay", list)
	}
	build := exec.CommandContext(ctx, "go", append(args, "./lambda/receiver")...)
	build.Dir = root
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH)
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the receiver: %w\n%s", err, out)
	}
	files, err := sources(ctx, root)
	if err != nil {
		return "", err
	}
	return program, look(files)
}

// look opens the files. Go keeps the result of a test that has passed until a file
// changes that the test itself opened; what only the compiler has read does not count,
// nor what is opened before [testing.M.Run]. So whoever builds the receiver within a
// test is run again when the receiver has changed.
// https://pkg.go.dev/cmd/go#hdr-Test_packages
func look(files []string) error {
	for _, name := range files {
		file, err := os.Open(name)
		if err != nil {
			return fmt.Errorf("look at the receiver's sources: %w", err)
		}
		_ = file.Close() // it was only to be seen
	}
	return nil
}

// sources returns every file of this module that the receiver is made of, and their
// folders, to which a file may be added.
func sources(ctx context.Context, root string) ([]string, error) {
	const format = `{{if .Module}}{{if .Module.Main}}{{$dir := .Dir}}{{$dir}}{{range .GoFiles}}{{"\n"}}{{$dir}}/{{.}}{{end}}{{end}}{{end}}`
	list := exec.CommandContext(ctx, "go", "list", "-deps", "-f", format, "./lambda/receiver")
	list.Dir = root
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("list the receiver's sources: %w", err)
	}
	return append(strings.Fields(string(out)), filepath.Join(root, "go.mod"), filepath.Join(root, "go.sum")), nil
}

// writeOverlay writes what go build's -overlay reads.
func writeOverlay(root, dir string, overlay map[string][]byte) (string, error) {
	replace := make(map[string]string)
	for name, source := range overlay {
		file := filepath.Join(dir, strings.ReplaceAll(name, "/", "_"))
		if err := os.WriteFile(file, source, 0o600); err != nil {
			return "", fmt.Errorf("write overlay: %w", err)
		}
		replace[filepath.Join(root, name)] = file
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", fmt.Errorf("write overlay: %w", err)
	}
	list := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(list, text, 0o600); err != nil {
		return "", fmt.Errorf("write overlay: %w", err)
	}
	return list, nil
}
