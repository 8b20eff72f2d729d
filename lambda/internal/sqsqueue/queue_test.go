package sqsqueue

import (
	"context"
	"crypto/md5" //nolint:gosec // what SQS answers with
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
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

// roundTripper plays SQS under the real SDK.
type roundTripper func(try int, body []byte, request *http.Request) (*http.Response, error)

func newQueue(play roundTripper) (*Queue, *int) {
	q := New(aws.Config{Region: "eu-west-1", Credentials: credentials}, "https://sqs.eu-west-1.amazonaws.com/123456789012/q")
	tries := new(int)
	q.http.Transport = transportFunc(func(r *http.Request) (*http.Response, error) {
		*tries++
		var body []byte
		if r.Body != nil { // a HEAD has none
			var err error
			if body, err = io.ReadAll(r.Body); err != nil {
				return nil, err
			}
		}
		return play(*tries, body, r)
	})
	return q, tries
}

type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func answer(status int, header http.Header, body string) *http.Response {
	if header == nil {
		header = http.Header{}
	}
	header.Set("Content-Type", "application/x-amz-json-1.0")
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body))}
}

// accept answers as SQS does, without the attributes' checksum, which is optional.
func accept(_ int, body []byte, _ *http.Request) (*http.Response, error) {
	var in struct{ MessageBody string }
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	sum := md5.Sum([]byte(in.MessageBody)) //nolint:gosec // what SQS answers with
	return answer(200, nil, `{"MessageId":"m-1","MD5OfMessageBody":"`+hex.EncodeToString(sum[:])+`"}`), nil
}

func fail(status int, code string) *http.Response {
	return answer(status, http.Header{"X-Amzn-Errortype": {code}}, `{"__type":"com.amazonaws.sqs#`+code+`","message":"no"}`)
}

