package nylas

import (
	"slices"
	"strings"
)

// Call is one request that the official SDKs make.
type Call struct {
	Method, Path string // {id} stands for the webhook's id
	Fields       []string
}

// Calls are the requests of the official SDKs (npm nylas 8.4.0, PyPI nylas 6.18.0), by
// what they are for; update with a description alone. The tests here watch the SDKs
// make them, and those of hookctl's client hold it to them.
var Calls = map[string]Call{
	"create": {"POST", "/v3/webhooks", []string{"description", "notification_email_addresses", "trigger_types", "webhook_url"}},
	"list":   {"GET", "/v3/webhooks", nil},
	"find":   {"GET", "/v3/webhooks/{id}", nil},
	"update": {"PUT", "/v3/webhooks/{id}", []string{"description"}},
	"rotate": {"POST", "/v3/webhooks/rotate-secret/{id}", nil}, // Node; see PythonRotate
	"delete": {"DELETE", "/v3/webhooks/{id}", nil},
}

// PythonRotate is the Python SDK's way to rotate, against Nylas's OpenAPI description
// and all other SDKs.
var PythonRotate = Call{"PUT", "/v3/webhooks/{id}/rotate-secret", nil}

// Is tells whether r is this call for the webhook with that id: the same method, path
// and fields. compressed_delivery, which the SDKs do not know, may be among them.
func (c Call) Is(r Request, id string) bool {
	var fields []string
	for name := range r.Body {
		if name != "compressed_delivery" {
			fields = append(fields, name)
		}
	}
	slices.Sort(fields)
	return r.Method == c.Method && r.Path == strings.ReplaceAll(c.Path, "{id}", id) && slices.Equal(fields, c.Fields)
}
