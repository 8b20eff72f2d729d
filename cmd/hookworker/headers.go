package main

import (
	"errors"
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
	"Host", "Content-Length", "Content-Type", "Content-Encoding", "User-Agent", "Accept-Encoding", "Idempotency-Key",
	"Transfer-Encoding", "Connection", "Proxy-Connection", "Keep-Alive", "Trailer", "Te", "Upgrade", "Expect",
	standardwebhooks.HeaderWebhookID, standardwebhooks.HeaderWebhookTimestamp, standardwebhooks.HeaderWebhookSignature,
	headerType, headerID, headerGrant, headerAttempt, headerReceivedAt, headerRequestID, headerReplay, notification.SignatureHeader,
}

// parseHeaders reads lines "Name: value". Empty lines and those that begin with # are left
// out. The error names every line that is wrong. The values may be secret, and what looks
// like a name may be one that was pasted alone, so it repeats no text of the file.
func parseHeaders(text string) (http.Header, error) {
	headers := http.Header{}
	var problems []error
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, value, found := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		own := slices.IndexFunc(ours, func(own string) bool { return strings.EqualFold(own, name) })
		switch {
		case !found || !httpguts.ValidHeaderFieldName(name):
			problems = append(problems, fmt.Errorf("line %d is not of the form \"Name: value\"", i+1))
		case own >= 0:
			problems = append(problems, fmt.Errorf("line %d: %s is set by hookworker itself; take the line out", i+1, ours[own]))
		case value == "" || !httpguts.ValidHeaderFieldValue(value):
			problems = append(problems, fmt.Errorf("line %d has no value that a header can hold: it is empty, or has control characters", i+1))
		default:
			headers.Add(name, value)
		}
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return headers, nil
}
