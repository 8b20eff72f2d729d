package faults

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"
)

// program is the receiver, built once, and stack what prod's template says.
var (
	program string
	stack   Stack
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	flag.Parse()
	if flag.Lookup("test.parallel").Value.String() == flag.Lookup("test.parallel").DefValue {
		_ = flag.Set("test.parallel", "6") // they mostly wait; it is a number
	}
	dir, err := os.MkdirTemp("", "faults-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }() // a rest in the temporary directory does not matter
	root, err := Root(context.Background())
	if err == nil {
		program, err = Build(context.Background(), root, dir, nil)
	}
	if err == nil {
		stack, err = ReadStack(root)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// pass runs a scenario and reports what it showed to be wrong.
func pass(t *testing.T, sc Scenario) Result {
	t.Helper()
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
