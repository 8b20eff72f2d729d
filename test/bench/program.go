package main

import (
	"archive/zip"
	"compress/flate"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/onepagecrm/nylas-webhooks/test/faults"
)

// Program is what is measured.
type Program struct {
	Name string `json:"name"`
	What string `json:"what"` // its versions
	// Missing is why it was not measured.
	Missing string `json:"missing,omitempty"`
	// Artifact is how large its zip for Lambda is, in bytes, for this machine's processor.
	Artifact int      `json:"artifact_bytes"`
	Command  []string `json:"-"`
	Env      []string `json:"-"`
	Sends    bool     `json:"-"` // a message to SQS
	dir      string
	deployed []string // the files of its zip
}

// The names of the programs of which more is said than of the others.
const receiver, rust, node24, limit, empty = "receiver", "Rust", "Node 24", "Go without the SDK", "empty function"

// builder makes the programs from the sources in peers.
type builder struct {
	root  string // the module
	dir   string // where to build
	peers string
}

// all builds the programs of these names; every one, where none is given. One whose tools
// are not on this machine is named with what is missing.
func (b builder) all(ctx context.Context, names []string) ([]Program, error) {
	var list []Program
	for _, program := range []struct {
		name  string
		build func(context.Context) (Program, error)
	}{
		{receiver, b.receiver}, {rust, b.rust}, {"Node 22", b.node("node22")}, {node24, b.node("node24")}, {"Python", b.python},
		{limit, b.golang("gonosdk", true)}, {empty, b.golang("goempty", false)},
	} {
		if len(names) > 0 && !slices.Contains(names, program.name) {
			continue
		}
		p, err := program.build(ctx)
		p.Name = program.name
		if errors.Is(err, exec.ErrNotFound) {
			p.Missing = err.Error()
		} else if err != nil {
			return nil, fmt.Errorf("build %s: %w", p.Name, err)
		}
		if p.Missing == "" {
			if p.Artifact, err = zipped(p.deployed); err != nil {
				return nil, fmt.Errorf("build %s: %w", p.Name, err)
			}
		}
		list = append(list, p)
	}
	return list, nil
}

func (b builder) receiver(ctx context.Context) (Program, error) {
	program, err := faults.Build(ctx, b.root, b.dir, nil)
	return Program{What: runtime.Version(), Command: []string{program}, Sends: true, deployed: []string{program}}, err
}

// golang builds a peer in Go, with the receiver's flags and environment.
func (b builder) golang(folder string, sends bool) func(context.Context) (Program, error) {
	return func(ctx context.Context) (Program, error) {
		program := filepath.Join(b.dir, folder)
		p := Program{What: runtime.Version(), Command: []string{program}, Sends: sends, deployed: []string{program}}
		return p, b.command(ctx, b.root, "go", append(faults.BuildArguments(program), "./test/bench/peers/"+folder)...)
	}
}

func (b builder) rust(ctx context.Context) (Program, error) {
	program := filepath.Join(b.dir, "rust", "release", "bootstrap")
	p := Program{Command: []string{program}, Sends: true, deployed: []string{program}}
	if _, err := exec.LookPath("cargo"); err != nil {
		return p, err
	}
	version, err := exec.CommandContext(ctx, "rustc", "--version").Output()
	if err != nil {
		return p, fmt.Errorf("rustc --version: %w", err)
	}
	p.What = strings.Join(strings.Fields(string(version))[:2], " ") + ", lambda_runtime, aws-sdk-sqs"
	return p, b.command(ctx, filepath.Join(b.peers, "rust"), "cargo", "build", "--release", "--locked", "--quiet", "--target-dir", filepath.Join(b.dir, "rust"))
}

