package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"golang.org/x/net/http/httpguts"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

// ours are the headers that a delivery has anyway, or that belong to the connection.
var ours = []string{
	"Host", "Content-Length", "Content-Type", "Content-Encoding", "Transfer-Encoding", "Connection", "User-Agent", "Idempotency-Key", "Trailer", "Te", "Upgrade",
	standardwebhooks.HeaderWebhookID, standardwebhooks.HeaderWebhookTimestamp, standardwebhooks.HeaderWebhookSignature,
	headerType, headerID, headerGrant, headerAttempt, headerReceivedAt, headerRequestID, notification.SignatureHeader,
}

// parseHeaders reads lines "Name: value". Empty lines and those that begin with # are left
// out. The values may be secret, so no error repeats one.
func parseHeaders(text string) (http.Header, error) {
	headers := http.Header{}
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, value, found := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch {
		case !found || !httpguts.ValidHeaderFieldName(name):
			return nil, fmt.Errorf("line %d is not of the form \"Name: value\"", i+1)
		case value == "" || !httpguts.ValidHeaderFieldValue(value):
			return nil, fmt.Errorf("line %d: %s has no value that a header can hold", i+1, name)
		case slices.ContainsFunc(ours, func(own string) bool { return strings.EqualFold(own, name) }):
			return nil, fmt.Errorf("line %d: %s is set by hookworker itself", i+1, name)
		}
		headers.Add(name, value)
	}
	return headers, nil
}
