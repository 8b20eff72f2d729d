// Package delivery is the stacks of the roles with which GitHub Actions deploys: for each
// stage one that deploys, one that compares, and one that runs hookctl doctor. None has
// rights of its own: the first two may assume the roles that `cdk bootstrap` made, and those do
// the work; the last is denied what the policies that are attached to it allow beside looking.
//
// The trust names the environment and no branch: restrict each environment to the branch main in
// the repository's settings, or whoever can push any branch has its role.
//
// An administrator deploys them once per stage, by name: delivery/NylasWebhooks-prod-delivery.
// The account needs GitHub's identity provider, which exists once per account:
//
//	aws iam create-open-id-connect-provider --url https://token.actions.githubusercontent.com --client-id-list sts.amazonaws.com
package delivery

import (
	"fmt"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/onepagecrm/nylas-webhooks/infra/stages"
)

// Repository is the one that may deploy.
type Repository struct {
	// Owner and Name are those in its address: github.com/Owner/Name.
	Owner, Name string
	// OwnerID and ID are GitHub's numbers for them (gh api repos/Owner/Name --jq
	// '.owner.id,.id'). A repository that was made or renamed since 15 July 2026 sends them
	// with its name, so that nobody who takes over an abandoned name is taken for it. 0: this
	// one sends its name only.
	// https://docs.github.com/en/actions/concepts/security/openid-connect
	OwnerID, ID int64
}

const (
	provider = "token.actions.githubusercontent.com"
	// qualifier is the default of cdk bootstrap.
	// https://docs.aws.amazon.com/cdk/v2/guide/bootstrapping-customizing.html
	qualifier = "hnb659fds"
)

// StackName returns the name of a stage's stack.
func StackName(stage stages.Stage) string { return "NylasWebhooks-" + stage.Name + "-delivery" }

// NewStacks adds a stack for each stage that has an account and a region of its own, in an
// assembly of its own, so that "cdk deploy --all" leaves them out: who may deploy is not
// deployed by whoever may deploy.
func NewStacks(app constructs.Construct, repository Repository, all []stages.Stage) {
	scope := awscdk.NewStage(app, jsii.String("delivery"), nil)
	for _, stage := range all {
		if stage.Account != "" && stage.Name != stages.Local().Name {
			newStack(scope, repository, stage)
		}
	}
}

func newStack(scope constructs.Construct, repository Repository, stage stages.Stage) {
	name := StackName(stage)
	stack := awscdk.NewStack(scope, &name, &awscdk.StackProps{
		StackName:             &name,
		Description:           jsii.String("Who may deploy stage " + stage.Name + " of the Nylas webhooks from GitHub Actions"),
		Env:                   &awscdk.Environment{Account: &stage.Account, Region: &stage.Region},
		TerminationProtection: &stage.Protected,
		Tags:                  &map[string]*string{"Project": jsii.String("nylas-webhooks"), "Stage": &stage.Name},
	})
	// The environment's name is the stage's. GitHub keeps its approvals and branches.
	newRole(stack, repository, stage, "Deployer", []string{stage.Name}, assume(stack, stage, "deploy", "file-publishing", "lookup"))
	newRole(stack, repository, stage, "Reader", []string{stage.Name + "-diff"}, assume(stack, stage, "lookup"))
	// It assumes nothing. For hookctl doctor it needs the stage's OperatorPolicy and SecretPolicy,
	// which are attached when the stage is there. It looks every half hour, and after a deployment.
	newRole(stack, repository, stage, "Doctor", []string{stage.Name + "-doctor", stage.Name}, lookOnly())
}

// assume allows to assume roles of the bootstrap.
func assume(stack awscdk.Stack, stage stages.Stage, kinds ...string) awsiam.PolicyStatement {
	var roles []*string
	for _, kind := range kinds {
		roles = append(roles, jsii.String(fmt.Sprintf("arn:%s:iam::%s:role/cdk-%s-%s-role-%[2]s-%[5]s", *stack.Partition(), stage.Account, qualifier, kind, stage.Region)))
	}
	return awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{Actions: jsii.Strings("sts:AssumeRole"), Resources: &roles})
}

// lookOnly denies what those two policies allow beside what doctor does: to read mail, to take
// messages or put some onto the queue, to change the secret. It looks without anybody's approval.
func lookOnly() awsiam.PolicyStatement {
	return awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Effect: awsiam.Effect_DENY,
		Actions: jsii.Strings("logs:FilterLogEvents", "s3:DeleteObject", "s3:GetObject", "secretsmanager:PutSecretValue", "secretsmanager:UpdateSecretVersionStage",
			"sqs:DeleteMessage", "sqs:PurgeQueue", "sqs:ReceiveMessage", "sqs:SendMessage"),
		Resources: jsii.Strings("*"),
	})
}

// newRole adds a role for jobs of the environments, and an output with its ARN.
func newRole(stack awscdk.Stack, repository Repository, stage stages.Stage, id string, environments []string, only awsiam.PolicyStatement) {
	role := awsiam.NewRole(stack, &id, &awsiam.RoleProps{
		RoleName:    jsii.String(fmt.Sprintf("%s-%s", StackName(stage), id)), // so that a workflow can name it before it exists
		Description: jsii.String(fmt.Sprintf("GitHub Actions of %s/%s, environment %s", repository.Owner, repository.Name, strings.Join(environments, ", "))),
		AssumedBy: awsiam.NewFederatedPrincipal(
			jsii.String(fmt.Sprintf("arn:%s:iam::%s:oidc-provider/%s", *stack.Partition(), stage.Account, provider)),
			&map[string]any{"StringEquals": map[string]any{
				provider + ":aud": "sts.amazonaws.com",
				provider + ":sub": repository.subjects(environments),
			}}, jsii.String("sts:AssumeRoleWithWebIdentity")),
		MaxSessionDuration: awscdk.Duration_Hours(jsii.Number(1)), // a deployment takes minutes
		InlinePolicies: &map[string]awsiam.PolicyDocument{
			"Only": awsiam.NewPolicyDocument(&awsiam.PolicyDocumentProps{Statements: &[]awsiam.PolicyStatement{only}}),
		},
	})
	awscdk.NewCfnOutput(stack, jsii.String(id+"RoleArn"), &awscdk.CfnOutputProps{
		Description: jsii.String("The role for jobs of GitHub's environment " + strings.Join(environments, ", ")), Value: role.RoleArn(),
	})
}

// subjects are the claims of jobs in the environments, in GitHub's two forms, each whole: a
// pattern would let in other repositories or branches.
func (r Repository) subjects(environments []string) []string {
	var forms []string
	for _, environment := range environments {
		forms = append(forms, fmt.Sprintf("repo:%s/%s:environment:%s", r.Owner, r.Name, environment))
		if r.OwnerID != 0 && r.ID != 0 {
			forms = append(forms, fmt.Sprintf("repo:%s@%d/%s@%d:environment:%s", r.Owner, r.OwnerID, r.Name, r.ID, environment))
		}
	}
	return forms
}
