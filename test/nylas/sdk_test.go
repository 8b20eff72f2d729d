package nylas_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/onepagecrm/nylas-webhooks/notification"
	"github.com/onepagecrm/nylas-webhooks/test/nylas"
)

// hook is a webhook as the SDKs give it, in the names of the wire.
type hook struct {
	ID                 string   `json:"id"`
	Description        string   `json:"description"`
	TriggerTypes       []string `json:"trigger_types"`
	URL                string   `json:"webhook_url"`
	Status             string   `json:"status"`
	NotificationEmails []string `json:"notification_email_addresses"`
	StatusUpdatedAt    int64    `json:"status_updated_at"`
	CreatedAt          int64    `json:"created_at"`
	UpdatedAt          int64    `json:"updated_at"`
	Secret             string   `json:"webhook_secret"`
}

type refusal struct {
	Status    int    `json:"status"`
	Type      string `json:"type"`
	RequestID string `json:"request_id"`
}

// TestOfficialSDKs runs Nylas's own SDKs against the stand-in: it understands them,
// they understand it, and the requests are those that hookctl's client is held to.
func TestOfficialSDKs(t *testing.T) {
	for _, sdk := range []struct {
		name    string
		program []string
		needs   string
		rotate  nylas.Call
	}{
		{"Node", []string{node(t), "sdk/sdk.mjs"}, "node_modules/nylas/package.json",
			nylas.Calls["rotate"]},
		{"Python", []string{"../../.local/venv/nylas/bin/python", "sdk/sdk.py"}, "../../.local/venv/nylas/bin/python",
			nylas.PythonRotate},
	} {
		t.Run(sdk.name, func(t *testing.T) {
			if _, err := os.Stat(sdk.needs); err != nil {
				t.Fatalf("the Nylas SDK for %s is not installed. In the project's folder: make nylas", sdk.name)
			}
			api := nylas.New()
			t.Cleanup(api.Server.Close)
			var challenges atomic.Int32
			var delivered atomic.Value
			endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodGet {
					challenges.Add(1)
					_, _ = w.Write([]byte(r.URL.Query().Get("challenge")))
					return
				}
				delivered.Store(r.Header.Get(notification.SignatureHeader))
			}))
			t.Cleanup(endpoint.Close)

			var got struct {
				Created, Found, Updated, Rotated hook
				Listed                           []hook
				Addresses                        []string
				WrongKey                         refusal `json:"wrong_key"`
				NoChallenge                      refusal `json:"no_challenge"`
				NoSuchID                         refusal `json:"no_such_id"`
			}
			script(t, api, endpoint.URL, &got, append(sdk.program, "make"))

			c := got.Created
			if c.ID == "" || c.Status != "active" || c.URL != endpoint.URL || c.Description != "made by the SDK" ||
				!slices.Equal(c.TriggerTypes, []string{"message.created", "grant.expired"}) || !slices.Equal(c.NotificationEmails, []string{"ops@example.com"}) ||
				c.CreatedAt == 0 || c.UpdatedAt == 0 || c.StatusUpdatedAt == 0 || len(c.Secret) != 20 {
				t.Errorf("created %+v", c)
			}
			if len(got.Listed) != 1 || got.Listed[0].ID != c.ID || got.Listed[0].Secret != "" || got.Found.ID != c.ID || got.Found.Secret != "" {
				t.Errorf("listed %+v, found %+v; neither may hold the secret", got.Listed, got.Found)
			}
			if got.Updated.Description != "changed" || len(got.Updated.TriggerTypes) != 2 {
				t.Errorf("updated %+v", got.Updated)
			}
			if left := api.Webhooks(); got.Rotated.Secret == c.Secret || len(left) != 1 || got.Rotated.Secret != left[0].Secret {
				t.Error("the secret after the rotation is not the one that the SDK was given")
			}
			if len(got.Addresses) != 1 {
				t.Errorf("addresses %v", got.Addresses)
			}
			for name, r := range map[string][2]any{
				"wrong key":    {got.WrongKey, refusal{401, "api.authentication_error", got.WrongKey.RequestID}},
				"no challenge": {got.NoChallenge, refusal{400, "70005", got.NoChallenge.RequestID}},
				"no such id":   {got.NoSuchID, refusal{400, "70000", got.NoSuchID.RequestID}},
			} {
				if r[0] != r[1] || r[0].(refusal).RequestID == "" {
					t.Errorf("%s: %+v, want %+v", name, r[0], r[1])
				}
			}
			if n := challenges.Load(); n != 1 {
				t.Errorf("%d challenges for one create and a change of the description, want 1", n)
			}

			body := []byte(`{"type":"grant.expired"}`)
			if status, err := api.Deliver(t.Context(), c.ID, body); err != nil || status != http.StatusOK || delivered.Load() != notification.Sign(got.Rotated.Secret, body).String() {
				t.Errorf("delivery: %d, %v, signature %v", status, err, delivered.Load())
			}
			var gone struct{ Removed string }
			script(t, api, endpoint.URL, &gone, append(sdk.program, "remove", c.ID))
			if gone.Removed != "success" || len(api.Webhooks()) != 0 {
				t.Errorf("removed: %q, %d left", gone.Removed, len(api.Webhooks()))
			}

			calls := maps.Clone(nylas.Calls)
			calls["rotate"] = sdk.rotate
			for name, call := range calls {
				if !slices.ContainsFunc(api.Requests(), func(r nylas.Request) bool { return call.Is(r, c.ID) }) {
					t.Errorf("the SDK did not %s by %s %s %q; it sent:\n%+v", name, call.Method, call.Path, call.Fields, api.Requests())
				}
			}
		})
	}
}

// script runs an SDK and reads what it prints.
func script(t *testing.T, api *nylas.API, endpoint string, into any, program []string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program[0], program[1:]...)
	cmd.Env = append(os.Environ(), "NYLAS_API_URI="+api.Server.URL, "NYLAS_API_KEY="+nylas.Key,
		"WEBHOOK_URL="+endpoint, "DEAD_URL="+api.Server.URL+"/nobody",
		"NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1")
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(program, " "), err, errs.String())
	}
	if err := json.Unmarshal(out, into); err != nil {
		t.Fatalf("%s printed %s: %v", strings.Join(program, " "), out, err)
	}
}

// node is the pinned Node, or the machine's.
func node(t *testing.T) string {
	if path, err := filepath.Abs("../../tools/node_modules/.bin/node"); err == nil {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	path, err := exec.LookPath("node")
	if err != nil {
		t.Fatal("there is no Node. In the project's folder: make nylas")
	}
	return path
}
