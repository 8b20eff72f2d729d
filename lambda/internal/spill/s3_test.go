package spill

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/onepagecrm/nylas-webhooks/internal/awserror"
	"github.com/onepagecrm/nylas-webhooks/internal/sdkhttp"
)

// equivalent mutant: wait: return err -> return nil
// equivalent mutant: request: return nil, fmt.Errorf("write the request to S3: %w", err) -> return nil, nil
// equivalent mutant: request: return nil, fmt.Errorf("sign the request to S3: %w", err) -> return nil, nil
// The retryer always knows a delay, the address was made of its parts, and signing is reckoning.
//
// tuned numbers: maxAnswer
// S3's errors have under 1,000 bytes; what is beyond is some proxy's page.

// oddKey has what a key of the archive has, and more that a path must not have as it is.
const oddKey = "archive/2026-11-24/22/30/14.123,G,a%2Fb,n 1+ü=~_-,0123456789abcdef.json.gz"

// signature is an S3 request's, reckoned by AWS's description alone.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
func signature(r *http.Request, secret string) string {
	sum := func(text string) string { digest := sha256.Sum256([]byte(text)); return hex.EncodeToString(digest[:]) }
	mac := func(key []byte, text string) []byte {
		h := hmac.New(sha256.New, key)
		_, _ = h.Write([]byte(text)) // never fails
		return h.Sum(nil)
	}
	_, after, _ := strings.Cut(r.Header.Get("Authorization"), "SignedHeaders=")
	signed, _, _ := strings.Cut(after, ",")
	headers := ""
	for _, name := range strings.Split(signed, ";") {
		value := r.Header.Get(name)
		switch name {
		case "host":
			value = r.URL.Host
		case "content-length":
			value = fmt.Sprint(r.ContentLength)
		}
		headers += name + ":" + value + "\n"
	}
	path := ""
	for _, c := range []byte(r.URL.Path) {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("-._~/", rune(c)) {
			path += string(c)
		} else {
			path += fmt.Sprintf("%%%02X", c)
		}
	}
	at := r.Header.Get("X-Amz-Date")
	scope := at[:8] + "/eu-west-1/s3/aws4_request"
	canonical := strings.Join([]string{r.Method, path, "", headers, signed, r.Header.Get("X-Amz-Content-Sha256")}, "\n")
	key := mac(mac(mac(mac([]byte("AWS4"+secret), at[:8]), "eu-west-1"), "s3"), "aws4_request")
	return hex.EncodeToString(mac(key, "AWS4-HMAC-SHA256\n"+at+"\n"+scope+"\n"+sum(canonical)))
}

func newS3(play func(*http.Request) (*http.Response, error)) *s3 {
	b, f := newBucket()
	f.play = func(_ int, r *http.Request) (*http.Response, error) { return play(r) }
	return b.s3
}

func kept() *http.Response {
	a := answer(200, "")
	a.Header.Set("ETag", `"e"`)
	return a
}

// What S3 gets is signed as a whole, so that nothing of it can be changed on the way, and
// is what the SDK's own client would have sent.
func TestRequestIsTheSDKs(t *testing.T) {
	var ours, theirs *http.Request
	s := newS3(func(r *http.Request) (*http.Response, error) { ours = r; return kept(), nil })
	s.cfg.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "id", SecretAccessKey: "key", SessionToken: "token"}, nil
	})
	if _, err := s.put(t.Context(), oddKey, "application/gzip", []byte("content")); err != nil {
		t.Fatal(err)
	}
	b, f := newBucket()
	f.play = func(_ int, r *http.Request) (*http.Response, error) { theirs = r; return kept(), nil }
	client := sdk.NewFromConfig(s.cfg, func(o *sdk.Options) { o.HTTPClient = b.http })
	if _, err := client.PutObject(t.Context(), &sdk.PutObjectInput{
		Bucket: aws.String("bucket"), Key: aws.String(oddKey), ContentType: aws.String("application/gzip"), Body: strings.NewReader("content"), IfNoneMatch: aws.String("*"),
	}); err != nil {
		t.Fatal(err)
	}
	if ours.Method != theirs.Method || ours.URL.String() != strings.TrimSuffix(theirs.URL.String(), "?x-id=PutObject") {
		t.Errorf("%s %s, the SDK: %s %s", ours.Method, ours.URL, theirs.Method, theirs.URL)
	}
	for name, want := range map[string]string{
		"Content-Type": "application/gzip", "If-None-Match": "*", "X-Amz-Security-Token": "token",
		"X-Amz-Content-Sha256": "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73", // of "content"
		"X-Amz-Checksum-Crc32": "/sUwqQ==",
	} {
		if got := ours.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
		if !strings.Contains(ours.Header.Get("Authorization"), strings.ToLower(name)) {
			t.Errorf("%s is not signed", name)
		}
	}
	if ours.ContentLength != int64(len("content")) {
		t.Errorf("Content-Length: %d", ours.ContentLength)
	}
	if want := signature(ours, "key"); !strings.HasSuffix(ours.Header.Get("Authorization"), "Signature="+want) {
		t.Errorf("Authorization: %s, want signature %s", ours.Header.Get("Authorization"), want)
	}
}