// hang answers when the caller has given up.
func hang(_ int, _ []byte, r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

var wire = notification.Wire{
	Body:       "{}",
	Attributes: map[string]notification.Attribute{"delivery_attempt": {DataType: "Number", Value: "1"}},
	GroupID:    "grant",
}

func TestWhatIsSent(t *testing.T) {
	var sent map[string]any
	q, _ := newQueue(func(try int, body []byte, r *http.Request) (*http.Response, error) {
		if err := json.Unmarshal(body, &sent); err != nil {
			return nil, err
		}
		return accept(try, body, r)
	})
	if err := q.Send(t.Context(), wire); err != nil {
		t.Fatal(err)
	}
	want := `{"MessageAttributes":{"delivery_attempt":{"DataType":"Number","StringValue":"1"}},"MessageBody":"{}","MessageGroupId":"grant","QueueUrl":"https://sqs.eu-west-1.amazonaws.com/123456789012/q"}`
	if got, _ := json.Marshal(sent); string(got) != want {
		t.Errorf("sent %s\nwant %s", got, want)
	}
}

func TestSendSucceedsOnlyWhenSQSConfirms(t *testing.T) {
	reset := errors.New("connection reset by peer")
	tests := []struct {
		name  string
		play  roundTripper
		tries int
		ok    bool
	}{
		{"accepted", accept, 1, true},
		{"503, then accepted", func(try int, b []byte, r *http.Request) (*http.Response, error) {
			if try == 1 {
				return fail(503, "ServiceUnavailable"), nil
			}
			return accept(try, b, r)
		}, 2, true},
		{"throttled, then accepted", func(try int, b []byte, r *http.Request) (*http.Response, error) {
			if try == 1 {
				return fail(400, "RequestThrottled"), nil
			}
			return accept(try, b, r)
		}, 2, true},
		{"reset, then accepted", func(try int, b []byte, r *http.Request) (*http.Response, error) {
			if try == 1 {
				return nil, reset
			}
			return accept(try, b, r)
		}, 2, true},
		{"the key throttled, then accepted", func(try int, b []byte, r *http.Request) (*http.Response, error) {
			if try == 1 {
				return answer(400, http.Header{"X-Amzn-Query-Error": {"KMS.ThrottlingException;Sender"}}, `{"__type":"com.amazonaws.sqs#KmsThrottled","message":"no"}`), nil
			}
			return accept(try, b, r)
		}, 2, true},
		{"the key throttled, as the JSON protocol names it", func(try int, b []byte, r *http.Request) (*http.Response, error) {
			if try == 1 {
				return fail(400, "KmsThrottled"), nil
			}
			return accept(try, b, r)
		}, 2, true},
		{"503 that asks for 4 s, then accepted", func(try int, b []byte, r *http.Request) (*http.Response, error) {
			if try == 1 {
				return answer(503, http.Header{"X-Amz-Retry-After": {"4000"}}, `{"__type":"com.amazonaws.sqs#ServiceUnavailable"}`), nil
			}
			return accept(try, b, r)
		}, 2, true},
		{"the key is disabled", func(int, []byte, *http.Request) (*http.Response, error) { return fail(400, "KmsDisabled"), nil }, 1, false},
		{"503 twice", func(int, []byte, *http.Request) (*http.Response, error) { return fail(503, "ServiceUnavailable"), nil }, 2, false},
		{"denied", func(int, []byte, *http.Request) (*http.Response, error) { return fail(403, "AccessDenied"), nil }, 1, false},
		{"queue is gone", func(int, []byte, *http.Request) (*http.Response, error) { return fail(400, "QueueDoesNotExist"), nil }, 1, false},
		{"other bytes arrived (md5)", func(int, []byte, *http.Request) (*http.Response, error) {
			return answer(200, nil, `{"MessageId":"m-1","MD5OfMessageBody":"00000000000000000000000000000000"}`), nil
		}, 1, false},
		{"200 without a message id", func(int, []byte, *http.Request) (*http.Response, error) { return answer(200, nil, `{}`), nil }, 1, false},
		{"200 of a proxy", func(int, []byte, *http.Request) (*http.Response, error) { return answer(200, nil, `<html>`), nil }, 1, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q, done := newQueue(tt.play)
				start := time.Now()
				if err := q.Send(t.Context(), wire); (err == nil) != tt.ok {
					t.Errorf("Send = %v, want success: %v", err, tt.ok)
				}
				if took := time.Since(start); took > 100*time.Millisecond {
					t.Errorf("took %v, want at most 100 ms between the tries", took)
				}
				if *done != tt.tries {
					t.Errorf("%d tries, want %d", *done, tt.tries)
				}
			})
		})
	}
}

// Whoever SQS's answer names instead is not asked, whatever they would say.
func TestRedirectIsNoAnswer(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		q, tries := newQueue(func(_ int, _ []byte, r *http.Request) (*http.Response, error) {
			if r.URL.Host == "example.com" {
				return answer(200, nil, `{"MessageId":"m-1"}`), nil
			}
			return answer(status, http.Header{"Location": {"https://example.com/"}}, ""), nil
		})
		if err := q.Send(t.Context(), wire); err == nil || errors.Is(err, ErrRefused) || *tries != 1 {
			t.Errorf("%d: Send = %v after %d requests", status, err, *tries)
		}
	}
}

// The budget: 3 s, then 0.8 s while SQS is troubled, then 3 s again.
func TestTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		play := hang
		var start time.Time
		var last time.Duration // when the last try began
		q, tries := newQueue(func(try int, b []byte, r *http.Request) (*http.Response, error) {
			last = time.Since(start)
			return play(try, b, r)
		})
		send := func() (time.Duration, int, error) {
			start = time.Now()
			*tries = 0
			err := q.Send(t.Context(), wire)
			return time.Since(start), *tries, err
		}
		if took, n, err := send(); err == nil || n != 2 || took < 2800*time.Millisecond || took > 3*time.Second {
			t.Errorf("hanging: %v after %v and %d tries, want an error after 2 tries of 1.4 s within 3 s", err, took, n)
		}
		if last < 1400*time.Millisecond || last > 1500*time.Millisecond {
			t.Errorf("the second try began after %v, want 1.4 s and at most 0.1 s more", last)
		}
		if took, n, err := send(); err == nil || n != 1 || took != 800*time.Millisecond {
			t.Errorf("still hanging: %v after %v and %d tries, want an error after one of 0.8 s", err, took, n)
		}
		play = func(int, []byte, *http.Request) (*http.Response, error) { return fail(503, "ServiceUnavailable"), nil }
		if _, n, err := send(); err == nil || n != 1 {
			t.Errorf("still failing: %v after %d tries, want an error after one", err, n)
		}
		play = accept
		if _, _, err := send(); err != nil {
			t.Errorf("healthy again: %v", err)
		}
		play = hang
		if _, n, err := send(); err == nil || n != 2 {
			t.Errorf("after a success: %v after %d tries, want two tries again", err, n)
		}
	})
}

