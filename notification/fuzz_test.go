package notification_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

// Whatever the bytes, they arrive as they were, in a message that SQS takes.
func FuzzEncode(f *testing.F) {
	f.Add([]byte(`{"id":"x"}`), "grant", "id")
	f.Add([]byte{}, "", "")
	f.Add([]byte("\x00\xff\xed\xa0\x80"), "a b", "\uFFFE")
	f.Fuzz(func(t *testing.T, body []byte, grant, id string) {
		n := full()
		n.Body, n.GrantID, n.ID = body, grant, id
		w, err := n.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if w.Body == "" || strings.ContainsFunc(w.Body, forbidden) || !utf8.ValidString(w.Body) || !w.Fits() && len(body) < 700_000 {
			t.Fatalf("SQS refuses a message of %d bytes", w.Size())
		}
		for name, a := range w.Attributes {
			if a.Value == "" || strings.ContainsFunc(a.Value, forbidden) || !utf8.ValidString(a.Value) {
				t.Fatalf("SQS refuses the attribute %s", name)
			}
		}
		if got := decode(t, w).Body; !bytes.Equal(got, body) {
			t.Fatalf("Decode(Encode) = %q, want %q", got, body)
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add("{}", "", "1", "2026-11-24T20:30:00.123Z", vectorSignature)
	f.Add("H4sIAAAAAAAA/w==", "gzip+base64", "", "", "")
	f.Fuzz(func(t *testing.T, body, encoding, attempt, receivedAt, signature string) {
		n, err := notification.Decode(body, map[string]string{
			"contract_version": "1", "content_encoding": encoding, "delivery_attempt": attempt,
			"received_at": receivedAt, "signature": signature,
		})
		if err != nil && !errors.Is(err, notification.ErrCorrupt) {
			t.Fatalf("error %v is neither ErrCorrupt nor ErrVersion", err)
		}
		if err == nil && len(n.Body) > max(len(body), notification.MaxBodyBytes) {
			t.Fatalf("a body of %d bytes", len(n.Body))
		}
		if want, known := plain(body, encoding); err == nil && (!known || !bytes.Equal(n.Body, want)) {
			t.Fatalf("the body of %q (%s) is %q, want %q", body, encoding, n.Body, want)
		}
	})
}

// plain is the reference: a message's body without its encoding.
func plain(body, encoding string) (text []byte, known bool) {
	if encoding == "" {
		return []byte(body), true
	}
	text, err := base64.StdEncoding.DecodeString(body)
	if err != nil || encoding != "gzip+base64" {
		return nil, false
	}
	unpacker, err := gzip.NewReader(bytes.NewReader(text))
	if err != nil {
		return nil, false
	}
	text, err = io.ReadAll(io.LimitReader(unpacker, notification.MaxBodyBytes+1))
	return text, err == nil
}

func FuzzUnspill(f *testing.F) {
	w, err := full().Encode()
	if err != nil {
		f.Fatal(err)
	}
	object, err := w.Spill()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(object)
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, object []byte) {
		w, err := notification.Unspill(object)
		if err != nil {
			if !errors.Is(err, notification.ErrCorrupt) && !errors.Is(err, notification.ErrVersion) {
				t.Fatalf("error %v is neither ErrCorrupt nor ErrVersion", err)
			}
			return
		}
		again, err := w.Spill()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := notification.Unspill(again); err != nil || !reflect.DeepEqual(got, w) {
			t.Errorf("Unspill(Spill(w)) = %+v, %v, want %+v", got, err, w)
		}
	})
}

func FuzzParsePointer(f *testing.F) {
	f.Add(`["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"b","s3Key":"overflow/k"}]`, "3")
	f.Add(`["x",{}]`, "3")
	f.Add(`{}`, "")
	f.Fuzz(func(t *testing.T, body, size string) {
		p, ok, err := notification.ParsePointer(body, map[string]string{notification.AttrPayloadSize: size})
		if ok != (size != "") {
			t.Fatalf("is a pointer: %t", ok)
		}
		if err != nil {
			if !errors.Is(err, notification.ErrCorrupt) {
				t.Fatalf("error %v is not ErrCorrupt", err)
			}
			return
		}
		if ok && (p.Bucket == "" || p.Key == "") {
			t.Fatalf("pointer %+v", p)
		}
	})
}
