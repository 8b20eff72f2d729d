package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/aws/aws-lambda-go/events"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

const (
	secret         = "bench-secret-of-no-webhook"
	notificationID = "0fd3cf0a-3c1c-4f5e-8f0e-6d8c2a1b9e77"
	grantID        = "41009df5-bf11-4c97-aa18-b285b5f2e386"
	requestID      = "Fp8nVGXzoAMFTFg="
)

// Case is one kind of event, and how many CPUs the program sees.
type Case struct {
	Bytes int    `json:"bytes"` // of the body, about
	Text  string `json:"text"`  // html: much that JSON escapes; plain: little
	Form  string `json:"form"`  // base64, as the deployed gateway sends it, or text
	CPUs  int    `json:"cpus"`
}

func (c Case) String() string {
	return fmt.Sprintf("%s, %s, %s, %d CPU", size(c.Bytes), c.Text, c.Form, c.CPUs)
}

func size(bytes int) string { return fmt.Sprintf("%d kB", bytes/1000) }

// standard is the case of that size that the deployed front door has.
func standard(bytes, cpus int) Case { return Case{bytes, "html", "base64", cpus} }

// lines of which the mails consist.
var lines = map[string]string{
	"html":  `<tr class=\"row\"><td style=\"color:#333\">Dear Ms M\u00fcller, the offer is “attached”.\u003c/td>\r\n`,
	"plain": `Dear Ms Mueller, the offer is attached to this mail and holds until the end of the month. `,
}

// body returns a notification of about so many bytes.
func (c Case) body() []byte {
	const head = `{"specversion":"1.0","type":"message.created","source":"/google/emails/realtime","id":"` + notificationID + `","time":1767630011,"webhook_delivery_attempt":1,` +
		`"data":{"application_id":"7d1f0c52-0000-4000-8000-000000000000","object":{"object":"message","grant_id":"` + grantID + `","subject":"Offer","from":[{"name":"Ada","email":"ada@example.com"}],"date":1767630000,"folders":["INBOX"],"unread":true,"body":"`
	const tail = `"}}}`
	line := lines[c.Text]
	return []byte(head + strings.Repeat(line, (c.Bytes-len(head)-len(tail))/len(line)) + tail)
}

// payload returns the event in which API Gateway hands the body on.
func (c Case) payload(body []byte) ([]byte, error) {
	headers := map[string]string{
		"Accept": "*/*", "Accept-Encoding": "gzip", "Content-Type": "application/json", "Host": "a1b2c3d4e5.execute-api.us-east-1.amazonaws.com",
		"User-Agent": "Go-http-client/1.1", "X-Amzn-Trace-Id": "Root=1-65e5a1b2-0123456789abcdef01234567", "X-Forwarded-For": "192.0.2.1",
		"X-Forwarded-Port": "443", "X-Forwarded-Proto": "https", "x-nylas-signature": notification.Sign(secret, body).String(),
	}
	e := events.APIGatewayProxyRequest{
		Resource: "/nylas", Path: "/nylas", HTTPMethod: "POST", Headers: headers, MultiValueHeaders: make(map[string][]string),
		RequestContext: events.APIGatewayProxyRequestContext{
			AccountID: "123456789012", APIID: "a1b2c3d4e5", Stage: "prod", ResourceID: "abc123", ResourcePath: "/nylas", Path: "/prod/nylas",
			DomainName: headers["Host"], DomainPrefix: "a1b2c3d4e5", HTTPMethod: "POST", Protocol: "HTTP/1.1",
			RequestID: "c6af9ac6-7b61-11e6-9a41-93e8deadbeef", ExtendedRequestID: requestID,
			Identity: events.APIGatewayRequestIdentity{SourceIP: "192.0.2.1", UserAgent: headers["User-Agent"]},
		},
		Body: string(body),
	}
	for name, value := range headers {
		e.MultiValueHeaders[name] = []string{value}
	}
	if c.Form == "base64" {
		e.Body, e.IsBase64Encoded = base64.StdEncoding.EncodeToString(body), true
	}
	payload, err := json.Marshal(struct {
		events.APIGatewayProxyRequest
		IsBase64Encoded bool `json:"isBase64Encoded"` // written where it is false, too
	}{e, e.IsBase64Encoded})
	if err != nil {
		return nil, fmt.Errorf("write the event: %w", err)
	}
	return payload, nil
}
