package main

import "github.com/onepagecrm/nylas-webhooks/infra/stages"

// ours returns every stage, in the order in which a change travels. It is the one thing
// to edit for deployments of your own: accounts, regions, whom to page. What a stage can
// have is in package stages.
func ours() []stages.Stage {
	dev := stages.New("dev")

	staging := stages.New("staging")
	staging.Protected = true
	staging.OwnKey = true // as prod, so that a disabled key shows here first

	prod := stages.Production("prod")

	return []stages.Stage{stages.Local(), dev, staging, prod}
}
