package nylas

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

// Triggers are the trigger types that can be subscribed to, by Nylas's OpenAPI
// description and the enums of both SDKs.
var Triggers = strings.Fields(`
	booking.cancelled booking.created booking.pending booking.rescheduled booking.reminder
	calendar.created calendar.updated calendar.deleted contact.updated contact.deleted
	event.created event.updated event.deleted folder.created folder.updated folder.deleted
	grant.created grant.updated grant.deleted grant.expired grant.imap_sync_completed
	message.created message.created.cleaned message.updated message.deleted message.send_success message.send_failed
	message.bounce_detected message.opened message.opened.legacy message.link_clicked message.link_clicked.legacy
	message.delivered message.bounced message.complaint message.rejected
	message.transactional.delivered message.transactional.bounced message.transactional.complaint message.transactional.rejected
	message.intelligence.order message.intelligence.tracking message.intelligence.return
	notetaker.created notetaker.updated notetaker.deleted notetaker.meeting_state notetaker.media
	thread.replied thread.replied.legacy`)

// Fault makes requests fail.
type Fault struct {
	Request    string // "POST /v3/webhooks": method and beginning of the path
	Times      int    // how often; the requests after that succeed
	Status     int    // the answer's
	Type       string // error.type
	RetryAfter string
	Lost       bool // instead of a status: what was asked for is done, and the connection is cut
	// Then is called once what was asked for is done, before the answer goes out or is
	// lost. With it alone, the answer is the usual one.
	Then func()
}

// Break adds a fault.
func (a *API) Break(f Fault) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.faults = append(a.faults, f)
}

func (a *API) take(r *http.Request) (Fault, bool) {
	for i := range a.faults {
		f := &a.faults[i]
		if f.Times > 0 && strings.HasPrefix(r.Method+" "+r.URL.Path, f.Request) {
			f.Times--
			return *f, true
		}
	}
	return Fault{}, false
}

// Requests returns what was asked, oldest first; with prefixes ("POST /v3/webhooks")
// only those that begin with one of them.
func (a *API) Requests(prefixes ...string) []Request {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(prefixes) == 0 {
		return slices.Clone(a.requests)
	}
	var some []Request
	for _, r := range a.requests {
		if slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(r.Method+" "+r.Path, p) }) {
			some = append(some, r)
		}
	}
	return some
}

// Webhook is the state of one webhook, its secret included.
type Webhook struct {
	ID, URL, Secret, Status, Description string
	TriggerTypes, NotificationEmails     []string
	CompressedDelivery                   bool
	CreatedAt                            int64
}

// Webhooks returns all webhooks, oldest first.
func (a *API) Webhooks() []Webhook {
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []Webhook
	for _, one := range a.webhooks {
		all = append(all, Webhook{
			ID: one.ID, URL: one.URL, Secret: one.Secret, Status: one.Status, Description: one.Description,
			TriggerTypes: one.TriggerTypes, NotificationEmails: one.NotificationEmails,
			CompressedDelivery: one.CompressedDelivery, CreatedAt: one.CreatedAt,
		})
	}
	return all
}

// Add registers a webhook without the challenge and returns its id: one that somebody
// made elsewhere.
func (a *API) Add(w Webhook) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.made++
	if w.Status == "" {
		w.Status = "active"
	}
	one := &webhook{
		ID: fmt.Sprintf("webhook-%d", a.made), URL: w.URL, Secret: secret(), Status: w.Status, Description: w.Description,
		TriggerTypes: w.TriggerTypes, NotificationEmails: w.NotificationEmails,
		CompressedDelivery: w.CompressedDelivery, CreatedAt: w.CreatedAt, UpdatedAt: w.CreatedAt, StatusUpdatedAt: w.CreatedAt,
	}
	a.webhooks = append(a.webhooks, one)
	return one.ID
}

// Deliver sends body to the webhook with that id, signed with its secret of this
// moment, and returns the answer's status.
func (a *API) Deliver(ctx context.Context, id string, body []byte) (int, error) {
	for _, one := range a.Webhooks() {
		if one.ID == id {
			return a.DeliverSigned(ctx, one.URL, body, one.Secret)
		}
	}
	return 0, fmt.Errorf("no webhook %s", id)
}

// DeliverSigned sends body, signed with secret, and returns the answer's status.
func (a *API) DeliverSigned(ctx context.Context, url string, body []byte, secret string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(notification.SignatureHeader, notification.Sign(secret, body).String())
	resp, err := a.Client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}
