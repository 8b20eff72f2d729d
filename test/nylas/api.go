package nylas

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Key is the API key that the stand-in accepts.
const Key = "nyk_v0_stand-in" // as Nylas's keys begin

// API is one stand-in, of one application. Set the exported fields before the first
// request.
type API struct {
	Server *httptest.Server
	// Client calls the registered endpoints. Nylas waits 10 s for a challenge.
	Client *http.Client
	// Lean leaves the times out of all answers but that to GET by id, as the OpenAPI
	// description has it; the SDKs' types have them everywhere.
	Lean bool

	mu       sync.Mutex
	webhooks []*webhook
	faults   []Fault
	requests []Request
	made     int
}

// Request is one call that the stand-in got.
type Request struct {
	Method, Path string
	Body         map[string]any
}

// webhook has the fields of the SDKs' Webhook, in the names of the wire.
type webhook struct {
	ID                 string   `json:"id"`
	Description        string   `json:"description"`
	TriggerTypes       []string `json:"trigger_types"`
	URL                string   `json:"webhook_url"`
	Status             string   `json:"status"`
	NotificationEmails []string `json:"notification_email_addresses"`
	CompressedDelivery bool     `json:"compressed_delivery"`
	StatusUpdatedAt    int64    `json:"status_updated_at,omitempty"`
	CreatedAt          int64    `json:"created_at,omitempty"`
	UpdatedAt          int64    `json:"updated_at,omitempty"`
	Secret             string   `json:"webhook_secret,omitempty"` // create and rotate only
}

