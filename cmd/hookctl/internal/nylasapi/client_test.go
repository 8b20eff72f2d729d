package nylasapi_test

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/nylasapi"
	"github.com/onepagecrm/nylas-webhooks/test/nylas"
)

// echo is an endpoint that passes the challenge.
func echo(t *testing.T) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(r.URL.Query().Get("challenge")))
	}))
	t.Cleanup(server.Close)
	return server.URL + "/nylas"
}

func start(t *testing.T) (*nylas.API, *nylasapi.Client) {
	api := nylas.New()
	t.Cleanup(api.Server.Close)
	return api, client(t, api.Server.URL, nylas.Key)
}

func client(t *testing.T, base, key string) *nylasapi.Client {
	c, err := nylasapi.New(base, key)
	if err != nil {
		t.Fatal(err)
	}
	c.Pause = time.Millisecond
	return c
}

func TestLifeOfAWebhook(t *testing.T) {
	api, c := start(t)
	ctx, url := t.Context(), echo(t)
	made, err := c.Create(ctx, nylasapi.Settings{URL: url, TriggerTypes: []string{"message.created", "grant.expired"}, NotificationEmails: []string{"oncall@example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	if made.ID == "" || made.Secret != api.Webhooks()[0].Secret || made.Status != nylasapi.Active || made.CreatedAt == 0 {
		t.Errorf("created %+v", made.Webhook)
	}
	if sent := api.Requests("POST /v3/webhooks")[0].Body["compressed_delivery"]; sent != false {
		t.Errorf("create sent compressed_delivery %v, want false, said explicitly", sent)
	}
	updated, err := c.Update(ctx, made.ID, nylasapi.Settings{Status: nylasapi.Paused})
	if err != nil || updated.Status != nylasapi.Paused || !slices.Equal(updated.TriggerTypes, made.TriggerTypes) || updated.NotificationEmails[0] != "oncall@example.com" {
		t.Errorf("paused: %+v, %v; want the status changed and nothing else", updated, err)
	}
	if sent := api.Requests("PUT ")[0].Body; len(sent) != 2 || sent["compressed_delivery"] != false {
		t.Errorf("update sent %v, want status and compressed_delivery alone", sent)
	}
	rotated, err := c.RotateSecret(ctx, made.ID)
	if err != nil || rotated.Secret == made.Secret || rotated.Secret != api.Webhooks()[0].Secret {
		t.Errorf("rotated: %v, the secret is the new one: %t", err, rotated.Secret == api.Webhooks()[0].Secret)
	}
	if found, err := c.Find(ctx, made.ID); err != nil || found.ID != made.ID || found.URL != url {
		t.Errorf("found %+v, %v", found, err)
	}
	if all, err := c.List(ctx); err != nil || len(all) != 1 || all[0].ID != made.ID {
		t.Errorf("listed %+v, %v", all, err)
	}
	if err := c.Delete(ctx, made.ID); err != nil || len(api.Webhooks()) != 0 {
		t.Errorf("delete: %v, %d left", err, len(api.Webhooks()))
	}
	if err := c.Delete(ctx, made.ID); !nylasapi.NotFound(err) {
		t.Errorf("deleted twice: %v", err)
	}
}

func TestRefusalsAreSentences(t *testing.T) {
	ctx := t.Context()
	for _, test := range []struct {
		name  string
		fault nylas.Fault
		want  []string
	}{
		{"401", nylas.Fault{Status: 401, Type: "api.authentication_error"}, []string{"does not accept this API key", "--nylas-region", "Nylas says: 401", "api.authentication_error", "request "}},
		{"400 for a bad key", nylas.Fault{Status: 400, Type: "token.unauthorized_access"}, []string{"does not accept this API key"}},
		{"403", nylas.Fault{Status: 403}, []string{"may not do that"}},
		{"429 for longer than anybody waits", nylas.Fault{Status: 429, RetryAfter: "3600"}, []string{"asks to wait 1h0m0s"}},
		{"429", nylas.Fault{Status: 429}, []string{"limits the rate", "run the same command again"}},
		{"500", nylas.Fault{Status: 500, Type: "api.internal_error"}, []string{"a fault of its own", "https://status-v3.nylas.com"}},
		{"moved", nylas.Fault{Status: 302}, []string{"sends elsewhere", "NYLAS_API_URI"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			api, c := start(t)
			test.fault.Times = 100
			api.Break(test.fault)
			_, err := c.List(ctx)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range append(test.want, "list the webhooks at Nylas: ") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q lacks %q", err, want)
				}
			}
		})
	}
	api, c := start(t)
	if _, err := client(t, api.Server.URL, "another").List(ctx); err == nil || strings.Contains(err.Error(), "another") {
		t.Errorf("a wrong key: %v", err)
	}
	_, err := c.Create(ctx, nylasapi.Settings{URL: api.Server.URL, TriggerTypes: []string{"message.created"}})
	var refused *nylasapi.Error
	if !errors.As(err, &refused) || !refused.Unverified() || !strings.Contains(err.Error(), "challenge") {
		t.Errorf("an endpoint without challenge: %v", err)
	}
	api.Server.Close()
	if _, err := c.List(ctx); err == nil || !strings.Contains(err.Error(), "gives no answer") {
		t.Errorf("nobody there: %v", err)
	}
}

