package sdkhttp

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
)

// closedEarly is a body as the SDK's is when the answer was quicker than the
// transport's last look at it, for which it takes WriteTo.
type closedEarly struct{ *strings.Reader }

func (closedEarly) WriteTo(io.Writer) (int64, error) { return 0, io.EOF }

func (closedEarly) Close() error { return nil }

func TestClient(t *testing.T) {
	// Some MB, so that the answer is still on its way when the connection is closed.
	const text, times = "what is sent", 1 << 19
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = w.Write(bytes.Repeat(body, times))
	}))
	defer server.Close()
	send := func(client interface {
		Do(*http.Request) (*http.Response, error)
	}) (string, error) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, closedEarly{strings.NewReader(text)})
		if err != nil {
			t.Fatal(err)
		}
		r.ContentLength = int64(len(text))
		answer, err := client.Do(r)
		if err != nil {
			return "", err
		}
		defer answer.Body.Close()
		got, err := io.ReadAll(answer.Body)
		return string(got), err
	}
	failed := false
	for range 20 { // nearly every time; the answer may be quicker than the closing
		if _, err := send(server.Client()); err != nil {
			failed = true
			break
		}
	}
	if !failed {
		t.Error("without the workaround nothing fails: it may be of no use any more")
	}
	if got, err := send(Client(server.Client())); err != nil || len(got) != times*len(text) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// An aws.Config has no client where nothing asks for another than the SDK's own.
func TestNoClient(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	defer server.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, strings.NewReader("text"))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := Client(nil).Do(r)
	if err != nil || answer.StatusCode != http.StatusTeapot {
		t.Fatalf("%v, %v", answer, err)
	}
	_ = answer.Body.Close()
}

// redirects answers every request with that status, to a page that any check of the
// answer's form would take for S3's.
func redirects(t *testing.T, status int) (url string, seen func() []string) {
	var requests []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests = append(requests, r.Method+" "+r.URL.Path)
		if r.URL.Path != "/sorry" {
			http.Redirect(w, r, "/sorry", status)
			return
		}
		w.Header().Set("ETag", `"abc"`)
	}))
	t.Cleanup(server.Close)
	return server.URL, func() []string { return requests }
}

// otherClient follows redirects, and is of no kind that package sdkhttp knows.
type otherClient struct{}

func (otherClient) Do(r *http.Request) (*http.Response, error) { return http.DefaultClient.Do(r) }

func TestRedirectIsNoAnswer(t *testing.T) {
	// The others follow, and only what they bring is no answer.
	direct := map[string]bool{"of net/http": true, "twice": true, "Own": true, "Own by itself": true}
	for _, status := range []int{301, 302, 303, 307, 308} {
		for name, client := range map[string]aws.HTTPClient{
			"the SDK's":      Client(nil),
			"of net/http":    Client(&http.Client{}),
			"with a timeout": Client(awshttp.NewBuildableClient().WithTimeout(time.Minute)),
			"twice":          Client(Client(&http.Client{})),
			"Own":            Within(Own(time.Minute)),
			"Own by itself":  Own(time.Minute),
			"another":        Client(otherClient{}),
		} {
			for _, method := range []string{http.MethodPut, http.MethodGet} {
				url, seen := redirects(t, status)
				var body io.Reader
				if method == http.MethodPut {
					body = strings.NewReader("somebody's mail")
				}
				r, err := http.NewRequestWithContext(t.Context(), method, url+"/bucket/key", body)
				if err != nil {
					t.Fatal(err)
				}
				answer, err := client.Do(r)
				if err == nil {
					_ = answer.Body.Close()
				}
				// Either the redirect is the answer, which the SDK takes for an error, or there is none.
				if err == nil && answer.StatusCode != status || err != nil && !errors.Is(err, ErrRedirected) {
					t.Errorf("%s, %s %d: %v, %v after %v", name, method, status, answer, err, seen())
				}
				if direct[name] && len(seen()) != 1 {
					t.Errorf("%s, %s %d: %v, want one request", name, method, status, seen())
				}
				if slices.Contains(seen(), "PUT /sorry") {
					t.Errorf("%s, %d: the mail was sent to where it was redirected", name, status)
				}
			}
		}
	}
}

