package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// goPackage is what `go list -json` says of a package, as far as it is used here.
type goPackage struct {
	ImportPath, Dir           string
	GoFiles                   []string
	TestGoFiles, XTestGoFiles []string
	Deps, TestImports         []string
	XTestImports              []string

	dependents []*goPackage // of the listed packages, those that use this one
}

// list returns the packages that the patterns name and that have tests.
func list(ctx context.Context, patterns []string) ([]*goPackage, error) {
	if len(patterns) == 0 {
		return nil, errors.New("name packages, as in: go run ./test/mutation ./notification/...")
	}
	out, err := exec.CommandContext(ctx, "go", append([]string{"list", "-json"}, patterns...)...).Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", withOutput(err))
	}
	var all []*goPackage
	decoder := json.NewDecoder(bytes.NewReader(out))
	for {
		p := &goPackage{}
		if err := decoder.Decode(p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		all = append(all, p)
	}
	for _, p := range all {
		for _, user := range all {
			if user != p && user.hasTests() && slices.Contains(slices.Concat(user.Deps, user.TestImports, user.XTestImports), p.ImportPath) {
				p.dependents = append(p.dependents, user)
			}
		}
	}
	return slices.DeleteFunc(all, func(p *goPackage) bool { return !p.hasTests() && len(p.dependents) == 0 }), nil
}

func withOutput(err error) error {
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(exit.Stderr))
	}
	return err
}

func (p *goPackage) hasTests() bool { return len(p.TestGoFiles)+len(p.XTestGoFiles) > 0 }

func (p *goPackage) name() string { return relative(p.Dir) }

func relative(path string) string {
	if here, err := os.Getwd(); err == nil {
		if short, err := filepath.Rel(here, path); err == nil {
			return short
		}
	}
	return path
}

type result struct {
	score
	survivors []mutant
	stale     []string // accepted, and not or no longer there
}

// try runs the tests against every mutant of the package.
func (p *goPackage) try(ctx context.Context, scratch, only string, files *regexp.Regexp) (result, error) {
	var all []mutant
	for _, name := range p.GoFiles {
		if !files.MatchString(name) {
			continue
		}
		found, err := mutants(filepath.Join(p.Dir, name))
		if err != nil {
			return result{}, err
		}
		all = append(all, found...)
	}
	all = slices.DeleteFunc(all, func(m mutant) bool { return !strings.Contains(m.id, only) })
	accepted, tuned, err := p.accepted()
	if err != nil {
		return result{}, err
	}
	suites, err := p.suites(ctx, scratch)
	if err != nil {
		return result{}, err
	}
	var mu sync.Mutex
	var r result
	var failures error
	done := 0
	met := map[string]bool{} // of the accepted ones, those that survived
	each(all, func(m mutant) {
		if ctx.Err() != nil {
			return
		}
		verdict, err := judge(ctx, scratch, m, suites)
		mu.Lock()
		defer mu.Unlock()
		if done++; done%100 == 0 {
			fmt.Fprintf(os.Stderr, "%s: %d of %d\n", p.name(), done, len(all))
		}
		switch {
		case err != nil:
			failures = errors.Join(failures, err)
		case verdict == broken:
			r.broken++
		case verdict == killed:
			r.killed++
		case accepted[m.id]:
			r.equivalent++
			met[m.id] = true
		case tuned[m.value]:
			r.tuned++
			met[tunedNumbers+m.value] = true
		default:
			r.survived++
			r.survivors = append(r.survivors, m)
			fmt.Fprintf(os.Stderr, "survived: %s:%d %s\n", relative(m.file), m.line, m.id) // a run takes long
		}
	})
	for id := range accepted {
		if !met[id] {
			r.stale = append(r.stale, fmt.Sprintf("%s: a test file calls this mutant equivalent, and it is killed or not there: %s", p.name(), id))
		}
	}
	for name := range tuned {
		if !met[tunedNumbers+name] {
			r.stale = append(r.stale, fmt.Sprintf("%s: a test file calls %s a tuned number, and no other value of it survives", p.name(), name))
		}
	}
	slices.Sort(r.stale)
	slices.SortFunc(r.survivors, func(a, b mutant) int {
		return strings.Compare(fmt.Sprintf("%s:%6d", a.file, a.line), fmt.Sprintf("%s:%6d", b.file, b.line))
	})
	return r, errors.Join(failures, ctx.Err())
}

const (
	// acceptance begins a comment that calls a mutant equivalent. The line after it, or
	// after several of them, is the reason.
	acceptance = "// equivalent mutant: "
	// tunedNumbers begins one that names numbers which were tuned, with the reason after it.
	tunedNumbers = "// tuned numbers: "
)

// accepted returns the ids of the mutants that the package's test files call
// equivalent, and the names of the tuned numbers.
func (p *goPackage) accepted() (ids, tuned map[string]bool, err error) {
	ids, tuned = map[string]bool{}, map[string]bool{}
	for _, name := range slices.Concat(p.TestGoFiles, p.XTestGoFiles) {
		source, err := os.ReadFile(filepath.Join(p.Dir, name))
		if err != nil {
			return nil, nil, err
		}
		unexplained := "" // the last, until its reason comes
		lines := bufio.NewScanner(bytes.NewReader(source))
		for lines.Scan() {
			line := strings.TrimSpace(lines.Text())
			if id, ok := strings.CutPrefix(line, acceptance); ok {
				ids[id], unexplained = true, id
				continue
			}
			if names, ok := strings.CutPrefix(line, tunedNumbers); ok {
				for name := range strings.SplitSeq(names, ", ") {
					tuned[name] = true
				}
				unexplained = names
				continue
			}
			if unexplained != "" && !strings.HasPrefix(line, "// ") {
				break
			}
			unexplained = ""
		}
		if unexplained != "" {
			return nil, nil, fmt.Errorf("%s: %s: the reason is missing; write it on the next line", name, unexplained)
		}
		if err := lines.Err(); err != nil {
			return nil, nil, err
		}
	}
	return ids, tuned, nil
}
