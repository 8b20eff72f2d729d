package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/onepagecrm/nylas-webhooks/consumer"
	"github.com/onepagecrm/nylas-webhooks/notification"
)

// The headers of a delivery beside the three of Standard Webhooks (webhook-id,
// webhook-timestamp, webhook-signature). They repeat the message's attributes; one
// that the message does not have is left out. Nylas's own signature goes in its own
// header, so that code written for Nylas's webhooks works unchanged.
const (
	headerType       = "Nylas-Trigger-Type"
	headerID         = "Nylas-Notification-Id"
	headerGrant      = "Nylas-Grant-Id"
	headerAttempt    = "Nylas-Delivery-Attempt"
	headerReceivedAt = "Nylas-Received-At"
	headerRequestID  = "Nylas-Request-Id"
	headerReplay     = "Nylas-Replay-Id"
)

// answerBytes is how much of the CRM's answer is read (and thrown away) so that the
// connection can be used again.
const answerBytes = 64 << 10

// deliverer POSTs notifications to the CRM.
type deliverer struct {
	crm     string
	signers []*standardwebhooks.Webhook
	headers http.Header // for every delivery
	rejects map[int]bool
	timeout time.Duration
	client  *http.Client
	metrics *metrics
}

func newDeliverer(s settings, m *metrics) (*deliverer, error) {
	transport, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return nil, errors.New("http.DefaultTransport is not a Transport")
	}
	transport = transport.Clone()
	// One host. The defaults, 2 for it and 100 in all, would close the others after each delivery.
	if s.tls != nil {
		transport.TLSClientConfig = s.tls
	}
	transport.MaxIdleConnsPerHost, transport.MaxIdleConns = s.concurrency, s.concurrency
	return &deliverer{
		crm:     s.crm.String(),
		signers: s.signers,
		headers: s.headers,
		rejects: s.rejects,
		timeout: s.timeout,
		metrics: m,
		client: &http.Client{
			Transport: transport,
			// A redirected POST becomes a GET; the CRM's address is to be set right.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// deliver is the [consumer.Handler]: one POST, and what its answer means.
func (d *deliverer) deliver(ctx context.Context, n notification.Notification) error {
	request, err := d.request(n, time.Now())
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	begin := time.Now()
	response, err := d.client.Do(request.WithContext(limited))
	if err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("deliver to the CRM: %w", context.Cause(ctx)) // we broke it off; it says nothing of the CRM
		}
		d.metrics.answered("none", time.Since(begin))
		var withURL *url.Error // it repeats the address
		if errors.As(err, &withURL) {
			err = withURL.Err
		}
		return consumer.Unavailable(fmt.Errorf("deliver to the CRM: %w", err), 0)
	}
	// What it says beyond the status may repeat what it was sent, so nobody reads it.
	_, _ = io.CopyN(io.Discard, response.Body, answerBytes)
	_ = response.Body.Close()
	d.metrics.answered(strconv.Itoa(response.StatusCode), time.Since(begin))
	return outcome(response, d.rejects, time.Now())
}

// outcome is what the CRM's answer means.
func outcome(response *http.Response, rejects map[int]bool, now time.Time) error {
	status := response.StatusCode
	err := fmt.Errorf("the CRM answered %d %s", status, http.StatusText(status))
	switch {
	case status >= 200 && status < 300:
		return nil
	case rejects[status]:
		return consumer.Reject(err)
	}
	// Also 401, 403, 404 and redirects: the address or the secret is wrong, for all
	// of them alike, and nothing is lost while somebody sets it right.
	after := retryAfter(response.Header.Get("Retry-After"), now)
	if status == http.StatusTooManyRequests && after == 0 {
		after = tooMany
	}
	return consumer.Unavailable(err, after)
}

// tooMany is the pause after a 429 that names none: it says that the CRM is busy, and
// nothing of the notification.
const tooMany = time.Second

// rejections are the answers by which a CRM says that this notification is at fault, and
// will be the next time; [rejectVar] names others.
var rejections = map[int]bool{
	http.StatusBadRequest:            true,
	http.StatusGone:                  true,
	http.StatusRequestEntityTooLarge: true,
	http.StatusUnsupportedMediaType:  true,
	http.StatusUnprocessableEntity:   true,
}

// maxRetryAfter in seconds is a day; the consumer waits an hour of it at most.
const maxRetryAfter = 24 * 3600

// retryAfter reads a Retry-After header, seconds or a date; 0 where it is neither.
// https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
func retryAfter(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	seconds, err := strconv.ParseInt(value, 10, 64)
	if err == nil || errors.Is(err, strconv.ErrRange) { // then it is the largest or the smallest
		return time.Duration(min(max(seconds, 0), maxRetryAfter)) * time.Second
	}
	if date, err := http.ParseTime(value); err == nil {
		return max(date.Sub(now), 0)
	}
	return 0
}

// request is one delivery, signed for the time now.
func (d *deliverer) request(n notification.Notification, now time.Time) (*http.Request, error) {
	request, err := http.NewRequest(http.MethodPost, d.crm, bytes.NewReader(n.Body))
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	id := deliveryID(n)
	var signatures []string
	for _, signer := range d.signers {
		signature, err := signer.Sign(id, now, n.Body)
		if err != nil {
			return nil, fmt.Errorf("sign: %w", err)
		}
		signatures = append(signatures, signature)
	}
	h := request.Header
	maps.Copy(h, d.headers)
	h.Set("Content-Type", "application/json")
	h.Set("User-Agent", "hookworker")
	// Of a connection that the CRM has just closed, net/http sends the request again by
	// another, if it may be repeated. Empty, the header says so and is not sent.
	h["Idempotency-Key"] = []string{}
	h.Set(standardwebhooks.HeaderWebhookID, id)
	h.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	h.Set(standardwebhooks.HeaderWebhookSignature, strings.Join(signatures, " "))
	attributes := map[string]string{headerID: n.ID, headerType: n.Type, headerGrant: n.GrantID, headerRequestID: n.RequestID, headerReplay: n.ReplayID}
	if n.Attempt > 0 {
		attributes[headerAttempt] = strconv.Itoa(n.Attempt)
	}
	if !n.ReceivedAt.IsZero() {
		attributes[headerReceivedAt] = n.ReceivedAt.UTC().Format(time.RFC3339Nano)
	}
	if n.Signature != (notification.Signature{}) {
		attributes[notification.SignatureHeader] = n.Signature.String()
	}
	for name, value := range attributes {
		if value != "" && printable(value) {
			h.Set(name, value)
		}
	}
	return request, nil
}

// deliveryID is the webhook-id, the same at every attempt: the notification's id, or
// where it has none that a header can hold, the hash of the body. A replay is to be taken
// again, so that its id follows.
func deliveryID(n notification.Notification) string {
	id := n.ID
	if !printable(id) || strings.TrimSpace(id) != id { // a header loses blanks around it, and the signature would not match
		id = ""
	}
	hash := sha256.Sum256(n.Body)
	id = cmp.Or(id, "sha256-"+hex.EncodeToString(hash[:]))
	if n.ReplayID != "" && printable(n.ReplayID) {
		id += ".replay-" + strings.TrimSpace(n.ReplayID)
	}
	return id
}

// printable tells whether a header holds text as it is: visible ASCII and blanks.
func printable(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' })
}
