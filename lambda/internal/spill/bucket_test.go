package spill

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

var credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: "id", SecretAccessKey: "key"}, nil
})

// fakeS3 plays S3 under the real SDK.
type fakeS3 struct {
	objects map[string]string
	play    func(try int, r *http.Request) (*http.Response, error) // nil answer: as S3 does
	tries   int
}

func (f *fakeS3) RoundTrip(r *http.Request) (*http.Response, error) {
	f.tries++
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if f.play != nil {
		if answer, err := f.play(f.tries, r); answer != nil || err != nil {
			return answer, err
		}
	}
	key := r.URL.Host + r.URL.Path
	if r.Header.Get("If-None-Match") != "*" {
		return nil, errors.New("a put that could overwrite what is kept")
	}
	if _, ok := f.objects[key]; ok {
		there := answer(412, "PreconditionFailed")
		there.Header.Set("X-Amz-Request-Id", "TX3BKS")
		return there, nil
	}
	f.objects[key] = string(body)
	kept := answer(200, "")
	kept.Header.Set("ETag", `"d41d8cd98f00b204e9800998ecf8427e"`)
	return kept, nil
}

func answer(status int, code string) *http.Response {
	body := ""
	if code != "" {
		body = "<Error><Code>" + code + "</Code></Error>"
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
}

func newBucket() (*Bucket, *fakeS3) {
	f := &fakeS3{objects: make(map[string]string)}
	b := New(aws.Config{Region: "eu-west-1", Credentials: credentials}, "bucket")
	b.http.Transport = f
	return b, f
}

var (
	receivedAt = time.Date(2026, 11, 24, 23, 59, 59, 0, time.FixedZone("", -3600)) // the next day in UTC
	wire       = notification.Wire{Body: "{}", Attributes: map[string]notification.Attribute{
		"contract_version": {DataType: "String", Value: "1"},
		"signature":        {DataType: "String", Value: "0123456789abcdef" + strings.Repeat("f", 48)},
	}, GroupID: "g"}
)

const (
	requestID = "Fp8nV/GX+gIAMFTFg="
	inKey     = "Fp8nV_GX-gIAMFTFg.0123456789abcdef"
	spillKey  = "bucket.s3.eu-west-1.amazonaws.com/spill/2026/11/25/00/" + inKey + ".json.gz"
)

// equivalent mutant: Spill: return err -> return nil
// A message of strings is always JSON, and nothing is written but memory.

func TestSpillKeepsTheWholeMessage(t *testing.T) {
	b, f := newBucket()
	if err := b.Spill(t.Context(), wire, receivedAt, requestID); err != nil {
		t.Fatal(err)
	}
	got, err := notification.Unspill([]byte(f.objects[spillKey]))
	if err != nil || !reflect.DeepEqual(got, wire) {
		t.Errorf("objects %v: read back %v, %v", f.objects, got, err)
	}
}

func TestOverflowPointsToTheBody(t *testing.T) {
	b, f := newBucket()
	small, err := b.Overflow(t.Context(), wire, requestID)
	if err != nil {
		t.Fatal(err)
	}
	p, ok, err := notification.ParsePointer(small.Body, map[string]string{"ExtendedPayloadSize": small.Attributes["ExtendedPayloadSize"].Value})
	if !ok || err != nil || p.Bucket != "bucket" || p.Key != "overflow/"+inKey {
		t.Fatalf("pointer %v, %v, %v", p, ok, err)
	}
	if got := f.objects["bucket.s3.eu-west-1.amazonaws.com/"+p.Key]; got != wire.Body {
		t.Errorf("the object holds %q, want the body", got)
	}
}

func TestNilOnlyWhenS3Confirms(t *testing.T) {
	tests := []struct {
		name  string
		play  func(f *fakeS3) func(int, *http.Request) (*http.Response, error)
		ok    bool
		tries int
	}{
		{"503, then kept", func(*fakeS3) func(int, *http.Request) (*http.Response, error) {
			return func(try int, _ *http.Request) (*http.Response, error) {
				if try == 1 {
					return answer(503, "SlowDown"), nil
				}
				return nil, nil
			}
		}, true, 2},
		{"kept, but the answer got lost", func(f *fakeS3) func(int, *http.Request) (*http.Response, error) {
			return func(try int, _ *http.Request) (*http.Response, error) {
				if try == 1 {
					f.objects[spillKey] = "as the first try wrote it"
					return nil, errors.New("connection reset by peer")
				}
				return nil, nil
			}
		}, true, 2},
		{"503 for ever", func(*fakeS3) func(int, *http.Request) (*http.Response, error) {
			return func(int, *http.Request) (*http.Response, error) { return answer(503, "SlowDown"), nil }
		}, false, 2},
		{"denied", func(*fakeS3) func(int, *http.Request) (*http.Response, error) {
			return func(int, *http.Request) (*http.Response, error) { return answer(403, "AccessDenied"), nil }
		}, false, 1},
		{"denied by S3 itself", func(*fakeS3) func(int, *http.Request) (*http.Response, error) {
			return func(int, *http.Request) (*http.Response, error) {
				denied := answer(403, "AccessDenied")
				denied.Header.Set("X-Amz-Request-Id", "TX3BKS")
				return denied, nil
			}
		}, false, 1},
		{"a 200 that is not S3's", func(*fakeS3) func(int, *http.Request) (*http.Response, error) {
			return func(int, *http.Request) (*http.Response, error) { return answer(200, ""), nil }
		}, false, 1},
		{"a 412 that is not S3's", func(*fakeS3) func(int, *http.Request) (*http.Response, error) {
			return func(int, *http.Request) (*http.Response, error) { return answer(412, ""), nil }
		}, false, 1},
		{"a page with 412", func(*fakeS3) func(int, *http.Request) (*http.Response, error) {
			return func(int, *http.Request) (*http.Response, error) {
				page := answer(412, "")
				page.Body = io.NopCloser(strings.NewReader("<html><title>412 Precondition Failed</title></html>"))
				return page, nil
			}
		}, false, 1},
		{"503 that asks for 4 s, then kept", func(*fakeS3) func(int, *http.Request) (*http.Response, error) {
			return func(try int, _ *http.Request) (*http.Response, error) {
				if try == 1 {
					slow := answer(503, "SlowDown")
					slow.Header.Set("X-Amz-Retry-After", "4000")
					return slow, nil
				}
				return nil, nil
			}
		}, true, 2},
		{"no answer", func(*fakeS3) func(int, *http.Request) (*http.Response, error) {
			start := time.Now()
			return func(try int, r *http.Request) (*http.Response, error) {
				if began := time.Since(start); try == 2 && (began < 950*time.Millisecond || began > time.Second) {
					t.Errorf("the second try began after %v, want 0.95 s and at most 50 ms more", began)
				}
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
		}, false, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, f := newBucket()
				f.play = tt.play(f)
				start := time.Now()
				if err := b.Spill(t.Context(), wire, receivedAt, requestID); (err == nil) != tt.ok {
					t.Errorf("Spill = %v, want success: %v", err, tt.ok)
				}
				if took := time.Since(start); took > 2*time.Second || f.tries != tt.tries {
					t.Errorf("took %v and %d tries, want at most 2 s and %d", took, f.tries, tt.tries)
				}
				if tt.name == "no answer" && time.Since(start) < 1900*time.Millisecond {
					t.Errorf("gave up after %v, want two tries of 0.95 s", time.Since(start))
				}
			})
		})
	}
}

