package main

import (
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

func newVersion(s streams) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Show of what this hookctl was built",
		Long: `version shows the module's version, the revision in version control and the Go version
that this program was built of, as far as the build recorded them. It asks nobody.`,
		Example: `  hookctl version
  hookctl version --json | jq -r .revision`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if asJSON {
				return s.json(thisBuild())
			}
			_, err := fmt.Fprintln(s.out, "hookctl", thisBuild())
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the data as JSON")
	return cmd
}

// build is of what a program was built. Fields that the build did not record are empty.
type build struct {
	Version  string `json:"version"` // of the module; "(devel)" with -buildvcs=false
	Revision string `json:"revision,omitempty"`
	// Modified: the checkout had changes that are not in the revision.
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
}

func thisBuild() build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return build{}
	}
	return readBuild(info)
}

func readBuild(info *debug.BuildInfo) build {
	b := build{Version: info.Main.Version, Go: info.GoVersion}
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			b.Revision = setting.Value
		case "vcs.modified":
			b.Modified = setting.Value == "true"
		}
	}
	return b
}

func (b build) String() string {
	parts := []string{"of an unknown version"}
	if b.Version != "" {
		parts[0] = b.Version
	}
	if b.Revision != "" {
		revision := "revision " + b.Revision
		if b.Modified {
			revision += " and changes to it"
		}
		parts = append(parts, revision)
	}
	if b.Go != "" {
		parts = append(parts, b.Go)
	}
	return strings.Join(parts, ", ")
}
