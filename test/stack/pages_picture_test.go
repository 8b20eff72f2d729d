package stack

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// This file draws what whoever is woken looks at: the dashboard and an alarm's mail, from
// prod's template. They are no screenshots: there is no data, and the frame is ours.

// The picture of the dashboard: pixels of CloudWatch's units.
const (
	unitWidth, unitHeight = 46, 18 // 24 units fit into a page of GitHub
	margin                = 16
)

// widget is one of the dashboard's.
type widget struct {
	Type                string
	X, Y, Width, Height int
	Properties          struct {
		Title, Markdown string
		Alarms          []string
		Metrics         [][]any
	}
}

// dashboardOf reads the dashboard's body.
func dashboardOf(t template) ([]widget, error) {
	var body struct{ Widgets []widget }
	ids := t.of("AWS::CloudWatch::Dashboard")
	if len(ids) != 1 {
		return nil, fmt.Errorf("%d dashboards", len(ids))
	}
	if err := json.Unmarshal([]byte(literal(t.Resources[ids[0]].Properties["DashboardBody"])), &body); err != nil {
		return nil, fmt.Errorf("decode the dashboard's body: %w", err)
	}
	return body.Widgets, nil
}

// label of a metric of a widget: its name, without SQS's "Approximate", and the percentile
// where it is one.
func label(metric []any) string {
	if len(metric) < 2 {
		return ""
	}
	name := strings.TrimPrefix(fmt.Sprint(metric[1]), "Approximate")
	if options, ok := metric[len(metric)-1].(map[string]any); ok {
		if stat := fmt.Sprint(options["stat"]); strings.HasPrefix(stat, "p") {
			return name + " " + stat
		}
	}
	return name
}

// fit breaks words into lines of at most so many characters, at most so many lines.
func fit(words []string, separator string, width, most int) (lines []string) {
	line := ""
	for i, word := range words {
		if i < len(words)-1 {
			word += separator
		}
		if line != "" && len(line)+len(word) > width {
			lines = append(lines, strings.TrimSpace(line))
			line = ""
		}
		line += word
	}
	if lines = append(lines, strings.TrimSpace(line)); len(lines) > most {
		lines = append(lines[:most-1], fmt.Sprintf("and %d lines more", len(lines)-most+1))
	}
	return lines
}

func drawDashboard(t template) (string, error) {
	widgets, err := dashboardOf(t)
	if err != nil {
		return "", err
	}
	bottom := 0
	for _, w := range widgets {
		bottom = max(bottom, w.Y+w.Height)
	}
	extra := 2 * unitHeight // the lists of alarms are longer here than in CloudWatch, where they are small squares
	s := newSVG(24*unitWidth+2*margin, bottom*unitHeight+extra+2*margin, "The dashboard of the stage prod", "Drawn from the CloudFormation template, without data: each graph with its title and its metrics.")
	for _, w := range widgets {
		x, y, width, height := margin+w.X*unitWidth, margin+w.Y*unitHeight, w.Width*unitWidth, w.Height*unitHeight
		if w.Y == 0 {
			height += extra
		} else {
			y += extra
		}
		var lines []string
		switch w.Type {
		case "text":
			s.text("title", "start", x+8, y+14, strings.TrimPrefix(w.Properties.Markdown, "## "))
			continue
		case "alarm":
			var names []string
			for _, arn := range w.Properties.Alarms { // "<FaultedAlarm263A93A8>"
				names = append(names, strings.TrimSuffix(roleOf(strings.Trim(arn, "<>")), "Alarm"))
			}
			lines = fit(names, ", ", 84, 5)
		case "metric":
			var names []string
			for _, m := range w.Properties.Metrics {
				names = append(names, label(m))
			}
			lines = fit(names, ", ", 38, 5)
		default:
			return "", fmt.Errorf("a widget of type %q has no form in the picture", w.Type)
		}
		s.rect("box", x+3, y+3, width-6, height-6)
		for i, title := range fit(strings.SplitAfter(w.Properties.Title, " "), "", 30, 3) {
			y += 17 * min(i, 1)
			s.text("title", "start", x+14, y+24, title)
		}
		for i, line := range lines {
			s.text("small", "start", x+14, y+44+i*17, line)
		}
	}
	return s.done(), nil
}

func TestDashboardPicture(t *testing.T) {
	picture, err := drawDashboard(stacks["prod"].template)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range stacks["prod"].template.of("AWS::CloudWatch::Alarm") {
		if name := strings.TrimSuffix(roleOf(id), "Alarm"); !strings.Contains(picture, name) {
			t.Errorf("alarm %s is not on the dashboard, or not in its picture", name)
		}
	}
	keepFile(t, "pictures/dashboard.svg", picture)
}

// drawMail draws the mail of an alarm: CloudWatch's subject and first sentence, and
// the description, which the template has.
func drawMail(t template, role string) (string, error) {
	id := t.id("AWS::CloudWatch::Alarm", role+"Alarm")
	if id == "" {
		return "", fmt.Errorf("there is no alarm %s", role)
	}
	p := t.Resources[id].Properties
	// What CloudFormation puts in for references.
	names := strings.NewReplacer("<"+t.id("AWS::Logs::LogGroup", "ReceiverLogs")+">", "NylasWebhooks-prod-ReceiverLogs-…")
	description := strings.Split(names.Replace(literal(p["AlarmDescription"])), "\n")
	if strings.Contains(strings.Join(description, ""), "<") {
		return "", fmt.Errorf("alarm %s: no name for a reference in %q", role, description)
	}
	lines := []string{
		fmt.Sprintf(`Your Amazon CloudWatch Alarm "%v" has entered the ALARM state,`, p["AlarmName"]),
		fmt.Sprintf("because %v datapoint of %v was greater than the threshold (%v).", p["DatapointsToAlarm"], p["MetricName"], p["Threshold"]), "",
	}
	for _, line := range description {
		lines = append(lines, fit(strings.SplitAfter(line, " "), "", 96, 4)...)
	}
	s := newSVG(760, 74+20*len(lines), "The mail of an alarm", "Drawn from the CloudFormation template: what the alarm "+role+" says.")
	s.text("title", "start", 20, 32, fmt.Sprintf(`ALARM: "%v" in US East (N. Virginia)`, p["AlarmName"]))
	s.text("small", "end", 740, 32, "AWS Notifications")
	s.rect("paper", 20, 46, 720, 1)
	for i, line := range lines {
		class := "mono"
		if i < 2 {
			class = "small"
		}
		s.text(class, "start", 20, 72+20*i, line)
	}
	return s.done(), nil
}

func TestMailPicture(t *testing.T) {
	picture, err := drawMail(stacks["prod"].template, "SendFailed")
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"[page]", "Not:", "First:", "Runbook:"} { // what the runbook shows it for
		if !strings.Contains(picture, part) {
			t.Errorf("the mail has no %s", part)
		}
	}
	keepFile(t, "pictures/alarm.svg", picture)
}
