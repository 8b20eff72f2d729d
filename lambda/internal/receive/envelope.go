package receive

import (
	"bytes"
	"strconv"

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

// readEnvelope reads as much as it finds. Fields of another kind than expected count
// as missing, and from where the JSON breaks off everything does.
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
			e.id = text(d)
		case "type":
			e.typ = text(d)
		case "webhook_delivery_attempt":
			e.attempt = number(d)
		case "data":
			members(d, func(name string) {
				switch name {
				case "grant_id":
					e.grantID = text(d)
				case "object":
					members(d, func(name string) {
						if name == "grant_id" {
							ofObject = text(d)
						} else {
							skip(d)
						}
					})
				default:
					skip(d)
				}
			})
		default:
			skip(d)
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
		skip(d)
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

// skip passes over a value. Where that fails, every later PeekKind tells so.
func skip(d *jsontext.Decoder) { _ = d.SkipValue() }

func text(d *jsontext.Decoder) string {
	if d.PeekKind() != '"' {
		skip(d)
		return ""
	}
	token, err := d.ReadToken()
	if err != nil {
		return ""
	}
	return token.String()
}

// number returns a positive whole number, else 0.
func number(d *jsontext.Decoder) int {
	if d.PeekKind() != '0' {
		skip(d)
		return 0
	}
	token, err := d.ReadToken()
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(token.String())
	if err != nil || n < 0 {
		return 0
	}
	return n
}
