package review

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "accepted.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAcceptances(t *testing.T) {
	list, err := ReadAcceptances(write(t, `[
		{"code": "retention", "stack": "*", "resource": "Queue", "reason": "agreed with the CRM", "until": "2026-12-31"},
		{"code": "retention", "stack": "dev", "resource": "Logs", "path": "Properties.RetentionInDays", "reason": "dev only", "until": "2026-12-31"},
		{"code": "tls", "stack": "dev", "resource": "Api", "reason": "an old client", "until": "2026-11-01"},
		{"code": "status", "stack": "dev", "resource": "Gone", "reason": "x", "until": "2026-12-31"}]`))
	if err != nil {
		t.Fatal(err)
	}
	found := []Finding{
		{Class: Loosened, Code: "retention", Stack: "prod", Resource: "Queue"},
		{Class: Loosened, Code: "retention", Stack: "dev", Resource: "Logs", Path: "Properties.RetentionInDays"},
		{Class: Loosened, Code: "retention", Stack: "prod", Resource: "Logs", Path: "Properties.RetentionInDays"}, // not that stack
		{Class: Loosened, Code: "retention", Stack: "dev", Resource: "Logs", Path: "Properties.Name"},             // not that path
		{Class: Loosened, Code: "tls", Stack: "dev", Resource: "Api"},                                             // expired
		{Class: Changed, Code: "text", Stack: "dev"},
	}
	at := func(day string) time.Time {
		d, err := time.Parse(time.DateOnly, day)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	notes := Accept(found, list, at("2026-12-31"))
	for i, want := range []string{"agreed with the CRM", "dev only", "", "", "", ""} {
		if found[i].Accepted != want {
			t.Errorf("finding %d is accepted: %q, want %q", i, found[i].Accepted, want)
		}
	}
	if len(notes) != 2 || !strings.Contains(notes[0], "tls (dev Api) has expired on 2026-11-01") || !strings.Contains(notes[1], "status (dev Gone) is about: remove it") {
		t.Errorf("notes %q", notes)
	}
	if Worst(found) != Loosened || Worst(found[:2]) != Nothing || Worst(found[5:]) != Changed {
		t.Error("the verdict does not follow what is accepted")
	}
	for text, says := range map[string]string{
		`[{"code": "x", "stack": "*", "reason": "y"}]`:                                       "number 1: code, stack, reason and until",
		`[{"code": "x", "stack": "*", "reason": "y", "until": "soon"}]`:                      "number 1",
		`[{"code": "x", "stack": "*", "until": "2026-12-31"}]`:                               "number 1",
		`[{"code": "x", "reason": "y", "until": "2026-12-31"}]`:                              "number 1",
		`[{"stack": "*", "reason": "y", "until": "2026-12-31"}]`:                             "number 1",
		`[{"code": "x", "stack": "*", "reason": "y", "until": "2026-12-31", "reaosn": "y"}]`: "unknown field",
		`{`: "unexpected EOF",
	} {
		if _, err := ReadAcceptances(write(t, text)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", text, err, says)
		}
	}
	if list, err := ReadAcceptances(filepath.Join(t.TempDir(), "none")); list != nil || err != nil {
		t.Errorf("no file: %v, %v", list, err)
	}
	if list, err := ReadAcceptances(t.TempDir()); err == nil {
		t.Errorf("a folder: %v", list)
	}
}

