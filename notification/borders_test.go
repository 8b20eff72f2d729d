package notification_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

// The borders are written as numbers, from AWS's documents or from what was seen.

// equivalent mutant: gzipBase64: return "", err -> return "", nil
// equivalent mutant: Overflow: return Wire{}, fmt.Errorf("write pointer: %w", err) -> return Wire{}, nil
// equivalent mutant: Spill: return nil, fmt.Errorf("write spilled message: %w", err) -> return nil, nil
// They write strings into memory, which does not fail.
//
// equivalent mutant: gunzipBase64: 1 -> 2
// A byte more or two tell the same: it is too much.
//
// equivalent mutant: Compress: 1 -> 2
// equivalent mutant: Compress: len(w.Attributes)+1 -> len(w.Attributes)-1
// The room of a map that grows.
//
// equivalent mutant: ParseSignature: len(text) >= len(prefix) -> len(text) > len(prefix)
// A text as long as the prefix has no digits, and is refused either way.

// 6 MB of base64, the most that Lambda takes, are 4.5 MB of body; 6 MiB leave room.
func TestLargestBodyThatIsUnpacked(t *testing.T) {
	for size, ok := range map[int]bool{6_291_456: true, 6_291_457: false} {
		var text strings.Builder
		encoder := base64.NewEncoder(base64.StdEncoding, &text)
		packer := gzip.NewWriter(encoder)
		_, _ = packer.Write(make([]byte, size))
		_, _ = packer.Close(), encoder.Close()
		n, err := notification.Decode(text.String(), map[string]string{"contract_version": "1", "content_encoding": "gzip+base64"})
		if ok && (err != nil || len(n.Body) != size) || !ok && !errors.Is(err, notification.ErrCorrupt) {
			t.Errorf("%d bytes: %d, %v, want them: %v", size, len(n.Body), err, ok)
		}
	}
}

func TestFitsAtTheBorders(t *testing.T) {
	for name, test := range map[string]struct {
		body string
		fits bool
	}{
		"SQS's largest message": {strings.Repeat("a", 1_048_576), true},
		"a byte more":           {strings.Repeat("a", 1_048_577), false},
		"the largest request":   {strings.Repeat(`"`, 800_000), true},
		"a byte more in it":     {strings.Repeat(`"`, 800_000) + "a", false},
		"blanks":                {strings.Repeat(" ", 1_048_576), true},
	} {
		if got := (notification.Wire{Body: test.body}).Fits(); got != test.fits {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestAttempt(t *testing.T) {
	for attempt, want := range map[int]string{-1: "", 0: "", 1: "1", 3: "3"} {
		w, err := notification.Notification{Body: []byte("{}"), Attempt: attempt}.Encode()
		if err != nil {
			t.Fatal(err)
		}
		a, there := w.Attributes["delivery_attempt"]
		if a.Value != want || there != (want != "") || there && a.DataType != "Number" {
			t.Errorf("%d: attribute %+v", attempt, a)
		}
	}
}

func TestLongestIdentifier(t *testing.T) {
	for length, want := range map[int]bool{1024: true, 1025: false} {
		w, err := notification.Notification{Body: []byte("{}"), ID: strings.Repeat("i", length)}.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, there := w.Attributes["notification_id"]; there != want {
			t.Errorf("%d characters: %v", length, there)
		}
	}
}

// 0x80 continues a character that has begun; alone it is none.
func TestFirstByteBeyondASCII(t *testing.T) {
	body := []byte("a\x80")
	w, err := notification.Notification{Body: body}.Encode()
	if err != nil || w.Attributes["content_encoding"].Value != "gzip+base64" {
		t.Errorf("Encode = %+v, %v", w, err)
	}
	if got := decode(t, w).Body; !bytes.Equal(got, body) {
		t.Errorf("Decode = %q", got)
	}
}

func TestLastCharacterOfASCII(t *testing.T) {
	if err := notification.CheckSecret("41dD3~nXTUfebYuk81Gr~"); err != nil {
		t.Error(err)
	}
	if err := notification.CheckSecret("41dD3-nXTUfebYuk81Gr\x7f"); !errors.Is(err, notification.ErrNotASecret) {
		t.Errorf("DEL: %v", err)
	}
}

// encoding/json writes < in six characters, the most that it makes of one.
func TestLargestSpilledMessage(t *testing.T) {
	w := notification.Wire{Body: strings.Repeat("<", 1_048_576)}
	object, err := w.Spill()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := notification.Unspill(object); err != nil || got.Body != w.Body {
		t.Errorf("%d bytes, %v", len(got.Body), err)
	}
	var large bytes.Buffer
	packer := gzip.NewWriter(&large)
	fmt.Fprintf(packer, `{"version":"1","body":"%s"}`, strings.Repeat("a", 8_000_000))
	_ = packer.Close()
	if _, err := notification.Unspill(large.Bytes()); !errors.Is(err, notification.ErrCorrupt) {
		t.Errorf("8 MB of JSON: %v", err)
	}
}
