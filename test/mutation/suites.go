package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// suite is the tests of one package.
type suite struct {
	*goPackage
	stages []stage // in this order, until one fails
}

// stage is some of a suite's tests, picked by flags of the test binary.
type stage struct {
	flags []string
	took  time.Duration // as the package is
}

// quick is what a test takes at most to be in the first stage. Most mutants die there, and
// package consumer's other tests, hours of outages on a fake clock, take ten times as long.
const quick = 200 * time.Millisecond

// suites returns the packages whose tests may kill a mutant, the package's own first.
// They have to pass as they are.
func (p *goPackage) suites(ctx context.Context, scratch string) ([]suite, error) {
	packages := p.dependents
	if p.hasTests() {
		packages = append([]*goPackage{p}, packages...)
	}
	var suites []suite
	for _, tested := range packages {
		s := suite{goPackage: tested}
		dir, err := os.MkdirTemp(scratch, "")
		if err != nil {
			return nil, err
		}
		binary, err := s.build(ctx, dir)
		if err != nil {
			return nil, err
		}
		start := time.Now()
		out, err := s.test(ctx, binary, "-test.v")
		if err != nil {
			return nil, fmt.Errorf("the tests of %s fail as they are: %w\n%s", s.name(), err, passing.ReplaceAll(out, nil))
		}
		if s.stages, err = stages(string(out), time.Since(start)); err != nil {
			return nil, fmt.Errorf("the tests of %s: %w", s.name(), err)
		}
		suites = append(suites, s)
	}
	return suites, nil
}

// passing is what -test.v says of tests that pass.
var passing = regexp.MustCompile(`(?m)^(=== .*| *--- PASS.*)\n`)

var passed = regexp.MustCompile(`(?m)^--- PASS: (\S+) \((\S+)\)$`)

// stages sorts the tests, by what they print with -test.v, into the quick ones and all
// others, those that print nothing included.
func stages(printed string, took time.Duration) ([]stage, error) {
	var names []string
	var quickTook time.Duration
	for _, match := range passed.FindAllStringSubmatch(printed, -1) {
		d, err := time.ParseDuration(match[2])
		if err != nil {
			return nil, err
		}
		if d <= quick {
			names = append(names, match[1])
			quickTook += d
		}
	}
	if len(names) == 0 {
		return []stage{{nil, took}}, nil
	}
	slices.Sort(names)
	these := "^(" + strings.Join(slices.Compact(names), "|") + ")$"
	return []stage{{[]string{"-test.run", these}, quickTook}, {[]string{"-test.skip", these}, took}}, nil
}

// build makes the suite's test binary in dir.
func (s suite) build(ctx context.Context, dir string, flags ...string) (binary string, err error) {
	binary = filepath.Join(dir, "mutant.test")
	args := slices.Concat([]string{"test", "-c", "-vet=off", "-ldflags=-s -w", "-o", binary}, flags, []string{s.ImportPath})
	if out, err := exec.CommandContext(ctx, "go", args...).CombinedOutput(); err != nil {
		return "", &buildError{err, string(out)}
	}
	return binary, nil
}

type buildError struct {
	err error
	out string
}

func (e *buildError) Error() string { return fmt.Sprintf("go test -c: %v\n%s", e.err, e.out) }
func (e *buildError) Unwrap() error { return e.err }

// ofCompiler tells whether it is the source that does not compile, not the disk that is full.
func (e *buildError) ofCompiler() bool { return compilerSays.MatchString(e.out) }

var compilerSays = regexp.MustCompile(`(?m)^\S+\.go:\d+:\d+: `)

func (s suite) test(ctx context.Context, binary string, flags ...string) ([]byte, error) {
	command := exec.CommandContext(ctx, binary, append([]string{"-test.paniconexit0", "-test.failfast"}, flags...)...)
	command.Dir = s.Dir
	return command.CombinedOutput()
}

type verdict int

const (
	survived verdict = iota
	killed
	broken // does not compile
)

func judge(ctx context.Context, scratch string, m mutant, suites []suite) (verdict, error) {
	dir, err := os.MkdirTemp(scratch, "")
	if err != nil {
		return broken, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // removed with scratch at the latest
	file, overlay := filepath.Join(dir, "mutant.go"), filepath.Join(dir, "overlay.json")
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{m.file: file}})
	if err = errors.Join(err, os.WriteFile(file, m.source, 0o600), os.WriteFile(overlay, replace, 0o600)); err != nil {
		return broken, err
	}
	for _, s := range suites {
		binary, err := s.build(ctx, dir, "-overlay", overlay)
		if build := (*buildError)(nil); errors.As(err, &build) && build.ofCompiler() {
			return broken, nil
		} else if err != nil {
			return broken, err
		}
		for _, stage := range s.stages {
			// A mutant that never ends is killed by the time limit; its process, where it does
			// not heed its own limit, a minute later, as the go command does.
			limit := 10*time.Second + 5*stage.took
			patience, cancel := context.WithTimeout(ctx, limit+time.Minute)
			_, err := s.test(patience, binary, append([]string{"-test.timeout=" + limit.String()}, stage.flags...)...)
			cancel()
			if err != nil {
				return killed, nil //nolint:nilerr // a test that fails is what is hoped for
			}
		}
	}
	return survived, nil
}
