package nylasapi

import (
	"context"
	"errors"
	"net/http"
	"net/url"
)

// The states of a webhook. Nylas sets failing when 95 % of the deliveries of 15
// minutes went wrong, and failed, which ends delivery, after 72 hours of that.
// https://developer.nylas.com/docs/v3/notifications/#failing-and-failed-webhooks
const (
	Active  = "active"
	Paused  = "pause" // sic
	Failing = "failing"
	Failed  = "failed"
)

// Webhook is one webhook ("destination") as the SDKs' Webhook has it, with
// compressed_delivery, which so far only the OpenAPI description has.
// Times are Unix seconds, 0 where Nylas leaves them out (create and list may).
type Webhook struct {
	ID                 string   `json:"id"`
	Description        string   `json:"description,omitempty"`
	TriggerTypes       []string `json:"trigger_types"`
	URL                string   `json:"webhook_url"`
	Status             string   `json:"status"`
	NotificationEmails []string `json:"notification_email_addresses,omitempty"`
	CompressedDelivery bool     `json:"compressed_delivery"`
	StatusUpdatedAt    int64    `json:"status_updated_at,omitempty"`
	CreatedAt          int64    `json:"created_at,omitempty"`
	UpdatedAt          int64    `json:"updated_at,omitempty"`
}

// WithSecret is what create and rotate-secret answer: the only two answers that hold
// the secret. Do not print it.
type WithSecret struct {
	Webhook
	Secret string `json:"webhook_secret"`
}

// secretAnswer takes the secret from data, where the SDKs have it, or from beside it: by
// the time of the answer Nylas signs with it, so that one that is not found is lost.
type secretAnswer struct {
	Data   WithSecret `json:"data"`
	Secret string     `json:"webhook_secret"`
}

func (a secretAnswer) webhook() WithSecret {
	if a.Data.Secret == "" {
		a.Data.Secret = a.Secret
	}
	return a.Data
}

// Settings are what a caller may set. Empty fields are not sent, and an update
// leaves alone what is not sent.
type Settings struct {
	TriggerTypes       []string `json:"trigger_types,omitempty"`
	URL                string   `json:"webhook_url,omitempty"`
	Description        string   `json:"description,omitempty"`
	NotificationEmails []string `json:"notification_email_addresses,omitempty"`
	Status             string   `json:"status,omitempty"` // update only: Active or Paused
}

// sent are settings as they go out. compressed_delivery is always false: API Gateway
// unpacks gzip before the function sees it, and then no signature can be verified.
type sent struct {
	Settings
	CompressedDelivery bool `json:"compressed_delivery"`
}

// List returns all webhooks of the application that the key belongs to.
func (c *Client) List(ctx context.Context) ([]Webhook, error) {
	var all []Webhook
	query := ""
	for seen := map[string]bool{"": true}; ; {
		var page struct {
			Data       []Webhook `json:"data"`
			NextCursor string    `json:"next_cursor"` // the SDKs' ListResponse has it; page_token asks for that page
		}
		if err := c.do(ctx, request{method: http.MethodGet, path: "/v3/webhooks" + query, repeat: always}, &page); err != nil {
			return nil, errorf("list the webhooks at Nylas", err)
		}
		all = append(all, page.Data...)
		if seen[page.NextCursor] { // also a cursor that goes in circles
			return all, nil
		}
		seen[page.NextCursor] = true
		query = "?page_token=" + url.QueryEscape(page.NextCursor)
	}
}

// Find returns the webhook with that id.
func (c *Client) Find(ctx context.Context, id string) (Webhook, error) {
	var answer struct {
		Data Webhook `json:"data"`
	}
	err := c.do(ctx, request{method: http.MethodGet, path: byID(id), repeat: always}, &answer)
	if err == nil && answer.Data.ID == "" {
		err = errAnswer
	}
	return answer.Data, errorf("look up the webhook at Nylas", err)
}

// Create registers a webhook. Nylas sends the challenge to its URL before it answers.
// No answer, and one of 500 and above, leave open whether the webhook exists.
func (c *Client) Create(ctx context.Context, s Settings) (WithSecret, error) {
	var answer secretAnswer
	err := c.do(ctx, request{method: http.MethodPost, path: "/v3/webhooks", body: sent{Settings: s}, repeat: ifRefused}, &answer)
	if err == nil && answer.Data.ID == "" {
		err = errors.New("its answer names no webhook id")
	}
	return answer.webhook(), errorf("create the webhook at Nylas", err)
}

// Update changes what s sets and turns compressed_delivery off.
func (c *Client) Update(ctx context.Context, id string, s Settings) (Webhook, error) {
	var answer struct {
		Data Webhook `json:"data"`
	}
	err := c.do(ctx, request{method: http.MethodPut, path: byID(id), body: sent{Settings: s}, repeat: always}, &answer)
	if err == nil && answer.Data.ID == "" {
		err = errAnswer
	}
	return answer.Data, errorf("update the webhook at Nylas", err)
}

// Delete removes the webhook.
func (c *Client) Delete(ctx context.Context, id string) error {
	err := c.do(ctx, request{method: http.MethodDelete, path: byID(id), repeat: always}, nil)
	return errorf("delete the webhook at Nylas", err)
}

// RotateSecret makes Nylas choose a new secret, which it signs with from then on. The
// path is that of the OpenAPI description and of the Node SDK; the Python SDK has
// PUT /v3/webhooks/{id}/rotate-secret.
func (c *Client) RotateSecret(ctx context.Context, id string) (WithSecret, error) {
	var answer secretAnswer
	err := c.do(ctx, request{method: http.MethodPost, path: "/v3/webhooks/rotate-secret/" + url.PathEscape(id), body: struct{}{}, repeat: ifAnswered}, &answer)
	if err == nil && answer.webhook().Secret == "" {
		err = errors.New("its answer holds no webhook_secret")
	}
	return answer.webhook(), errorf("rotate the secret at Nylas", err)
}

func byID(id string) string { return "/v3/webhooks/" + url.PathEscape(id) }
