// Package canary makes texts that stand for people's mail and for secrets, and finds
// them, and what the samples hold, where they must not be. Whatever a test sends or
// stores holds them; afterwards no log, metric, template, output, error or report may.
package canary

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"regexp"
	"slices"
	"strings"
)

// mark is in every canary. No word and no identifier holds it.
const mark = "zqcanary"

var (
	plain = regexp.MustCompile(`(?i)` + mark + `([a-z]*)`)
	// signature is an HMAC-SHA256 in hex. Nothing that is logged has another reason to
	// look like one.
	signature = regexp.MustCompile(`[0-9A-Fa-f]{64}`)
	// other forms of the mark that a program may write it in by mistake.
	encoded = append(base64Forms(), []byte(hex.EncodeToString([]byte(mark))))
)

// New returns a canary of a kind, such as "subject": lower-case letters and digits, no
// two the same.
func New(kind string) string { return mark + kind + "0" + strings.ToLower(rand.Text()) }

// Find returns the kinds of what text holds and must not, "signature", "sample" and
// "encoded" among them; nil if there is nothing. It never returns what it found.
func Find(text []byte) []string {
	kinds := FindMail(text)
	if signature.Match(text) {
		kinds = append(kinds, "signature")
	}
	slices.Sort(kinds)
	return kinds
}

// FindMail is Find for texts that hold checksums, which look like signatures.
func FindMail(text []byte) []string {
	var kinds []string
	for _, match := range plain.FindAllSubmatch(text, -1) {
		kinds = append(kinds, string(match[1]))
	}
	holds := func(form []byte) bool { return bytes.Contains(text, form) }
	if slices.ContainsFunc(encoded, holds) {
		kinds = append(kinds, "encoded")
	}
	if slices.ContainsFunc(sampled(), holds) {
		kinds = append(kinds, "sample")
	}
	slices.Sort(kinds)
	return slices.Compact(kinds)
}

// base64Forms are the letters that the mark always has in base64, at each of the three
// places where it can begin within a group of three bytes.
func base64Forms() [][]byte {
	var forms [][]byte
	for before := range 3 {
		text := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("x", before) + mark))
		first, last := (before*8+5)/6, (before+len(mark))*8/6 // letters that hold bits of nothing else
		forms = append(forms, []byte(text[first:last]))
	}
	return forms
}
