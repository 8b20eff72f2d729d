package notification

import (
	"encoding/binary"
	"strings"
	"unicode/utf8"
)

// What is asked of every character of a body is asked of eight bytes at once, which are
// the bytes of one number: a mail of 900 kB has nearly a million of them.

const (
	each = 0x0101010101010101 // times a byte: that byte eight times
	high = 0x80 * each        // the highest bit of each byte
)

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

// jsonSize is how long text that is [acceptable] is as a JSON string of the AWS SDK, without
// the quotes. Nothing in it becomes longer than twice. The standard library counts a byte
// with the processor's vector instructions, so seven passes are quicker than one by hand, and as
// quick where much begins like U+2028, as curly quotes do.
// https://github.com/aws/smithy-go/blob/main/encoding/json/escape.go
func jsonSize(text string) int {
	size := len(text)
	for _, escaped := range []string{`"`, `\`, "\n", "\r", "\t"} {
		size += strings.Count(text, escaped) // a backslash before each
	}
	for _, separator := range []string{"\u2028", "\u2029"} {
		size += 3 * strings.Count(text, separator) // three bytes, and \u2028 has six
	}
	return size
}
