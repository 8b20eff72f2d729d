// Package app is the CDK app: one stack per stage, and the account's logging role. A
// program that gives its stages to [Main] is a whole app, which the CDK CLI runs, see
// cdk.json:
//
//	func main() { app.Main(ours()) }
//
// One synthesis makes every template and needs neither credentials nor network.
//
//	go run . -check prod
//
// says in sentences what keeps a stage from being deployed, and exits 1 if anything
// does. CloudFormation refuses the template of such a stage, too.
package app

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"github.com/onepagecrm/nylas-webhooks/infra/account"
	"github.com/onepagecrm/nylas-webhooks/infra/stages"
	"github.com/onepagecrm/nylas-webhooks/infra/webhooks"
)

// Main is the main function of an app with these stages. It reads the command line, and
// ends the program with 1 where something is wrong, which it says on standard error.
//
// Each customize is called with the app when all stacks are in it and nothing is
// synthesized yet: the place for what a company wants on all its stacks, as tags, a
// permissions boundary or an aspect.
// https://docs.aws.amazon.com/cdk/v2/guide/aspects.html
func Main(all []stages.Stage, customize ...func(awscdk.App)) {
	check := flag.String("check", "", "say what keeps this `stage` from being deployed, and synthesize nothing")
	flag.Parse()
	if err := run(all, *check, customize); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(all []stages.Stage, check string, customize []func(awscdk.App)) error {
	if err := validate(all); err != nil {
		return err
	}
	if check != "" {
		return deployable(all, check)
	}
	return synthesize(all, customize)
}

// validate reports every problem of every stage at once.
func validate(all []stages.Stage) error {
	var problems []error
	seen := map[string]bool{}
	for _, stage := range all {
		problems = append(problems, stage.Validate())
		if seen[stage.Name] {
			problems = append(problems, fmt.Errorf("two stages are named %s. Give one of them another name.", stage.Name))
		}
		seen[stage.Name] = true
	}
	return errors.Join(problems...)
}

func deployable(all []stages.Stage, name string) error {
	var names []string
	for _, stage := range all {
		if stage.Name == name {
			return stage.Deployable()
		}
		names = append(names, stage.Name)
	}
	return fmt.Errorf("there is no stage %q. There are %s.", name, strings.Join(names, ", "))
}

func synthesize(all []stages.Stage, customize []func(awscdk.App)) (err error) {
	if err := unpack(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeJSII(jsii.Close)) }()
	module, err := webhooks.ModuleRoot()
	if err != nil {
		return err
	}
	context, err := featureFlags(module)
	if err != nil {
		return err
	}
	app := awscdk.NewApp(&awscdk.AppProps{Context: &context, AnalyticsReporting: jsii.Bool(false)})
	builder := webhooks.NewBuilder(module)
	defer func() { err = errors.Join(err, builder.Close()) }()
	for _, stage := range all {
		if _, err := webhooks.NewStack(app, stage, builder); err != nil {
			return err
		}
	}
	// An assembly of its own, so that "cdk deploy --all" leaves it out; it is deployed by
	// its name, account/NylasWebhooks-account.
	account.NewStack(awscdk.NewStage(app, jsii.String("account"), nil))
	for _, change := range customize {
		change(app)
	}
	app.Synth(nil)
	return nil
}

// featureFlags is the context of this module's own cdk.json. Another module's cdk.json needs
// none of it: the templates are the same with every version of them both. What it says
// itself goes before.
// https://docs.aws.amazon.com/cdk/v2/guide/featureflags.html
func featureFlags(module string) (map[string]any, error) {
	text, err := os.ReadFile(filepath.Join(module, "cdk.json"))
	if err != nil {
		return nil, fmt.Errorf("read the CDK's feature flags: %w", err)
	}
	var config struct{ Context map[string]any }
	if err := json.Unmarshal(text, &config); err != nil {
		return nil, fmt.Errorf("read the CDK's feature flags: %s/cdk.json: %w", module, err)
	}
	return config.Context, nil
}
