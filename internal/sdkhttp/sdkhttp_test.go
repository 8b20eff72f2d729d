package sdkhttp

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
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
