package stack

import (
	"bytes"
	"compress/flate"
	"debug/elf"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/onepagecrm/nylas-webhooks/infra/webhooks"
	"github.com/onepagecrm/nylas-webhooks/test/stack/synth"
)

// Prod with its function compiled: here, in a copy of the module elsewhere whose
// README differs, and in that copy after a change to the function.
var here, elsewhere, changed build

// build is a synthesized prod with its asset.
type build struct {
	template template
	raw      []byte // the template as it was written
	outdir   string
}

// asset returns the directory with the function's code.
func (b build) asset(t *testing.T) string {
	t.Helper()
	key, _ := b.template.props(functionType, "Receiver").at("Code", "S3Key").(string)
	return filepath.Join(b.outdir, "asset."+strings.TrimSuffix(key, ".zip"))
}

// buildAll fills here, elsewhere and changed.
func buildAll(dir string) error {
	other := filepath.Join(dir, "some where", "else") // with a blank, as people have them
	for _, dir := range []string{"internal", "lambda", "notification"} {
		if err := os.CopyFS(filepath.Join(other, dir), os.DirFS(filepath.Join(root, dir))); err != nil {
			return err
		}
	}
	for _, file := range []string{"go.mod", "go.sum"} {
		data, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(other, file), data, 0o600); err != nil { //nolint:gosec // into this test's own directory
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(other, "README.md"), []byte("another text"), 0o600); err != nil {
		return err
	}
	var err error
	if here, err = buildProd(root, filepath.Join(dir, "here")); err != nil {
		return err
	}
	if elsewhere, err = buildProd(other, filepath.Join(dir, "elsewhere")); err != nil {
		return err
	}
	change := "package main\n\nfunc init() { println(\"changed\") }\n"
	if err := os.WriteFile(filepath.Join(other, "lambda", "receiver", "change.go"), []byte(change), 0o600); err != nil {
		return err
	}
	changed, err = buildProd(other, filepath.Join(dir, "changed"))
	return err
}

func buildProd(module, outdir string) (b build, err error) {
	app, err := synth.NewApp(root, outdir, true)
	if err != nil {
		return build{}, err
	}
	builder := webhooks.NewBuilder(module)
	defer func() { err = errors.Join(err, builder.Close()) }()
	if _, err := webhooks.NewStack(app, synth.Named("prod"), builder); err != nil {
		return build{}, err
	}
	app.Synth(nil)
	b.outdir = outdir
	path := filepath.Join(outdir, "NylasWebhooks-prod.template.json")
	if b.raw, err = os.ReadFile(path); err != nil {
		return build{}, err
	}
	return b, decode(path, &b.template)
}

// One commit gives the same template and the same zip in every directory, and after
// every change that does not touch the function; so such a change deploys nothing.
func TestSameBytesElsewhere(t *testing.T) {
	if !bytes.Equal(here.raw, elsewhere.raw) {
		t.Errorf("the templates differ: %v", differences(here.template, elsewhere.template))
	}
	type file struct {
		Mode    fs.FileMode
		Content []byte
	}
	// The CDK CLI's zip holds names, contents and modes; all its times are one constant.
	files := func(b build) map[string]file {
		found := make(map[string]file)
		entries, err := os.ReadDir(b.asset(t))
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			info, err := entry.Info()
			if err != nil {
				t.Fatal(err)
			}
			content, err := os.ReadFile(filepath.Join(b.asset(t), entry.Name()))
			if err != nil {
				t.Fatal(err)
			}
			found[entry.Name()] = file{info.Mode(), content}
		}
		return found
	}
	got, want := files(elsewhere), files(here)
	if !reflect.DeepEqual(got, want) {
		t.Error("the function's files differ")
	}
	if f, ok := want["bootstrap"]; len(want) != 1 || !ok || f.Mode != 0o755 {
		t.Errorf("the asset is not one executable file: %v", slices.Sorted(maps.Keys(want)))
	}
}

// Lambda loads the zip at a cold start. It is a tenth smaller than before the receiver went
// without the SDK's client for S3 and without HTTP/2, and stays so.
func TestZipWithinItsBudget(t *testing.T) {
	const budget = 3_200_000 // bytes; 3,080,425 when this was written
	program, err := os.ReadFile(filepath.Join(here.asset(t), "bootstrap"))
	if err != nil {
		t.Fatal(err)
	}
	if file, err := elf.NewFile(bytes.NewReader(program)); err != nil || file.Machine != elf.EM_AARCH64 {
		t.Fatalf("prod's program is not for arm64: %v", err)
	}
	var zipped bytes.Buffer
	w, err := flate.NewWriter(&zipped, flate.BestCompression) // the zip has some 150 bytes around it
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(program); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if zipped.Len() > budget {
		t.Errorf("the receiver's zip has %d bytes, allowed are %d. What has been added to it must earn its bytes (docs/adr/0008-what-the-function-depends-on.md)", zipped.Len(), budget)
	}
}

// A change to the function changes its code, its version and the alias, nothing else.
func TestCodeChangeDeploysTheFunctionOnly(t *testing.T) {
	version := func(b build) string { return b.template.of(versionType)[0] }
	want := []string{
		"Live848578DF Properties.FunctionVersion.Fn::GetAtt.0",
		"ReceiverC61A5DC1 Properties.Code.S3Key",
		version(changed), version(elsewhere),
	}
	slices.Sort(want)
	if got := differences(elsewhere.template, changed.template); !slices.Equal(got, want) {
		t.Errorf("what differs: %v\nwant: %v", got, want)
	}
}

func TestFailedBuildIsASentence(t *testing.T) {
	module := t.TempDir()
	for name, content := range map[string]string{"go.mod": "module x\n", "lambda/receiver/main.go": "package main\n\nfunc main() { undefined() }\n"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(module, name)), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(module, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, err := buildProd(module, filepath.Join(t.TempDir(), "out"))
	if err == nil {
		t.Fatal("a program that does not compile was built")
	}
	for _, want := range []string{"build the receiver for arm64", "./lambda/receiver", "undefined: undefined"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
}

// differences lists what two templates do not share: ids, or ids and the paths.
func differences(a, b template) []string {
	var found []string
	for id, r := range a.Resources {
		if other, ok := b.Resources[id]; ok {
			found = append(found, paths(id+" ", toObject(r), toObject(other))...)
		} else {
			found = append(found, id)
		}
	}
	for id := range b.Resources {
		if _, ok := a.Resources[id]; !ok {
			found = append(found, id)
		}
	}
	slices.Sort(found)
	return found
}

func toObject(r *resource) any {
	var v any
	if err := json.Unmarshal([]byte(text(r)), &v); err != nil {
		panic(err) // it was decoded from JSON
	}
	return v
}

func paths(prefix string, a, b any) []string {
	if text(a) == text(b) {
		return nil
	}
	var found []string
	x, isMap := a.(map[string]any)
	y, isMap2 := b.(map[string]any)
	if isMap && isMap2 {
		for key := range x {
			found = append(found, paths(prefix+key+".", x[key], y[key])...)
		}
		for key := range y {
			if _, ok := x[key]; !ok {
				found = append(found, prefix+key)
			}
		}
		return found
	}
	v, isList := a.([]any)
	w, isList2 := b.([]any)
	if isList && isList2 && len(v) == len(w) {
		for i := range v {
			found = append(found, paths(prefix+strconv.Itoa(i)+".", v[i], w[i])...)
		}
		return found
	}
	return []string{strings.TrimSuffix(prefix, ".")}
}