// node bundles the peer in JavaScript and runs it with the Node of that package.
func (b builder) node(folder string) func(context.Context) (Program, error) {
	return func(ctx context.Context) (Program, error) {
		modules := filepath.Join(b.peers, "node", "node_modules")
		cpu := map[string]string{"amd64": "x64", "arm64": "arm64"}[runtime.GOARCH]
		node := filepath.Join(modules, folder+"-"+cpu, "bin", "node")
		dir := filepath.Join(b.dir, "node")
		p := Program{
			dir: dir, Sends: true, deployed: []string{filepath.Join(dir, "index.mjs")},
			// The flags for its heap are those that Lambda's own bootstrap passes at this memory: a
			// tenth for what is new, half of that for each of its halves.
			Command: []string{node, "--max-semi-space-size=12", "--max-old-space-size=231",
				filepath.Join(modules, "aws-lambda-ric", "index.mjs"), "index.handler"},
			Env: []string{"_HANDLER=index.handler", "LAMBDA_TASK_ROOT=" + dir},
		}
		if err := b.runtimeClient(ctx, filepath.Dir(filepath.Dir(node))); err != nil {
			return p, err
		}
		version, err := exec.CommandContext(ctx, node, "--version").Output()
		if err != nil {
			return p, fmt.Errorf("node --version: %w", err)
		}
		p.What = strings.TrimSpace(string(version)) + ", AWS SDK v3, esbuild, aws-lambda-ric"
		return p, b.command(ctx, filepath.Join(b.peers, "node"), filepath.Join(modules, ".bin", "esbuild"), "index.mjs",
			"--bundle", "--minify", "--platform=node", "--target=node22", "--format=esm", "--outfile="+filepath.Join(dir, "index.mjs"), "--log-level=warning",
			// What esbuild makes of the SDK's CommonJS parts calls require.
			`--banner:js=import{createRequire}from"node:module";const require=createRequire(import.meta.url);`)
	}
}

// runtimeClient compiles the part of Lambda's runtime client for Node that is in C++, by
// the package's own scripts; npm was told to run none.
func (b builder) runtimeClient(ctx context.Context, nodeDir string) error {
	compiled := filepath.Join(b.peers, "node", "node_modules", "aws-lambda-ric", "rapid-client.node")
	if _, err := os.Stat(compiled); err == nil {
		return nil
	}
	for _, tool := range []string{"npm", "cmake", "make", "c++"} {
		if _, err := exec.LookPath(tool); err != nil {
			return err
		}
	}
	return b.command(ctx, filepath.Join(b.peers, "node"), "npm", "rebuild", "--nodedir="+nodeDir, "aws-lambda-ric")
}

func (b builder) python(ctx context.Context) (Program, error) {
	python := filepath.Join(b.root, ".local", "venv", "bench", "bin", "python")
	source := filepath.Join(b.peers, "python")
	p := Program{
		dir: source, Sends: true, deployed: []string{filepath.Join(source, "peer.py")},
		Command: []string{python, "-m", "awslambdaric", "peer.handler"},
		Env:     []string{"_HANDLER=peer.handler", "LAMBDA_TASK_ROOT=" + source, "PYTHONDONTWRITEBYTECODE=1"},
	}
	version, err := exec.CommandContext(ctx, python, "--version").Output()
	p.What = strings.TrimPrefix(strings.TrimSpace(string(version)), "Python ") + ", boto3, awslambdaric"
	return p, err
}

// also is one more receiver, written NAME=PROGRAM[ VARIABLE=VALUE…].
func also(text string) (Program, error) {
	fields := strings.Fields(text)
	name, program, ok := strings.Cut(text, "=")
	if !ok || len(fields) == 0 {
		return Program{}, fmt.Errorf("-also %q: write NAME=PROGRAM, then the variables of its environment", text)
	}
	program, _, _ = strings.Cut(program, " ")
	size, err := zipped([]string{program})
	return Program{Name: name, Command: []string{program}, Env: fields[1:], Sends: true, Artifact: size}, err
}

func (b builder) command(ctx context.Context, dir, name string, arguments ...string) error {
	cmd := exec.CommandContext(ctx, name, arguments...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, tail(out))
	}
	return nil
}

// zipped is the size of a zip with these files.
func zipped(files []string) (int, error) {
	var size counter
	w := zip.NewWriter(&size)
	w.RegisterCompressor(zip.Deflate, func(out io.Writer) (io.WriteCloser, error) { return flate.NewWriter(out, flate.BestCompression) })
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			return 0, fmt.Errorf("zip: %w", err)
		}
		file, err := w.Create(filepath.Base(name))
		if err != nil {
			return 0, fmt.Errorf("zip: %w", err)
		}
		if _, err := file.Write(text); err != nil {
			return 0, fmt.Errorf("zip: %w", err)
		}
	}
	err := w.Close()
	return int(size), err
}

type counter int

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}
