package secretstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

// What the real client asks, of whom, and for how long.
func TestNew(t *testing.T) {
	const arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:s"
	credentials := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "id", SecretAccessKey: "key"}, nil
	})
	newStore := func(play func(label string, r *http.Request) (*http.Response, error)) (*Store, *int) {
		s := New(aws.Config{Region: "eu-west-1", Credentials: credentials}, arn)
		tries := new(int)
		s.client.(fresh).http.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
			*tries++
			var in struct{ SecretId, VersionStage string }
			if r.Body == nil { // a redirect that was followed
				return play("", r)
			}
			if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.SecretId != arn {
				t.Errorf("asked for %q, %v", in.SecretId, err)
			}
			return play(in.VersionStage, r)
		})
		return s, tries
	}
	answer := func(status int, body string) *http.Response {
		return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/x-amz-json-1.1"}}, Body: io.NopCloser(strings.NewReader(body))}
	}
	t.Run("both versions", func(t *testing.T) {
		s, _ := newStore(func(label string, _ *http.Request) (*http.Response, error) {
			return answer(200, fmt.Sprintf(`{"SecretString":"of %s","VersionId":"v","CreatedDate":%d}`, label, time.Now().Unix())), nil
		})
		keys, err := s.Keys(ctx)
		if !slices.Equal(keys, []string{"of AWSCURRENT", "of AWSPREVIOUS"}) || !errors.Is(err, notification.ErrNotASecret) { // it has a blank
			t.Errorf("Keys = %q, %v", keys, err)
		}
	})
	t.Run("redirected", func(t *testing.T) {
		for _, status := range []int{301, 302, 303, 307, 308} {
			s, tries := newStore(func(label string, r *http.Request) (*http.Response, error) {
				if r.URL.Host == "example.com" {
					return answer(200, `{"SecretString":"a stranger's secret","VersionId":"v"}`), nil
				}
				moved := answer(status, "")
				moved.Header.Set("Location", "https://example.com/")
				return moved, nil
			})
			if keys, err := s.Keys(ctx); len(keys) != 0 || err == nil || errors.Is(err, ErrNotStored) || *tries != 1 {
				t.Errorf("%d: Keys = %q, %v after %d requests", status, keys, err, *tries)
			}
		}
	})
	t.Run("hanging", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var second time.Duration
			start := time.Now()
			s, tries := newStore(func(_ string, r *http.Request) (*http.Response, error) {
				second = time.Since(start)
				<-r.Context().Done()
				return nil, r.Context().Err()
			})
			_, err := s.Keys(t.Context())
			if took := time.Since(start); err == nil || *tries != 2 || took < 1400*time.Millisecond || took > 1500*time.Millisecond {
				t.Errorf("Keys = %v after %v and %d tries, want two of 0.7 s within 1.5 s", err, took, *tries)
			}
			if second < 700*time.Millisecond || second > 800*time.Millisecond {
				t.Errorf("the second try began after %v, want 0.7 s and at most 0.1 s more", second)
			}
		})
	})
	t.Run("the previous version hangs", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, tries := newStore(func(label string, r *http.Request) (*http.Response, error) {
				if label == "AWSCURRENT" {
					time.Sleep(600 * time.Millisecond)
					return answer(200, fmt.Sprintf(`{"SecretString":"the-current-one","VersionId":"v","CreatedDate":%d}`, time.Now().Unix())), nil
				}
				<-r.Context().Done()
				return nil, r.Context().Err()
			})
			start := time.Now()
			keys, err := s.Keys(t.Context())
			if took := time.Since(start); !slices.Equal(keys, []string{"the-current-one"}) || err == nil || *tries != 3 || took != 1500*time.Millisecond {
				t.Errorf("Keys = %q, %v after %v and %d requests, want the current one after 1.5 s and three", keys, err, took, *tries)
			}
		})
	})
	t.Run("throttled", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var longest time.Duration
			for range 40 { // what the SDK waits is drawn by lot
				s, tries := newStore(func(string, *http.Request) (*http.Response, error) {
					return answer(400, `{"__type":"ThrottlingException"}`), nil
				})
				start := time.Now()
				if _, err := s.Keys(t.Context()); err == nil || *tries != 2 {
					t.Errorf("Keys = %v after %d tries, want two", err, *tries)
				}
				longest = max(longest, time.Since(start))
			}
			if longest < 50*time.Millisecond || longest > 100*time.Millisecond {
				t.Errorf("the longest wait is %v, want up to 0.1 s", longest)
			}
		})
	})
	t.Run("a long outage", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, tries := newStore(func(string, *http.Request) (*http.Response, error) {
				return answer(503, `{"__type":"ServiceUnavailable"}`), nil
			})
			for range 200 {
				*tries = 0
				time.Sleep(time.Minute)
				if _, err := s.Keys(t.Context()); err == nil {
					t.Fatal("no error")
				}
			}
			if *tries != 2 {
				t.Errorf("%d tries after 200 failures, want 2", *tries)
			}
		})
	})
	t.Run("asks for 4 s", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, tries := newStore(func(string, *http.Request) (*http.Response, error) {
				busy := answer(503, `{"__type":"ServiceUnavailable"}`)
				busy.Header.Set("X-Amz-Retry-After", "4000")
				return busy, nil
			})
			start := time.Now()
			if _, err := s.Keys(t.Context()); err == nil || *tries != 2 || time.Since(start) > 500*time.Millisecond {
				t.Errorf("Keys = %v after %v and %d tries, want two at once", err, time.Since(start), *tries)
			}
		})
	})
}

// After a failure no connection is used again: the one that did not answer may be dead.
func TestDeadConnectionIsDropped(t *testing.T) {
	var connections []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		connections = append(connections, r.RemoteAddr)
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusBadRequest)
	}))
	defer server.Close()
	s := New(aws.Config{Region: "eu-west-1", BaseEndpoint: &server.URL, Credentials: aws.AnonymousCredentials{}}, "arn")
	for range 2 {
		if err := s.Warm(ctx); err == nil {
			t.Fatal("no error")
		}
	}
	if len(connections) != 2 || connections[0] == connections[1] {
		t.Errorf("requests came from %v, want a new connection after the failure", connections)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