// The budget holds for all that a send may wait for, and while SQS is troubled as well.
func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
			<-ctx.Done()
			return aws.Credentials{}, ctx.Err()
		})
		q := New(aws.Config{Region: "eu-west-1", Credentials: slow}, "https://sqs.eu-west-1.amazonaws.com/123456789012/q")
		for _, want := range []time.Duration{3 * time.Second, 800 * time.Millisecond} {
			start := time.Now()
			if err := q.Send(t.Context(), wire); err == nil || time.Since(start) != want {
				t.Errorf("Send = %v after %v, want an error after %v", err, time.Since(start), want)
			}
		}
	})
}

// Between the tries there is a wait, drawn by lot, of up to 100 ms.
func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _ := newQueue(func(int, []byte, *http.Request) (*http.Response, error) { return fail(400, "RequestThrottled"), nil })
		var longest time.Duration
		for range 40 {
			q.troubled.Store(false)
			start := time.Now()
			if err := q.Send(t.Context(), wire); err == nil {
				t.Fatal("no error")
			}
			longest = max(longest, time.Since(start))
		}
		if longest < 50*time.Millisecond || longest > 100*time.Millisecond {
			t.Errorf("the longest wait is %v, want up to 100 ms", longest)
		}
	})
}

// A message that SQS refuses says nothing about SQS.
func TestRefusedMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plain413 := &http.Response{StatusCode: 413, Header: http.Header{"Content-Type": {"text/plain"}}, Body: io.NopCloser(strings.NewReader("HTTP content length exceeded 1662976 bytes."))}
		for name, refusal := range map[string]*http.Response{
			"characters": fail(400, "InvalidMessageContents"), "a parameter": fail(400, "InvalidParameterValue"),
			"an attribute": fail(400, "InvalidAttributeValue"), "the request's length": plain413,
		} {
			q, tries := newQueue(func(int, []byte, *http.Request) (*http.Response, error) { return refusal, nil })
			if err := q.Send(t.Context(), wire); !errors.Is(err, ErrRefused) || *tries != 1 || q.troubled.Load() {
				t.Errorf("%s: %v after %d tries, troubled: %v", name, err, *tries, q.troubled.Load())
			}
		}
	})
}

// A start without a connection is an outage until a send succeeds.
func TestWarmThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		play := hang
		q, tries := newQueue(func(try int, b []byte, r *http.Request) (*http.Response, error) { return play(try, b, r) })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := q.Warm(ctx); err == nil {
			t.Error("Warm succeeds although nobody answers")
		}
		*tries = 0
		start := time.Now()
		if err := q.Send(t.Context(), wire); err == nil || *tries != 1 || time.Since(start) != 800*time.Millisecond {
			t.Errorf("then Send = %v after %v and %d tries, want an error after one of 0.8 s", err, time.Since(start), *tries)
		}
	})
}

// An address that is none is no connection either.
func TestWarmWithoutAnAddress(t *testing.T) {
	q := New(aws.Config{Region: "eu-west-1", Credentials: credentials}, "://")
	if err := q.Warm(t.Context()); err == nil || !q.troubled.Load() {
		t.Errorf("Warm = %v, troubled: %v", err, q.troubled.Load())
	}
}