func TestWhatIsRepeated(t *testing.T) {
	ctx := t.Context()
	create := func(c *nylasapi.Client, _, url string) error {
		_, err := c.Create(ctx, nylasapi.Settings{URL: url, TriggerTypes: []string{"message.created"}})
		return err
	}
	rotate := func(c *nylasapi.Client, id, _ string) error { _, err := c.RotateSecret(ctx, id); return err }
	pause := func(c *nylasapi.Client, id, _ string) error {
		_, err := c.Update(ctx, id, nylasapi.Settings{Status: nylasapi.Paused})
		return err
	}
	for _, test := range []struct {
		name  string
		call  func(c *nylasapi.Client, id, url string) error
		fault nylas.Fault
		calls int
		good  bool
	}{
		{"create, 429", create, nylas.Fault{Request: "POST /v3/webhooks", Status: 429, Times: 2, RetryAfter: "0"}, 3, true},
		{"create, 500: it may have been made", create, nylas.Fault{Request: "POST /v3/webhooks", Status: 500, Times: 1}, 1, false},
		{"create, answer lost", create, nylas.Fault{Request: "POST /v3/webhooks", Lost: true, Times: 1}, 1, false},
		{"rotate, 503", rotate, nylas.Fault{Request: "POST /v3/webhooks/rotate-secret", Status: 503, Times: 2}, 3, true},
		{"rotate, answer lost: it may take place later", rotate, nylas.Fault{Request: "POST /v3/webhooks/rotate-secret", Lost: true, Times: 1}, 1, false},
		{"update, answer lost", pause, nylas.Fault{Request: "PUT ", Lost: true, Times: 1}, 2, true},
		{"update, 500 for ever", pause, nylas.Fault{Request: "PUT ", Status: 500, Times: 100}, 4, false},
		{"update, 400", pause, nylas.Fault{Request: "PUT ", Status: 400, Times: 100}, 1, false},
		{"update, Retry-After", pause, nylas.Fault{Request: "PUT ", Status: 429, RetryAfter: "1", Times: 1}, 2, true},
		{"update, Retry-After beyond patience", pause, nylas.Fault{Request: "PUT ", Status: 429, RetryAfter: "61", Times: 1}, 1, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			api, c := start(t)
			id := api.Add(nylas.Webhook{URL: "https://example.com/nylas", TriggerTypes: []string{"grant.expired"}})
			waits := 0
			c.Waiting = func(err error, wait time.Duration) {
				waits++
				if test.fault.RetryAfter == "1" && wait != time.Second {
					t.Errorf("waits %s, Nylas asked for 1s", wait)
				}
			}
			api.Break(test.fault)
			begun := time.Now()
			err := test.call(c, id, echo(t))
			if (err == nil) != test.good {
				t.Errorf("error %v", err)
			}
			if n := len(api.Requests(test.fault.Request)); n != test.calls {
				t.Errorf("%d requests, want %d", n, test.calls)
			}
			if waits != test.calls-1 {
				t.Errorf("told of %d waits, want %d", waits, test.calls-1)
			}
			if test.fault.RetryAfter == "1" && time.Since(begun) < time.Second {
				t.Errorf("repeated after %s, Nylas asked for 1 s", time.Since(begun))
			}
		})
	}
}

