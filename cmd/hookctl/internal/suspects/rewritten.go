package suspects

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// A JSON library that parses a body and writes it again keeps the values and their
// order, and chooses blanks and escapes anew. So the body is written here in each way
// that a sender may have written it.

// style is which characters a sender escapes in strings, beside those it must.
type style func(r rune) string

var styles = []style{
	func(rune) string { return "" },
	func(r rune) string { // Go's encoding/json
		if r == '<' || r == '>' || r == '&' || r == '\u2028' || r == '\u2029' {
			return escape(r)
		}
		return ""
	},
	func(r rune) string { // PHP's json_encode
		if r == '/' {
			return `\/`
		}
		return beyondASCII(r)
	},
	func(r rune) string { // slashes alone
		if r == '/' {
			return `\/`
		}
		return ""
	},
	beyondASCII, // Python's json.dumps
}

func beyondASCII(r rune) string {
	if r < utf8.RuneSelf {
		return ""
	}
	return escape(r)
}

func escape(r rune) string {
	if high, low := utf16.EncodeRune(r); high != utf8.RuneError {
		return fmt.Sprintf(`\u%04x\u%04x`, high, low)
	}
	return fmt.Sprintf(`\u%04x`, r)
}

// rewritten is body in every style, without blanks and with json.dumps's.
func rewritten(body []byte) [][]byte {
	var compact bytes.Buffer
	if json.Compact(&compact, body) != nil {
		return nil
	}
	var all [][]byte
	for _, s := range styles {
		for _, blank := range []string{"", " "} {
			all = append(all, write(compact.Bytes(), s, blank))
		}
	}
	return all
}

// write copies compact JSON, with blank behind colons and commas, and its strings in
// another style.
func write(compact []byte, s style, blank string) []byte {
	var out bytes.Buffer
	inside := false
	for i := 0; i < len(compact); {
		c := compact[i]
		switch {
		case !inside:
			out.WriteByte(c)
			if c == ':' || c == ',' {
				out.WriteString(blank)
			}
			inside = c == '"'
			i++
		case c == '"':
			out.WriteByte(c)
			inside = false
			i++
		default:
			r, size := character(compact[i:])
			escaped := s(r)
			switch {
			case r < 0: // an escape that stays as it is
				out.Write(compact[i : i+size])
			case escaped != "":
				out.WriteString(escaped)
			default:
				out.WriteRune(r)
			}
			i += size
		}
	}
	return out.Bytes()
}

// character reads one character of a string, escaped or not, and how many bytes it
// takes. It is -1 for one that JSON has to escape, and for what is no UTF-8.
func character(text []byte) (r rune, size int) {
	if text[0] != '\\' {
		r, size = utf8.DecodeRune(text)
		if r == utf8.RuneError && size == 1 {
			return -1, 1
		}
		return r, size
	}
	if text[1] == '/' {
		return '/', 2
	}
	if text[1] != 'u' {
		return -1, 2
	}
	r, size = hex4(text), 6
	if utf16.IsSurrogate(r) && len(text) > 11 && text[6] == '\\' && text[7] == 'u' {
		r, size = utf16.DecodeRune(r, hex4(text[6:])), 12
	}
	if r < ' ' || r == '"' || r == '\\' || r == utf8.RuneError {
		return -1, size
	}
	return r, size
}

// hex4 reads \uXXXX; json.Compact has made sure that it is one.
func hex4(text []byte) rune {
	n, _ := strconv.ParseUint(string(text[2:6]), 16, 16)
	return rune(n)
}

// by names the library that writes so, where the body shows it.
func by(body []byte) string {
	has := func(text string) bool { return bytes.Contains(body, []byte(text)) }
	switch {
	case has(`\/`):
		return ", as PHP's json_encode does it"
	case has(`": `) && has(`, "`) && !has("\n"):
		return ", as Python's json.dumps does it"
	case has(`\u003c`) || has(`\u003e`) || has(`\u0026`):
		return ", as Go's encoding/json does it"
	case has("\n"):
		return ", for people to read"
	}
	return ""
}
