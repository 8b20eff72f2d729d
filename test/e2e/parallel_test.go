package e2e

import (
	"net/http"
	"sync"
	"testing"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

// A burst makes several execution environments, each with a first request of its own;
// every notification arrives.
func TestParallel(t *testing.T) {
	const clients, each = 10, 10
	secret := sys.secret(t)
	// On a version that only this test uses: the other tests count on one environment.
	defer sys.freshVersion(t)()

	type sent struct {
		signature string
		answer    answer
		err       error
	}
	results := make(chan sent, clients*each)
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for range each {
				body := note{}.json()
				signature := sign(secret, body)
				got, err := sys.try(t.Context(), http.MethodPost, sys.url, body, http.Header{
					"Content-Type": {"application/json"}, notification.SignatureHeader: {signature},
				})
				results <- sent{signature, got, err}
			}
		})
	}
	all.Wait()
	close(results)
	for r := range results {
		sys.mustNotLog("a signature", r.signature)
		if r.err != nil || r.answer.status != http.StatusOK {
			t.Errorf("answered %d, error %v; want 200", r.answer.status, r.err)
			continue
		}
		sys.received(t, r.signature)
	}
}
