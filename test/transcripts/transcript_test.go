package transcripts

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// command is one command of a transcript and what the page shows for it.
type command struct {
	line   int // in the file, from 1
	setups []string
	text   string
	output []string
	exit   int
	// from and to are where the output is, as a slice of the file's lines.
	from, to int
}

var (
	setup = regexp.MustCompile(`^<!-- setup: (.+) -->$`)
	exit  = regexp.MustCompile(`^\[exit code (\d+)\]$`)
)

// parse returns the commands of all console blocks of a page.
func parse(page string) ([]command, error) {
	var all []command
	var setups []string
	inside := false
	for i, line := range strings.Split(page, "\n") {
		switch {
		case !inside && line == "```console":
			inside = true
		case !inside:
			if m := setup.FindStringSubmatch(line); m != nil {
				setups = append(setups, m[1])
			}
		case line == "```":
			inside = false
		case strings.HasPrefix(line, "$ "):
			all = append(all, command{line: i + 1, setups: setups, text: line[2:], from: i + 1, to: i + 1})
			setups = nil
		case len(all) == 0 || strings.HasPrefix(line, "$"):
			return nil, fmt.Errorf("line %d: a console block begins with a command, as in: $ hookctl", i+1)
		default:
			last := &all[len(all)-1]
			last.to = i + 1
			if m := exit.FindStringSubmatch(line); m != nil {
				last.exit, _ = strconv.Atoi(m[1]) // digits
				continue
			}
			if strings.HasSuffix(last.text, "\\") && len(last.output) == 0 {
				last.text = strings.TrimSuffix(last.text, "\\") + strings.TrimSpace(line)
				last.from = i + 1
				continue
			}
			last.output = append(last.output, line)
		}
	}
	if len(setups) > 0 {
		return nil, fmt.Errorf("setup %q has no command after it", setups[0])
	}
	return all, nil
}

// scrubs are what differs from run to run, by how it looks, and the word it is
// compared as. The first that fits counts.
var scrubs = []struct {
	looks *regexp.Regexp
	word  string
}{
	{regexp.MustCompile(`\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`), "<time>"},
	{regexp.MustCompile(`\b\d\d-\d\d \d\d:\d\d\b`), "<minute>"},
	{regexp.MustCompile(`\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b`), "<uuid>"},
	{regexp.MustCompile(`\b[0-9a-f]{64}\b`), "<signature>"},
	{regexp.MustCompile(`\b[A-Z0-9]{12}\b|\b[A-Za-z0-9]{26}\b`), "<id>"},
	{regexp.MustCompile(`[0-9A-F]{8}-[0-9A-F]{13}\b`), "<hash>"}, // of generated names
	{regexp.MustCompile(`\b(localhost|127\.0\.0\.1):\d+`), "<host>"},
	{regexp.MustCompile(`/restapis/[0-9a-f]+/`), "/restapis/<api>/"},
	{regexp.MustCompile(`\b(ReceiverLogs|AccessLogs)[0-9A-F]{8}\b`), "$1<hash>"},
	{regexp.MustCompile(`\b\d+ ms\b|("[a-z_]*(milliseconds|seconds|p50|p99|max)": )[\d.]+`), "$1<number>"},
	{regexp.MustCompile(`\b(\d+[dhms])+\b`), "<age>"},
	{regexp.MustCompile(`\b(1[789]\d{8})\b`), "<seconds>"}, // since 1970
}

// scrub writes a line as it is compared: without what differs from run to run, and
// with single blanks, as the columns of a table move with what is in them.
func scrub(line string) string {
	for _, s := range scrubs {
		line = s.looks.ReplaceAllString(line, s.word)
	}
	return strings.Join(strings.Fields(line), " ")
}

// fits tells whether got is what the page shows. In a shown line … is any text; a line
// that is … alone is any number of lines.
func fits(shown, got []string) bool {
	if len(shown) == 0 {
		return len(got) == 0
	}
	if shown[0] == "…" {
		return fits(shown[1:], got) || len(got) > 0 && fits(shown, got[1:])
	}
	return len(got) > 0 && fitsLine(scrub(shown[0]), scrub(got[0])) && fits(shown[1:], got[1:])
}

func fitsLine(shown, got string) bool {
	parts := strings.Split(shown, "…")
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	return regexp.MustCompile("^" + strings.Join(parts, ".*") + "$").MatchString(got)
}

// update returns the page with other outputs, by the place of the command among the
// page's.
func update(page string, commands []command, outputs map[int][]string) string {
	all := strings.Split(page, "\n")
	for i := len(commands) - 1; i >= 0; i-- { // from the end, so that the lines before keep their places
		if output, ok := outputs[i]; ok {
			c := commands[i]
			all = slices.Concat(all[:c.from], output, all[c.to:])
		}
	}
	return strings.Join(all, "\n")
}

// lines splits output as a terminal shows it.
func lines(output string) []string {
	output = strings.TrimRight(output, "\n")
	if output == "" {
		return nil
	}
	return strings.Split(output, "\n")
}
