package logs

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/onepagecrm/nylas-webhooks/lambda/contract"
)

// Request is a line of the receiver's log.
type Request struct {
	Time           time.Time `json:"time"`
	Status         int       `json:"status"`
	Outcome        string    `json:"outcome"`
	Reason         string    `json:"reason"`
	Type           string    `json:"type"`
	NotificationID string    `json:"notification_id"`
	GrantID        string    `json:"grant_id"`
	Attempt        int       `json:"attempt"`
	Bytes          int       `json:"bytes"`
	Milliseconds   int       `json:"milliseconds"`
	RequestID      string    `json:"request_id"`
	Error          string    `json:"error,omitempty"`
}

// ParseRequest reads a line of the receiver's log; ok is false for the lines that
// Lambda itself writes there.
func ParseRequest(e Event) (r Request, ok bool) {
	var line map[string]any
	if json.Unmarshal([]byte(e.Text), &line) != nil {
		return Request{}, false // Lambda's, or a crash's
	}
	text := func(name string) string { s, _ := line[name].(string); return s }
	number := func(name string) int { f, _ := line[name].(float64); return int(f) }
	r = Request{
		Time: e.Time, Status: number(contract.FieldStatus), Outcome: text(contract.FieldOutcome), Reason: text(contract.FieldReason),
		Type: text(contract.FieldType), NotificationID: text(contract.FieldNotificationID), GrantID: text(contract.FieldGrantID),
		Attempt: number(contract.FieldAttempt), Bytes: number(contract.FieldBytes), Milliseconds: number(contract.FieldMilliseconds),
		RequestID: text(contract.FieldRequestID), Error: text(contract.FieldError),
	}
	return r, r.Outcome != ""
}

// RequestPattern selects the receiver's lines with one of the outcomes, all of its
// lines where there are none.
func RequestPattern(outcomes []string) string {
	if len(outcomes) == 0 {
		return fmt.Sprintf(`{ $.%s = "*" }`, contract.FieldOutcome)
	}
	var parts []string
	for _, outcome := range outcomes {
		parts = append(parts, fmt.Sprintf("($.%s = %q)", contract.FieldOutcome, outcome))
	}
	return "{ " + strings.Join(parts, " || ") + " }"
}

// Access is a line of the gateway's access log (infra/webhooks/endpoint.go).
type Access struct {
	Time      time.Time
	RequestID string
	Method    string
	Status    int
}

// The keys of an access log line that are read here.
const (
	AccessRequestID = "requestId"
	AccessTime      = "time" // milliseconds since 1970
	AccessMethod    = "method"
	AccessStatus    = "status"
)

// ParseAccess reads a line of the access log.
func ParseAccess(e Event) (Access, bool) {
	var line map[string]string
	if json.Unmarshal([]byte(e.Text), &line) != nil {
		return Access{}, false
	}
	status, err := strconv.Atoi(line[AccessStatus])
	if err != nil {
		return Access{}, false
	}
	a := Access{Time: e.Time, RequestID: line[AccessRequestID], Method: line[AccessMethod], Status: status}
	if ms, err := strconv.ParseInt(line[AccessTime], 10, 64); err == nil {
		a.Time = time.UnixMilli(ms).UTC() // when it came, not when the gateway wrote it
	}
	return a, true
}
