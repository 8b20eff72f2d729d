package own

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/onepagecrm/nylas-webhooks/internal/starter"
	"github.com/onepagecrm/nylas-webhooks/test/engine"
)

var local *engine.Engine

func TestMain(m *testing.M) { os.Exit(all(m)) }

func all(m *testing.M) (code int) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	e, err := engine.Start(ctx, "own")
	defer func() {
		if err := e.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "own:", err)
			code = 1
		}
	}()
	if err == nil {
		err = e.Bootstrap(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "own:", err)
		return 1
	}
	local = e
	return m.Run()
}

// onEngine is a stage that goes to the engine, as if that were the company's account.
var onEngine = starter.Stage{Name: "crmdev", Account: "000000000000", Region: "us-east-1"}

// repository writes what `hookctl init` writes, and returns the folder. The checkout takes
// the place of a released version, and its CDK CLI that of the one that npm would install.
func repository(t *testing.T, stages ...starter.Stage) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "our webhooks")
	all, err := starter.Repository{
		Module: "example.com/acme/webhooks", Version: "v0.0.0", Replace: local.Root,
		Stages: stages, Pages: []string{"on-call@example.com"}, Tickets: []string{"team@example.com"},
	}.Files()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if err := f.Write(dir); err != nil {
			t.Fatal(err)
		}
	}
	for _, stage := range stages {
		place := fmt.Sprintf("%[1]s.Account, %[1]s.Region = %[2]q, %[3]q\n", stage.Name, stage.Account, stage.Region)
		edit(t, filepath.Join(dir, "main.go"), place, place+stage.Name+".Architecture = stages.Architecture(\""+runtime.GOARCH+"\") // the engine runs it here\n")
	}
	link(t, dir)
	return dir
}

// link gives a checkout of the repository this one's npm packages.
func link(t *testing.T, dir string) {
	t.Helper()
	tools := filepath.Join(dir, "node_modules")
	if err := os.Symlink(filepath.Join(local.Root, "tools", "node_modules"), tools); err != nil {
		t.Fatal(err)
	}
	// make compares times; what is installed is newer than what asks for it.
	long := time.Unix(0, 0)
	if err := os.Chtimes(filepath.Join(dir, "package.json"), long, long); err != nil {
		t.Fatal(err)
	}
}

// in runs a command in the folder and returns its standard output.
func in(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	out, err := engine.RunIn(t.Context(), dir, name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// edit changes the first place in a file, as the company's people would.
func edit(t *testing.T, path, old, changed string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), old) {
		t.Fatalf("%s does not have %q", path, old)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), old, changed, 1)), 0o600); err != nil { //nolint:gosec // the test's own folder
		t.Fatal(err)
	}
}
