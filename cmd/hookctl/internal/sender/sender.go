// Package sender plays Nylas: it sends a webhook's challenge and signed
// notifications as Nylas sends them, over real HTTP, with Nylas's time limit.
//
// hookctl's demo and send use it. It does not decide what a good answer is, never
// retries, and knows no AWS.
package sender

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

// Timeout is how long Nylas waits for an answer.
// https://developer.nylas.com/docs/v3/notifications/
const Timeout = 10 * time.Second

// maxAnswer bounds what is read of an answer, in bytes: the longest one that the
// front door gives is a challenge of 1,024 characters.
const maxAnswer = 64 << 10

// Sender sends to one webhook.
type Sender struct {
	// URL is the webhook's address, as registered at Nylas.
	URL string
	// Client is the HTTP client; its own timeout is not needed.
	Client *http.Client
	// Timeout is [Timeout].
	Timeout time.Duration
}

// New returns a Sender that keeps up to connections open at once.
func New(url string, connections int) *Sender {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = connections
	return &Sender{URL: url, Timeout: Timeout, Client: &http.Client{
		Transport: transport,
		// Nylas wants a 200; a redirect is an answer like any other.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Answer is what the webhook answered.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
	Took   time.Duration
}

// ErrTimeout: there was no answer within [Timeout]; Nylas would count the attempt
// as failed.
var ErrTimeout = fmt.Errorf("no answer within %s, the time Nylas waits", Timeout)

// Challenge sends the GET with which Nylas checks a webhook before it uses it. A
// good webhook answers 200 with value as the whole body.
func (s *Sender) Challenge(ctx context.Context, value string) (Answer, error) {
	address, err := url.Parse(s.URL)
	if err != nil {
		return Answer{}, fmt.Errorf("read the webhook's address: %w", err)
	}
	query := address.Query()
	query.Set("challenge", value)
	address.RawQuery = query.Encode()
	return s.do(ctx, http.MethodGet, address.String(), nil, "")
}

// Post sends body, which is not changed, with signature in its header; without the
// header where signature is empty.
func (s *Sender) Post(ctx context.Context, body []byte, signature string) (Answer, error) {
	return s.do(ctx, http.MethodPost, s.URL, body, signature)
}

func (s *Sender) do(ctx context.Context, method, address string, body []byte, signature string) (Answer, error) {
	limited, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(limited, method, address, bytes.NewReader(body))
	if err != nil {
		return Answer{}, fmt.Errorf("make the request: %w", err)
	}
	if method == http.MethodPost {
		request.Header.Set("Content-Type", "application/json")
	}
	if signature != "" {
		request.Header.Set(notification.SignatureHeader, signature)
	}
	request.Header.Set("User-Agent", "hookctl")
	started := time.Now()
	response, err := s.Client.Do(request)
	if err != nil {
		return Answer{}, reason(ctx, limited, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return Answer{}, reason(ctx, limited, err)
	}
	return Answer{Status: response.StatusCode, Header: response.Header, Body: text, Took: time.Since(started)}, nil
}

// reason tells our own time limit from the caller's end and from everything else.
func reason(ctx, limited context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(limited.Err(), context.DeadlineExceeded) {
		return ErrTimeout
	}
	return fmt.Errorf("send to the webhook: %w", err) // awserror.Text shows it without what came instead
}
