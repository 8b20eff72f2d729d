// Package doctor looks at a deployed stage from all sides and says what is not as it
// should be, and the next command.
//
// hookctl doctor calls it. It is safe on prod: it reads, sends one challenge, one
// unsigned request and one signed notification of type smoke.test, which no metric
// counts and every consumer drops. It changes nothing and takes nothing off a queue.
package doctor

import (
	"context"
	"fmt"
	"strings"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/deployment"
)

// State is what a check came to.
type State string

// The states of a check.
const (
	OK        State = "ok"
	Bad       State = "finding"
	Unchecked State = "unchecked" // it was not looked at, and Next says how it can be
	Denied    State = "denied"    // it was not looked at: these credentials may not
	Failed    State = "failed"    // it could not be looked at
)

// Report is one sentence about the stage.
type Report struct {
	Check string `json:"check"`
	State State  `json:"state"`
	Says  string `json:"says"`
	Next  string `json:"next,omitempty"` // the command to run
}

// Check looks at one side of the stage. An error says that it could not.
type Check struct {
	Name string
	Run  func(context.Context) ([]Report, error)
}

// Run does the checks one after the other; told gets each report as it comes. explain
// makes a sentence of an error. It ends early only with ctx.
func Run(ctx context.Context, checks []Check, explain func(error) error, told func(Report)) ([]Report, error) {
	var all []Report
	for _, check := range checks {
		reports, err := check.Run(ctx)
		if ctx.Err() != nil {
			return all, ctx.Err()
		}
		if err != nil {
			reports = append(reports, unable(err, explain))
		}
		for _, r := range reports {
			r.Check = check.Name
			told(r)
			all = append(all, r)
		}
	}
	return all, nil
}

// unable reports why something was not looked at.
func unable(err error, explain func(error) error) Report {
	permission, lacked := deployment.LackedPermission(err)
	if !lacked {
		return Report{State: Failed, Says: explain(err).Error()}
	}
	says, policy := "these AWS credentials lack a permission ("+permission+").", "OperatorPolicyArn"
	if permission == "" {
		says = explain(err).Error()
	}
	if strings.HasPrefix(permission, "secretsmanager:") {
		policy = "SecretPolicyArn"
	}
	return Report{State: Denied, Says: "Not looked at: " + says, Next: "Attach the policy of the stack's output " + policy + " (docs/least-privilege.md)"}
}

func ok(says string, args ...any) Report {
	return Report{State: OK, Says: fmt.Sprintf(says, args...)}
}

func bad(next, says string, args ...any) Report {
	return Report{State: Bad, Says: fmt.Sprintf(says, args...), Next: next}
}
