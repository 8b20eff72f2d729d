package notification_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

func TestCheckSecret(t *testing.T) {
	const good = "41dD3-nXTUfebYuk81Gr" // the example in Nylas's API reference
	for value, says := range map[string]string{
		good:                                "",
		vectorSecret:                        "",
		good[:8]:                            "",
		"":                                  "empty",
		notification.MockSecret:             "test events",
		good[:7]:                            "fewer than 8",
		"x":                                 "fewer than 8",
		`"` + good + `"`:                    "quotes",
		`'` + good + `'`:                    "quotes",
		`"` + good:                          "quotes",
		`{"webhook_secret":"` + good + `"}`: "JSON",
		`["` + good + `"]`:                  "JSON",
		good + "\n" + good:                  "one line",
		good + "\r\n" + good:                "one line",
		good + " " + good:                   "blanks",
		good + "\t":                         "blanks",
		good + "\u00e9":                     "ASCII",
		"\ufeff" + good:                     "ASCII",
	} {
		err := notification.CheckSecret(value)
		if says == "" {
			if err != nil {
				t.Errorf("CheckSecret(%q) = %v", value, err)
			}
			continue
		}
		if !errors.Is(err, notification.ErrNotASecret) || !strings.Contains(err.Error(), says) {
			t.Errorf("CheckSecret(%q) = %v, want ErrNotASecret that says %q", value, err, says)
			continue
		}
		if value != "" && value != "x" && strings.Contains(err.Error(), value) {
			t.Errorf("the error repeats the value: %v", err)
		}
	}
}
