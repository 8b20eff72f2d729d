package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode"
)

// table prints rows whose columns stand below each other. Types, ids and addresses come
// from other systems, so that no cell can break the table, or speak to the terminal.
type table struct{ w *tabwriter.Writer }

func newTable(out io.Writer, heads ...string) table {
	t := table{tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)}
	if len(heads) > 0 {
		t.row(heads...)
	}
	return t
}

func (t table) row(cells ...string) {
	for i, c := range cells {
		cells[i] = dash(printable(c))
	}
	fmt.Fprintln(t.w, strings.Join(cells, "\t"))
}

// end prints what was written.
func (t table) end() error {
	if err := t.w.Flush(); err != nil {
		return fmt.Errorf("print the table: %w", err)
	}
	return nil
}

// longest is the most characters of foreign text that are shown: all 50 trigger types of
// a webhook in one cell are 1,000.
const longest = 2000

// printable is foreign text as one line: what does not print is a blank, what is longer
// than [longest] is cut.
func printable(text string) string {
	clean := []rune(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text))
	if len(clean) > longest {
		return string(clean[:longest]) + "…"
	}
	return string(clean)
}

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
