package faults

import (
	"context"
	"flag"
	"fmt"
	"os"
	"sync"
	"testing"
)

// dir is where programs are built.
var dir string

// made is the receiver, built once, and what prod's template says. Both are made within
// the first test that asks for them, so that Go's test cache sees what they are made of.
var made = sync.OnceValues(func() (m struct {
	program string
	stack   Stack
}, err error,
) {
	root, err := Root(context.Background())
	if err != nil {
		return m, err
	}
	if m.stack, err = ReadStack(root); err != nil {
		return m, err
	}
	m.program, err = Build(context.Background(), root, dir, nil)
	return m, err
})

// receiver returns the program, and what the template says.
func receiver(t *testing.T) (string, Stack) {
	t.Helper()
	m, err := made()
	if err != nil {
		t.Fatal(err)
	}
	return m.program, m.stack
}

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	flag.Parse()
	if flag.Lookup("test.parallel").Value.String() == flag.Lookup("test.parallel").DefValue {
		_ = flag.Set("test.parallel", "8") // they mostly wait; it is a number
	}
	var err error
	if dir, err = os.MkdirTemp("", "faults-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }() // a rest in the temporary directory does not matter
	return m.Run()
}

// pass runs a scenario and reports what it showed to be wrong.
func pass(t *testing.T, sc Scenario) Result {
	t.Helper()
	program, stack := receiver(t)
	r, err := Run(t.Context(), program, stack, sc)
	if err != nil {
		t.Fatal(err)
	}
	const most = 10 // are enough to read
	for i, w := range r.Wrong {
		if i == most {
			t.Errorf("and %d more", len(r.Wrong)-i)
			break
		}
		t.Error(w)
	}
	if t.Failed() {
		t.Logf("met %v; the end of the log:", r.Met)
		for _, line := range r.Log {
			t.Logf("%.400s", line)
		}
	}
	return r
}
