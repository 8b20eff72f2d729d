// Command image builds hookworker's container image, for amd64 and arm64, without a container
// engine: one file, the static program, on nothing. `make image` calls it.
//
//	image -module ../.. -out ../../.local/image            an OCI layout, which skopeo and crane read
//	image -module ../.. -push registry.example.com/hookworker:v1
//
// The same commit and the same Go give the same digest: no times, no names of the machine.
package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const source = "https://github.com/onepagecrm/nylas-webhooks"

func main() {
	module := flag.String("module", ".", "the `folder` of this repository's module")
	out := flag.String("out", "", "the `folder` for an OCI layout")
	push := flag.String("push", "", "a `reference` to push to, as registry.example.com/hookworker:v1")
	version := flag.String("version", "devel", "the label org.opencontainers.image.version")
	flag.Parse()
	if err := run(*module, *out, *push, *version); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(module, out, push, version string) error {
	if out == "" && push == "" {
		return errors.New("say where to: -out or -push")
	}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, architecture := range []string{"amd64", "arm64"} {
		program, err := build(module, architecture)
		if err != nil {
			return err
		}
		image, err := imageOf(program, architecture, version)
		if err != nil {
			return err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{
			Platform: &v1.Platform{OS: "linux", Architecture: architecture},
		}})
	}
	if out != "" {
		if err := os.RemoveAll(out); err != nil {
			return err
		}
		if _, err := layout.Write(out, index); err != nil {
			return err
		}
	}
	digest, err := index.Digest()
	if err != nil {
		return err
	}
	if push != "" {
		reference, err := name.ParseReference(push)
		if err != nil {
			return err
		}
		if err := remote.WriteIndex(reference, index, remote.WithAuthFromKeychain(authn.DefaultKeychain)); err != nil {
			return fmt.Errorf("push to %s: %w", push, err)
		}
	}
	fmt.Println(digest)
	return nil
}

// build returns the program.
func build(module, architecture string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "image-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "hookworker")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w -buildid=", "-o", path, "./cmd/hookworker")
	cmd.Dir = module
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+architecture, "CGO_ENABLED=0", "GOFLAGS=-mod=readonly", "GOWORK=off")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("build hookworker for %s: %w", architecture, err)
	}
	return os.ReadFile(path)
}

// imageOf is an image with that one file. Certificates of authorities are in the program
// (golang.org/x/crypto/x509roots), the user has a number and no name.
func imageOf(program []byte, architecture, version string) (v1.Image, error) {
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	if err := w.WriteHeader(&tar.Header{Name: "hookworker", Mode: 0o755, Size: int64(len(program)), ModTime: time.Unix(0, 0)}); err != nil {
		return nil, err
	}
	if _, err := w.Write(program); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	files, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(layer.Bytes())), nil }, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	image := mutate.MediaType(mutate.ConfigMediaType(empty.Image, types.OCIConfigJSON), types.OCIManifestSchema1)
	if image, err = mutate.AppendLayers(image, files); err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", architecture
	config.Config = v1.Config{
		User:         "65532:65532",
		Entrypoint:   []string{"/hookworker"},
		ExposedPorts: map[string]struct{}{"8080/tcp": {}},
		Labels: map[string]string{
			"org.opencontainers.image.title":       "hookworker",
			"org.opencontainers.image.description": "Delivers Nylas notifications from SQS to an HTTP endpoint",
			"org.opencontainers.image.source":      source,
			"org.opencontainers.image.licenses":    "Apache-2.0",
			"org.opencontainers.image.version":     version,
		},
	}
	return mutate.ConfigFile(image, config)
}