func TestGivesUpWhenCancelled(t *testing.T) {
	api, c := start(t)
	api.Break(nylas.Fault{Status: 429, RetryAfter: "30", Times: 100})
	ctx, cancel := context.WithCancel(t.Context())
	c.Waiting = func(error, time.Duration) { cancel() }
	if _, err := c.List(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestListFollowsPages(t *testing.T) {
	asked := []string{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Query().Get("page_token"))
		if len(asked) == 1 {
			_, _ = w.Write([]byte(`{"data":[{"id":"a"}],"next_cursor":"2/="}`))
			return
		}
		_, _ = w.Write([]byte(`{"data":[{"id":"b","webhook_secret":"not for us"}],"next_cursor":"2/="}`)) // goes in a circle
	}))
	defer server.Close()
	all, err := client(t, server.URL, "key").List(t.Context())
	if err != nil || len(all) != 2 || !slices.Equal(asked, []string{"", "2/="}) {
		t.Errorf("%+v, %v, asked for pages %q", all, err, asked)
	}
}

// "No webhooks" is a list without any, and nothing else.
func TestListThatIsNone(t *testing.T) {
	for _, body := range []string{`{"request_id":"x"}`, `{}`, `[]`, ``} {
		if all, err := answering(t, 200, body).List(t.Context()); err == nil {
			t.Errorf("%s: %v", body, all)
		}
	}
	if all, err := answering(t, 200, `{"request_id":"x","data":[]}`).List(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("%v, %v", all, err)
	}
}

// answering is a client of a server that gives this one answer to everything.
func answering(t *testing.T, status int, body string) *nylasapi.Client {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(server.Close)
	return client(t, server.URL, "key")
}

func TestAnswersThatAreNotNylas(t *testing.T) {
	for _, test := range []struct {
		status int
		body   string
		says   string
	}{
		{200, "<html>Sign in to the proxy</html>", "does a proxy answer"},
		{502, "<html>Bad gateway</html>", "a fault of its own"},
		{200, "{", "does a proxy answer"},
		{200, "{}", "does a proxy answer"}, // else "no webhooks", and "deleted"
		{200, `{"status":"ok"}`, "does a proxy answer"},
		{204, "", "does a proxy answer"},
		{404, "404 page not found", "does not know the Nylas API"},
		{403, "<html>Blocked</html>", "does not know the Nylas API"},
		{401, "<html>Sign in</html>", "does not know the Nylas API"},
	} {
		c := answering(t, test.status, test.body)
		_, listErr := c.List(t.Context())
		_, findErr := c.Find(t.Context(), "id")
		_, rotateErr := c.RotateSecret(t.Context(), "id")
		_, updateErr := c.Update(t.Context(), "id", nylasapi.Settings{})
		for call, err := range map[string]error{"list": listErr, "find": findErr, "rotate": rotateErr, "update": updateErr, "delete": c.Delete(t.Context(), "id")} {
			if err == nil || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "<html>") || nylasapi.NotFound(err) || strings.Contains(err.Error(), "webhook list") {
				t.Errorf("%d %s, %s: %v", test.status, test.body, call, err)
			}
		}
	}
}

// A 404 in Nylas's own form means the webhook, where the request names one.
func TestNotFound(t *testing.T) {
	c := answering(t, 404, `{"request_id":"1","error":{"type":"not_found_error","message":"Couldn't find that resource"}}`)
	if _, err := c.Find(t.Context(), "id"); !nylasapi.NotFound(err) || !strings.Contains(err.Error(), "hookctl webhook list") {
		t.Errorf("find: %v", err)
	}
	if _, err := c.List(t.Context()); err == nil || nylasapi.NotFound(err) || strings.Contains(err.Error(), "hookctl webhook list") {
		t.Errorf("list: %v", err)
	}
}