// Any page with an ETag would tell that S3 has the object.
func TestRedirectIsNoAnswer(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		b, f := newBucket()
		f.play = func(_ int, r *http.Request) (*http.Response, error) {
			if r.URL.Host == "example.com" {
				page := answer(200, "")
				page.Header.Set("ETag", `"abc"`)
				return page, nil
			}
			moved := answer(status, "")
			moved.Header.Set("Location", "https://example.com/sorry")
			return moved, nil
		}
		if err := b.Spill(t.Context(), wire, receivedAt, requestID); err == nil || f.tries != 1 {
			t.Errorf("%d: Spill = %v after %d requests", status, err, f.tries)
		}
		if _, err := b.Overflow(t.Context(), wire, requestID); err == nil || f.tries != 2 {
			t.Errorf("%d: Overflow = %v after %d requests", status, err, f.tries)
		}
	}
}

// The budget holds for all that a put may wait for.
func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
			<-ctx.Done()
			return aws.Credentials{}, ctx.Err()
		})
		b := New(aws.Config{Region: "eu-west-1", Credentials: slow}, "bucket")
		start := time.Now()
		if err := b.Spill(t.Context(), wire, receivedAt, requestID); err == nil || time.Since(start) != 2*time.Second {
			t.Errorf("Spill = %v after %v, want an error after 2 s", err, time.Since(start))
		}
	})
}

