package own

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is deployed depends on the commit alone: not on the folder, the user, the time zone,
// the locale, the umask, nor on whose repository it is made from.
func TestSameBytesEverywhere(t *testing.T) {
	one, two := repository(t, onEngine), repository(t, onEngine)
	checkout := t.TempDir()
	for _, dir := range []string{one, two} {
		main := `package main

import (
	"github.com/onepagecrm/nylas-webhooks/infra/app"
	"github.com/onepagecrm/nylas-webhooks/infra/stages"
)

func main() {
	dev, staging := stages.New("dev"), stages.New("staging")
	staging.Protected, staging.OwnKey = true, true
	app.Main([]stages.Stage{stages.Local(), dev, staging, stages.Production("prod")})
}
`
		if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(main), 0o600); err != nil {
			t.Fatal(err)
		}
		in(t, dir, "go", "mod", "tidy")
	}
	synthesize := func(dir, out, environment string) {
		t.Helper()
		in(t, dir, "sh", "-c", environment+` exec cdk synth --quiet --output "$0"`, out)
	}
	synthesize(one, filepath.Join(one, "cdk.out"), "umask 077; export USER=one LOGNAME=one TZ=Asia/Tokyo LC_ALL=C;")
	synthesize(two, filepath.Join(two, "cdk.out"), "umask 002; export USER=two LOGNAME=two TZ=America/Lima LC_ALL=de_DE.UTF-8;")
	synthesize(local.Root, checkout, "")

	want := assembly(t, filepath.Join(one, "cdk.out"))
	if len(want) < 5 {
		t.Fatalf("only %d files", len(want))
	}
	for whose, dir := range map[string]string{"another folder and user": filepath.Join(two, "cdk.out"), "this repository": checkout} {
		got := assembly(t, dir)
		for name := range want {
			if got[name] == nil {
				t.Errorf("%s: %s is missing", whose, name)
			} else if !bytes.Equal(got[name], want[name]) {
				t.Errorf("%s: %s differs", whose, name)
			}
		}
	}
}

// assembly returns the templates and the programs of stages that every repository here
// has, each by its name, the program's with its mode. The CDK CLI zips it with fixed times.
func assembly(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	read := func(path string) []byte {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	templates, err := filepath.Glob(filepath.Join(dir, "*.template.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range templates {
		files[filepath.Base(path)] = read(path)
	}
	programs, err := filepath.Glob(filepath.Join(dir, "asset.*", "bootstrap"))
	if err != nil || len(programs) == 0 {
		t.Fatalf("programs: %v, %v", programs, err)
	}
	for _, path := range programs {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		files[filepath.Base(filepath.Dir(path))+" "+info.Mode().String()] = read(path)
	}
	return files
}

// A newer version of what the receiver depends on, in the company's go.mod, changes no byte
// of it: it is compiled by the module's own go.mod.
func TestTheReceiverIsCompiledByTheModulesOwnVersions(t *testing.T) {
	dir := repository(t, onEngine)
	in(t, dir, "go", "mod", "tidy")
	in(t, dir, "cdk", "synth", "--quiet")
	before := assembly(t, filepath.Join(dir, "cdk.out"))

	// The whole of a dependency, changed: the receiver would not even compile with it.
	other := filepath.Join(t.TempDir(), "aws-lambda-go")
	if err := os.MkdirAll(other, 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(other, "go.mod"), []byte("module github.com/aws/aws-lambda-go\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	in(t, dir, "go", "mod", "edit", "-replace", "github.com/aws/aws-lambda-go="+other)
	in(t, dir, "cdk", "synth", "--quiet", "--app", "go run -mod=mod .") // go.mod has changed
	after := assembly(t, filepath.Join(dir, "cdk.out"))
	for name, text := range before {
		if strings.HasPrefix(name, "asset.") && !bytes.Equal(after[name], text) {
			t.Errorf("%s changed with the company's dependencies", name)
		}
	}
}
