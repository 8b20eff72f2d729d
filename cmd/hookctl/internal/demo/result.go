package demo

import (
	"context"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/secret"
	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/sender"
)

// Webhook is the front door; a [sender.Sender] is one.
type Webhook interface {
	Challenge(ctx context.Context, value string) (sender.Answer, error)
	Post(ctx context.Context, body []byte, signature string) (sender.Answer, error)
}

// Secrets is the stage's secret; a [secret.Store] is one.
type Secrets interface {
	Read(context.Context) (secret.Stored, error)
	Put(ctx context.Context, value string) error
}

// Step is one thing that Nylas, or somebody who pretends to be, does.
type Step struct {
	Name string `json:"step"`
	// Expected and Got say what the webhook should and did answer, in words.
	Expected string `json:"expected"`
	Got      string `json:"got"`
	OK       bool   `json:"ok"`
	// Skipped: it could not be shown this time; Got says why. OK is true then.
	Skipped bool `json:"skipped,omitempty"`
}

// Message is one of the run's notifications as it was found on the queue.
type Message struct {
	Type    string `json:"type"`
	ID      string `json:"id"`
	GrantID string `json:"grant_id"`
	Bytes   int    `json:"bytes"`
	// Equal: the body is byte for byte what was signed.
	Equal bool `json:"equal_to_what_was_signed"`
	// RequestID is API Gateway's id of the request that brought it, which only the
	// real function can know.
	RequestID string `json:"request_id"`
}

// Result is what a run saw.
type Result struct {
	Stage   string `json:"stage"`
	Webhook string `json:"webhook_url"`
	Steps   []Step `json:"steps"`
	// Messages are those that arrived, each once, in the order they were sent.
	Messages []Message `json:"messages"`
	// Sent is how many signed notifications were sent, Reached how many of them
	// were found on the queue as they should be.
	Sent    int `json:"sent"`
	Reached int `json:"reached"`
	// Duplicates and Others count what else was received: a second copy of one of
	// the run's notifications, and messages that are not the run's.
	Duplicates int `json:"duplicates"`
	Others     int `json:"others"`
	// CRM tells that everything on the queue was delivered to the stand-in CRM.
	CRM bool `json:"crm"`
}

// Left says where the others are now.
func (r Result) Left() string {
	if r.CRM {
		return ", and the CRM has them too"
	}
	return " and are there still"
}

// OK tells whether everything was as it should be.
func (r Result) OK() bool {
	for _, step := range r.Steps {
		if !step.OK {
			return false
		}
	}
	return r.Sent > 0 && r.Reached == r.Sent
}
