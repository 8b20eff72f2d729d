package receive

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// event is the part of API Gateway's proxy event that is used here.
// https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
type event struct {
	HTTPMethod                      string              `json:"httpMethod"`
	Headers                         map[string]string   `json:"headers"`
	MultiValueHeaders               map[string][]string `json:"multiValueHeaders"`
	QueryStringParameters           map[string]string   `json:"queryStringParameters"`
	MultiValueQueryStringParameters map[string][]string `json:"multiValueQueryStringParameters"`
	RequestContext                  struct {
		// RequestID is API Gateway's own; a caller can set the other one, requestId.
		// https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-variables-for-access-logging.html
		RequestID string `json:"extendedRequestId"`
	} `json:"requestContext"`
	RawBody         span `json:"body"`
	IsBase64Encoded bool `json:"isBase64Encoded"`

	body []byte // the request's bytes
}

// span is where a value stands in the event. The body is not copied out of it as the JSON
// string that it is: base64 is decoded straight from there.
type span struct{ begin, end int64 }

// UnmarshalJSONFrom implements [json.UnmarshalerFrom].
func (s *span) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	value, err := d.ReadValue()
	s.end = d.InputOffset()
	s.begin = s.end - int64(len(value))
	return err
}

// Requests come from strangers: odd UTF-8 or a name that stands twice must not make
// an event unreadable.
var lenient = json.JoinOptions(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))

func decodeEvent(payload []byte) (*event, error) {
	var e event
	if err := json.Unmarshal(payload, &e, lenient); err != nil {
		return nil, fmt.Errorf("decode event: %w", withoutContent(err))
	}
	if e.HTTPMethod == "" {
		return nil, fmt.Errorf("decode event: it has no httpMethod, so it is not from an API Gateway REST API")
	}
	var err error
	if e.body, err = e.decodeBody(payload[e.RawBody.begin:e.RawBody.end]); err != nil {
		return nil, fmt.Errorf("decode event's body: %w", err)
	}
	return &e, nil
}

// decodeBody returns the exact bytes that were received. API Gateway sends them as
// base64 where the content type is one of the API's binary media types, else as text.
func (e *event) decodeBody(raw jsontext.Value) ([]byte, error) {
	if len(raw) == 0 || raw.Kind() == 'n' { // no body, null
		return nil, nil
	}
	if raw.Kind() != '"' {
		return nil, fmt.Errorf("it is not a string")
	}
	text := []byte(raw[1 : len(raw)-1])
	if !e.IsBase64Encoded || bytes.IndexByte(text, '\\') >= 0 {
		var err error
		if text, err = jsontext.AppendUnquote(nil, raw); err != nil {
			return nil, withoutContent(err)
		}
	}
	if !e.IsBase64Encoded {
		return text, nil
	}
	body := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Decode(body, text)
	if err != nil {
		return nil, err // tells an offset, no content
	}
	return body[:n], nil
}

// withoutContent reduces a JSON error to its kind: the texts of the others quote
// what they could not read.
func withoutContent(err error) error {
	return fmt.Errorf("invalid JSON (%T)", err)
}

// header returns every value of a header, whatever its case: what API Gateway joined
// with commas is taken apart, and what stands in both maps counts once.
func (e *event) header(name string) []string {
	var values []string
	add := func(joined string) {
		for value := range strings.SplitSeq(joined, ",") {
			value = strings.TrimSpace(value)
			if value != "" && !slices.Contains(values, value) {
				values = append(values, value)
			}
		}
	}
	for key, list := range e.MultiValueHeaders {
		if strings.EqualFold(key, name) {
			for _, joined := range list {
				add(joined)
			}
		}
	}
	for key, joined := range e.Headers {
		if strings.EqualFold(key, name) {
			add(joined)
		}
	}
	return values
}

// query returns every value of a query parameter, each once.
func (e *event) query(name string) []string {
	var values []string
	add := func(value string) {
		if !slices.Contains(values, value) {
			values = append(values, value)
		}
	}
	for _, value := range e.MultiValueQueryStringParameters[name] {
		add(value)
	}
	if value, ok := e.QueryStringParameters[name]; ok {
		add(value)
	}
	return values
}

// response is API Gateway's proxy response.
type response struct {
	StatusCode int               `json:"statusCode"`
	Headers    map[string]string `json:"headers,omitempty"`
	Body       string            `json:"body"`
}

func (r response) encode() []byte {
	b, err := json.Marshal(r, lenient)
	if err != nil {
		// Strings and a number always encode; were it otherwise, Nylas sends again.
		return []byte(`{"statusCode":503,"body":""}`)
	}
	return b
}
