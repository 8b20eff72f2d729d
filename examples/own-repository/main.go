// The CDK app of our Nylas webhooks. What the stack is, and what it promises, is in
// https://github.com/onepagecrm/nylas-webhooks.
package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"github.com/onepagecrm/nylas-webhooks/infra/app"
	"github.com/onepagecrm/nylas-webhooks/infra/delivery"
	"github.com/onepagecrm/nylas-webhooks/infra/stages"
)

func main() { app.Main(ours(), company) }

// ours returns every stage, in the order in which a change travels. What else a stage can
// have: go doc github.com/onepagecrm/nylas-webhooks/infra/stages.Stage
func ours() []stages.Stage {
	dev := stages.New("dev")
	dev.Account, dev.Region = "111122223333", "eu-west-1"

	prod := stages.Production("prod")
	prod.Account, prod.Region = "444455556666", "eu-central-1"
	prod.Pages = stages.Recipients{Emails: []string{"on-call@example.com"}, Endpoints: []string{"https://events.example.com/pages"}}
	prod.Tickets = stages.Recipients{Emails: []string{"team@example.com"}}
	// Once it is known how many notifications one minute of the quietest hour brings, set
	// QuietEventsPerMinute instead: silence and failing signatures then page.
	prod.AlarmsOff = map[string]string{"SignaturesFailing": "the traffic of the quietest hour is not known yet"}

	return []stages.Stage{dev, prod}
}

// company is for what we want on all stacks: tags, a permissions boundary, aspects.
func company(stacks awscdk.App) {
	// The roles with which the workflows deploy. An administrator deploys them, see README.md.
	delivery.NewStacks(stacks, delivery.Repository{Owner: "acme", Name: "webhooks"}, ours())
	awscdk.Tags_Of(stacks).Add(jsii.String("Owner"), jsii.String("crm"), nil)
	// awscdk.PermissionsBoundary_Of(stacks).Apply(awsiam.ManagedPolicy_FromManagedPolicyName(stacks, jsii.String("Boundary"), jsii.String("our-boundary")))
}
