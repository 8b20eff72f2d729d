package faults

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/onepagecrm/nylas-webhooks/lambda/contract"
)

// Published is what CloudWatch gets to see of a fault: how many of the requests add to
// each of the receiver's outcomes and to ArchiveFailed, to Lambda's Errors and Throttles, and to the gateway's
// own responses. All other metrics follow from these. test/stack evaluates the alarms
// over it.
type Published map[string]Share

// Share is how many of the requests of a fault add to something.
type Share string

const (
	// All is most of them. How many are on their way when a fault begins or ends, or
	// slip through, depends on the machine.
	All Share = "all"
	// Some is fewer: those with a large body, those beyond a limit.
	Some Share = "some"
)

// Names in Published beside the receiver's outcomes.
const (
	LambdaErrors    = "AWS/Lambda/Errors"
	LambdaThrottles = "AWS/Lambda/Throttles"
	// GatewayThrottled and GatewayTimeout are types of gateway responses.
	GatewayThrottled = "THROTTLED"
	GatewayTimeout   = "INTEGRATION_TIMEOUT"
)

// count returns how many requests there were until now, and how many added to what.
func (s *System) count() (counts map[string]int, requests int) {
	counts = make(map[string]int)
	metrics, _, _, _ := s.log.snapshot()
	for name, n := range metrics {
		if name != contract.Verified { // it follows from the outcome
			counts[string(name)] = n
		}
	}
	stats, responses := s.Function.Stats(), s.Gateway.Responses()
	counts[LambdaErrors], counts[LambdaThrottles] = stats.Errors, stats.Throttled
	counts[GatewayThrottled], counts[GatewayTimeout] = responses[GatewayThrottled], responses[GatewayTimeout]
	return counts, len(s.ledger.Lines())
}

// newPublished sorts what was counted of a fault. Less than one in eight is the
// machine's: a process that was quicker than its end, a call that was slower than its
// time. The least that a fault does is to the one in seven that needs the bucket.
func newPublished(f Fault, counts map[string]int, requests int) Published {
	published := make(Published)
	for name, n := range counts {
		switch {
		case n*4 >= requests*3 && !f.limits:
			published[name] = All
		case n*8 >= requests:
			published[name] = Some
		}
	}
	return published
}

// differs says where what was counted is not what is published; nothing where it is.
func (p Published) differs(counts map[string]int, requests int) []string {
	var wrong []string
	for name, n := range counts {
		switch share := p[name]; {
		case share == "" && n*8 >= requests, share == Some && n == 0, share == All && n*2 < requests:
			wrong = append(wrong, fmt.Sprintf("%d of %d requests add to %s, not %q", n, requests, name, cmp.Or(share, "none")))
		}
	}
	for name := range p {
		if _, ok := counts[name]; !ok {
			wrong = append(wrong, "no request adds to "+name)
		}
	}
	slices.Sort(wrong)
	return wrong
}

// publishedFile is where what each fault publishes is kept, for test/stack.
// UPDATE_SNAPSHOTS=1 writes it anew.
func publishedFile(root string) string {
	return filepath.Join(root, "test", "faults", "testdata", "published.json")
}

// ReadPublished reads it, by the faults' names.
func ReadPublished(root string) (map[string]Published, error) {
	text, err := os.ReadFile(publishedFile(root))
	if err != nil {
		return nil, fmt.Errorf("read what faults publish: %w", err)
	}
	var all map[string]Published
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("read what faults publish: %w", err)
	}
	return all, nil
}