// New starts a stand-in. Close its Server when done.
func New() *API {
	a := &API{Client: &http.Client{Timeout: 10 * time.Second}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v3/webhooks", a.list)
	mux.HandleFunc("POST /v3/webhooks", a.create)
	mux.HandleFunc("GET /v3/webhooks/ip-addresses", a.ipAddresses)
	mux.HandleFunc("POST /v3/webhooks/rotate-secret/{id}", a.rotate) // OpenAPI, Node SDK
	mux.HandleFunc("PUT /v3/webhooks/{id}/rotate-secret", a.rotate)  // Python SDK
	mux.HandleFunc("GET /v3/webhooks/{id}", a.find)
	mux.HandleFunc("PUT /v3/webhooks/{id}", a.update)
	mux.HandleFunc("DELETE /v3/webhooks/{id}", a.destroy)
	a.Server = httptest.NewServer(a.door(mux))
	return a
}

// door is what every request passes: the record, the faults, the key.
func (a *API) door(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		request := Request{Method: r.Method, Path: r.URL.RequestURI()}
		if len(text) > 0 && json.Unmarshal(text, &request.Body) != nil {
			refuse(w, http.StatusBadRequest, "api.invalid_request_payload", "Invalid JSON payload format.")
			return
		}
		r.Body = io.NopCloser(strings.NewReader(string(text)))
		a.mu.Lock()
		a.requests = append(a.requests, request)
		fault, failing := a.take(r)
		a.mu.Unlock()
		switch {
		case failing && (fault.Lost || fault.Then != nil):
			done := httptest.NewRecorder()
			next.ServeHTTP(done, r)
			if fault.Then != nil {
				fault.Then()
			}
			if fault.Lost { // nobody learns of it
				panic(http.ErrAbortHandler)
			}
			maps.Copy(w.Header(), done.Header())
			w.WriteHeader(done.Code)
			_, _ = w.Write(done.Body.Bytes()) // who does not wait for the answer does not get it
		case failing:
			if fault.RetryAfter != "" {
				w.Header().Set("Retry-After", fault.RetryAfter)
			}
			refuse(w, fault.Status, fault.Type, http.StatusText(fault.Status))
		case r.Header.Get("Authorization") != "Bearer "+Key:
			refuse(w, http.StatusUnauthorized, "api.authentication_error", "Unauthorized")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func (a *API) list(w http.ResponseWriter, _ *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := []webhook{}
	for _, one := range a.webhooks {
		all = append(all, a.shown(one))
	}
	answer(w, all)
}

func (a *API) find(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if one := a.byID(w, r); one != nil {
		full := *one
		full.Secret = ""
		answer(w, full)
	}
}

func (a *API) create(w http.ResponseWriter, r *http.Request) {
	one := webhook{Status: "active"}
	if !decode(w, r, &one) {
		return
	}
	switch address, err := url.Parse(one.URL); {
	case len(one.TriggerTypes) == 0:
		refuse(w, http.StatusBadRequest, "70001", "trigger_types.required")
		return
	case err != nil || address.Host == "":
		refuse(w, http.StatusBadRequest, "70001", "webhook_url.required")
		return
	case a.unknown(w, one.TriggerTypes):
		return
	case a.registered(one.URL):
		// A webhook needs a URL of its own; the words for it are not documented.
		refuse(w, http.StatusBadRequest, "70002", "webhook_url.already.exists")
		return
	}
	if !a.challenge(w, r, one.URL) {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.made++
	now := time.Now().Unix()
	one.ID, one.Secret = fmt.Sprintf("webhook-%d", a.made), secret()
	one.CreatedAt, one.UpdatedAt, one.StatusUpdatedAt = now, now, now
	a.webhooks = append(a.webhooks, &one)
	shown := a.shown(&one)
	shown.Secret = one.Secret
	answer(w, shown)
}

func (a *API) update(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	one := a.byID(w, r)
	if one == nil {
		a.mu.Unlock()
		return
	}
	before, changed := *one, *one
	changed.TriggerTypes = slices.Clone(one.TriggerTypes) // decoding writes into the array
	changed.NotificationEmails = slices.Clone(one.NotificationEmails)
	a.mu.Unlock()
	if !decode(w, r, &changed) || a.unknown(w, changed.TriggerTypes) {
		return
	}
	activated := changed.Status == "active" && before.Status != "active"
	if (activated || changed.URL != before.URL) && !a.challenge(w, r, changed.URL) {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	changed.UpdatedAt = time.Now().Unix()
	if changed.Status != before.Status {
		changed.StatusUpdatedAt = changed.UpdatedAt
	}
	*one = changed
	answer(w, a.shown(one))
}

func (a *API) rotate(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if one := a.byID(w, r); one != nil {
		one.Secret = secret()
		shown := a.shown(one)
		shown.Secret = one.Secret
		answer(w, shown)
	}
}

func (a *API) destroy(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if one := a.byID(w, r); one != nil {
		a.webhooks = slices.DeleteFunc(a.webhooks, func(other *webhook) bool { return other == one })
		answer(w, map[string]string{"status": "success"})
	}
}

func (a *API) ipAddresses(w http.ResponseWriter, _ *http.Request) {
	answer(w, map[string]any{"ip_addresses": []string{"192.0.2.1"}, "updated_at": time.Now().Unix()})
}

// challenge calls the endpoint as Nylas does on create and on activation: GET with a
// parameter challenge; 200 and exactly its value must come back.
func (a *API) challenge(w http.ResponseWriter, r *http.Request, address string) bool {
	value := rand.Text()
	to, err := url.Parse(address)
	if err != nil {
		refuse(w, http.StatusBadRequest, "70005", "unable.verify.webhook_url : not a url")
		return false
	}
	query := to.Query()
	query.Set("challenge", value)
	to.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, to.String(), nil)
	if err != nil {
		panic(err)
	}
	resp, err := a.Client.Do(req)
	if err != nil {
		refuse(w, http.StatusBadRequest, "70005", "unable.verify.webhook_url : no answer")
		return false
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 10_000))
	switch {
	case resp.StatusCode != http.StatusOK:
		refuse(w, http.StatusBadRequest, "70005", fmt.Sprintf("unable.verify.webhook_url : status is not ok, got %d", resp.StatusCode))
		return false
	case err != nil, string(body) != value:
		refuse(w, http.StatusBadRequest, "70005", "unable.verify.webhook_url : challenge does not match")
		return false
	}
	return true
}

// shown is what GET and list show of one: never the secret.
func (a *API) shown(one *webhook) webhook {
	shown := *one
	shown.Secret = ""
	if a.Lean {
		shown.CreatedAt, shown.UpdatedAt, shown.StatusUpdatedAt = 0, 0, 0
	}
	return shown
}

// byID returns the webhook that the path names, or refuses as Nylas does.
func (a *API) byID(w http.ResponseWriter, r *http.Request) *webhook {
	for _, one := range a.webhooks {
		if one.ID == r.PathValue("id") {
			return one
		}
	}
	refuse(w, http.StatusBadRequest, "70000", "destination.id.not.found : record not found")
	return nil
}

func (a *API) registered(address string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.ContainsFunc(a.webhooks, func(one *webhook) bool { return one.URL == address })
}

func (a *API) unknown(w http.ResponseWriter, triggers []string) bool {
	for _, trigger := range triggers {
		if !slices.Contains(Triggers, trigger) {
			refuse(w, http.StatusBadRequest, "70001", "trigger_types.invalid : "+trigger)
			return true
		}
	}
	return false
}

func decode(w http.ResponseWriter, r *http.Request, into any) bool {
	if err := json.NewDecoder(r.Body).Decode(into); err != nil {
		refuse(w, http.StatusBadRequest, "api.invalid_request_payload", "Invalid JSON payload format.")
		return false
	}
	return true
}

func answer(w http.ResponseWriter, data any) { write(w, http.StatusOK, "data", data) }

func refuse(w http.ResponseWriter, status int, kind, message string) {
	write(w, status, "error", map[string]string{"type": kind, "message": message})
}

func write(w http.ResponseWriter, status int, key string, value any) {
	id := rand.Text()[:12]
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Request-Id", id)
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(map[string]any{"request_id": id, key: value}); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// secret is one of the length and alphabet of the description's example, 41dD3-nXTUfebYuk81Gr.
func secret() string { return rand.Text()[:5] + "-" + rand.Text()[:14] }
