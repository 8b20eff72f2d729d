package notification_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

func values(w notification.Wire) map[string]string {
	values := make(map[string]string)
	for name, a := range w.Attributes {
		values[name] = a.Value
	}
	return values
}

func TestOverflow(t *testing.T) {
	n := full()
	n.Body = []byte{0} // encoded: all nine attributes
	w, err := n.Encode()
	if err != nil {
		t.Fatal(err)
	}
	want := notification.Pointer{Bucket: "b", Key: "overflow/1"}
	small, err := w.Overflow(want)
	if err != nil {
		t.Fatal(err)
	}
	if got := `["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"b","s3Key":"overflow/1"}]`; small.Body != got {
		t.Errorf("body = %s\nwant %s, as the SQS Extended Client Library writes it", small.Body, got)
	}
	if len(small.Attributes) != 10 || small.Attributes["ExtendedPayloadSize"].Value != strconv.Itoa(len(w.Body)) || small.Attributes["ExtendedPayloadSize"].DataType != "Number" || small.GroupID != w.GroupID {
		t.Errorf("attributes = %v, group %q", small.Attributes, small.GroupID)
	}
	if len(w.Attributes) != 9 {
		t.Error("Overflow changed the attributes of the message it was given")
	}
	if got, ok, err := notification.ParsePointer(small.Body, values(small)); got != want || !ok || err != nil {
		t.Errorf("ParsePointer = %v, %v, %v", got, ok, err)
	}
	// The object holds w.Body; with it in place, the message reads like any other.
	if got := decode(t, notification.Wire{Body: w.Body, Attributes: small.Attributes}); !reflect.DeepEqual(got, n) {
		t.Errorf("Decode = %+v\nwant %+v", got, n)
	}
}

func TestParsePointerRefuses(t *testing.T) {
	if _, ok, err := notification.ParsePointer(`["x"]`, nil); ok || err != nil {
		t.Errorf("a message without the attribute: %v, %v", ok, err)
	}
	for _, body := range []string{
		"", "{}", "[]", `["software.amazon.payloadoffloading.PayloadS3Pointer"]`,
		`["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"b"}]`,
		`["other",{"s3BucketName":"b","s3Key":"k"}]`, `[1,{"s3BucketName":"b","s3Key":"k"}]`,
	} {
		if _, ok, err := notification.ParsePointer(body, map[string]string{"ExtendedPayloadSize": "1"}); !ok || !errors.Is(err, notification.ErrCorrupt) {
			t.Errorf("%s: %v, %v, want ErrCorrupt", body, ok, err)
		}
	}
}

func TestSpill(t *testing.T) {
	for name, body := range map[string]string{
		"plain": `{"a":"<b> & ☕ \u2028 \\ "}` + "\r\n", "encoded": "\x00", "large": strings.Repeat("ü\t", 300_000),
	} {
		n := full()
		n.Body = []byte(body)
		w, err := n.Encode()
		if err != nil {
			t.Fatal(err)
		}
		object, err := w.Spill()
		if err != nil {
			t.Fatal(err)
		}
		got, err := notification.Unspill(object)
		if err != nil || !reflect.DeepEqual(got, w) {
			t.Errorf("%s: Unspill(Spill(w)) = %v, another message", name, err)
		}
		if _, err := notification.Unspill(object[:len(object)/2]); !errors.Is(err, notification.ErrCorrupt) {
			t.Errorf("%s: half an object: %v", name, err)
		}
	}
	if _, err := notification.Unspill([]byte("{}")); !errors.Is(err, notification.ErrCorrupt) {
		t.Errorf("not gzip: %v", err)
	}
}

// What a later version has written is not read as this one's.
func TestUnspillOfAnotherVersion(t *testing.T) {
	var object bytes.Buffer
	packer := gzip.NewWriter(&object)
	if _, err := packer.Write([]byte(`{"version":"2","body":"{}","attributes":{}}`)); err != nil {
		t.Fatal(err)
	}
	if err := packer.Close(); err != nil {
		t.Fatal(err)
	}
	if w, err := notification.Unspill(object.Bytes()); !errors.Is(err, notification.ErrVersion) {
		t.Errorf("Unspill = %+v, %v, want ErrVersion", w, err)
	}
}