// What [notification.Wire.RequestSize] reckons with is what the SDK writes; this package
// writes U+2028 and U+2029 in three bytes, where it reckons with the SDK's six.
func TestRequestSize(t *testing.T) {
	odd := notification.Wire{
		Body:       "\"\\\n\r\t<>&\u2028\u2029ü☕\x7f" + strings.Repeat("a", 1000),
		Attributes: map[string]notification.Attribute{"notification_id": {DataType: "String", Value: `"a"`}, "delivery_attempt": {DataType: "Number", Value: "1"}},
	}
	sent := 0
	q, _ := newQueue(func(try int, body []byte, r *http.Request) (*http.Response, error) {
		sent = len(body)
		return accept(try, body, r)
	})
	if err := q.Send(t.Context(), odd); err != nil {
		t.Fatal(err)
	}
	around := len(`{"MessageAttributes":{},"MessageBody":"","QueueUrl":"https://sqs.eu-west-1.amazonaws.com/123456789012/q"}`)
	if got := odd.RequestSize(); got-2*3 < sent-around-5 || got-2*3 > sent-around+5 { // commas between the attributes
		t.Errorf("RequestSize = %d, the request has %d around it and %d in all", got, around, sent)
	}
}

// After a failure no connection is used again: the one that did not answer may be dead.
func TestDeadConnectionIsDropped(t *testing.T) {
	var connections []string
	broken := true
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		connections = append(connections, r.RemoteAddr)
		body, _ := io.ReadAll(r.Body)
		if broken {
			w.Header().Set("Content-Type", "application/x-amz-json-1.0")
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `{"__type":"com.amazonaws.sqs#AccessDenied"}`)
			return
		}
		a, _ := accept(1, body, r)
		_, _ = io.Copy(w, a.Body)
	}))
	defer server.Close()
	q := New(aws.Config{Region: "eu-west-1", Credentials: credentials, BaseEndpoint: &server.URL}, server.URL+"/123456789012/q")
	if err := q.Send(t.Context(), wire); err == nil {
		t.Fatal("no error")
	}
	broken = false
	if err := q.Send(t.Context(), wire); err != nil {
		t.Fatal(err)
	}
	if len(connections) != 2 || connections[0] == connections[1] {
		t.Errorf("requests came from %v, want a new connection after the failure", connections)
	}
}

// The caller's own deadline ends it earlier.
func TestCallersDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _ := newQueue(hang)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		start := time.Now()
		if err := q.Send(ctx, wire); err == nil || time.Since(start) != 100*time.Millisecond {
			t.Errorf("Send = %v after %v, want an error after 100ms", err, time.Since(start))
		}
	})
}

// An outage must not use up the SDK's bucket of retries, or the second try would be
// missing long after it.
func TestRetriesDoNotRunOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, tries := newQueue(func(int, []byte, *http.Request) (*http.Response, error) { return fail(503, "ServiceUnavailable"), nil })
		for range 200 {
			*tries = 0
			q.troubled.Store(false)
			if err := q.Send(t.Context(), wire); err == nil {
				t.Fatal("no error")
			}
		}
		if *tries != 2 {
			t.Errorf("%d tries after 200 failures, want 2", *tries)
		}
	})
}

// The connection that Warm opened is the one that Send uses.
func TestWarmOpensTheConnection(t *testing.T) {
	var connections []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		connections = append(connections, r.RemoteAddr)
		body, _ := io.ReadAll(r.Body)
		if r.Method == http.MethodHead {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		a, _ := accept(1, body, r)
		_, _ = io.Copy(w, a.Body)
	}))
	defer server.Close()
	q := New(aws.Config{Region: "eu-west-1", Credentials: credentials, BaseEndpoint: &server.URL}, server.URL+"/123456789012/q")
	if err := q.Warm(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := q.Send(t.Context(), wire); err != nil {
		t.Fatal(err)
	}
	if len(connections) != 2 || connections[0] != connections[1] {
		t.Errorf("requests came from %v, want two from one connection", connections)
	}
}
