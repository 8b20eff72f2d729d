package nylas

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

const (
	// patience is how long Nylas waits for an answer.
	patience = 10 * time.Second
	// attempts of one notification, in all.
	attempts = 3
	// The last attempt comes this long after the first.
	minSpan, maxSpan = 10 * time.Minute, 20 * time.Minute
)

// retried are the answers after which Nylas tries again.
var retried = map[int]bool{
	http.StatusRequestTimeout: true, http.StatusTooManyRequests: true,
	http.StatusBadGateway: true, http.StatusServiceUnavailable: true,
}

// Attempt is one try to deliver a notification, and what came of it.
type Attempt struct {
	Notification Notification
	Number       int // 1 to 3
	Body         []byte
	Signature    string
	Sent, Done   time.Time
	Status       int    // 0: no answer
	Answer       []byte // its headers and body
	Err          error  // why there is none
	Last         bool   // the sender does not try again
}

// Sender delivers notifications to one webhook.
type Sender struct {
	// URL is the webhook's.
	URL string
	// Client is shared by all deliveries.
	Client *http.Client
	// Slots, where it is set, is how many requests are under way at once, retries too.
	Slots chan struct{}
	// Compression is the factor by which the time between attempts is shortened.
	Compression float64
	// Observe gets every attempt when it is over. It may be called concurrently.
	Observe func(Attempt)
	// Hold, where it is set, returns when an attempt of that number may be sent. So a
	// test decides by an event, not by a clock, what falls into an outage.
	Hold func(ctx context.Context, number int)

	mu      sync.Mutex
	secret  string
	window  window
	failing []time.Time
}

// NewClient returns an HTTP client for a Sender with so many requests at once.
func NewClient(parallel int) *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost = parallel, parallel
	transport.DisableCompression = true
	return &http.Client{Transport: transport, Timeout: patience}
}

// SetSecret is a rotation: what is signed from now on is signed with secret.
func (s *Sender) SetSecret(secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secret = secret
}

// Failing returns when the webhook was marked as failing, each time.
func (s *Sender) Failing() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failing
}

// Deliver tries until the notification is delivered or the sender gives up; ctx ends
// it earlier. tried, where it is not nil, is called when the first attempt is over.
func (s *Sender) Deliver(ctx context.Context, n Notification, tried func()) {
	random := rand.New(rand.NewPCG(n.seed, 1)) //nolint:gosec // jitter
	span := time.Duration(float64(minSpan+time.Duration(random.Int64N(int64(maxSpan-minSpan)))) / s.Compression)
	first := s.key()
	for number := 1; number <= attempts; number++ {
		if s.Hold != nil {
			s.Hold(ctx, number)
		}
		key := s.key()
		// Whether a retry that is already queued is signed again after a rotation, Nylas
		// does not say; half of them are not.
		if n.seed%4 < 2 {
			key = first
		}
		a := Attempt{Notification: n, Number: number, Body: n.Body(number)}
		if n.Forged {
			a.Signature = forge(n.seed, key, a.Body)
		} else {
			a.Signature = notification.Sign(key, a.Body).String()
		}
		if s.Slots != nil {
			s.Slots <- struct{}{}
		}
		a.Sent = time.Now()
		var wait time.Duration
		a.Status, wait, a.Answer, a.Err = s.post(ctx, a)
		a.Done = time.Now()
		if s.Slots != nil {
			<-s.Slots
		}
		a.Last = !retried[a.Status] || number == attempts || n.Forged // who forges keeps no rules
		s.count(a)
		s.Observe(a)
		if number == 1 && tried != nil {
			tried()
		}
		if a.Last {
			return
		}
		if wait == 0 { // exponential: a quarter of the span, then three
			wait = span / 4
			if number > 1 {
				wait = span * 3 / 4
			}
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

func (s *Sender) key() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.secret
}

// post returns the answer's status, how long it asks to wait, shortened, and the rest
// of it.
func (s *Sender) post(ctx context.Context, a Attempt) (status int, wait time.Duration, answer []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL, bytes.NewReader(a.Body))
	if err != nil {
		return 0, 0, nil, err
	}
	request.GetBody = nil // the client may not send it again by itself
	request.Header.Set("Content-Type", "application/json")
	if a.Signature != "" {
		request.Header.Set(notification.SignatureHeader, a.Signature)
	}
	response, err := s.Client.Do(request)
	if err != nil {
		return 0, 0, nil, fmt.Errorf("no answer: %w", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, 0, nil, fmt.Errorf("answer cut: %w", err)
	}
	if response.StatusCode == http.StatusTooManyRequests { // only there is it honoured
		if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil {
			wait = time.Duration(float64(seconds) * float64(time.Second) / s.Compression)
		}
	}
	return response.StatusCode, wait, append(fmt.Append(nil, response.Header), body...), nil
}

// forge returns a signature of somebody who does not know the key.
func forge(seed uint64, key string, body []byte) string {
	switch seed % 6 {
	case 0:
		return notification.Sign("guess", body).String()
	case 1:
		return notification.Sign(key, append([]byte("x"), body...)).String() // of other bytes
	case 2:
		return notification.Sign("", body).String() // an empty secret never verifies
	case 3:
		return notification.Sign(notification.MockSecret, body).String() // anybody can
	case 4:
		return notification.Sign(key, body).String()[:63] // cut
	default:
		return ""
	}
}

// count keeps the window by which Nylas marks a webhook as failing.
func (s *Sender) count(a Attempt) {
	if a.Notification.Forged {
		return // Nylas did not send it
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.window.length = time.Duration(float64(15*time.Minute) / s.Compression)
	if s.window.add(a.Done, a.Status == http.StatusOK) {
		s.failing = append(s.failing, a.Done)
	}
}