// What a client followed to is not left open.
func TestRedirectedAnswerIsClosed(t *testing.T) {
	body := &closeCounter{Reader: strings.NewReader("a page")}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://s3.example/key", nil)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := r.Clone(t.Context())
	elsewhere.URL = r.URL.JoinPath("sorry")
	answer, err := Client(doer(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Request: elsewhere, Body: body}, nil
	})).Do(r) //nolint:bodyclose // that is what is tested
	if answer != nil || !errors.Is(err, ErrRedirected) || body.closed != 1 {
		t.Errorf("%v, %v, closed %d times", answer, err, body.closed)
	}
}

type doer func(*http.Request) (*http.Response, error)

func (d doer) Do(r *http.Request) (*http.Response, error) { return d(r) }

type closeCounter struct {
	io.Reader
	closed int
}

func (c *closeCounter) Close() error { c.closed++; return nil }

// A client with a rule of its own keeps it.
func TestOwnRuleForRedirects(t *testing.T) {
	url, seen := redirects(t, 302)
	rule := errors.New("the program's own rule")
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/key", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := Client(&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return rule }}).Do(r)
	if answer != nil {
		_ = answer.Body.Close()
	}
	if !errors.Is(err, rule) || len(seen()) != 1 {
		t.Errorf("%v after %v", err, seen())
	}
}

func TestTries(t *testing.T) {
	r := Tries(2, 100*time.Millisecond)
	if r.MaxAttempts() != 2 {
		t.Errorf("%d tries, want 2", r.MaxAttempts())
	}
	throttled := &smithy.GenericAPIError{Code: "ThrottlingException"}
	var longest time.Duration
	for range 200 { // the SDK's bucket holds 500 and a retry takes 5 of them
		wait, err := r.RetryDelay(1, throttled) // drawn by lot
		if err != nil {
			t.Fatal(err)
		}
		longest = max(longest, wait)
		if _, err := r.GetRetryToken(t.Context(), throttled); err != nil {
			t.Fatal(err)
		}
	}
	if longest < 50*time.Millisecond || longest > 100*time.Millisecond {
		t.Errorf("the longest wait is %v, want up to 100 ms", longest)
	}
}

// equivalent mutant: Own: transport.Protocols.SetHTTP1(true) -> (nothing)
// equivalent mutant: Own: true -> false
// Of no protocol at all, net/http makes HTTP/1.1, as of this one.
//
// A frozen function wakes up with connections that are dead and do not say so; over
// HTTP/2 every try would use the same one.
func TestOwnSpeaksHTTP1(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	protocol := func(client *http.Client) string {
		transport := client.Transport.(*http.Transport)
		if transport.TLSClientConfig == nil {
			transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		transport.TLSClientConfig.RootCAs = server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
		answer, err := client.Get(server.URL) //nolint:noctx // a test server
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	if got := protocol(&http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()}); got != "HTTP/2.0" {
		t.Fatalf("the server speaks %s by itself; this test shows nothing", got)
	}
	own := Own(time.Minute)
	if got := protocol(own); got != "HTTP/1.1" || own.Timeout != time.Minute {
		t.Errorf("Own speaks %s with a timeout of %v", got, own.Timeout)
	}
}

// The SDK waits as long as this header says, up to 5 s beyond the retryer's own bound.
func TestWithinTakesOffRetryAfter(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Amz-Retry-After", "4000")
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer server.Close()
	header := func(client aws.HTTPClient) string {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, strings.NewReader("text"))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		return answer.Header.Get("X-Amz-Retry-After")
	}
	if got := header(Client(nil)); got != "4000" {
		t.Errorf("Client: %q", got)
	}
	if got := header(Within(Own(time.Minute))); got != "" {
		t.Errorf("Within: %q", got)
	}
	server.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, strings.NewReader("text"))
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := Within(nil).Do(r); err == nil {
		_ = answer.Body.Close()
		t.Error("an answer of a server that is gone")
	}
}
