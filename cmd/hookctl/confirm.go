package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// What changes something asks in one of two ways. What can be undone asks [y/N], at
// protected stages only, and takes --yes: [consent]. What cannot be undone asks for a
// name to be typed, at every stage, and takes the name by a flag: [typedName]. Where
// nobody can be asked, neither goes on.

// asksHelp is the part of the root's help on this.
const asksHelp = `Commands ask before they change what matters. What can be undone asks [y/N] at protected
stages, which are prod and every stage whose stack has termination protection; --yes
answers. What cannot be undone asks you to type a name, at every stage; scripts give the
name by the flag that the question tells. With --no-input, or where standard input is no
terminal, nobody is asked: without the flag the command does nothing and ends with exit
code 2.`

// consent is the flag of a command whose change can be undone.
type consent struct{ yes bool }

func (c *consent) flag(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&c.yes, "yes", false, "do not ask; without it protected stages ask first")
}

// ask asks whether to go on, where the stage is protected.
func (c consent) ask(ctx context.Context, s streams, f found, question string) error {
	if c.yes || !f.protected() {
		return nil
	}
	answer, err := s.ask(ctx, question+"\nGo on? [y/N] ", "--yes")
	if err != nil {
		return err
	}
	if answer = strings.ToLower(answer); answer != "y" && answer != "yes" {
		return usagef("not confirmed, nothing was done. Type y when asked, or give --yes")
	}
	return nil
}

// protected tells whether a change at the stage can hurt somebody: its stack has
// termination protection, or it is prod, from which that can be taken by hand.
func (f found) protected() bool { return f.Protected || f.Stage == prod }

// typedName is the flag of a command whose change cannot be undone: its value is the
// name that somebody at a terminal would type.
type typedName struct{ name, value string }

// flag adds --yes-<verb>.
func (n *typedName) flag(cmd *cobra.Command, verb, help string) {
	n.name = "--yes-" + verb
	cmd.Flags().StringVar(&n.value, "yes-"+verb, "", help)
}

// ask asks for name to be typed, unless the flag has a value. Any other name is refused.
func (n typedName) ask(ctx context.Context, s streams, name, question string) error {
	given := n.value
	if given == "" {
		var err error
		if given, err = s.ask(ctx, fmt.Sprintf("%s\nType %s to go on: ", question, name), n.name+" "+name); err != nil {
			return err
		}
	}
	if given != name {
		return usagef("not confirmed, nothing was done. Type %s when asked, or give %s %s", name, n.name, name)
	}
	return nil
}

// ask shows prompt and returns the line that is typed. Where nobody can be asked it says
// which flag answers.
func (s streams) ask(ctx context.Context, prompt, flag string) (string, error) {
	why := ""
	if _, ok := terminal(s); !ok {
		why = "standard input is no terminal"
	}
	if s.askNobody() {
		why = "--no-input is given"
	}
	if why != "" {
		return "", usagef("nothing was done, because this asks first and %s: give %s to confirm it", why, flag)
	}
	fmt.Fprint(s.err, prompt)
	line, err := readLine(ctx, s)
	if err != nil {
		return "", fmt.Errorf("read the confirmation: %w", err)
	}
	return line, nil
}

// askNobody tells whether --no-input is given.
func (s streams) askNobody() bool { return s.noInput != nil && *s.noInput }
