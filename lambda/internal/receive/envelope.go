package receive

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// envelope is what is read of a verified body, for attributes and the log. Every
// field may be empty: a body that is signed goes on, whatever is in it.
type envelope struct {
	id      string
	typ     string
	grantID string
	attempt int
}

// readEnvelope reads as much as it finds. Fields of another kind than expected and texts
// that are not clean count as missing, and from where the JSON breaks off everything does.
//
// grant_id stands in data or in data.object, depending on the type; where both have
// one, data's is taken.
// https://developer.nylas.com/docs/v3/notifications/notification-schemas/
func readEnvelope(body []byte) envelope {
	var e envelope
	var ofObject string
	d := jsontext.NewDecoder(bytes.NewBuffer(body), lenient)
	members(d, func(name string) {
		switch name {
		case "id":
			e.id = cleanText(d)
		case "type":
			e.typ = cleanText(d)
		case "webhook_delivery_attempt":
			e.attempt = wholeNumber(d)
		case "data":
			members(d, func(name string) {
				switch name {
				case "grant_id":
					e.grantID = cleanText(d)
				case "object":
					members(d, func(name string) {
						if name == "grant_id" {
							ofObject = cleanText(d)
						} else {
							skipValue(d)
						}
					})
				default:
					skipValue(d)
				}
			})
		default:
			skipValue(d)
		}
	})
	if e.grantID == "" {
		e.grantID = ofObject
	}
	return e
}

// members calls member for each member of the object that comes next; member must
// read or skip its value. What is not an object is skipped.
func members(d *jsontext.Decoder, member func(name string)) {
	if d.PeekKind() != '{' {
		skipValue(d)
		return
	}
	if _, err := d.ReadToken(); err != nil {
		return
	}
	for d.PeekKind() == '"' {
		name, err := d.ReadToken()
		if err != nil {
			return
		}
		member(name.String())
	}
	if d.PeekKind() == '}' {
		_, _ = d.ReadToken() // it was peeked
	}
}

// skipValue passes over a value. Where that fails, every later PeekKind tells so.
func skipValue(d *jsontext.Decoder) { _ = d.SkipValue() }

// cleanText returns a string, or "" where it is not clean: bytes that are no UTF-8 and
// half a surrogate pair all read as U+FFFD, and different ids with them would be one.
func cleanText(d *jsontext.Decoder) string {
	if d.PeekKind() != '"' {
		skipValue(d)
		return ""
	}
	token, err := d.ReadToken()
	if err != nil {
		return ""
	}
	if text := token.String(); !strings.ContainsRune(text, utf8.RuneError) {
		return text
	}
	return ""
}

// wholeNumber returns a positive whole number, else 0.
func wholeNumber(d *jsontext.Decoder) int {
	if d.PeekKind() != '0' {
		skipValue(d)
		return 0
	}
	token, err := d.ReadToken()
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(token.String())
	if err != nil {
		return 0
	}
	return max(n, 0)
}
