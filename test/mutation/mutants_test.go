package main

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

const sample = `package sample

import "errors"

const limit = 10

var ready = true

func Do(n int) error {
	if n > limit && !ready {
		return errors.New("too many")
	}
	n += 0
	print(n)
	for range n {
		break
	}
	x := n
	_ = x
	return nil
}
`

// func main is left out, in a program alone, and no method of that name.
func TestMainOfAProgram(t *testing.T) {
	for source, want := range map[string]int{
		"package main\n\nfunc main() { print(1) }\n":                 0,
		"package other\n\nfunc main() { print(1) }\n":                2,
		"package main\n\nfunc run() { print(1) }\n":                  2,
		"package main\n\ntype t int\nfunc (t) main() { print(1) }\n": 2,
	} {
		path := filepath.Join(t.TempDir(), "sample.go")
		if err := os.WriteFile(path, []byte(source), 0o600); err != nil {
			t.Fatal(err)
		}
		if found, err := mutants(path); err != nil || len(found) != want {
			t.Errorf("%d mutants, want %d, %v, of\n%s", len(found), want, err, source)
		}
	}
}

func TestMutants(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sample.go")
	if err := os.WriteFile(path, []byte(sample), 0o600); err != nil {
		t.Fatal(err)
	}
	found, err := mutants(path)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, m := range found {
		ids = append(ids, m.id)
		if isValue := m.id == "limit: 10 -> 20" || m.id == "ready: true -> false"; (m.value != "") != isValue {
			t.Errorf("%s is of value %q", m.id, m.value)
		}
		if string(m.source) == sample {
			t.Errorf("%s changes nothing", m.id)
		}
	}
	want := []string{
		"limit: 10 -> 20",
		"ready: true -> false",
		"Do: n > limit && !ready -> n > limit || !ready",
		"Do: n > limit -> n >= limit",
		"Do: n > limit -> n <= limit",
		"Do: !ready -> ready",
		`Do: return errors.New("too many") -> return nil`,
		"Do: n += 0 -> (nothing)",
		"Do: 0 -> 1",
		"Do: print(n) -> (nothing)",
		"Do: break -> (nothing)",
		"Do: _ = x -> (nothing)",
	}
	slices.Sort(ids)
	slices.Sort(want)
	if !slices.Equal(ids, want) {
		t.Errorf("mutants:\n%s\nwant:\n%s", strings.Join(ids, "\n"), strings.Join(want, "\n"))
	}
}

func TestAccepted(t *testing.T) {
	dir := t.TempDir()
	write := func(text string) *goPackage {
		if err := os.WriteFile(filepath.Join(dir, "x_test.go"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return &goPackage{Dir: dir, TestGoFiles: []string{"x_test.go"}}
	}
	accepted, tuned, err := write("package x\n\n// equivalent mutant: Do: 0 -> 1\n// equivalent mutant: Do: 1 -> 2\n// Nobody reads them.\n\n// tuned numbers: linger, patience\n// A benchmark decides.\n").accepted()
	if err != nil || !accepted["Do: 0 -> 1"] || !accepted["Do: 1 -> 2"] || len(accepted) != 2 {
		t.Errorf("accepted = %v, %v", accepted, err)
	}
	if !tuned["linger"] || !tuned["patience"] || len(tuned) != 2 {
		t.Errorf("tuned = %v", tuned)
	}
	for _, text := range []string{
		"package x\n\n// equivalent mutant: Do: 0 -> 1\n",
		"package x\n\n// equivalent mutant: Do: 0 -> 1\n\n// Nobody reads it.\n",
		"package x\n\n// equivalent mutant: a -> b\n// equivalent mutant: c -> d\nfunc f() {}\n",
		"package x\n\n// tuned numbers: linger\nfunc f() {}\n",
	} {
		if _, _, err := write(text).accepted(); err == nil {
			t.Errorf("no reason, and accepted:\n%s", text)
		}
	}
}

func TestQuickTestsGoFirst(t *testing.T) {
	printed := `=== RUN   TestQuick
--- PASS: TestQuick (0.20s)
--- PASS: TestTable (0.21s)
    --- PASS: TestTable/a_row (0.01s)
--- SKIP: TestSkipped (0.00s)
--- PASS: ExampleDo (0.00s)
PASS
`
	got, err := stages(printed, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	these := "^(ExampleDo|TestQuick)$"
	want := []stage{{[]string{"-test.run", these}, 200 * time.Millisecond}, {[]string{"-test.skip", these}, time.Minute}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got, err := stages("PASS\n", time.Minute); err != nil || !reflect.DeepEqual(got, []stage{{nil, time.Minute}}) {
		t.Errorf("%+v, %v where nothing is quick", got, err)
	}
}

func TestTheCompilersWordsAreNotTheLinkers(t *testing.T) {
	for out, want := range map[string]bool{
		"# example.com/x [example.com/x.test]\n./x.go:3:2: \"time\" imported and not used\n": true,
		"# example.com/x.test\n/usr/bin/ld: write: no space left on device\n":                false,
		"signal: killed": false,
	} {
		if (&buildError{out: out}).ofCompiler() != want {
			t.Errorf("%q: %v", out, !want)
		}
	}
}
