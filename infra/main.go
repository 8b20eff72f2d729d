// Command infra is the CDK app: one stack per stage of package stages, and the
// account's logging role. The CDK CLI runs it, see cdk.json; it is the only file that
// reads its environment.
//
// One synthesis makes every template and needs neither credentials nor network.
//
//	go run ./infra -check prod
//
// says in sentences what keeps a stage from being deployed, and exits 1 if anything
// does. CloudFormation refuses the template of such a stage, too.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"github.com/onepagecrm/nylas-webhooks/infra/account"
	"github.com/onepagecrm/nylas-webhooks/infra/stages"
	"github.com/onepagecrm/nylas-webhooks/infra/webhooks"
)

func main() {
	check := flag.String("check", "", "say what keeps this `stage` from being deployed, and synthesize nothing")
	flag.Parse()
	err := run(*check)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(check string) error {
	if err := validate(); err != nil {
		return err
	}
	if check != "" {
		return deployable(check)
	}
	return synthesize()
}

// validate reports every problem of every stage at once.
func validate() error {
	var problems []error
	for _, stage := range stages.All() {
		problems = append(problems, stage.Validate())
	}
	return errors.Join(problems...)
}

func deployable(name string) error {
	var names []string
	for _, stage := range stages.All() {
		if stage.Name == name {
			return stage.Deployable()
		}
		names = append(names, stage.Name)
	}
	return fmt.Errorf("there is no stage %q. There are %s, in infra/stages.", name, strings.Join(names, ", "))
}

func synthesize() (err error) {
	if err := unpack(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeJSII(jsii.Close)) }()
	app := awscdk.NewApp(nil)
	builder := webhooks.NewBuilder(".")
	defer func() { err = errors.Join(err, builder.Close()) }()
	for _, stage := range stages.All() {
		if _, err := webhooks.NewStack(app, stage, builder); err != nil {
			return err
		}
	}
	// An assembly of its own, so that "cdk deploy --all" leaves it out; it is deployed by
	// its name, account/NylasWebhooks-account.
	account.NewStack(awscdk.NewStage(app, jsii.String("account"), nil))
	app.Synth(nil)
	return nil
}
