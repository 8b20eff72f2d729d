package notification

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// equivalent mutant: Fits: 2*size+attributeJSON*len(w.Attributes) <= MaxRequestBytes -> 2*size+attributeJSON*len(w.Attributes) < MaxRequestBytes
// equivalent mutant: Fits: 2*size+attributeJSON*len(w.Attributes) -> 2*size-attributeJSON*len(w.Attributes)
// equivalent mutant: Fits: 2 -> 4
// It only saves the exact count, which says the same. A name and a data type grow by less
// than the attribute's JSON has, so the second cannot take one for smaller than it is.
//
// equivalent mutant: acceptable: len(text)-i >= 8 -> len(text)-i > 8
// equivalent mutant: acceptable: 8 -> 16
// equivalent mutant: acceptable: 0 -> 1
// equivalent mutant: acceptable: (x|(x-' '*each))&high -> (x|(x-' '*each))|high
// Slower, not wrong: with each of them more is looked at byte by byte.

// one looks at one character after the other. size is of text that is accepted.
func one(text string) (accepted bool, size int) {
	for _, r := range text {
		switch {
		case strings.ContainsRune("\"\\\n\r\t", r):
			size += 2
		case r == '\u2028' || r == '\u2029':
			size += 6
		case r < ' ' || r == 0xFFFE || r == 0xFFFF:
			return false, 0
		default:
			size += utf8.RuneLen(r)
		}
	}
	return text != "" && utf8.ValidString(text), size
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
					if got := jsonSize(text); accepted && got != size {
						t.Fatalf("jsonSize(%q) = %d, want %d", text, got, size)
					}
				}
			}
		}
	}
}

// The quick look at a body lets none pass that is too large as JSON.
func TestLittleThatBecomesMuch(t *testing.T) {
	for size, fits := range map[int]bool{800_000: true, 800_001: false} { // 1,600,000 / 2
		for _, text := range []string{`"`, "\n", "\u2028"} {
			body := strings.Repeat(text, size/len(text)) + strings.Repeat(`"`, size%len(text))
			if got := (Wire{Body: body}).Fits(); got != fits {
				t.Errorf("%q to %d bytes, which JSON doubles, fit: %v", text, size, got)
			}
		}
	}
	for rest, fits := range map[string]bool{"aa": true, "aaa": false} { // 1,599,998 and what is not doubled
		if got := (Wire{Body: strings.Repeat(`"`, 799_999) + rest}).Fits(); got != fits {
			t.Errorf("799,999 quotes and %s fit: %v", rest, got)
		}
	}
}
