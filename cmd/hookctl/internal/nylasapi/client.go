package nylasapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/onepagecrm/nylas-webhooks/internal/awserror"
)

// Regions are Nylas's API addresses. An application, and so its key, belongs to one.
// https://developer.nylas.com/docs/dev-guide/platform/data-residency/
var Regions = map[string]string{
	"us": "https://api.us.nylas.com",
	"eu": "https://api.eu.nylas.com",
}

const (
	// timeout of one request: create waits for the challenge, for which Nylas gives
	// the endpoint 10 s.
	timeout = 30 * time.Second
	// tries and patience of one call, waiting included: what a person at a keyboard
	// puts up with.
	tries    = 4
	patience = time.Minute
	// maxAnswer: an application has a handful of webhooks of about 1 kB.
	maxAnswer = 4 << 20
)

// Client calls one region with one key. It is safe for concurrent use.
type Client struct {
	base, key string
	http      *http.Client
	// Pause is the wait before the first repetition where Nylas names none; it doubles
	// from there.
	Pause time.Duration
	// Waiting, where set, is told why and how long a call waits before it is repeated.
	Waiting func(err error, wait time.Duration)
}

// New returns a client of the API at base, one of [Regions] or an address that
// stands in for it.
func New(base, key string) (*Client, error) {
	address, err := url.Parse(base)
	if err != nil || address.Host == "" {
		return nil, fmt.Errorf("%q is not the address of an API. Nylas's are %s and %s", base, Regions["us"], Regions["eu"])
	}
	if path.Base(address.Path) == "v3" { // or Nylas would answer 404 to all
		return nil, fmt.Errorf("%s is the address of the API with its version. Give it without /v3 (NYLAS_API_URI)", base)
	}
	if address.Scheme != "https" && !loopback(address.Hostname()) {
		return nil, fmt.Errorf("%s would take the API key over the network in the clear. Give an https address", base)
	}
	key = strings.TrimSpace(key)
	if key == "" || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, errors.New("the Nylas API key is empty or has a character in it that no key has. Copy it again from the Nylas dashboard (API Keys)")
	}
	return &Client{
		base: strings.TrimSuffix(base, "/"),
		key:  key,
		http: &http.Client{
			Timeout: timeout,
			// A redirect would take the key to a place that nobody named.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		Pause: time.Second,
	}, nil
}

// Base is the API's address.
func (c *Client) Base() string { return c.base }

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// repeat says after which failures a request may be sent once more.
type repeat int

const (
	// always: doing it twice is doing it once.
	always repeat = iota
	// ifAnswered: only after an answer. A rotation that timed out may still take place,
	// after the second one, whose secret would then be the wrong one.
	ifAnswered
	// ifRefused: only when Nylas has not begun (429). A create that failed half-way may
	// have made a webhook.
	ifRefused
)

type request struct {
	method, path string
	body         any
	repeat       repeat
}

// do sends r, as often as r.repeat, tries and patience let it, and decodes the answer.
func (c *Client) do(ctx context.Context, r request, answer any) error {
	var body []byte
	if r.body != nil {
		var err error
		if body, err = json.Marshal(r.body); err != nil {
			return err
		}
	}
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval = c.Pause
	pauses.Multiplier = 2
	var last error // what failed; the library's own errors only say how to go on
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		last = c.once(ctx, r, body, answer)
		return struct{}{}, r.verdict(last)
	},
		backoff.WithBackOff(pauses),
		backoff.WithMaxTries(tries),
		backoff.WithMaxElapsedTime(patience),
		backoff.WithNotify(func(_ error, wait time.Duration) {
			if c.Waiting != nil {
				c.Waiting(last, wait)
			}
		}))
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	default:
		return last
	}
}

// verdict tells the retry library how to go on after err.
func (r request) verdict(err error) error {
	var refused *Error
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &refused):
		if r.repeat == always && !errors.Is(err, errAnswer) && !errors.Is(err, errUntrusted) {
			return err
		}
	case refused.Status == http.StatusTooManyRequests, refused.Status >= 500 && r.repeat != ifRefused:
		if refused.Wait > 0 {
			return &backoff.RetryAfterError{Duration: refused.Wait}
		}
		return err
	}
	return backoff.Permanent(err)
}

// errAnswer: Nylas said yes, in words that cannot be read. Asking again does not help.
var errAnswer = errors.New("the answer is not what the Nylas API gives. Is this address the Nylas API (NYLAS_API_URI), or does a proxy answer for it?")

var errUntrusted = errors.New("the server's certificate is not trusted here. Where a proxy opens TLS, add the certificate of its authority to those that this machine trusts (on Linux SSL_CERT_FILE names a file)")

func (c *Client) once(ctx context.Context, r request, body []byte, answer any) error {
	req, err := http.NewRequestWithContext(ctx, r.method, c.base+r.path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "hookctl")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	// Errors are not wrapped: nobody is to take them for AWS that is not reached, and their
	// texts may quote an answer, with the secret in it.
	if awserror.Untrusted(err) {
		return fmt.Errorf("%s: %w", c.base, errUntrusted)
	}
	if err != nil {
		return fmt.Errorf("%s gives no answer: %s. Check the network (HTTPS_PROXY, NYLAS_API_URI)", c.base, awserror.Network(err))
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("the answer of %s was cut off: %s", c.base, awserror.Network(err))
	}
	// 201 would be a yes as well: a secret that comes with it must not be thrown away.
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return c.refusal(r, resp, text)
	}
	var form struct {
		RequestID string          `json:"request_id"`
		Data      json.RawMessage `json:"data"`
	}
	// Nylas's answers have both. What has none is something else's, and what has no data
	// is no answer to a GET: it would read as "no webhooks".
	if json.Unmarshal(text, &form) != nil || form.RequestID == "" && len(form.Data) == 0 ||
		r.method == http.MethodGet && len(form.Data) == 0 ||
		answer != nil && json.Unmarshal(text, answer) != nil { // these errors could quote the answer, which may hold a secret
		return fmt.Errorf("%s: %w", c.base, errAnswer)
	}
	return nil
}

// retryAfter reads a Retry-After header, seconds or a date, 0 where there is none.
// https://www.rfc-editor.org/rfc/rfc9110#name-retry-after
func retryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(header); err == nil && seconds > 0 {
		return time.Duration(seconds) * time.Second
	}
	if date, err := http.ParseTime(header); err == nil && date.After(now) {
		return date.Sub(now)
	}
	return 0
}
