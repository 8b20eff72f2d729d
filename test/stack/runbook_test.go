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
var sections = []string{"Meaning", "What it does not tell you", "Look first", "Fix", "Afterwards"}

// Every alarm that any stage can have is a heading of the runbook, and every heading
// is such an alarm.
func TestRunbookHasEveryAlarmAndNoOther(t *testing.T) {
	alarms := make(map[string]bool)
	for _, d := range stacks {
		for _, id := range d.template.of(alarmType) {
			alarms[role(d, id)] = true
		}
	}
	chapters := make(map[string]string)
	for _, chapter := range regexp.MustCompile(`(?m)^### `).Split(runbook(t), -1)[1:] {
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

// subcommands of the AWS CLI that are no action of the service's API, and the action
// that IAM is asked for.
var subcommands = map[string]string{
	"logs tail": "logs:FilterLogEvents", // https://docs.aws.amazon.com/cli/latest/reference/logs/tail.html
	"s3 cp":     "s3:GetObject",         // from the bucket: https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
	"s3 rm":     "s3:DeleteObject",
}

// Whoever is woken must not learn from a refusal that a command of the runbook is not
// theirs: its chapter on rights names the actions of all of them, and no others.
func TestRunbookNamesTheRightsOfItsCommands(t *testing.T) {
	text := runbook(t)
	_, after, found := strings.Cut(text, "\n## Rights\n")
	if !found {
		t.Fatal("docs/runbook.md has no chapter on rights")
	}
	chapter, _, _ := strings.Cut(after, "\n## ")
	named := make(map[string]bool)
	for _, m := range regexp.MustCompile("`([a-z0-9]+:[A-Za-z]+)`").FindAllStringSubmatch(chapter, -1) {
		named[m[1]] = true
	}
	called := make(map[string]bool)
	for _, m := range regexp.MustCompile(`\baws ([a-z0-9]+) ([a-z][a-z-]+)`).FindAllStringSubmatch(text, -1) {
		action, ok := subcommands[m[1]+" "+m[2]]
		if !ok {
			action = m[1] + ":"
			for word := range strings.SplitSeq(m[2], "-") {
				action += strings.ToUpper(word[:1]) + word[1:]
			}
		}
		called[action] = true
		if !named[action] {
			t.Errorf("the chapter on rights does not name %s, which aws %s %s takes", action, m[1], m[2])
		}
	}
	for action := range named {
		if !called[action] {
			t.Errorf("the chapter on rights names %s, which no command takes", action)
		}
	}
}

func runbook(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, "docs", "runbook.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
