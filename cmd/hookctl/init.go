package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/onepagecrm/nylas-webhooks/infra/stages"
	"github.com/onepagecrm/nylas-webhooks/internal/starter"
)

const modulePath = "github.com/onepagecrm/nylas-webhooks"

type initOptions struct {
	dir, module, replace string
	stages, production   []string
	pages, tickets       []string
	update               bool
}

func newInit(s streams) *cobra.Command {
	var o initOptions
	cmd := &cobra.Command{
		Use:   "init <folder>",
		Short: "Write a repository of your own for your stages, or look at one",
		Long: `init writes the repository in which a company keeps its stages: a Go module that uses
this one, with its CDK app, Makefile, workflows and a page of text. Its make test passes at
once. What is not given by flags is asked.

In a folder that has such a repository already, it compares what is for the tools
(Makefile, cdk.json, package.json, the workflows ci, review and comment) with what this version of hookctl would
write, and changes nothing; --update takes this version's. What is yours (main.go,
go.mod, README.md) it never touches. The exit code is 1 where something differs.`,
		Example: `  hookctl init acme-webhooks
  hookctl init acme-webhooks --module github.com/acme/webhooks \
    --development dev=111122223333/eu-west-1 --production prod=444455556666/eu-west-1 \
    --pages https://events.pagerduty.com/x --tickets team@acme.com
  go tool hookctl init .`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.dir = args[0]
			return runInit(cmd.Context(), s, o)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.module, "module", "", "the path of the new Go module, as github.com/acme/webhooks")
	flags.StringArrayVar(&o.stages, "development", nil, "a stage for development, as dev=111122223333/eu-west-1; may repeat")
	flags.StringArrayVar(&o.production, "production", nil, "a stage for people's mail, in the same form; may repeat")
	flags.StringArrayVar(&o.pages, "pages", nil, "whom to wake, a mail address or an https URL; may repeat")
	flags.StringArrayVar(&o.tickets, "tickets", nil, "whom to write tickets to, in the same form; may repeat")
	flags.StringVar(&o.replace, "replace", "", "the folder of a checkout of nylas-webhooks to use instead of a release")
	flags.BoolVar(&o.update, "update", false, "in a folder that has a repository: take this version's files for the tools")
	return cmd
}

