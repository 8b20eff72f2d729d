// Package awserror writes what went wrong with AWS so that it can be logged. The SDK's
// own text cannot: it repeats what the service said, and what is between the service and
// us may echo the request with the mail in it, or an answer with the secret in it.
//
// The receiver, package consumer and the command-line tools log errors through it. An
// error that is not the SDK's keeps its text.
package awserror

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"github.com/onepagecrm/nylas-webhooks/internal/sdkhttp"
)

// maxText bounds the text of an error, in bytes; ours and AWS's are under 500.
const maxText = 2000

// Text returns err's text for a log, of at most 2,000 bytes. For each call of AWS in it
// stands the operation, the HTTP status, the error code, AWS's request id, how often it
// was tried, and AWS's message if it is one of those that are known to name only
// identities and resources:
//
//	send to queue: SQS SendMessage: 400 KMS.DisabledException, request 5f8a…: arn:aws:kms:…:key/… is disabled.
//
// Of a request without the SDK ([url.Error]) stand method and host, without path and query.
func Text(err error) string {
	text, calls := err.Error(), failedCalls(err)
	var shown, pairs []string
	for _, c := range calls {
		shown = append(shown, c.shown)
	}
	// One text may be a part of another: the longer one goes first.
	slices.SortStableFunc(calls, func(a, b failedCall) int { return len(b.raw) - len(a.raw) })
	rest := text
	for _, c := range calls {
		if !strings.Contains(rest, c.raw) { // something wrote it in words of its own
			return bounded(strings.Join(shown, "\n"))
		}
		rest = strings.Replace(rest, c.raw, "", 1)
		pairs = append(pairs, c.raw, c.shown)
	}
	return bounded(strings.NewReplacer(pairs...).Replace(text))
}

func bounded(text string) string {
	if len(text) <= maxText {
		return text
	}
	return strings.ToValidUTF8(text[:maxText], "") + "…"
}

// failedCall is a call of AWS, or a request, that failed: its own text, and the one that
// may be shown.
type failedCall struct{ raw, shown string }

// failedCalls returns every one in the tree of errors, the outermost of those that
// contain each other.
func failedCalls(err error) []failedCall {
	switch e := err.(type) { //nolint:errorlint // it is the walk that errors.As does, for all instead of the first
	case *smithy.OperationError:
		return []failedCall{{e.Error(), describeOperation(e)}}
	case *url.Error:
		return []failedCall{{e.Error(), describeRequest(e)}}
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			return failedCalls(inner)
		}
	case interface{ Unwrap() []error }:
		var all []failedCall
		for _, inner := range e.Unwrap() {
			all = append(all, failedCalls(inner)...)
		}
		return all
	}
	return nil
}

// describeRequest tells of a request what is not the other side's free text. The text of
// [url.Error] has the whole address in it, and bytes of what answered.
func describeRequest(request *url.Error) string {
	host := "an address"
	if address, err := url.Parse(request.URL); err == nil && address.Host != "" {
		host = address.Host
	}
	return request.Op + " " + host + ": " + what(request.Err)
}

// describeOperation tells of a call what is not the service's free text.
func describeOperation(operation *smithy.OperationError) string {
	parts := []string{what(operation.Err)}
	if response := (*awshttp.ResponseError)(nil); errors.As(operation.Err, &response) && response.HTTPStatusCode() > 0 {
		parts[0] = strings.TrimSpace(fmt.Sprint(response.HTTPStatusCode(), " ", parts[0]))
		if id := response.RequestID; identifier.MatchString(id) {
			parts = append(parts, "request "+id)
		}
	}
	if tries := (*retry.MaxAttemptsError)(nil); errors.As(operation.Err, &tries) && tries.Attempt > 1 {
		parts = append(parts, fmt.Sprintf("%d tries", tries.Attempt))
	}
	text := operation.ServiceID + " " + operation.OperationName + ": " + strings.Join(parts, ", ")
	if api := smithy.APIError(nil); errors.As(operation.Err, &api) && harmless(api.ErrorMessage()) {
		text += ": " + api.ErrorMessage()
	}
	return text
}

// identifier is what a request id or an error code may look like.
var identifier = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9+/=_.#-]{0,127}$`)

// what returns the error code, or in our words what happened where there is none.
func what(err error) string {
	api := smithy.APIError(nil)
	switch {
	case errors.As(err, &api):
		if !identifier.MatchString(api.ErrorCode()) {
			return "an error without a code that can be shown"
		}
		return api.ErrorCode()
	case errors.Is(err, sdkhttp.ErrRedirected):
		return sdkhttp.ErrRedirected.Error()
	case Untrusted(err):
		return Network(err) + " (a proxy between? see AWS_CA_BUNDLE)"
	}
	return Network(err)
}

// Network says in our words why a request over HTTP got no answer that can be read. Go's
// own text may quote what came instead of an answer, and that may hold anything.
func Network(err error) string {
	timeout := net.Error(nil)
	unreadable, name, errno := (*smithy.DeserializationError)(nil), (*net.DNSError)(nil), syscall.Errno(0)
	switch {
	case errors.Is(err, context.Canceled):
		return "it was cancelled"
	case errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout():
		return "no answer in time"
	case Untrusted(err):
		return "the server's certificate is not trusted"
	case errors.As(err, &name):
		return "the endpoint's name does not resolve"
	case errors.As(err, &errno):
		return errno.Error()
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection was closed before the answer was whole"
	case errors.As(err, &unreadable):
		return "the answer cannot be read, so it is not AWS's"
	}
	return fmt.Sprintf("it failed (%T)", innermost(err))
}

// Untrusted tells whether the server's certificate was refused: its authority is not
// known here, it is for another name, or it has expired.
func Untrusted(err error) bool {
	authority, host, expired := x509.UnknownAuthorityError{}, x509.HostnameError{}, x509.CertificateInvalidError{}
	certificate := (*tls.CertificateVerificationError)(nil)
	return errors.As(err, &authority) || errors.As(err, &host) || errors.As(err, &expired) || errors.As(err, &certificate)
}

func innermost(err error) error {
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	return err
}

// known are the messages that help and hold nothing of a request but identities and
// resources. A message has to be one of them as a whole.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
var known = sync.OnceValue(func() []*regexp.Regexp {
	const arn = `arn:aws[A-Za-z0-9-]*:[A-Za-z0-9:_+=,.@/*-]{1,300}`
	return []*regexp.Regexp{
		regexp.MustCompile(`^User: ` + arn + ` is not authorized to perform: [A-Za-z0-9-]{1,30}:[A-Za-z*]{1,60}( on resource: "?` + arn + `"?)?( because (no [a-z-]{1,40} policy allows|[a-z0-9 -]{1,80}) [A-Za-z0-9 :-]{0,90}| with an explicit deny( in an? [a-z -]{1,40} policy)?)?\.?$`),
		regexp.MustCompile(`^` + arn + ` is (disabled|pending deletion|pending import)\.?$`),
		regexp.MustCompile(`^The (specified queue does not exist|security token included in the request is (expired|invalid))[a-z ]{0,40}\.?$`),
	}
})

func harmless(message string) bool {
	for _, form := range known() {
		if form.MatchString(message) {
			return true
		}
	}
	return false
}
