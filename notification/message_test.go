package notification_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

func full() notification.Notification {
	body := []byte(`{"id":"n1","text":"Grüße ☕ 👩‍🚀 \/ \u2028"}` + "\r\n\t ")
	return notification.Notification{
		Body: body, ID: "n1", Type: "message.created", GrantID: "c3b0a6de-52c7-4f7e-8f1d-0b9a7de41c20", Attempt: 2,
		ReceivedAt: time.Date(2026, 11, 24, 20, 30, 0, 123e6, time.UTC),
		Signature:  notification.Sign("s", body), RequestID: "req-1",
	}
}

// decode reads w as a consumer would: from what ReceiveMessage returns.
func decode(t *testing.T, w notification.Wire) notification.Notification {
	t.Helper()
	values := make(map[string]string)
	for name, a := range w.Attributes {
		values[name] = a.Value
	}
	n, err := notification.Decode(w.Body, values)
	if err != nil {
		t.Fatalf("Decode: %v", err)
	}
	return n
}

func TestEveryAttribute(t *testing.T) {
	n := full()
	w, err := n.Encode()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]notification.Attribute{
		"contract_version": {"String", "1"},
		"notification_id":  {"String", "n1"},
		"trigger_type":     {"String", "message.created"},
		"grant_id":         {"String", "c3b0a6de-52c7-4f7e-8f1d-0b9a7de41c20"},
		"delivery_attempt": {"Number", "2"},
		"received_at":      {"String", "2026-11-24T20:30:00.123Z"},
		"signature":        {"String", n.Signature.String()},
		"request_id":       {"String", "req-1"},
	}
	if !reflect.DeepEqual(w.Attributes, want) {
		t.Errorf("attributes = %v\nwant %v", w.Attributes, want)
	}
	if w.Body != string(n.Body) {
		t.Errorf("body = %q, want it as it is", w.Body)
	}
	if w.GroupID != n.GrantID {
		t.Errorf("group = %q, want the grant", w.GroupID)
	}
	if got := decode(t, w); !reflect.DeepEqual(got, n) {
		t.Errorf("Decode(Encode(n)) = %+v\nwant %+v", got, n)
	}
}

func TestBodiesThatTravelEncoded(t *testing.T) {
	tests := []struct {
		name    string
		body    string
		encoded bool
	}{
		{"tab, line feed, carriage return", "{\t\r\n}", false},
		{"emoji beyond the first plane", "👩‍🚀", false},
		{"U+FFFD itself", "\uFFFD", false},
		{"U+E000 and U+D7FF", "\uE000\uD7FF", false},
		{"DEL", "\x7f", false},
		{"empty", "", true},
		{"U+0000", "{\x00}", true},
		{"U+001F", "\x1f", true},
		{"U+FFFE", "\uFFFE", true},
		{"U+FFFF", "\uFFFF", true},
		{"invalid UTF-8", "\xff\xfe", true},
		{"surrogate in UTF-8", "\xed\xa0\x80", true},
		{"cut in the middle of a character", "ü"[:1], true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := full()
			n.Body = []byte(tt.body)
			w, err := n.Encode()
			if err != nil {
				t.Fatal(err)
			}
			if got := w.Attributes["content_encoding"].Value == "gzip+base64"; got != tt.encoded {
				t.Errorf("encoded = %v, want %v", got, tt.encoded)
			}
			if w.Body == "" || strings.ContainsFunc(w.Body, forbidden) || !utf8.ValidString(w.Body) {
				t.Errorf("SQS refuses the body %q", w.Body)
			}
			if got := decode(t, w).Body; !bytes.Equal(got, n.Body) {
				t.Errorf("Decode = %q, want %q", got, n.Body)
			}
		})
	}
}

// forbidden is SQS's rule, written down apart from the code under test.
func forbidden(r rune) bool {
	switch {
	case r == 0x9, r == 0xA, r == 0xD, 0x20 <= r && r <= 0xD7FF, 0xE000 <= r && r <= 0xFFFD, 0x10000 <= r && r <= 0x10FFFF:
		return false
	}
	return true
}

