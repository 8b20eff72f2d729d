package notification

import (
	"encoding/binary"
	"math/bits"
	"strings"
	"unicode/utf8"
)

// What is asked of every character of a body is asked of eight bytes at once, which are
// the bytes of one number: a mail of 900 kB has nearly a million of them.

const (
	each = 0x0101010101010101 // times a byte: that byte eight times
	high = 0x80 * each        // the highest bit of each byte
)

// zeros returns a number that has the highest bit of each byte that is zero in x, and no
// other. A byte's lower seven bits carry into its eighth unless all of them are zero.
func zeros(x uint64) uint64 { return ^((x&^high + 0x7f*each) | x | 0x7f*each) }

// acceptable tells whether SQS takes text as a body or an attribute's value: not
// empty, UTF-8, and only #x9 #xA #xD #x20-#xD7FF #xE000-#xFFFD #x10000-#x10FFFF.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
func acceptable(text []byte) bool {
	if len(text) == 0 {
		return false
	}
	for i := 0; i < len(text); {
		c := text[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRune(text[i:])
			if r == utf8.RuneError && size == 1 || r == 0xFFFE || r == 0xFFFF {
				return false
			}
			i += size
			continue
		}
		if len(text)-i >= 8 {
			if x := binary.LittleEndian.Uint64(text[i:]); (x|(x-' '*each))&high == 0 { // none below ' ', none above ASCII
				i += 8
				continue
			}
		}
		if c < ' ' && c != '\t' && c != '\n' && c != '\r' {
			return false
		}
		i++
	}
	return true
}

// jsonSize is how long text is as a JSON string of the AWS SDK, without the quotes.
// https://github.com/aws/smithy-go/blob/main/encoding/json/escape.go
func jsonSize(text string) int {
	size := len(text)
	rest := text
	for ; len(rest) >= 8; rest = rest[8:] {
		var next [8]byte
		copy(next[:], rest[:8])
		x := binary.LittleEndian.Uint64(next[:])
		if zeros(x&(0xe0*each)) != 0 { // one is below ' '
			size += escapes(rest[:8])
		} else {
			size += bits.OnesCount64(zeros(x^'"'*each) | zeros(x^'\\'*each))
		}
	}
	size += escapes(rest)
	// U+2028 and U+2029, of three bytes each, become \u2028 and \u2029.
	const begin = "\xe2\x80" // of the characters from U+2000 to U+203F
	for i := strings.Index(text, begin); i >= 0; i = strings.Index(text, begin) {
		text = text[i+len(begin):]
		if text != "" && (text[0] == 0xa8 || text[0] == 0xa9) {
			size += 3
		}
	}
	return size
}

// escapes is by how much text grows for its ASCII characters.
func escapes(text string) int {
	more := 0
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"' || c == '\\' || c == '\n' || c == '\r' || c == '\t':
			more++ // \n
		case c < ' ':
			more += 5 // \u0000
		}
	}
	return more
}