// By the time of its answer Nylas signs with the new secret.
func TestRotatedSecretIsFoundWhereverItIs(t *testing.T) {
	for _, test := range []struct {
		status int
		body   string
	}{
		{200, `{"request_id":"1","data":{"id":"id","webhook_secret":"41dD3-nXTUfebYuk81Gr"}}`},
		{200, `{"request_id":"1","webhook_secret":"41dD3-nXTUfebYuk81Gr"}`},
		{201, `{"request_id":"1","data":{"webhook_secret":"41dD3-nXTUfebYuk81Gr"}}`},
	} {
		got, err := answering(t, test.status, test.body).RotateSecret(t.Context(), "id")
		if err != nil || got.Secret != "41dD3-nXTUfebYuk81Gr" {
			t.Errorf("%d %s: %v", test.status, test.body, err)
		}
	}
}

// Go quotes what came instead of an answer; it may be the secret.
func TestBrokenAnswersAreNotQuoted(t *testing.T) {
	const secret = "41dD3-nXTUfebYuk81Gr"
	for _, answer := range []string{`{"data":{"webhook_secret":"` + secret + `"}}` + "\r\n\r\n", "HTTP/1.1 200 OK\r\n" + secret + "\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + secret} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				panic(err)
			}
			_, _ = conn.Write([]byte(answer))
			_ = conn.Close()
		}))
		_, err := client(t, server.URL, "key").RotateSecret(t.Context(), "id")
		server.Close()
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%q: %v", answer, err)
		}
	}
}

func TestUntrustedCertificate(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	defer server.Close()
	c := client(t, server.URL, "key")
	c.Waiting = func(error, time.Duration) { t.Error("it is tried again, which does not help") }
	if _, err := c.List(t.Context()); err == nil || !strings.Contains(err.Error(), server.URL+": the server's certificate is not trusted") {
		t.Errorf("%v", err)
	}
}

func TestNew(t *testing.T) {
	for _, bad := range [][2]string{
		{"api.us.nylas.com", "key"}, {"http://api.us.nylas.com", "key"}, {"", "key"}, {"://", "key"},
		{nylasapi.Regions["us"] + "/v3", "key"}, {nylasapi.Regions["us"] + "/v3/", "key"}, {nylasapi.Regions["us"], " "}, {nylasapi.Regions["us"], "a b"}, {nylasapi.Regions["us"], "a\nb"},
	} {
		if _, err := nylasapi.New(bad[0], bad[1]); err == nil {
			t.Errorf("New(%q, %q) takes it", bad[0], bad[1])
		}
	}
	for _, good := range [][2]string{{nylasapi.Regions["eu"], "key\n"}, {"http://127.0.0.1:1", "key"}, {"http://localhost:1/", "key"}} {
		if _, err := nylasapi.New(good[0], good[1]); err != nil {
			t.Error(err)
		}
	}
}

// TestCallsAreThoseOfTheSDKs: test/nylas watches the official SDKs make these calls.
func TestCallsAreThoseOfTheSDKs(t *testing.T) {
	api, c := start(t)
	ctx := t.Context()
	made, err := c.Create(ctx, nylasapi.Settings{URL: echo(t), TriggerTypes: []string{"grant.expired"}, Description: "d", NotificationEmails: []string{"oncall@example.com"}})
	_, err2 := c.List(ctx)
	_, err3 := c.Find(ctx, made.ID)
	_, err4 := c.Update(ctx, made.ID, nylasapi.Settings{Description: "e"})
	_, err5 := c.RotateSecret(ctx, made.ID)
	if err := errors.Join(err, err2, err3, err4, err5, c.Delete(ctx, made.ID)); err != nil {
		t.Fatal(err)
	}
	for name, call := range nylas.Calls {
		if !slices.ContainsFunc(api.Requests(), func(r nylas.Request) bool { return call.Is(r, made.ID) }) {
			t.Errorf("%s is not %s %s with %q; sent was:\n%+v", name, call.Method, call.Path, call.Fields, api.Requests())
		}
	}
}
