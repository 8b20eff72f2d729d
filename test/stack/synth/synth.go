// Package synth has what tests synthesize beside the stages that are deployed: an app
// as the CDK CLI would make it, and a stage with every optional setting. test/stack
// holds it to its rules, test/policy asks the policy checkers about it. It
// checks nothing itself.
package synth

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"github.com/onepagecrm/nylas-webhooks/infra/stages"
)

// Full is a stage with every optional setting, on top of prod's.
func Full() stages.Stage {
	s := Named("prod")
	s.Name = "full"
	s.Account, s.Region = "123456789012", "eu-central-1"
	s.Domain = &stages.Domain{
		Name:           "webhooks.example.com",
		CertificateARN: "arn:aws:acm:eu-central-1:123456789012:certificate/12345678-1234-1234-1234-123456789012",
		HostedZoneID:   "Z0123456789ABCDEFGHIJ",
	}
	s.ReservedConcurrency = 500
	s.QuietEventsPerMinute = 10
	s.ConsumerTimeout = 2 * time.Minute
	s.Deduplicate = true
	s.ArchiveDays = 14
	s.CanaryMinutes = 10
	s.ConsumerPrincipals = []string{"arn:aws:iam::210987654321:role/crm"}
	s.Pages = stages.Recipients{Emails: []string{"on-call@example.com"}, Endpoints: []string{"https://events.example.com/pages"}}
	s.Tickets = stages.Recipients{Emails: []string{"team@example.com"}}
	return s
}

// All are the stages that tests and snapshots are about, whatever a company's own are:
// one of each kind.
func All() []stages.Stage {
	dev := stages.New("dev")
	staging := stages.New("staging")
	staging.Protected = true
	staging.OwnKey = true
	return []stages.Stage{stages.Local(), dev, staging, stages.Production("prod")}
}

// Named is the stage of that name among [All]; it panics if there is none.
func Named(name string) stages.Stage {
	for _, s := range All() {
		if s.Name == name {
			return s
		}
	}
	panic("there is no stage " + name)
}

// NewApp returns an app with the context of the module's cdk.json, which only the CDK
// CLI would read: without the feature flags other templates would be tested than are
// deployed. Unless build is set, no function is compiled.
func NewApp(module, outdir string, build bool) (awscdk.App, error) {
	path := filepath.Join(module, "cdk.json")
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var config struct{ Context map[string]any }
	if err := json.Unmarshal(data, &config); err != nil {
		return nil, fmt.Errorf("decode %s: %w", path, err)
	}
	if !build {
		config.Context["aws:cdk:bundling-stacks"] = []string{}
	}
	return awscdk.NewApp(&awscdk.AppProps{Context: &config.Context, Outdir: &outdir, AnalyticsReporting: jsii.Bool(false)}), nil
}
