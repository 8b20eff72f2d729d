package own

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/onepagecrm/nylas-webhooks/internal/awsconfig"
	"github.com/onepagecrm/nylas-webhooks/internal/starter"
	"github.com/onepagecrm/nylas-webhooks/test/engine"
)

// account is a stage's AWS account, an engine of its own.
type account struct {
	stage       starter.Stage
	environment map[string]string // of its administrator
	cfg         aws.Config        // of the same
}

func newAccount(t *testing.T, stage starter.Stage) *account {
	t.Helper()
	e, err := local.Beside(t.Context(), "own-"+stage.Name, stage.Account)
	t.Cleanup(func() {
		if err := e.Stop(); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	a := &account{stage: stage}
	if a.environment, err = e.Environment(t.Context()); err != nil {
		t.Fatal(err)
	}
	// The CDK CLI keeps whose account a key is; each engine takes its account's number for one.
	a.environment["AWS_ACCESS_KEY_ID"] = stage.Account
	if a.cfg, err = awsconfig.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	a.cfg.Credentials = credentials.NewStaticCredentialsProvider(stage.Account, "test", "")
	a.cfg.Region, a.cfg.BaseEndpoint = stage.Region, aws.String(a.environment["AWS_ENDPOINT_URL"])
	a.must(t, t.TempDir(), "cdk", "bootstrap", "aws://"+stage.Account+"/"+stage.Region, "--no-notices")
	return a
}

// run runs a command in the environment, and returns all that it says.
func run(t *testing.T, environment map[string]string, dir, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Env = dir, outside(environment)
	output, err := cmd.CombinedOutput()
	return string(output), err
}

// must runs a command as the administrator.
func (a *account) must(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	if output, err := run(t, a.environment, dir, name, args...); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, output)
	}
}

// setUp does by hand what the repository's README says to do once for a stage, and returns the
// outputs of the stage's stack.
func (a *account) setUp(t *testing.T, dir string) map[string]string {
	t.Helper()
	identities := iam.NewFromConfig(a.cfg)
	if _, err := identities.CreateOpenIDConnectProvider(t.Context(), &iam.CreateOpenIDConnectProviderInput{
		Url: aws.String("https://token.actions.githubusercontent.com"), ClientIDList: []string{"sts.amazonaws.com"}}); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "outputs.json")
	a.must(t, dir, "cdk", "deploy", "--app", "cdk.out", "delivery/"+a.stack()+"-delivery", "--require-approval", "never")
	a.must(t, dir, "cdk", "deploy", "--app", "cdk.out", a.stack(), "--require-approval", "never", "--outputs-file", file)
	outputs, err := engine.Outputs(file, a.stack())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := secretsmanager.NewFromConfig(a.cfg).PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{
		SecretId: aws.String(outputs["SecretName"]), SecretString: aws.String(upgradedSecret)}); err != nil {
		t.Fatal(err)
	}
	for _, policy := range []string{"OperatorPolicyArn", "SecretPolicyArn"} {
		if _, err := identities.AttachRolePolicy(t.Context(), &iam.AttachRolePolicyInput{
			RoleName: aws.String(a.stack() + "-delivery-Doctor"), PolicyArn: aws.String(outputs[policy])}); err != nil {
			t.Fatal(err)
		}
	}
	return outputs
}

func (a *account) stack() string { return "NylasWebhooks-" + a.stage.Name }

// template is what CloudFormation has of the stage's stack.
func (a *account) template(t *testing.T) string {
	t.Helper()
	answer, err := cloudformation.NewFromConfig(a.cfg).GetTemplate(t.Context(), &cloudformation.GetTemplateInput{StackName: aws.String(a.stack())})
	if err != nil {
		t.Fatal(err)
	}
	return aws.ToString(answer.TemplateBody)
}

// assumed is the environment of whoever GitHub calls by the subject, with a role of the account.
// The engine compares the claims with the role's trust; it does not look who signed them.
func (a *account) assumed(t *testing.T, role, subject string) (map[string]string, error) {
	t.Helper()
	claims, err := json.Marshal(map[string]string{"iss": "https://token.actions.githubusercontent.com", "aud": "sts.amazonaws.com", "sub": subject})
	if err != nil {
		return nil, err
	}
	part := base64.RawURLEncoding.EncodeToString
	token := part([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + part(claims) + "." + part([]byte("none"))
	answer, err := sts.NewFromConfig(a.cfg).AssumeRoleWithWebIdentity(t.Context(), &sts.AssumeRoleWithWebIdentityInput{
		RoleArn: &role, RoleSessionName: aws.String("GitHubActions"), WebIdentityToken: &token,
	})
	if err != nil {
		return nil, err
	}
	return a.with(answer.Credentials), nil
}

// chained is the same of whoever has the credentials of an environment.
func (a *account) chained(t *testing.T, role string, who map[string]string) (map[string]string, error) {
	t.Helper()
	cfg := a.cfg
	cfg.Credentials = credentials.NewStaticCredentialsProvider(who["AWS_ACCESS_KEY_ID"], who["AWS_SECRET_ACCESS_KEY"], who["AWS_SESSION_TOKEN"])
	answer, err := sts.NewFromConfig(cfg).AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: &role, RoleSessionName: aws.String("GitHubActions")})
	if err != nil {
		return nil, err
	}
	return a.with(answer.Credentials), nil
}

// with is the account's environment with a role's credentials.
func (a *account) with(c *types.Credentials) map[string]string {
	environment := maps.Clone(a.environment)
	environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"], environment["AWS_SESSION_TOKEN"] = *c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken
	return environment
}