func TestReports(t *testing.T) {
	r := Report{Verdict: Widened, Notes: []string{"a note"}, Findings: []Finding{
		{Class: Widened, Code: "allow-added", Stack: "prod", Resource: "Policy", Type: "AWS::IAM::ManagedPolicy", Says: "* may s3:* | on <all> @team"},
		{Class: Widened, Code: "allow-added", Stack: "staging", Resource: "Policy", Type: "AWS::IAM::ManagedPolicy", Says: "* may s3:* | on <all> @team"},
		{Class: Loosened, Code: "retention", Stack: "prod", Resource: "Queue", Says: "shorter", Accepted: "agreed"},
		{Class: Nothing, Code: "metadata", Stack: "prod", Resource: "Queue", Says: "a note"},
	}}
	var text, markdown, data bytes.Buffer
	r.Text(&text)
	r.Markdown(&markdown)
	if err := r.JSON(&data); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(text.String(), "WIDENED. Somebody may do more: read each.\n2 widened, 1 loosened (1 accepted)\n") ||
		!strings.Contains(text.String(), "widened [allow-added] prod, staging Policy (AWS::IAM::ManagedPolicy)\n") || !strings.Contains(text.String(), "accepted: agreed") ||
		!strings.Contains(text.String(), "note: a note") || strings.Contains(text.String(), "metadata") {
		t.Errorf("%s", &text)
	}
	if !strings.HasPrefix(markdown.String(), "### Templates: widened\n") || !strings.Contains(markdown.String(), `| **widened** | \* may s3:\* \| on &lt;all&gt; &#64;team | prod, staging Policy | `+"`allow-added` |") {
		t.Errorf("%s", &markdown)
	}
	var decoded struct {
		Verdict  string
		Findings []map[string]any
	}
	if err := json.Unmarshal(data.Bytes(), &decoded); err != nil || decoded.Verdict != "widened" || len(decoded.Findings) != 4 || decoded.Findings[2]["class"] != "loosened" {
		t.Errorf("%v: %s", err, &data)
	}
	if !strings.Contains(data.String(), "\n  \"findings\": [\n    {\n      \"class\": \"widened\",\n") || !strings.Contains(data.String(), "on <all> @team") {
		t.Errorf("nobody can read %s", &data)
	}
	// A backslash does not take the one of a cell's border away.
	if got := cell(`a\|b`); got != `a\\\|b` {
		t.Errorf("%s", got)
	}
	// A comment that nobody reads to its end is no comment.
	for i := range 100 {
		if i == 29 { // and two above, of which two stacks have one
			markdown.Reset()
			r.Markdown(&markdown)
			if !strings.Contains(markdown.String(), "\nNot shown: 1 more, in") {
				t.Errorf("31 findings: %s", &markdown)
			}
		}
		r.Findings = append(r.Findings, Finding{Class: Changed, Code: "text", Stack: "prod", Resource: fmt.Sprint("R", i), Says: "x"})
	}
	markdown.Reset()
	r.Markdown(&markdown)
	if lines := strings.Count(markdown.String(), "\n| **"); lines != 30 || !strings.Contains(markdown.String(), "Not shown: 72 more, in") {
		t.Errorf("%d lines\n%s", lines, &markdown)
	}
}

// All that is printed of a few findings, of one, and of none.
func TestReportsInFull(t *testing.T) {
	r := Report{Verdict: Loosened, Notes: []string{"a note"}, Findings: []Finding{
		{Class: Loosened, Code: "retention", Stack: "prod", Resource: "Queue", Type: "AWS::SQS::Queue", Says: "shorter", Accepted: "agreed"},
		{Class: Loosened, Code: "retention", Stack: "prod", Resource: "Logs", Says: "shorter"},
	}}
	one, none := Report{Verdict: Changed, Findings: []Finding{{Class: Changed, Code: "tags", Stack: "prod", Says: "tags"}}}, Report{}
	const table = "| | what | where | code |\n| --- | --- | --- | --- |\n"
	for _, c := range []struct {
		of             Report
		text, markdown string
	}{
		{
			r, "LOOSENED. A protection does less: read each.\n2 loosened (1 accepted)\n\nloosened [retention] prod Queue (AWS::SQS::Queue)\n    shorter\n    accepted: agreed\n\nloosened [retention] prod Logs\n    shorter\n\nnote: a note\n",
			"### Templates: loosened\n\nA protection does less: read each.\n\n2 loosened (1 accepted)\n\n" + table + "| **loosened** | shorter *(accepted: agreed)* | prod Queue | `retention` |\n| **loosened** | shorter | prod Logs | `retention` |\n\n> a note\n",
		},
		{
			one, "CHANGED. Behaviour changes. No protection does less, and nobody may do more.\n1 changed\n\nchanged [tags] prod\n    tags\n",
			"### Templates: changed\n\nBehaviour changes. No protection does less, and nobody may do more.\n\n1 changed\n\n" + table + "| **changed** | tags | prod | `tags` |\n",
		},
		{none, "NOTHING. Nothing that AWS would do.\n", "### Templates: nothing\n\nNothing that AWS would do.\n\n"},
	} {
		var text, markdown strings.Builder
		c.of.Text(&text)
		c.of.Markdown(&markdown)
		if text.String() != c.text {
			t.Errorf("%s: %q\nwant %q", c.of.Verdict, &text, c.text)
		}
		if markdown.String() != c.markdown {
			t.Errorf("%s: %q\nwant %q", c.of.Verdict, &markdown, c.markdown)
		}
	}
}

func TestClassOf(t *testing.T) {
	for want, name := range []string{"nothing", "code only", "changed", "loosened", "widened", "replaced"} {
		if class, err := ClassOf(name); err != nil || class != Class(want) || class.String() != name {
			t.Errorf("%s: %v, %v", name, class, err)
		}
	}
	if class, err := ClassOf("bad"); err == nil || class != Nothing {
		t.Errorf("bad: %v, %v", class, err)
	}
}
