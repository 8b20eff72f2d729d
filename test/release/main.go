// Command release looks at what make dist has built, as somebody would who downloads it: are the
// checksums right, does the list of parts (SBOM) name every module in its program, are the
// licences there, is the function the one that cdk synth deploys?
//
//	go run ./test/release .local/dist cdk.out [another-dist]
//
// With the folder of a second build, both must be the same, byte for byte.
package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	if len(os.Args) < 3 || len(os.Args) > 4 {
		fmt.Fprintln(os.Stderr, "release: name the folder of a build and an assembly, and the folder of another build to compare it with: go run ./test/release .local/dist cdk.out")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(dist, assembly string, another []string) error {
	files, err := checksums(dist)
	if err != nil {
		return err
	}
	deployed, err := functions(assembly)
	if err != nil {
		return err
	}
	found := false
	programs, modules := 0, 0
	for _, name := range files {
		if !strings.HasSuffix(name, ".tar.gz") && !strings.HasSuffix(name, ".zip") {
			continue
		}
		inside, err := unpack(filepath.Join(dist, name))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		found = found || deployed[sha256.Sum256(inside["bootstrap"])]
		n, err := check(dist, name, inside)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		programs, modules = programs+1, modules+n
	}
	if programs == 0 {
		return fmt.Errorf("there is no archive in %s", dist)
	}
	if !found {
		return fmt.Errorf("the receiver is not the one in %s, so its checksum says nothing of what is deployed", assembly)
	}
	fmt.Printf("%d files with their checksums; %d programs, whose SBOMs name all of their %d modules\n", len(files), programs, modules)
	if len(another) == 0 {
		return nil
	}
	others, err := checksums(another[0])
	if err != nil {
		return err
	}
	if !slices.Equal(files, others) {
		return fmt.Errorf("one build made %v, the other %v", files, others)
	}
	for _, name := range append(files, "checksums.txt") {
		a, err := os.ReadFile(filepath.Join(dist, name)) //nolint:gosec // a folder that the caller names
		if err != nil {
			return err
		}
		b, err := os.ReadFile(filepath.Join(another[0], name)) //nolint:gosec // the same
		if err != nil {
			return err
		}
		if !bytes.Equal(a, b) {
			return fmt.Errorf("%s has other bytes in %s", name, another[0])
		}
	}
	fmt.Printf("the other build has the same bytes\n")
	return nil
}

// functions are the checksums of the programs in an assembly.
func functions(assembly string) (map[[sha256.Size]byte]bool, error) {
	paths, err := filepath.Glob(filepath.Join(assembly, "asset.*", "bootstrap"))
	if err != nil {
		return nil, err
	}
	all := map[[sha256.Size]byte]bool{}
	for _, path := range paths {
		data, err := os.ReadFile(path) //nolint:gosec // a folder that the caller names
		if err != nil {
			return nil, err
		}
		all[sha256.Sum256(data)] = true
	}
	return all, nil
}

// checksums returns the files that checksums.txt names, after it has compared each.
func checksums(dir string) ([]string, error) {
	text, err := os.ReadFile(filepath.Join(dir, "checksums.txt")) //nolint:gosec // a folder that the caller names
	if err != nil {
		return nil, fmt.Errorf("%w. make dist writes it", err)
	}
	var files []string
	for line := range strings.Lines(string(text)) {
		sum, name, ok := strings.Cut(strings.TrimSpace(line), "  ")
		if !ok || name != filepath.Base(name) {
			return nil, fmt.Errorf("checksums.txt has the line %q", line)
		}
		data, err := os.ReadFile(filepath.Join(dir, name)) //nolint:gosec // the same
		if err != nil {
			return nil, err
		}
		if got := sha256.Sum256(data); hex.EncodeToString(got[:]) != sum {
			return nil, fmt.Errorf("%s has another checksum than checksums.txt says", name)
		}
		files = append(files, name)
	}
	slices.Sort(files)
	return files, nil
}

// check looks at an archive, and returns how many modules are in its program.
func check(dir, archive string, inside map[string][]byte) (int, error) {
	var program []byte
	for name, data := range inside {
		switch name {
		case "LICENSE", "NOTICES":
			if len(data) < 1000 {
				return 0, fmt.Errorf("%s has %d bytes", name, len(data))
			}
		default:
			if program != nil {
				return 0, errors.New("it has two programs")
			}
			program = data
		}
	}
	if program == nil || inside["LICENSE"] == nil || inside["NOTICES"] == nil {
		return 0, errors.New("a program, LICENSE and NOTICES are not all in it")
	}
	info, err := buildinfo.Read(bytes.NewReader(program))
	if err != nil {
		return 0, err
	}
	listed, err := components(dir, archive)
	if err != nil {
		return 0, err
	}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		if !listed[m.Path+"@"+m.Version] {
			return 0, fmt.Errorf("its SBOM does not name %s %s", m.Path, m.Version)
		}
		if !bytes.Contains(inside["NOTICES"], []byte("\n== "+m.Path+" "+m.Version+"\n")) {
			return 0, fmt.Errorf("NOTICES does not name %s %s", m.Path, m.Version)
		}
	}
	return len(info.Deps), nil
}

// components are the modules in the SBOM of an archive's program, as path@version.
func components(dir, archive string) (map[string]bool, error) {
	name := strings.TrimSuffix(strings.TrimSuffix(archive, ".tar.gz"), ".zip") + ".cdx.json"
	data, err := os.ReadFile(filepath.Join(dir, name)) //nolint:gosec // the same
	if err != nil {
		return nil, err
	}
	var bom struct {
		BOMFormat  string
		Components []struct{ Name, Version string }
	}
	if err := json.Unmarshal(data, &bom); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if bom.BOMFormat != "CycloneDX" {
		return nil, fmt.Errorf("%s is not CycloneDX", name)
	}
	all := map[string]bool{}
	for _, c := range bom.Components {
		all[c.Name+"@"+c.Version] = true
	}
	return all, nil
}

// unpack returns the files of an archive by name.
func unpack(path string) (map[string][]byte, error) {
	data, err := os.ReadFile(path) //nolint:gosec // a folder that the caller names
	if err != nil {
		return nil, err
	}
	inside := map[string][]byte{}
	if strings.HasSuffix(path, ".zip") {
		archive, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return nil, err
		}
		for _, f := range archive.File {
			r, err := f.Open()
			if err != nil {
				return nil, err
			}
			inside[f.Name], err = io.ReadAll(r)
			if err := errors.Join(err, r.Close()); err != nil {
				return nil, err
			}
		}
		return inside, nil
	}
	unzipped, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	archive := tar.NewReader(unzipped)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return inside, nil
		}
		if err != nil {
			return nil, err
		}
		if inside[header.Name], err = io.ReadAll(archive); err != nil {
			return nil, err
		}
	}
}
