package review

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// mostShown keeps a comment on a pull request readable; the whole is in the JSON.
const mostShown = 30

// Report is what is printed.
type Report struct {
	Verdict  Class     `json:"verdict"`
	Findings []Finding `json:"findings"`
	Notes    []string  `json:"notes,omitempty"`
}

// headline says what the verdict asks of the reader.
var headline = map[Class]string{
	Nothing:  "Nothing that AWS would do.",
	CodeOnly: "The function's program changes, and nothing else.",
	Changed:  "Behaviour changes. No protection does less, and nobody may do more.",
	Loosened: "A protection does less: read each.",
	Widened:  "Somebody may do more: read each.",
	Replaced: "Something is made anew or removed: read what becomes of what it held.",
}

func (r Report) JSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(r)
}

// counts lists how many findings each class has, the gravest first.
func (r Report) counts() string {
	var parts []string
	for c := Replaced; c > Nothing; c-- {
		n, accepted := 0, 0
		for _, f := range r.Findings {
			if f.Class == c {
				n++
				if f.Accepted != "" {
					accepted++
				}
			}
		}
		switch {
		case n == 0:
		case accepted > 0:
			parts = append(parts, fmt.Sprintf("%d %s (%d accepted)", n, c, accepted))
		default:
			parts = append(parts, fmt.Sprintf("%d %s", n, c))
		}
	}
	return strings.Join(parts, ", ")
}

func (f Finding) where() string {
	where := f.Stack
	if f.Resource != "" {
		where += " " + f.Resource
	}
	return where
}

// grouped puts the same sentence about several stacks together, as a change of the code makes it.
func (r Report) grouped() []Finding {
	var all []Finding
	at := map[string]int{}
	for _, f := range r.Findings {
		if f.Class == Nothing {
			continue
		}
		key := fmt.Sprint(f.Class, f.Code, f.Resource, f.Path, f.Says, f.Accepted)
		if i, seen := at[key]; seen {
			all[i].Stack += ", " + f.Stack
			continue
		}
		at[key] = len(all)
		all = append(all, f)
	}
	return all
}

func (r Report) Text(w io.Writer) {
	fmt.Fprintf(w, "%s. %s\n", strings.ToUpper(r.Verdict.String()), headline[r.Verdict])
	if counts := r.counts(); counts != "" {
		fmt.Fprintln(w, counts)
	}
	for _, f := range r.grouped() {
		fmt.Fprintf(w, "\n%s [%s] %s", f.Class, f.Code, f.where())
		if f.Type != "" {
			fmt.Fprintf(w, " (%s)", f.Type)
		}
		fmt.Fprintf(w, "\n    %s\n", f.Says)
		if f.Accepted != "" {
			fmt.Fprintf(w, "    accepted: %s\n", f.Accepted)
		}
	}
	for _, note := range r.Notes {
		fmt.Fprintf(w, "\nnote: %s\n", note)
	}
}

func (r Report) Markdown(w io.Writer) {
	fmt.Fprintf(w, "### Templates: %s\n\n%s\n\n", r.Verdict, headline[r.Verdict])
	if counts := r.counts(); counts != "" {
		fmt.Fprintf(w, "%s\n\n", counts)
	}
	shown := r.grouped()
	more := max(0, len(shown)-mostShown)
	shown = shown[:len(shown)-more]
	if len(shown) > 0 {
		fmt.Fprint(w, "| | what | where | code |\n| --- | --- | --- | --- |\n")
	}
	for _, f := range shown {
		says := cell(f.Says)
		if f.Accepted != "" {
			says += " *(accepted: " + cell(f.Accepted) + ")*"
		}
		fmt.Fprintf(w, "| **%s** | %s | %s | `%s` |\n", f.Class, says, cell(f.where()), f.Code)
	}
	if more > 0 {
		fmt.Fprintf(w, "\nNot shown: %d more, in the artifact's verdict.json.\n", more)
	}
	for _, note := range r.Notes {
		fmt.Fprintf(w, "\n> %s\n", cell(note))
	}
}

// cell keeps a text within a cell, and from being read as Markdown or HTML.
func cell(s string) string {
	return strings.NewReplacer("\\", "\\\\", "|", "\\|", "<", "&lt;", ">", "&gt;", "\n", " ", "*", "\\*", "`", "'", "[", "\\[", "@", "&#64;").Replace(s)
}