// Between the tries there is a wait, drawn by lot, of up to 50 ms.
func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var longest time.Duration
		for range 40 {
			b, f := newBucket()
			f.play = func(int, *http.Request) (*http.Response, error) { return answer(503, "SlowDown"), nil }
			start := time.Now()
			if err := b.Spill(t.Context(), wire, receivedAt, requestID); err == nil {
				t.Fatal("no error")
			}
			longest = max(longest, time.Since(start))
		}
		if longest < 25*time.Millisecond || longest > 50*time.Millisecond {
			t.Errorf("the longest wait is %v, want up to 50 ms", longest)
		}
	})
}

// The handler's deadline comes before the budget of one object.
func TestCallersDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, f := newBucket()
		f.play = func(_ int, r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		start := time.Now()
		if err := b.Spill(ctx, wire, receivedAt, requestID); err == nil || time.Since(start) != 100*time.Millisecond {
			t.Errorf("Spill = %v after %v, want an error after 100ms", err, time.Since(start))
		}
	})
}

// A local engine's host has no subdomain per bucket.
func TestEngineGetsTheBucketInThePath(t *testing.T) {
	f := &fakeS3{objects: make(map[string]string)}
	b := New(aws.Config{Region: "eu-west-1", Credentials: credentials, BaseEndpoint: aws.String("http://engine.example")}, "bucket")
	b.http.Transport = f
	if err := b.Spill(t.Context(), wire, receivedAt, requestID); err != nil {
		t.Fatal(err)
	}
	if _, ok := f.objects["engine.example/bucket/spill/2026/11/25/00/"+inKey+".json.gz"]; !ok {
		t.Errorf("objects %v", f.objects)
	}
}

// Two bodies of one request id are two objects: "is there already" must prove that it
// is the same body.
func TestAnotherBodyIsAnotherObject(t *testing.T) {
	other := notification.Wire{Body: `{"id":"n2"}`, Attributes: map[string]notification.Attribute{"signature": {DataType: "String", Value: strings.Repeat("9", 64)}}}
	b, f := newBucket()
	for _, w := range []notification.Wire{wire, other, wire} {
		if err := b.Spill(t.Context(), w, receivedAt, requestID); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Overflow(t.Context(), w, requestID); err != nil {
			t.Fatal(err)
		}
	}
	if len(f.objects) != 4 {
		t.Errorf("%d objects, want two of each kind: %v", len(f.objects), f.objects)
	}
	for key := range f.objects {
		if strings.Contains(key, "0123456789abcdeff") {
			t.Errorf("%s has more than 16 digits of the signature", key)
		}
	}
}

// After a failure no connection is used again: the one that did not answer may be dead.
func TestDeadConnectionIsDropped(t *testing.T) {
	var connections []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		connections = append(connections, r.RemoteAddr)
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, "<Error><Code>AccessDenied</Code></Error>")
	}))
	defer server.Close()
	b := New(aws.Config{Region: "eu-west-1", Credentials: credentials, BaseEndpoint: &server.URL}, "bucket")
	for range 2 {
		if err := b.Spill(t.Context(), wire, receivedAt, requestID); err == nil {
			t.Fatal("no error")
		}
	}
	if len(connections) != 2 || connections[0] == connections[1] {
		t.Errorf("requests came from %v, want a new connection after the failure", connections)
	}
}

// A key is never made of what a request could bring along.
func TestOddRequestIDs(t *testing.T) {
	for _, id := range []string{"", "../../overflow/x", "a b", strings.Repeat("a", 65), "ü2345678"} {
		b, f := newBucket()
		for range 2 {
			if err := b.Spill(t.Context(), wire, receivedAt, id); err != nil {
				t.Fatal(err)
			}
		}
		if len(f.objects) != 2 {
			t.Errorf("%q: %d objects for two requests", id, len(f.objects))
		}
		for key := range f.objects {
			if !strings.HasPrefix(key, "bucket.s3.eu-west-1.amazonaws.com/spill/2026/11/25/00/") || strings.Count(key, "/") != 6 {
				t.Errorf("%q: key %s", id, key)
			}
		}
	}
}
