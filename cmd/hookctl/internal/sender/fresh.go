package sender

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
)

// Envelope is what of a notification's body tools name it by.
type Envelope struct {
	ID, Type, GrantID string
}

// ReadEnvelope returns body's envelope; fields that body does not have are empty, all of
// them where it is no JSON object.
func ReadEnvelope(body []byte) Envelope {
	var parsed struct {
		ID   string `json:"id"`
		Type string `json:"type"`
		Data struct {
			GrantID string `json:"grant_id"`
			Object  struct {
				GrantID string `json:"grant_id"`
			} `json:"object"`
		} `json:"data"`
	}
	if json.Unmarshal(body, &parsed) != nil {
		return Envelope{} // anything may be sent; it then has no name
	}
	e := Envelope{ID: parsed.ID, Type: parsed.Type, GrantID: parsed.Data.GrantID}
	if e.GrantID == "" {
		e.GrantID = parsed.Data.Object.GrantID
	}
	return e
}

// freshCharacters is how many characters of an id are replaced: 12 of base32 are 60
// bits, so that no two of a load test's millions meet.
const freshCharacters = 12

// Fresh returns body with another notification id of the same length, and that id,
// so that a consumer that drops duplicates does not drop it. Everything else stays
// byte for byte, grants too where grant is empty; otherwise grant replaces the
// notification's grant id wherever that stands.
func Fresh(body []byte, grant string) ([]byte, string, error) {
	e := ReadEnvelope(body)
	if len(e.ID) < freshCharacters {
		return nil, "", fmt.Errorf("the notification has no id of at least %d characters to replace", freshCharacters)
	}
	id := e.ID[:len(e.ID)-freshCharacters] + rand.Text()[:freshCharacters]
	old := []byte(`"` + e.ID + `"`)
	if bytes.Count(body, old) != 1 {
		return nil, "", fmt.Errorf("the notification's id %s stands in it more than once, or written with escapes", e.ID)
	}
	fresh := bytes.Replace(body, old, []byte(`"`+id+`"`), 1)
	if grant != "" {
		if e.GrantID == "" {
			return nil, "", errors.New("the notification has no grant id to replace")
		}
		fresh = bytes.ReplaceAll(fresh, []byte(`"`+e.GrantID+`"`), []byte(`"`+grant+`"`))
	}
	return fresh, id, nil
}
