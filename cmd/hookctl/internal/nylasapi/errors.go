package nylasapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode"
)

// Error is an answer of the API that is not 200. Its text is a sentence with what to do.
// https://developer.nylas.com/docs/api/errors/
type Error struct {
	Base      string // the API's address
	Status    int
	Type      string        // error.type: "api.authentication_error", "70005", ...
	Message   string        // error.message, shortened
	RequestID string        // what Nylas's support asks for
	Wait      time.Duration // Retry-After, 0 when there is none

	one bool // the request was about one webhook
}

// NotFound: there is no such webhook. Nylas says so by 400 and type 70000. A 404 alone is
// said by every server that does not know the path, and to a list it cannot mean a webhook.
func (e *Error) NotFound() bool {
	return e.Type == "70000" || strings.Contains(e.Message, "not.found") || e.Status == http.StatusNotFound && e.one && !e.Foreign()
}

// Foreign: the answer is not in Nylas's form, so something else may have given it.
func (e *Error) Foreign() bool { return e.Type == "" && e.Message == "" }

// Unverified: the webhook's URL did not pass the challenge.
func (e *Error) Unverified() bool {
	return e.Type == "70005" || strings.Contains(e.Message, "verify.webhook_url")
}

// Unauthorized: the key is not one of this region. Some endpoints answer 400 for it.
func (e *Error) Unauthorized() bool {
	return e.Status == http.StatusUnauthorized && !e.Foreign() || e.Type == "token.unauthorized_access"
}

func (e *Error) Error() string { return e.advice() + " " + e.Says() }

func (e *Error) advice() string {
	switch {
	case e.Unauthorized():
		return fmt.Sprintf("%s does not accept this API key. Check NYLAS_API_KEY against the Nylas dashboard; a key works only in the region of its application (--nylas-region us or eu).", e.Base)
	case e.Status < 500 && e.Status >= 400 && e.Status != http.StatusTooManyRequests && (e.Foreign() || e.Status == http.StatusNotFound && !e.NotFound()):
		return fmt.Sprintf("What answers at %s does not know the Nylas API. Check the address (NYLAS_API_URI; Nylas's are %s and %s) and whether a proxy answers for it.", e.Base, Regions["us"], Regions["eu"])
	case e.Status == http.StatusForbidden:
		return "This API key may not do that. Use a key of the application that the webhook belongs to."
	case e.Unverified():
		return "Nylas called the webhook's URL with a challenge and did not get it back, so nothing was registered or activated. Is the stage deployed and reachable from the internet? Try: curl '<WebhookUrl>?challenge=hello', which must answer hello."
	case e.NotFound():
		return "Nylas has no such webhook in this application and region. See which there are: hookctl webhook list."
	case e.Status == http.StatusTooManyRequests && e.Wait > 0:
		return fmt.Sprintf("Nylas limits the rate of requests and asks to wait %s. Then run the same command again.", e.Wait.Round(time.Second))
	case e.Status == http.StatusTooManyRequests:
		return "Nylas limits the rate of requests. Wait a minute and run the same command again."
	case e.Status >= 500:
		return "Nylas has a fault of its own. Wait and run the same command again; Nylas's state is on https://status-v3.nylas.com."
	case e.Status >= 300 && e.Status < 400:
		return fmt.Sprintf("%s sends elsewhere, where the API key does not go. Check NYLAS_API_URI.", e.Base)
	default:
		return "Nylas refuses the request."
	}
}

// Says is the answer alone, without advice.
func (e *Error) Says() string {
	who := "Nylas says"
	if e.Foreign() {
		who = "The answer was"
	}
	said := fmt.Sprintf("%s: %d", who, e.Status)
	if e.Message != "" {
		said += " " + e.Message
	}
	var details []string
	if e.Type != "" {
		details = append(details, "type "+e.Type)
	}
	if e.RequestID != "" {
		details = append(details, "request "+e.RequestID)
	}
	if len(details) > 0 {
		said += " (" + strings.Join(details, ", ") + ")"
	}
	return said
}

// refusal reads an answer that is not 200.
func (c *Client) refusal(r request, resp *http.Response, text []byte) error {
	var body struct {
		RequestID string `json:"request_id"`
		Error     struct {
			Type    string `json:"type"`
			Message string `json:"message"`
		} `json:"error"`
	}
	// What is no JSON comes from something in between; then the status says it all.
	_ = json.Unmarshal(text, &body)
	if body.RequestID == "" {
		body.RequestID = resp.Header.Get("x-request-id")
	}
	return &Error{
		Base: c.base, Status: resp.StatusCode, one: strings.HasPrefix(r.path, byID("")),
		Type: oneLine(body.Error.Type, 60), Message: oneLine(body.Error.Message, 300), RequestID: oneLine(body.RequestID, 80),
		Wait: retryAfter(resp.Header.Get("Retry-After"), time.Now()),
	}
}

// oneLine makes foreign text fit for a terminal: printable, one line, at most limit runes.
func oneLine(text string, limit int) string {
	clean := []rune(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text))
	if len(clean) > limit {
		return string(clean[:limit]) + "…"
	}
	return string(clean)
}

// errorf says what was being done when err happened; nil stays nil.
func errorf(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// NotFound tells whether err is Nylas saying that there is no such webhook.
func NotFound(err error) bool {
	var refused *Error
	return errors.As(err, &refused) && refused.NotFound()
}
