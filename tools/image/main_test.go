package main

import (
	"archive/tar"
	"debug/buildinfo"
	"debug/elf"
	"errors"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

func TestImage(t *testing.T) {
	registered := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer registered.Close()
	reference := strings.TrimPrefix(registered.URL, "http://") + "/hookworker:v1"
	out := filepath.Join(t.TempDir(), "layout")
	if err := run("../..", out, reference, "v1"); err != nil {
		t.Fatal(err)
	}
	written, err := layout.ImageIndexFromPath(out)
	if err != nil {
		t.Fatal(err)
	}
	first, err := written.Digest()
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := name.ParseReference(reference)
	if err != nil {
		t.Fatal(err)
	}
	pushed, err := remote.Index(parsed)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(pushed); err != nil {
		t.Error(err)
	}
	if digest, err := pushed.Digest(); err != nil || digest != first {
		t.Errorf("pushed %s, written %s, %v", digest, first, err)
	}
	manifest, err := written.IndexManifest()
	if err != nil || len(manifest.Manifests) != 2 {
		t.Fatalf("%v, %d platforms", err, len(manifest.Manifests))
	}
	for _, m := range manifest.Manifests {
		image, err := written.Image(m.Digest)
		if err != nil {
			t.Fatal(err)
		}
		config, err := image.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		c := config.Config
		if c.User != "65532:65532" || len(c.Entrypoint) != 1 || c.Entrypoint[0] != "/hookworker" || len(c.Env) != 0 || c.Labels["org.opencontainers.image.version"] != "v1" {
			t.Errorf("%+v", c)
		}
		if config.Architecture != m.Platform.Architecture || config.OS != "linux" || !config.Created.IsZero() {
			t.Errorf("%s/%s, made %s", config.OS, config.Architecture, config.Created)
		}
		dir := unpack(t, image)
		alone(t, filepath.Join(dir, "hookworker"), config.Architecture)
		if m.Platform.Architecture != runtime.GOARCH {
			continue
		}
		// With nothing around it: no shell, no environment, no home.
		cmd := exec.Command(filepath.Join(dir, "hookworker"), "--version")
		cmd.Env = []string{}
		said, err := cmd.CombinedOutput()
		if err != nil || !strings.HasPrefix(string(said), "hookworker ") {
			t.Errorf("%v: %s", err, said)
		}
	}
}

// alone holds that the program is for that architecture and needs no file beside it, as there
// is none: no loader, no library, no certificates.
func alone(t *testing.T, path, architecture string) {
	t.Helper()
	program, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = program.Close() }()
	if want := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[architecture]; program.Machine != want {
		t.Errorf("the image is for %s, and its program for %s", architecture, program.Machine)
	}
	for _, part := range program.Progs {
		if part.Type == elf.PT_INTERP {
			t.Errorf("%s: the program asks for a loader, which the image does not have", architecture)
		}
	}
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(info.Deps, func(d *debug.Module) bool { return d.Path == "golang.org/x/crypto/x509roots/fallback" }) {
		t.Errorf("%s: the program has no authorities, and the image has none either: TLS would trust nobody", architecture)
	}
}

// unpack writes the image's files, of which there is one.
func unpack(t *testing.T, image v1.Image) string {
	t.Helper()
	layers, err := image.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("%v, %d layers", err, len(layers))
	}
	reader, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	dir := t.TempDir()
	files := tar.NewReader(reader)
	for n := 0; ; n++ {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			if n != 1 {
				t.Errorf("%d files", n)
			}
			return dir
		}
		if err != nil {
			t.Fatal(err)
		}
		if header.Name != "hookworker" || header.Mode != 0o755 || header.ModTime.Unix() != 0 || header.Uname != "" {
			t.Errorf("%+v", header)
		}
		file, err := os.OpenFile(filepath.Join(dir, "hookworker"), os.O_CREATE|os.O_WRONLY, 0o755)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(file, files); err != nil {
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
