package notification

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// equivalent mutant: Fits: 6*size+attributeJSON*len(w.Attributes) <= MaxRequestBytes -> 6*size+attributeJSON*len(w.Attributes) < MaxRequestBytes
// equivalent mutant: Fits: 6*size+attributeJSON*len(w.Attributes) -> 6*size-attributeJSON*len(w.Attributes)
// equivalent mutant: Fits: 6 -> 12
// It only saves the exact count, which says the same. A name and a data type grow by less
// than the attribute's JSON has, so the second cannot take one for smaller than it is.
//
// equivalent mutant: acceptable: len(text)-i >= 8 -> len(text)-i > 8
// equivalent mutant: acceptable: 8 -> 16
// equivalent mutant: acceptable: 0 -> 1
// equivalent mutant: acceptable: (x|(x-' '*each))&high -> (x|(x-' '*each))|high
// equivalent mutant: jsonSize: len(rest) >= 8 -> len(rest) > 8
// equivalent mutant: jsonSize: 8 -> 16
// equivalent mutant: jsonSize: copy(next[:], rest[:8]) -> (nothing)
// equivalent mutant: jsonSize: 0 -> 1
// equivalent mutant: jsonSize: 0xe0*each -> 0xe0/each
// equivalent mutant: zeros: 0x7f*each -> 0x7f/each
// Slower, not wrong: with each of them more is looked at byte by byte.

// one looks at one byte after the other.
func one(text string) (accepted bool, size int) {
	accepted = text != "" && utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool {
		return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF
	})
	for _, c := range []byte(text) {
		switch {
		case c == '"' || c == '\\' || c == '\n' || c == '\r' || c == '\t':
			size += 2
		case c < ' ':
			size += 6
		default:
			size++
		}
	}
	return accepted, size + 3*(strings.Count(text, "\u2028")+strings.Count(text, "\u2029"))
}

// Every byte and every character at a border, at every place in the eight bytes, beside
// others of which the same is asked.
func TestEightBytesAtOnceAreEightBytes(t *testing.T) {
	characters := []string{"\u2028", "\u2029", "\u2027", "\u202a", "\xe2\x80", "\xe2", "ü", "☕", "\ufffd", "\ufffe", "\uffff", "\ue000", "\ud7ff", "𝄞", "\U0010ffff", "\xed\xa0\x80"}
	for c := range 256 {
		characters = append(characters, string([]byte{byte(c)}))
	}
	for _, character := range characters {
		for _, beside := range []string{"a", "~", " ", "!", "\x7f", `"`, `\`, "\n", "\x00", "\x1f", "ü"} {
			for before := range 17 {
				for _, after := range []int{0, 1, 7, 8, 9} {
					text := strings.Repeat(beside, before) + character + strings.Repeat(beside, after)
					accepted, size := one(text)
					if got := acceptable([]byte(text)); got != accepted {
						t.Fatalf("acceptable(%q) = %v", text, got)
					}
					if got := jsonSize(text); got != size {
						t.Fatalf("jsonSize(%q) = %d, want %d", text, got, size)
					}
				}
			}
		}
	}
	if got := jsonSize(strings.Repeat("\u2028", 3) + "\xe2\x80"); got != 3*6+2 {
		t.Errorf("jsonSize of three U+2028 and the beginning of a fourth = %d", got)
	}
}

// The quick look at a body lets none pass that is too large as JSON.
func TestLittleThatBecomesMuch(t *testing.T) {
	for size, fits := range map[int]bool{266_666: true, 266_667: false} { // 1,600,000 / 6
		if got := (Wire{Body: strings.Repeat("\x00", size)}).Fits(); got != fits {
			t.Errorf("%d bytes, of six each in JSON, fit: %v", size, got)
		}
	}
}
