package standin

import (
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"
)

// What the server's certificates are makes callers trust it, or not.
func TestCertificates(t *testing.T) {
	for certificate, want := range map[Certificate]string{
		Valid: "", Expired: "expired", OfAnother: "not 127.0.0.1", Unknown: "unknown authority",
	} {
		s, cfg := start(t)
		s.ShowCertificates(certificate)
		_, err := send(t, s, cfg, "hello")
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("certificate %d: %v, want %q", certificate, err, want)
		}
	}
}

func TestSpeaksBothProtocols(t *testing.T) {
	s, _ := start(t)
	for _, http2 := range []bool{false, true} {
		c := client(t, s)
		c.Transport.(*http.Transport).ForceAttemptHTTP2 = http2
		response, err := c.Get(s.URL + elsewhere)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if want := map[bool]int{false: 1, true: 2}[http2]; response.ProtoMajor != want || response.TLS.Version != tls.VersionTLS13 {
			t.Errorf("%s over TLS version %x, want HTTP/%d and 1.3", response.Proto, response.TLS.Version, want)
		}
	}
}

// Each way to break what is open is met by a caller whose client keeps connections.
func TestBrokenConnections(t *testing.T) {
	for name, test := range map[string]struct {
		sever func(*Server)
		want  string // in the error of one try; empty: Go's client notices in time
	}{
		"reset":  {(*Server).ResetConnections, ""},
		"closed": {(*Server).CloseConnections, ""},
		"silent": {(*Server).SilenceConnections, "Client.Timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := start(t)
			c := client(t, s)
			ask := func() error {
				response, err := c.Get(s.URL + elsewhere)
				if err != nil {
					return err
				}
				defer response.Body.Close()
				_, err = io.Copy(io.Discard, response.Body)
				return err
			}
			if err := ask(); err != nil {
				t.Fatal(err)
			}
			test.sever(s)
			if err := ask(); (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("the next: %v, want %q", err, test.want)
			}
			if err := ask(); err != nil {
				t.Errorf("after it: %v", err)
			}
		})
	}
}

// A client that follows redirects takes the page for AWS's answer: that is what the
// fault is for.
func TestRedirectsLeadSomewhere(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		s, _ := start(t)
		s.S3.Faults.Set(1, 1, Redirect(status))
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, s.URL+"/"+BucketName+"/spill/id", strings.NewReader("content"))
		if err != nil {
			t.Fatal(err)
		}
		response, err := client(t, s).Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != 200 || response.Header.Get("ETag") == "" || s.Strayed() != 1 || len(s.S3.Objects()) != 0 {
			t.Errorf("%d: %d with ETag %q, %d strayed, %d objects", status, response.StatusCode, response.Header.Get("ETag"), s.Strayed(), len(s.S3.Objects()))
		}
	}
}

// SQS's front end refuses a request by its length: quotes double in JSON.
func TestLengthOfTheRequest(t *testing.T) {
	s, cfg := start(t)
	for _, test := range []struct {
		quotes int
		taken  bool
	}{
		{831_000, true},  // 1,662,000 bytes on the wire, and less than 976 around them
		{832_000, false}, // 1,664,000
	} {
		_, err := send(t, s, cfg, strings.Repeat(`"`, test.quotes))
		if (err == nil) != test.taken || err != nil && !strings.Contains(err.Error(), "413") {
			t.Errorf("%d quotes: %v, taken should be %t", test.quotes, err, test.taken)
		}
	}
	if refused := s.SQS.Refused(); len(refused) != 1 || refused[0].Message != "HTTP content length exceeded 1662976 bytes." {
		t.Errorf("refused %+v", refused)
	}
}
