package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/spf13/cobra"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/deployment"
	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/secret"
)

type streams struct {
	in       io.Reader
	out, err io.Writer
	noInput  *bool // the flag --no-input, which is known only when a command runs
}

// stderrf tells the person at the keyboard something; it is not data.
func (s streams) stderrf(format string, args ...any) { fmt.Fprintf(s.err, format+"\n", args...) }

// json prints data for programs.
func (s streams) json(data any) error {
	encoder := json.NewEncoder(s.out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(data)
}

// jsonLine prints one object of many, on a line.
func (s streams) jsonLine(data any) error {
	encoder := json.NewEncoder(s.out)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(data)
}

func newRoot(s streams) *cobra.Command {
	s.noInput = new(bool)
	root := &cobra.Command{
		Use:   "hookctl",
		Short: "Send to, check and look after the Nylas webhook front door",
		Long: `hookctl works on one deployed stage of the webhook front door. It finds the stage
by the outputs of its CloudFormation stack, with the usual AWS settings
(AWS_PROFILE, AWS_REGION, ...). For the local engine: eval "$(make -s env)".
` + stageVar + ` names the stage of commands that are given no --stage.

Data goes to standard output, everything else to standard error.

` + asksHelp + `

Exit codes:
    0  done, and everything is as it should be
    1  done, and the answer is no, or not complete: not verified, not accepted,
       not all arrived, messages in flight
    2  the command was given wrongly; nothing was done
    3  it could not be done: no credentials, no permission, not deployed, no network
  130  interrupted`,
		Version:       thisBuild().String(),
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          commandsOnly,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	root.PersistentFlags().BoolVar(s.noInput, "no-input", false, "never ask; what would ask does nothing without its flag")
	root.SetVersionTemplate("hookctl {{.Version}}\n")
	root.AddCommand(newDemo(s), newSend(s), newVerify(s), newSecret(s), newWebhook(s), newDLQ(s), newDoctor(s), newTail(s), newGaps(s), newSpill(s), newReplay(s), newForward(s), newArchive(s), newInit(s), newVersion(s))
	root.InitDefaultHelpCmd()
	helpOfCommands(root)
	usageErrors(root)
	return root
}

// helpOfCommands has hookctl help refuse what is no command; cobra prints the help of
// what comes before it.
func helpOfCommands(root *cobra.Command) {
	for _, help := range root.Commands() {
		if help.Name() != "help" {
			continue
		}
		help.Args = func(_ *cobra.Command, given []string) error {
			cmd, rest, err := root.Find(given)
			if err != nil {
				return err
			}
			return commandsOnly(cmd, rest)
		}
	}
}

// commandsOnly refuses what is no command of this one, and names those that look like it.
func commandsOnly(cmd *cobra.Command, given []string) error {
	if len(given) == 0 {
		return nil
	}
	like := ""
	cmd.SuggestionsMinimumDistance = 2 // cobra's default, which it does not set before this
	if names := cmd.SuggestionsFor(given[0]); len(names) > 0 {
		like = ". Did you mean " + strings.Join(names, " or ") + "?"
	}
	return fmt.Errorf("unknown command %q for %q%s", given[0], cmd.CommandPath(), like)
}

// usageErrors marks what cobra itself refuses (flags, arguments, unknown commands)
// as given wrongly, for every command.
func usageErrors(cmd *cobra.Command) {
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		if cmd.HasSubCommands() { // a flag of a command that is misspelt
			err = cmp.Or(commandsOnly(cmd, cmd.Flags().Args()), err)
		}
		return seeHelp(cmd, err)
	})
	if args := cmd.Args; args != nil {
		cmd.Args = func(cmd *cobra.Command, given []string) error {
			if err := args(cmd, given); err != nil {
				return seeHelp(cmd, err)
			}
			return nil
		}
	}
	for _, child := range cmd.Commands() {
		usageErrors(child)
	}
}

// seeHelp names the help that goes with err, behind its sentence or its question.
func seeHelp(cmd *cobra.Command, err error) error {
	end := "."
	if strings.HasSuffix(err.Error(), "?") {
		end = ""
	}
	return usagef("%w%s See: %s --help", err, end, cmd.CommandPath())
}

// stageVar is the environment variable with the stage of commands that are given none.
const stageVar = "HOOKCTL_STAGE"

// target are the flags of every command that works on a stage.
type target struct {
	stage string
	json  bool
}

func (t *target) flags(cmd *cobra.Command) {
	t.stageFlag(cmd)
	cmd.Flags().BoolVar(&t.json, "json", false, "print the data as JSON")
}

func (t *target) stageFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&t.stage, "stage", "", "the stage to work on, as prod for the stack "+deployment.StackName("prod")+" (default: "+stageVar+")")
	// Not MarkFlagRequired: its error cannot be told from other failures.
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if t.stage == "" {
			t.stage = os.Getenv(stageVar)
		}
		if t.stage == "" {
			return usagef("--stage is missing, and %s is not set.%s", stageVar, knownStages())
		}
		return t.formed()
	}
	// The error is for a flag that is not there.
	_ = cmd.RegisterFlagCompletionFunc("stage", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return stageNames(), cobra.ShellCompDirectiveNoFileComp
	})
}

// formed tells who gave the stack's name or ARN what --stage has to be.
func (t *target) formed() error {
	switch name, ok := deployment.StageName(t.stage); {
	case !ok:
		return usagef("--stage takes the name of a stage, and %q is none.%s", t.stage, knownStages())
	case name != t.stage:
		return usagef("--stage takes the name of a stage. Give --stage %s instead of %q", name, t.stage)
	}
	return nil
}

// found is a stage that is there, and how to talk to AWS about it.
type found struct {
	deployment.Deployment
	aws aws.Config
}

func (t *target) find(ctx context.Context) (found, error) {
	if err := deployment.CheckLocal(t.stage); err != nil {
		return found{}, err
	}
	cfg, err := deployment.Connect(ctx, t.stage)
	if err != nil {
		return found{}, err
	}
	d, err := deployment.Find(ctx, cloudformation.NewFromConfig(cfg), t.stage)
	return found{d, cfg}, err
}

func (f found) s3() *s3.Client {
	return s3.NewFromConfig(f.aws, func(o *s3.Options) {
		o.UsePathStyle = deployment.Endpoint() != "" // a local engine's host has no subdomain per bucket
	})
}

// secrets is the stage's webhook secret.
func (f found) secrets() secret.Store {
	return secret.Store{API: secretsmanager.NewFromConfig(f.aws), Name: f.SecretName}
}
