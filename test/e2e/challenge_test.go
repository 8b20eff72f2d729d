package e2e

import (
	"strings"
	"testing"
)

// Nylas sends the challenge before there is a secret, so this needs none.
func TestChallenge(t *testing.T) {
	for _, test := range []struct {
		name, query string
		status      int
		echo        string
	}{
		{"Nylas's own form", challengeQuery("8kXr2fLq0a7Yw"), 200, "8kXr2fLq0a7Yw"},
		{"quotes and angle brackets", challengeQuery(`<script>alert("x")</script>'&`), 200, `<script>alert("x")</script>'&`},
		{"umlauts and emoji", challengeQuery("Zoë ☕ 👩‍🚀"), 200, "Zoë ☕ 👩‍🚀"},
		{"blanks, plus and percent", challengeQuery(" a+b %20 "), 200, " a+b %20 "},
		{"the same twice", "?challenge=a&challenge=a", 200, "a"},
		{"beside other parameters", "?x=1&challenge=a&y=2", 200, "a"},
		{"1,024 characters", challengeQuery(strings.Repeat("a", 1024)), 200, strings.Repeat("a", 1024)},
		{"1,025 characters", challengeQuery(strings.Repeat("a", 1025)), 400, ""},
		{"10 kB", challengeQuery(strings.Repeat("a", 10_000)), 400, ""},
		{"two different ones", "?challenge=a&challenge=b", 400, ""},
		{"empty", "?challenge=", 400, ""},
		{"none", "", 400, ""},
		{"another name", "?Challenge=a", 400, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := sys.challenge(t, test.query)
			if got.status != test.status || got.body != test.echo {
				t.Errorf("answered %d %q, want %d %q", got.status, got.body, test.status, test.echo)
			}
			if test.status != 200 {
				return
			}
			for name, want := range map[string]string{
				"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store",
			} {
				if value := got.header.Get(name); value != want {
					t.Errorf("%s: %q, want %q", name, value, want)
				}
			}
		})
	}
}
