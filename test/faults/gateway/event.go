package gateway

import (
	"encoding/base64"
	"encoding/json"
	"net"
	"net/http"
	"strings"
)

// event is API Gateway's proxy event.
// https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
type event struct {
	Resource                        string              `json:"resource"`
	Path                            string              `json:"path"`
	HTTPMethod                      string              `json:"httpMethod"`
	Headers                         map[string]string   `json:"headers"`
	MultiValueHeaders               map[string][]string `json:"multiValueHeaders"`
	QueryStringParameters           map[string]string   `json:"queryStringParameters"`
	MultiValueQueryStringParameters map[string][]string `json:"multiValueQueryStringParameters"`
	PathParameters                  map[string]string   `json:"pathParameters"`
	StageVariables                  map[string]string   `json:"stageVariables"`
	RequestContext                  requestContext      `json:"requestContext"`
	Body                            *string             `json:"body"`
	IsBase64Encoded                 bool                `json:"isBase64Encoded"`
}

type requestContext struct {
	RequestID         string            `json:"requestId"`
	ExtendedRequestID string            `json:"extendedRequestId"`
	AccountID         string            `json:"accountId"`
	APIID             string            `json:"apiId"`
	Stage             string            `json:"stage"`
	ResourcePath      string            `json:"resourcePath"`
	Path              string            `json:"path"`
	HTTPMethod        string            `json:"httpMethod"`
	Protocol          string            `json:"protocol"`
	Identity          map[string]string `json:"identity"`
}

// encodeEvent returns the event of a request. With binaryMediaTypes */* every body is
// base64. Header names arrive as the client wrote them, so in lower case from an
// HTTP/2 client; both are sent in turn.
func encodeEvent(r *http.Request, body []byte, c Config, extendedID string, lowercase bool) []byte {
	address, _, _ := net.SplitHostPort(r.RemoteAddr)
	e := event{
		Resource: c.Path, Path: c.Path, HTTPMethod: r.Method,
		Headers: make(map[string]string), MultiValueHeaders: make(map[string][]string),
		RequestContext: requestContext{
			RequestID: newID(), ExtendedRequestID: extendedID, AccountID: "123456789012", APIID: "a1b2c3d4e5",
			Stage: c.Stage, ResourcePath: c.Path, Path: "/" + c.Stage + c.Path, HTTPMethod: r.Method,
			Protocol: "HTTP/1.1", Identity: map[string]string{"sourceIp": address, "userAgent": r.UserAgent()},
		},
	}
	add := func(name string, values []string) {
		if lowercase {
			name = strings.ToLower(name)
		}
		e.Headers[name] = values[len(values)-1] // of several, the last one
		e.MultiValueHeaders[name] = values
	}
	for name, values := range r.Header {
		if name != "Connection" && name != "Content-Length" {
			add(name, values)
		}
	}
	add("Host", []string{"a1b2c3d4e5.execute-api.us-east-1.amazonaws.com"})
	add("X-Forwarded-For", []string{address})
	add("X-Forwarded-Port", []string{"443"})
	add("X-Forwarded-Proto", []string{"https"})
	add("X-Amzn-Trace-Id", []string{"Root=1-00000000-000000000000000000000000"})
	if query := r.URL.Query(); len(query) > 0 {
		e.QueryStringParameters = make(map[string]string)
		e.MultiValueQueryStringParameters = query
		for name, values := range query {
			e.QueryStringParameters[name] = values[len(values)-1]
		}
	}
	if len(body) > 0 {
		text := base64.StdEncoding.EncodeToString(body)
		e.Body, e.IsBase64Encoded = &text, true
	}
	payload, err := json.Marshal(e)
	if err != nil {
		panic(err) // strings always marshal
	}
	return payload
}
