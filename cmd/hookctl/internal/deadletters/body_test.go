package deadletters

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

type objects map[string]string

func (o objects) GetObject(_ context.Context, in *s3.GetObjectInput, _ ...func(*s3.Options)) (*s3.GetObjectOutput, error) {
	text, ok := o[*in.Key]
	switch {
	case *in.Bucket != "ours":
		return nil, errors.New("another bucket was asked")
	case text == "AccessDenied", !ok:
		return nil, &smithy.GenericAPIError{Code: map[bool]string{true: "AccessDenied", false: "NoSuchKey"}[ok]}
	}
	return &s3.GetObjectOutput{Body: io.NopCloser(strings.NewReader(text))}, nil
}

func TestBody(t *testing.T) {
	signed := []byte(`{"id":"large"}`)
	plain, err := notification.Notification{Body: signed, ID: "large"}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	wire, err := plain.Compress()
	if err != nil {
		t.Fatal(err)
	}
	in := func(bucket, key string) Letter {
		pointer, err := wire.Overflow(notification.Pointer{Bucket: bucket, Key: key})
		if err != nil {
			t.Fatal(err)
		}
		return letter(pointer)
	}
	bucket := Bucket{objects{"overflow/1": wire.Body, "overflow/denied": "AccessDenied", "overflow/page": "<html>", "overflow/huge": strings.Repeat("A", 8_500_000)}, "ours"}
	corrupt := in("ours", "overflow/1")
	corrupt.Body = "no pointer"
	unknown := letter(wire)
	unknown.Attributes[notification.AttrContractVersion] = "2"
	for _, test := range []struct {
		name   string
		letter Letter
		object string
		err    error
		says   string
	}{
		{"in the message", letter(wire), "", nil, ""},
		{"in S3", in("ours", "overflow/1"), "s3://ours/overflow/1", nil, ""},
		{"gone", in("ours", "overflow/gone"), "s3://ours/overflow/gone", ErrNoBody, "has deleted it"},
		{"not allowed", in("ours", "overflow/denied"), "s3://ours/overflow/denied", ErrNoBody, "s3:GetObject"},
		{"in another bucket", in("theirs", "overflow/1"), "s3://theirs/overflow/1", ErrNoBody, "another bucket than the stage's (ours)"},
		{"not what was written", in("ours", "overflow/page"), "s3://ours/overflow/page", ErrNoBody, "corrupt"},
		{"too large to be ours", in("ours", "overflow/huge"), "s3://ours/overflow/huge", ErrNoBody, "more than"},
		{"a pointer that is none", corrupt, "", ErrNoBody, "the pointer to S3 is not one"},
		{"of another contract", unknown, "", notification.ErrVersion, ""},
	} {
		body, object, err := bucket.Body(t.Context(), test.letter)
		if object != test.object || !errors.Is(err, test.err) || err == nil && string(body) != string(signed) || err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %q, %q, %v", test.name, body, object, err)
		}
		if errors.Is(err, ErrNoBody) != (test.err == ErrNoBody) { //nolint:errorlint // which of the two is meant
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

func letter(w notification.Wire) Letter {
	l := Letter{Body: w.Body, Attributes: map[string]string{}}
	for name, a := range w.Attributes {
		l.Attributes[name] = a.Value
	}
	return l
}
