package e2e

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/onepagecrm/nylas-webhooks/test/canary"
)

// A secret is rotated by storing another value; nothing is deployed again.
func TestRotation(t *testing.T) {
	first := sys.secret(t)
	status := func(secret string) int {
		body := note{}.json()
		return sys.post(t, body, sign(secret, body)).status
	}
	// The function looks for a new value when a signature does not match, at most every
	// 10 s; twice that on a busy machine.
	const noticed = 30 * time.Second
	rotate := func() string {
		value := canary.New("secret")
		must[*secretsmanager.PutSecretValueOutput](t)(sys.secrets.PutSecretValue(t.Context(),
			&secretsmanager.PutSecretValueInput{SecretId: aws.String(sys.outputs["SecretName"]), SecretString: &value}))
		return value
	}
	isAccepted := func(what, secret string) {
		t.Helper()
		if got := status(secret); got != http.StatusOK {
			t.Errorf("%s: answered %d, want 200", what, got)
		}
	}
	becomesAccepted := func(secret string) {
		t.Helper()
		eventually(t, noticed, func() string {
			if got := status(secret); got != http.StatusOK {
				return fmt.Sprintf("the new secret is answered %d", got)
			}
			return ""
		})
	}

	second := rotate()
	isAccepted("the old secret, before the new one was noticed", first)
	becomesAccepted(second)
	isAccepted("the old secret, for what Nylas had signed before", first)

	third := rotate()
	becomesAccepted(third)
	isAccepted("the second secret", second)
	if got := status(first); got != http.StatusServiceUnavailable {
		t.Errorf("the first secret, two rotations later: answered %d, want 503", got)
	}
	sys.receive(t) // what was accepted meanwhile, ten at most
}

// An empty value is as good as none, and what it replaced goes on.
func TestSecretIsNeverEmpty(t *testing.T) {
	sys.secret(t)
	for _, secret := range []string{"", " "} {
		body := note{}.json()
		if got := sys.post(t, body, sign(secret, body)).status; got != http.StatusServiceUnavailable {
			t.Errorf("signed with %q: answered %d, want 503", secret, got)
		}
	}
}