func TestSizeAtTheBorder(t *testing.T) {
	n := full()
	n.Body = nil
	w, err := n.Encode()
	if err != nil {
		t.Fatal(err)
	}
	delete(w.Attributes, "content_encoding")
	w.Body = ""
	room := notification.MaxMessageBytes - w.Size()

	n.Body = bytes.Repeat([]byte("a"), room)
	if w, err = n.Encode(); err != nil || w.Size() != notification.MaxMessageBytes || w.Body != string(n.Body) {
		t.Errorf("at the limit: size %d, error %v, want %d as it is", w.Size(), err, notification.MaxMessageBytes)
	}
	n.Body = append(n.Body, 'a')
	if w, err = n.Encode(); err != nil || w.Attributes["content_encoding"].Value != "gzip+base64" {
		t.Errorf("one byte over the limit: error %v, want it compressed", err)
	}
	if got := decode(t, w).Body; !bytes.Equal(got, n.Body) {
		t.Error("one byte over the limit: the body changed")
	}

	random := rand.NewChaCha8([32]byte{1}) // nothing compresses it
	n.Body = make([]byte, 900_000)
	_, _ = random.Read(n.Body)
	if w, err = n.Encode(); err != nil || w.Fits() || w.Attributes["content_encoding"].Value != "gzip+base64" {
		t.Errorf("900 kB of noise: fits: %v, error %v", w.Fits(), err)
	}
}

func TestSize(t *testing.T) {
	w := notification.Wire{Body: "12345", Attributes: map[string]notification.Attribute{
		"abc": {DataType: "String", Value: "12"}, "de": {DataType: "Number", Value: "7"},
	}, GroupID: "not counted"}
	if got := w.Size(); got != 5+3+6+2+2+6+1 {
		t.Errorf("Size = %d, want 25", got)
	}
}

// SQS's limit on the HTTP request was seen at 1,662,976 bytes; JSON doubles quotes.
func TestRequestSizeAtTheBorder(t *testing.T) {
	for name, test := range map[string]struct {
		text  string // stands 1,040,000 times at most in a body
		times int
		plain bool
	}{
		"a":            {"a", 1_040_000, true},
		"quotes":       {`"`, 799_000, true},
		"more quotes":  {`"`, 801_000, false},
		"backslashes":  {`\`, 801_000, false},
		"line feeds":   {"\n", 801_000, false},
		"tabs":         {"\t", 801_000, false},
		"returns":      {"\r", 801_000, false},
		"angle":        {"<", 1_040_000, true}, // the SDK does not escape it
		"U+2028":       {"\u2028", 267_000, false},
		"U+2029":       {"\u2029", 267_000, false},
		"fewer U+2028": {"\u2028", 266_000, true},
		"umlauts":      {"ü", 520_000, true},
	} {
		n := notification.Notification{Body: []byte(strings.Repeat(test.text, test.times))}
		w, err := n.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if plain := w.Attributes["content_encoding"].Value == ""; plain != test.plain || !w.Fits() {
			t.Errorf("%s: as it is: %v, want %v; fits: %v", name, plain, test.plain, w.Fits())
		}
		if got := decode(t, w).Body; !bytes.Equal(got, n.Body) {
			t.Errorf("%s: the body changed", name)
		}
	}
	if notification.MaxRequestBytes > 1_662_976-50_000 {
		t.Errorf("MaxRequestBytes = %d leaves no room below 1,662,976", notification.MaxRequestBytes)
	}
}

func TestRequestSize(t *testing.T) {
	w := notification.Wire{Body: "a\"\\\n\r\t\u2028\u2029ü\x7f", Attributes: map[string]notification.Attribute{
		"abc": {DataType: "String", Value: `"`},
	}}
	// a 1, five escapes 10, two of 6, an umlaut 2, DEL 1; then the attribute.
	if got := w.RequestSize(); got != 1+10+12+2+1+3+6+2+38 {
		t.Errorf("RequestSize = %d, want 75", got)
	}
}

func TestCompress(t *testing.T) {
	n := full()
	w, err := n.Encode()
	if err != nil {
		t.Fatal(err)
	}
	small, err := w.Compress()
	if err != nil {
		t.Fatal(err)
	}
	if got := decode(t, small); !reflect.DeepEqual(got, n) || small.Attributes["content_encoding"].Value != "gzip+base64" || small.GroupID != w.GroupID {
		t.Errorf("Decode(Compress) = %+v, want %+v", got, n)
	}
	if _, ok := w.Attributes["content_encoding"]; ok {
		t.Error("Compress changed the message it was given")
	}
	if _, err := (notification.Wire{Body: "{}"}).Compress(); err != nil {
		t.Errorf("without attributes: %v", err)
	}
	pointer, err := w.Overflow(notification.Pointer{Bucket: "b", Key: "k"})
	if err != nil {
		t.Fatal(err)
	}
	for name, w := range map[string]notification.Wire{"compressed": small, "a pointer": pointer} {
		if _, err := w.Compress(); !errors.Is(err, notification.ErrEncoded) {
			t.Errorf("%s: %v, want ErrEncoded", name, err)
		}
	}
}

