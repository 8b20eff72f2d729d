package stack

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// sections are what whoever is woken finds under an alarm's heading, in this order.
var sections = []string{"Meaning", "Not", "Look first", "Fix", "Afterwards"}

// Every alarm that any stage can have is a heading of the runbook, and every heading
// is such an alarm.
func TestRunbookHasEveryAlarmAndNoOther(t *testing.T) {
	alarms := make(map[string]bool)
	for _, d := range stacks {
		for _, id := range d.template.of(alarmType) {
			alarms[role(d, id)] = true
		}
	}
	data, err := os.ReadFile(filepath.Join(root, "docs", "runbook.md"))
	if err != nil {
		t.Fatal(err)
	}
	chapters := make(map[string]string)
	for _, chapter := range regexp.MustCompile(`(?m)^### `).Split(string(data), -1)[1:] {
		heading, body, _ := strings.Cut(chapter, "\n")
		chapters[heading] = body
	}
	for _, name := range slices.Sorted(maps.Keys(alarms)) {
		if _, ok := chapters[name]; !ok {
			t.Errorf("alarm %s has no heading in docs/runbook.md", name)
		}
	}
	for _, heading := range slices.Sorted(maps.Keys(chapters)) {
		if !alarms[heading] {
			t.Errorf("heading %s of docs/runbook.md is no alarm", heading)
		}
		at := 0
		for _, section := range sections {
			i := strings.Index(chapters[heading][at:], "**"+section+".**")
			if i < 0 {
				t.Errorf("%s does not have its sections %v in order; %s is missing", heading, sections, section)
				break
			}
			at += i
		}
		if !strings.Contains(chapters[heading], "hookctl ") || !strings.Contains(chapters[heading], "```sh\n") {
			t.Errorf("%s has no command to look first, or does not say what hookctl can do", heading)
		}

	}
}