func runInit(ctx context.Context, s streams, o initOptions) error {
	if _, err := os.Stat(filepath.Join(o.dir, "go.mod")); err == nil {
		return lookAtRepository(s, o)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if o.update {
		return usagef("there is no repository in %s to update: it has no go.mod", o.dir)
	}
	r, err := o.repository(ctx, s)
	if err != nil {
		return err
	}
	all, err := r.Files()
	if err != nil {
		return err
	}
	states, err := starter.Compare(o.dir, all)
	if err != nil {
		return err
	}
	for _, f := range all {
		if states[f.Path] != starter.Missing {
			return usagef("%s is there already, and would be overwritten. Name a new folder, or move it away", filepath.Join(o.dir, f.Path))
		}
	}
	for _, f := range all {
		if err := f.Write(o.dir); err != nil {
			return err
		}
	}
	s.stderrf("%d files are in %s. Next:", len(all), o.dir)
	_, err = fmt.Fprintf(s.out, "cd %s && git init && make test\n", shellQuoted(o.dir))
	return err
}

// lookAtRepository says what this version would write differently.
func lookAtRepository(s streams, o initOptions) error {
	// Only what is for the tools is compared, and it says nothing of stages or the module.
	all, err := (starter.Repository{Stages: []starter.Stage{{Name: "x"}}}).Files()
	if err != nil {
		return err
	}
	states, err := starter.Compare(o.dir, all)
	if err != nil {
		return err
	}
	differ := 0
	for _, f := range all {
		state := states[f.Path]
		if f.Once || state == starter.Same {
			continue
		}
		differ++
		said := "differs from this version's"
		if state == starter.Missing {
			said = "is missing"
		}
		if o.update {
			if err := f.Write(o.dir); err != nil {
				return err
			}
			said += ", and was written"
		}
		if _, err := fmt.Fprintf(s.out, "%s %s\n", f.Path, said); err != nil {
			return err
		}
	}
	switch {
	case differ == 0:
		s.stderrf("All that is for the tools is as hookctl %s writes it.", thisBuild().Version)
	case !o.update:
		s.stderrf("Nothing was changed. Take this version's, then read the difference: hookctl init --update %s && git diff", shellQuoted(o.dir))
		return errNotSo
	}
	return nil
}

// shellQuoted is the name as a shell reads it.
func shellQuoted(name string) string {
	if regexp.MustCompile(`^[A-Za-z0-9_./~-]+$`).MatchString(name) {
		return name
	}
	return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
}

// repository is what was asked for; what is missing is asked.
func (o initOptions) repository(ctx context.Context, s streams) (starter.Repository, error) {
	none := starter.Repository{}
	r := starter.Repository{Module: o.module, Version: moduleVersion(), Pages: o.pages, Tickets: o.tickets}
	if o.replace != "" {
		root, err := filepath.Abs(o.replace)
		if err != nil {
			return none, err
		}
		r.Version, r.Replace = "v0.0.0", root
	}
	if r.Version == "" {
		return none, usagef("this hookctl was built from a checkout, not from a release that Go could download. Give --replace with the checkout's folder")
	}
	var err error
	if r.Module == "" {
		if r.Module, err = s.ask(ctx, "The new module's path, as github.com/acme/webhooks: ", "--module"); err != nil {
			return none, err
		}
	}
	if !moduleForm.MatchString(r.Module) {
		return none, usagef("%q is no path of a Go module. It looks like github.com/acme/webhooks", r.Module)
	}
	if len(o.stages)+len(o.production) == 0 {
		if err := o.askStages(ctx, s); err != nil {
			return none, err
		}
	}
	if r.Stages, err = o.parseStages(); err != nil {
		return none, err
	}
	if len(o.production) > 0 {
		for _, who := range []struct {
			list           *[]string
			question, flag string
		}{
			{&r.Pages, "Whom to wake at night, a mail address or an https URL: ", "--pages"},
			{&r.Tickets, "Whom to write tickets to, a mail address or an https URL: ", "--tickets"},
		} {
			if len(*who.list) == 0 {
				answer, err := s.ask(ctx, who.question, who.flag)
				if err != nil {
					return none, err
				}
				*who.list = []string{answer}
			}
			for _, recipient := range *who.list {
				if err := starter.Recipient(recipient); err != nil {
					return none, usagef("%s: %w", who.flag, err)
				}
			}
		}
	}
	return r, nil
}

// moduleForm is what a module's path looks like, roughly: Go checks the rest.
// https://go.dev/ref/mod#go-mod-file-ident
var moduleForm = regexp.MustCompile(`^[a-z0-9][A-Za-z0-9._~-]*(/[A-Za-z0-9._~-]+)*$`)

// askStages asks for one stage of each kind.
func (o *initOptions) askStages(ctx context.Context, s streams) error {
	for _, kind := range []struct {
		name, what string
		list       *[]string
	}{{"dev", "development", &o.stages}, {"prod", "people's mail", &o.production}} {
		place, err := s.ask(ctx, fmt.Sprintf("Account and region of stage %s, for %s, as 111122223333/eu-west-1: ", kind.name, kind.what), "--development and --production")
		if err != nil {
			return err
		}
		*kind.list = []string{kind.name + "=" + place}
	}
	return nil
}

var stageFlag = regexp.MustCompile(`^([^=/]+)=([^=/]+)/([^=/]+)$`)

// parseStages returns every problem of every stage at once.
func (o initOptions) parseStages() ([]starter.Stage, error) {
	var all []starter.Stage
	var problems []error
	seen := map[string]bool{}
	add := func(flag string, given []string, production bool) {
		for _, text := range given {
			parts := stageFlag.FindStringSubmatch(text)
			if parts == nil {
				problems = append(problems, fmt.Errorf("%s %q is not of the form dev=111122223333/eu-west-1", flag, text))
				continue
			}
			stage := starter.Stage{Name: parts[1], Account: parts[2], Region: parts[3], Production: production}
			made := stages.New(stage.Name)
			made.Account, made.Region = stage.Account, stage.Region
			problems = append(problems, made.Validate(), stage.Check())
			if seen[stage.Name] {
				problems = append(problems, fmt.Errorf("two stages are named %s", stage.Name))
			}
			seen[stage.Name] = true
			all = append(all, stage)
		}
	}
	add("--development", o.stages, false)
	add("--production", o.production, true)
	if err := errors.Join(problems...); err != nil {
		return nil, usagef("%w", err)
	}
	return all, nil
}

// moduleVersion is the version of this module that the running program was built of, as
// Go can download it; "" for a checkout's.
func moduleVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	version := ""
	if info.Main.Path == modulePath {
		version = info.Main.Version
	}
	for _, dependency := range info.Deps {
		if dependency.Path == modulePath && dependency.Replace == nil {
			version = dependency.Version
		}
	}
	if version == "(devel)" || strings.Contains(version, "+dirty") {
		return ""
	}
	return version
}
