package doctor

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/secret"
	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/sender"
)

type stored string

func (s stored) Read(context.Context) (secret.Stored, error) {
	return secret.Stored{Current: secret.Version{ID: "1", Value: string(s), Created: time.Now().Add(-time.Hour)}}, nil
}

// accepting is a front door that takes whatever is signed, as one does that has the same
// wrong secret.
type accepting struct{ signed int }

func (*accepting) Challenge(_ context.Context, value string) (sender.Answer, error) {
	return sender.Answer{Status: http.StatusOK, Body: []byte(value)}, nil
}

func (a *accepting) Post(_ context.Context, _ []byte, signature string) (sender.Answer, error) {
	if signature == "" {
		return sender.Answer{Status: http.StatusUnauthorized}, nil
	}
	a.signed++
	return sender.Answer{Status: http.StatusOK}, nil
}

// A value that cannot be Nylas's is a finding, and no smoke test makes it look well; the
// value itself is in no sentence.
func TestValuesThatAreNotNylass(t *testing.T) {
	for _, test := range []struct {
		value, says string
		good        bool
	}{
		{"41dD3-nXTUfebYuk81Gr", "Only a notification of Nylas shows", true},
		{`{"webhook_secret":"41dD3-nXTUfebYuk81Gr"}`, "it looks like JSON", false},
		{`"41dD3-nXTUfebYuk81Gr"`, "it has quotes", false},
		{"x", "it has fewer than 8 characters", false},
		{"41dD3-nXTUfebYuk81Gr\nsomebody", "it has more than one line", false},
		{"mock-webhook-secret", "it is the public key of Nylas's test events", false},
	} {
		door := &accepting{}
		reports, err := Run(t.Context(), []Check{Secret("prod", stored(test.value)), Smoke("prod", door, stored(test.value), nil)}, nil, func(Report) {})
		if err != nil || len(reports) != 4 {
			t.Fatalf("%+v, %v", reports, err)
		}
		first, last := reports[0], reports[3]
		if (first.State == OK) != test.good || !strings.Contains(first.Says, test.says) || (last.State == OK) != test.good || door.signed > 0 != test.good {
			t.Errorf("%q:\n%+v\n%+v\n%d signed", test.value, first, last, door.signed)
		}
		if test.good && !strings.Contains(last.Says, "signed with the stored value") {
			t.Errorf("it does not say what was proven: %s", last.Says)
		}
		if !test.good && first.Next != "hookctl secret set --stage prod --correct" {
			t.Errorf("next: %s", first.Next)
		}
		for _, r := range reports {
			if len(test.value) > 1 && strings.Contains(r.Says+r.Next, test.value) {
				t.Errorf("the value is printed: %s", r.Says)
			}
		}
	}
}