func TestIdentifiersThatNoAttributeHolds(t *testing.T) {
	tests := []struct {
		name      string
		grant     string
		attribute bool
		group     bool
	}{
		{"a grant", "c3b0a6de-52c7", true, true},
		{"none", "", false, false},
		{"128 characters", strings.Repeat("g", 128), true, true},
		{"129 characters", strings.Repeat("g", 129), true, false},
		{"300 characters", strings.Repeat("g", 300), true, false},
		{"2,000 characters", strings.Repeat("g", 2000), false, false},
		{"a blank", "my grant", true, false},
		{"punctuation", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", true, true},
		{"an umlaut", "größe", true, false},
		{"DEL", "a\x7f", true, false},
		{"U+0000", "a\x00b", false, false},
		{"U+FFFE", "a\uFFFE", false, false},
		{"invalid UTF-8", "a\xff", false, false},
		{"a line feed", "a\nb", true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := full()
			n.GrantID = tt.grant
			w, err := n.Encode()
			if err != nil {
				t.Fatal(err)
			}
			if got, ok := w.Attributes["grant_id"]; ok != tt.attribute || ok && got.Value != tt.grant {
				t.Errorf("attribute = %v (present: %v), want present: %v", got, ok, tt.attribute)
			}
			want := ""
			if tt.group {
				want = tt.grant
			}
			if w.GroupID != want {
				t.Errorf("group = %q, want %q", w.GroupID, want)
			}
		})
	}
}

// An attribute may be missing, but never be empty: SQS refuses the whole message.
func TestNoEmptyAttributes(t *testing.T) {
	w, err := notification.Notification{Body: []byte("{}")}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for name, a := range w.Attributes {
		if a.Value == "" {
			t.Errorf("attribute %s is empty", name)
		}
	}
}

func TestAtMostNineAttributes(t *testing.T) {
	n := full()
	n.Body = []byte{0} // encoded, hence with content_encoding
	w, err := n.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if len(w.Attributes) != 9 {
		t.Errorf("%d attributes, want 9: the tenth belongs to the SQS Extended Client Library", len(w.Attributes))
	}
}

func TestDecodeRefuses(t *testing.T) {
	bomb := func() string {
		w, err := notification.Notification{Body: make([]byte, notification.MaxBodyBytes+1)}.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return w.Body
	}()
	tests := []struct {
		name       string
		body       string
		attributes map[string]string
		want       error
	}{
		{"no attributes", "{}", nil, notification.ErrVersion},
		{"a newer contract", "{}", map[string]string{"contract_version": "2"}, notification.ErrVersion},
		{"unknown encoding", "{}", map[string]string{"content_encoding": "br"}, notification.ErrCorrupt},
		{"not base64", "{}", map[string]string{"content_encoding": "gzip+base64"}, notification.ErrCorrupt},
		{"not gzip", "e30=", map[string]string{"content_encoding": "gzip+base64"}, notification.ErrCorrupt},
		{"a bomb", bomb, map[string]string{"content_encoding": "gzip+base64"}, notification.ErrCorrupt},
		{"attempt", "{}", map[string]string{"delivery_attempt": "two"}, notification.ErrCorrupt},
		{"time", "{}", map[string]string{"received_at": "yesterday"}, notification.ErrCorrupt},
		{"signature", "{}", map[string]string{"signature": "abc"}, notification.ErrCorrupt},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.attributes != nil && tt.attributes["contract_version"] == "" {
				tt.attributes["contract_version"] = "1"
			}
			if _, err := notification.Decode(tt.body, tt.attributes); !errors.Is(err, tt.want) {
				t.Errorf("Decode = %v, want %v", err, tt.want)
			}
		})
	}
}

// What a spilled object unpacks to has an end, however small it is.
func TestUnspillOfABomb(t *testing.T) {
	object, err := notification.Wire{Body: strings.Repeat("a", 64<<20)}.Spill()
	if err != nil {
		t.Fatal(err)
	}
	if len(object) > 1<<20 {
		t.Fatalf("the bomb has %d bytes", len(object))
	}
	if w, err := notification.Unspill(object); !errors.Is(err, notification.ErrCorrupt) {
		t.Errorf("unpacked to %d bytes, %v; want ErrCorrupt", len(w.Body), err)
	}
}
