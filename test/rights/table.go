package rights

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Row is what one program needs.
type Row struct {
	Policies []string // by their roles in the stack: "OperatorPolicy"
	Actions  []string // that no policy of the stack allows: "sqs:PurgeQueue"
}

// Table is what each program needs, by its command: "hookctl dlq ls".
type Table map[string]Row

var (
	program = regexp.MustCompile("`((?:hookctl|hookworker)[a-z -]*)`")
	policy  = regexp.MustCompile("`([A-Za-z]+Policy)`")
	action  = regexp.MustCompile("`([a-z0-9]+:[A-Za-z]+)`")
)

// ReadTable reads the table that people read, in docs/least-privilege.md: what the tests
// run is what it says.
func ReadTable(root string) (Table, error) {
	page := filepath.Join(root, "docs", "least-privilege.md")
	text, err := os.ReadFile(page)
	if err != nil {
		return nil, err
	}
	table := Table{}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) != 4 { // two columns
			continue
		}
		var row Row
		for _, found := range policy.FindAllStringSubmatch(cells[2], -1) {
			row.Policies = append(row.Policies, found[1])
		}
		for _, found := range action.FindAllStringSubmatch(cells[2], -1) {
			row.Actions = append(row.Actions, found[1])
		}
		for _, found := range program.FindAllStringSubmatch(cells[1], -1) {
			table[found[1]] = row
		}
	}
	if len(table) == 0 {
		return nil, fmt.Errorf("%s: no table says what each program needs", page)
	}
	return table, nil
}

// For returns the longest command that a command line begins with, and what it needs; ""
// and nothing where there is none, as for help.
func (t Table) For(line string) (command string, row Row) {
	words := strings.Fields(line)
	for n := len(words); n > 0; n-- {
		command = strings.Join(words[:n], " ")
		if row, ok := t[command]; ok {
			return command, row
		}
	}
	return "", Row{}
}
