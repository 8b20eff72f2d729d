package review

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
)

// root is the module's root, seen from this package.
const root = "../.."

// engine is one for all tests: Node takes most of a second to start.
var engine = sync.OnceValues(func() (*Engine, error) { return NewEngine(root) })

func TestMain(m *testing.M) {
	code := m.Run()
	if e, err := engine(); err == nil {
		if err := e.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// reviewer returns the CDK's diff engine, of the packages that make installs.
func reviewer(t *testing.T) *Engine {
	t.Helper()
	e, err := engine()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// program64 is what stands in prod's template for the program.
const program64 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.zip"

// prod returns the template of prod that package stack compares each synthesis with.
func prod(t *testing.T) map[string]any {
	t.Helper()
	data, err := os.ReadFile(root + "/test/stack/testdata/prod.json")
	if err != nil {
		t.Fatal(err)
	}
	stored := string(data)
	if !strings.Contains(stored, `"<asset>.zip"`) {
		t.Fatal("no program in the stored template")
	}
	var template map[string]any
	if err := json.Unmarshal([]byte(strings.ReplaceAll(stored, "<asset>.zip", program64)), &template); err != nil {
		t.Fatal(err)
	}
	return template
}

func copied[T any](v T) T {
	var c T
	encoded, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(encoded, &c)
	}
	if err != nil {
		panic(err) // it was decoded from JSON
	}
	return c
}
