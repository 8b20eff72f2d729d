package main

import (
	"strings"
	"testing"
)

// A cell of another system's text stays one cell, and says nothing to the terminal.
func TestTableKeepsItsForm(t *testing.T) {
	var out strings.Builder
	table := newTable(&out, "TYPE", "ID")
	table.row("message.created\nFORGED  line", "a\tb")
	table.row("\x1b[2J\x1b]0;title\a", "")
	table.row(strings.Repeat("ü", 2001), "x")
	if err := table.end(); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != 4 || strings.ContainsAny(out.String(), "\t\x1b\a") {
		t.Fatalf("%d lines:\n%q", len(lines), out.String())
	}
	if got := strings.TrimRight(lines[3], " "); got != strings.Repeat("ü", 2000)+"…  x" {
		t.Errorf("a long text is shown as %d bytes: …%s", len(got), got[len(got)-20:])
	}
	if !strings.HasSuffix(lines[2], "-") || !strings.HasSuffix(lines[1], "a b") {
		t.Errorf("%q", lines)
	}
}
