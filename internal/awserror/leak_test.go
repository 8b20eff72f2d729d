package awserror

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/aws/smithy-go"

	"github.com/onepagecrm/nylas-webhooks/internal/sdkhttp"
)

// reworded is an error that does not repeat the text of what it wraps as it is.
type reworded struct{ inner error }

func (e reworded) Error() string { return fmt.Sprintf("it said %q", e.inner.Error()) }
func (e reworded) Unwrap() error { return e.inner }

// longer is an error whose text holds another's, and more.
type longer struct{ error }

func (e longer) Unwrap() error { return e.error }

// However the text of a call stands in an error, none of it is shown.
func TestWrappersDoNotLeak(t *testing.T) {
	call := send(t, refuse(500, "InternalError", "%s"))
	same := send(t, refuse(500, "InternalError", canary))
	const described = "SQS SendMessage: 500 InternalError, request 5f8a-1"
	for name, test := range map[string]struct {
		err  error
		want string
	}{
		"reworded":           {reworded{call}, described},
		"reworded and plain": {errors.Join(reworded{call}, call), described + "\n" + described},
		"told twice":         {fmt.Errorf("%w; again: %s", same, same.Error()), "send to queue: " + described + "; again: send to queue: " + described},
		"same error twice":   {errors.Join(same, same), "send to queue: " + described + "\nsend to queue: " + described},
		"wrapped":            {longer{same}, "send to queue: " + described},
	} {
		if got := Text(test.err); got != test.want {
			t.Errorf("%s:\n %.300s\nwant\n %s", name, got, test.want)
		}
	}
}

// What net/http says has the whole address in it, and bytes of what answered.
func TestURLErrors(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(c, canary+" is no HTTP\r\n\r\n")
		_ = c.Close()
	}))
	host := strings.TrimPrefix(server.URL, "http://")
	_, broken := http.Get(server.URL + "/" + canary + "?token=" + canary) //nolint:bodyclose,noctx // there is none
	server.Close()
	_, refused := http.Get("http://127.0.0.1:1/" + canary + "?token=" + canary) //nolint:bodyclose,noctx // there is none
	_, odd := http.Get("http://" + canary + "%zz/")                             //nolint:bodyclose,noctx // there is none
	for _, test := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("connect to queue: %w", broken), "connect to queue: Get " + host + ": it failed (*errors.errorString)"},
		{refused, "Get 127.0.0.1:1: connection refused"},
		{odd, "Parse an address: it failed (url.EscapeError)"},
	} {
		if test.err == nil {
			t.Fatalf("no error where %q was wanted", test.want)
		}
		if got := Text(test.err); !strings.EqualFold(got, test.want) {
			t.Errorf("%s\nwant\n%s", got, test.want)
		}
	}
}

// One call's text within another's is replaced with it, not by itself.
func TestCallWithinACall(t *testing.T) {
	inner := &smithy.OperationError{ServiceID: "SQS", OperationName: "A", Err: errors.New(canary)}
	outer := &smithy.OperationError{ServiceID: "SQS", OperationName: "B", Err: fmt.Errorf("%w and %s", inner, canary)}
	const a, b = "SQS A: it failed (*errors.errorString)", "SQS B: it failed (*errors.errorString)"
	for want, err := range map[string]error{a + "\n" + b: errors.Join(inner, outer), b + "\n" + a: errors.Join(outer, inner)} {
		if got := Text(err); got != want {
			t.Errorf("%s\nwant\n%s", got, want)
		}
	}
}

// A text that begins as another one does is replaced whole.
func TestTextThatBeginsAsAnother(t *testing.T) {
	short := &smithy.OperationError{ServiceID: "SQS", OperationName: "A", Err: errors.New("x")}
	long := &smithy.OperationError{ServiceID: "SQS", OperationName: "A", Err: errors.New("x " + canary)}
	const a = "SQS A: it failed (*errors.errorString)"
	for _, err := range []error{errors.Join(short, long), errors.Join(long, short)} {
		if got := Text(err); got != a+"\n"+a {
			t.Errorf("%s", got)
		}
	}
}

// equivalent mutant: Network: 0 -> 1
// Only its type counts.

// What happened where AWS has not said it, each by an error of its own kind.
func TestWhat(t *testing.T) {
	for _, test := range []struct {
		err  error
		want string
	}{
		{&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, "no answer in time"},
		{fmt.Errorf("try: %w", context.DeadlineExceeded), "no answer in time"},
		{&url.Error{Op: "Get", Err: fmt.Errorf("try: %w", context.DeadlineExceeded)}, "no answer in time"},
		{context.Canceled, "it was cancelled"},
		{x509.UnknownAuthorityError{}, "the server's certificate is not trusted (a proxy between? see AWS_CA_BUNDLE)"},
		{x509.HostnameError{Certificate: &x509.Certificate{}, Host: "h"}, "the server's certificate is not trusted (a proxy between? see AWS_CA_BUNDLE)"},
		{&tls.CertificateVerificationError{Err: errors.New("expired")}, "the server's certificate is not trusted (a proxy between? see AWS_CA_BUNDLE)"},
		{&net.DNSError{Name: canary, Err: "no such host"}, "the endpoint's name does not resolve"},
		{syscall.ECONNRESET, "connection reset by peer"},
		{io.ErrUnexpectedEOF, "the connection was closed before the answer was whole"},
		{sdkhttp.ErrRedirected, sdkhttp.ErrRedirected.Error()},
		{fmt.Errorf("%s: %w", canary, errors.New(canary)), "it failed (*errors.errorString)"},
	} {
		if got := what(test.err); got != test.want {
			t.Errorf("%T: %s, want %s", test.err, got, test.want)
		}
	}
}

func TestLongestText(t *testing.T) {
	for length, want := range map[int]int{2000: 2000, 2001: 2000 + len("…")} {
		if got := Text(errors.New(strings.Repeat("a", length))); len(got) != want {
			t.Errorf("%d bytes become %d, want %d", length, len(got), want)
		}
	}
}

// equivalent mutant: describeOperation: 0 -> 1
// No answer has the HTTP status 1.
