package canary

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
)

func TestFind(t *testing.T) {
	c := New("subject")
	for text, want := range map[string]string{
		"nothing of the kind, 0123456789abcdef": "[]",
		"a " + c + " in a line":                 "[subject]",
		strings.ToUpper(c):                      "[SUBJECT]",
		New("address") + New("body"):            "[address body]",
		strings.Repeat("0aF", 22):               "[signature]",
		hex.EncodeToString([]byte(c[:20])):      "[encoded]",
	} {
		if got := fmt.Sprint(Find([]byte(text))); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
	for before := range 6 {
		text := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("é", before)[:before] + c + " and more"))
		if got := fmt.Sprint(Find([]byte(text))); got != "[encoded]" {
			t.Errorf("base64 with %d bytes before: %s", before, got)
		}
	}
	if other := New("subject"); c == other {
		t.Error("two canaries are the same")
	}
}
