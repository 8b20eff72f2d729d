package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// everyCommand calls visit for each command, hidden and cobra's own ones included.
func everyCommand(visit func(*cobra.Command)) {
	root := newRoot(streams{})
	root.InitDefaultCompletionCmd()
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		cmd.InitDefaultHelpFlag()
		visit(cmd)
		for _, child := range cmd.Commands() {
			walk(child)
		}
	}
	walk(root)
}

// TestEveryCommandExplainsItself: what it does, and examples that name it.
func TestEveryCommandExplainsItself(t *testing.T) {
	everyCommand(func(cmd *cobra.Command) {
		ours := cmd.Name() != "help" && !strings.Contains(cmd.CommandPath(), " completion")
		if ours && !cmd.HasSubCommands() && (cmd.Short == "" || !strings.Contains(cmd.Example, cmd.CommandPath())) {
			t.Errorf("%s has no description or no example", cmd.CommandPath())
		}
	})
}

// A default that says "nothing", and one that is said twice, help nobody.
var senseless = regexp.MustCompile(`(?m)^.*(\(default (0s?|""|\[\]|false|<nil>|0001-.*)?\)|\(default.*\(default ).*$`)

func TestHelpNamesNoSenselessDefaults(t *testing.T) {
	flags := 0
	everyCommand(func(cmd *cobra.Command) {
		usage := cmd.UsageString()
		flags += strings.Count(usage, " --")
		for _, line := range senseless.FindAllString(usage, -1) {
			t.Errorf("%s --help: %s", cmd.CommandPath(), strings.TrimSpace(line))
		}
	})
	if flags < 100 {
		t.Errorf("only %d flags in all help; the walk is broken", flags)
	}
}

func TestListCommandsHaveBothNames(t *testing.T) {
	found := 0
	everyCommand(func(cmd *cobra.Command) {
		if cmd.Name() != "ls" && cmd.Name() != "list" {
			return
		}
		found++
		for _, name := range []string{"ls", "list"} {
			if cmd.Name() != name && !cmd.HasAlias(name) {
				t.Errorf("%s is not %s, too", cmd.CommandPath(), name)
			}
		}
	})
	if found != 3 {
		t.Errorf("%d commands that list, want those of dlq, spill and webhook", found)
	}
}

func TestDidYouMean(t *testing.T) {
	for line, want := range map[string]string{
		"dql ls":                           `"dql" for "hookctl". Did you mean dlq? See: hookctl --help`,
		"dql ls --stage prod":              `"dql" for "hookctl". Did you mean dlq? See: hookctl --help`,
		"dlq redirve --stage local":        `"redirve" for "hookctl dlq". Did you mean redrive? See: hookctl dlq --help`,
		"spill relpay":                     `"relpay" for "hookctl spill". Did you mean replay?`,
		"spill redrive":                    `"redrive" for "hookctl spill". Did you mean replay?`,
		"secret rotat":                     `"rotat" for "hookctl secret". Did you mean rotate?`,
		"webhook lst":                      `"lst" for "hookctl webhook". Did you mean list?`,
		"webhook disable --stage local":    `"disable" for "hookctl webhook". Did you mean pause?`,
		"webhook remove":                   `"remove" for "hookctl webhook". Did you mean delete?`,
		"help dlqq":                        `"dlqq" for "hookctl". Did you mean dlq?`,
		"help dlq purgee":                  `"purgee" for "hookctl dlq". Did you mean purge?`,
		"webhook nothing-like-any-of-them": `"nothing-like-any-of-them" for "hookctl webhook". See: hookctl webhook --help`,
	} {
		code, stdout, stderr := hookctl(t, "", strings.Fields(line)...)
		if code != exitUsage || stdout != "" || !strings.Contains(stderr, "unknown command "+want) {
			t.Errorf("hookctl %s: exit code %d, want %q\n%s%s", line, code, want, stdout, stderr)
		}
	}
	for _, line := range []string{"help", "help dlq", "help dlq list"} {
		if code, stdout, stderr := hookctl(t, "", strings.Fields(line)...); code != exitOK || stdout == "" {
			t.Errorf("hookctl %s: exit code %d\n%s", line, code, stderr)
		}
	}
}

// Who reads the help of a command learns that the stage may come from the environment.
func TestHelpNamesTheStageVariable(t *testing.T) {
	if _, help, _ := hookctl(t, "", "--help"); !strings.Contains(help, stageVar) || !strings.Contains(help, "--no-input") {
		t.Errorf("hookctl --help:\n%s", help)
	}
	found := 0
	everyCommand(func(cmd *cobra.Command) {
		flag := cmd.Flags().Lookup("stage")
		if flag == nil || cmd.CommandPath() == "hookctl webhook list" { // there it only marks a line
			return
		}
		found++
		if !strings.Contains(flag.Usage, stageVar) {
			t.Errorf("%s: --stage %s", cmd.CommandPath(), flag.Usage)
		}
	})
	if found < 15 {
		t.Errorf("only %d commands with a stage; the walk is broken", found)
	}
}
