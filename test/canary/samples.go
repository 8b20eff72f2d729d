package canary

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"github.com/onepagecrm/nylas-webhooks/notification/samples"
)

// private are the members of a notification that hold what people wrote, or who they
// are. Ids, types and times may be logged.
// https://developer.nylas.com/docs/reference/notifications/
var private = []string{
	"subject", "body", "snippet", "title", "description", "location", "filename", "bounce_reason",
	"email", "owner_email", "bounced_addresses", "company_name", "html_link",
}

// shortest: what is shorter stands in other texts, too.
const shortest = 12

// sampled are the texts of the samples that nothing may show, with the secret that
// they are signed with.
var sampled = sync.OnceValue(func() [][]byte {
	texts := [][]byte{[]byte(samples.Secret)}
	for _, s := range samples.All() {
		var all any
		if err := json.Unmarshal(s.Body, &all); err != nil {
			panic(fmt.Sprintf("sample %s: %v", s.Name, err))
		}
		texts = collect(texts, "", all)
	}
	return texts
})

func collect(texts [][]byte, name string, value any) [][]byte {
	switch v := value.(type) {
	case map[string]any:
		for name, member := range v {
			texts = collect(texts, name, member)
		}
	case []any:
		for _, element := range v {
			texts = collect(texts, name, element)
		}
	case string:
		if slices.Contains(private, name) && len(v) >= shortest {
			texts = append(texts, []byte(v))
		}
	}
	return texts
}