// In every partition a bucket is where the SDK's own client would look for it.
func TestAddressInEveryPartition(t *testing.T) {
	for _, region := range []string{"us-east-1", "eu-central-1", "ap-southeast-5", "cn-north-1", "us-gov-west-1", "eusc-de-east-1", "us-iso-east-1", "us-isob-east-1", "xx-new-7"} {
		s := &s3{cfg: aws.Config{Region: region}, bucket: "bucket"}
		got, err := s.address(t.Context(), "key")
		if err != nil {
			t.Fatal(err)
		}
		want, err := sdk.NewDefaultEndpointResolverV2().ResolveEndpoint(t.Context(), sdk.EndpointParameters{Region: &region, Bucket: aws.String("bucket")})
		if err != nil {
			t.Fatal(err)
		}
		if got.String() != want.URI.String()+"/key" {
			t.Errorf("%s: %s, the SDK: %s", region, got, want.URI.String())
		}
	}
}

// What keeps a request from being made is said, and nothing is sent.
func TestNoRequest(t *testing.T) {
	noKeys := errors.New("no keys")
	for want, change := range map[string]func(*aws.Config){
		"get credentials: no keys": func(c *aws.Config) {
			c.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return aws.Credentials{}, noKeys })
		},
		"find S3: parse":  func(c *aws.Config) { c.BaseEndpoint = aws.String("://") },
		"find S3: Failed": func(c *aws.Config) { c.Region = "no region" },
	} {
		s := newS3(func(*http.Request) (*http.Response, error) { return nil, errors.New("it was sent") })
		change(&s.cfg)
		if _, err := s.put(t.Context(), "key", "text/plain", nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("put = %v, want: %s", err, want)
		}
	}
}

// A clock that S3 calls wrong is set by S3's, for this request and the next ones.
func TestClockIsCorrected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ahead := time.Now().Add(time.Hour).UTC()
		var dates []string
		s := newS3(func(r *http.Request) (*http.Response, error) {
			date := r.Header.Get("X-Amz-Date")
			dates = append(dates, date)
			if date < ahead.Add(-time.Minute).Format("20060102T150405Z") {
				skewed := answer(403, "RequestTimeTooSkewed")
				skewed.Header.Set("Date", ahead.Format(http.TimeFormat))
				return skewed, nil
			}
			return kept(), nil
		})
		for range 2 {
			if _, err := s.put(t.Context(), "key", "text/plain", nil); err != nil {
				t.Fatal(err)
			}
		}
		if len(dates) != 3 {
			t.Errorf("requests at %v, want one that is refused and two that are kept", dates)
		}
	})
}

func TestClockThatStaysWrong(t *testing.T) {
	for date, tries := range map[string]int{"": 1, "Tue, 24 Nov 2026 23:59:59 GMT": 2} {
		n := 0
		s := newS3(func(*http.Request) (*http.Response, error) {
			n++
			skewed := answer(403, "RequestTimeTooSkewed")
			skewed.Header.Set("Date", date)
			return skewed, nil
		})
		if _, err := s.put(t.Context(), "key", "text/plain", nil); err == nil || n != tries {
			t.Errorf("date %q: %v after %d tries, want an error after %d", date, err, n, tries)
		}
	}
}

// The log says of a failed put what it says of a call of the SDK, and no text of S3's that
// is not known.
func TestErrorsAreTheSDKs(t *testing.T) {
	reset := errors.New("reset")
	denied := func(message string) func(*http.Request) (*http.Response, error) {
		return func(*http.Request) (*http.Response, error) {
			a := answer(403, "")
			a.Header.Set("X-Amz-Request-Id", "TX3BKS")
			a.Body = io.NopCloser(strings.NewReader("<?xml version=\"1.0\"?>\n<Error><Code>AccessDenied</Code><Message>" + message + "</Message></Error>"))
			return a, nil
		}
	}
	for name, play := range map[string]func(*http.Request) (*http.Response, error){
		"busy":     func(*http.Request) (*http.Response, error) { return answer(503, "SlowDown"), nil },
		"denied":   denied("Dear Ms Mueller"),
		"by whom":  denied("User: arn:aws:sts::123456789012:assumed-role/r/f is not authorized to perform: s3:PutObject on resource: \"arn:aws:s3:::b/k\" because no identity-based policy allows the s3:PutObject action"),
		"reset":    func(*http.Request) (*http.Response, error) { return nil, reset },
		"redirect": func(*http.Request) (*http.Response, error) { return answer(307, ""), nil },
	} {
		s := newS3(play)
		_, err := s.put(t.Context(), "key", "text/plain", []byte("content"))
		client := sdk.NewFromConfig(s.cfg, func(o *sdk.Options) { o.HTTPClient, o.Retryer = s.client, sdkhttp.Tries(tries, maxBackoff) })
		_, want := client.PutObject(t.Context(), &sdk.PutObjectInput{Bucket: aws.String("bucket"), Key: aws.String("key"), Body: strings.NewReader("content")})
		if err == nil || want == nil {
			t.Fatalf("%s: %v, the SDK: %v", name, err, want)
		}
		if got, want := awserror.Text(err), awserror.Text(want); got != want {
			t.Errorf("%s: %s\nthe SDK: %s", name, got, want)
		}
	}
}
