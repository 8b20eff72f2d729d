package review

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// Acceptance says that a finding may be, why, and until when. It is in the repository, so that it is
// reviewed itself.
type Acceptance struct {
	Code     string `json:"code"`
	Stack    string `json:"stack"`    // "*": each
	Resource string `json:"resource"` // logical id; empty for what is not a resource's
	Path     string `json:"path"`     // empty: each
	Reason   string `json:"reason"`
	Until    string `json:"until"` // 2026-12-31

	used bool
}

// ReadAcceptances reads the list; none where there is no file.
func ReadAcceptances(path string) ([]*Acceptance, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []*Acceptance
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&all); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for i, a := range all {
		if _, err := time.Parse(time.DateOnly, a.Until); a.Code == "" || a.Stack == "" || a.Reason == "" || err != nil {
			return nil, fmt.Errorf("%s, number %d: code, stack, reason and until (as 2026-12-31) are needed", path, i+1)
		}
	}
	return all, nil
}

// Accept marks what is accepted today, and returns what is to say about the list itself.
func Accept(found []Finding, list []*Acceptance, today time.Time) (notes []string) {
	day := today.UTC().Format(time.DateOnly)
	for i := range found {
		for _, a := range list {
			if a.Code != found[i].Code || a.Resource != found[i].Resource || a.Stack != "*" && a.Stack != found[i].Stack || a.Path != "" && a.Path != found[i].Path {
				continue
			}
			a.used = true
			if day <= a.Until {
				found[i].Accepted = a.Reason
			}
		}
	}
	for _, a := range list {
		switch {
		case day > a.Until:
			notes = append(notes, fmt.Sprintf("the Acceptance of %s (%s %s) has expired on %s", a.Code, a.Stack, a.Resource, a.Until))
		case !a.used:
			notes = append(notes, fmt.Sprintf("nothing is found that the Acceptance of %s (%s %s) is about: remove it", a.Code, a.Stack, a.Resource))
		}
	}
	return notes
}

// Worst is the verdict: the highest class of what is not accepted.
func Worst(found []Finding) Class {
	highest := Nothing
	for _, f := range found {
		if f.Accepted == "" {
			highest = max(highest, f.Class)
		}
	}
	return highest
}
