package stack

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/onepagecrm/nylas-webhooks/infra/delivery"
	"github.com/onepagecrm/nylas-webhooks/test/stack/synth"
)

// Who may deploy: exactly the jobs of one repository in the stage's environment, and they
// get no right but that of assuming the bootstrap's roles.
func TestDelivery(t *testing.T) {
	app, err := synth.NewApp(root, filepath.Join(t.TempDir(), "out"), false)
	if err != nil {
		t.Fatal(err)
	}
	full := synth.Full()
	delivery.NewStacks(app, delivery.Repository{Owner: "acme", Name: "webhooks", OwnerID: 12, ID: 345}, append(synth.All(), full))
	app.Synth(nil)
	found, err := filepath.Glob(filepath.Join(*app.Outdir(), "assembly-delivery", "*.template.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != 1 { // of stages with an account, but for the engine's
		t.Fatalf("%d templates", len(found))
	}
	var made template
	if err := decode(found[0], &made); err != nil {
		t.Fatal(err)
	}
	for id, r := range made.Resources {
		if r.Type != "AWS::IAM::Role" {
			t.Errorf("%s is of type %s: who may deploy gets nothing else", id, r.Type)
		}
	}
	const account, provider = "123456789012", "token.actions.githubusercontent.com"
	for name, want := range map[string]struct {
		subjects []any
		assumes  []string
	}{
		"Deployer": {[]any{"repo:acme/webhooks:environment:full", "repo:acme@12/webhooks@345:environment:full"}, []string{"deploy", "file-publishing", "lookup"}},
		"Reader":   {[]any{"repo:acme/webhooks:environment:full-diff", "repo:acme@12/webhooks@345:environment:full-diff"}, []string{"lookup"}},
		"Doctor": {[]any{"repo:acme/webhooks:environment:full-doctor", "repo:acme@12/webhooks@345:environment:full-doctor",
			"repo:acme/webhooks:environment:full", "repo:acme@12/webhooks@345:environment:full"}, nil},
	} {
		p := made.props("AWS::IAM::Role", name)
		trust := objects(p.at("AssumeRolePolicyDocument", "Statement"))
		if len(trust) != 1 {
			t.Fatalf("%s: %d statements of trust", name, len(trust))
		}
		var f findings
		f.want("the action", trust[0].at("Action"), "sts:AssumeRoleWithWebIdentity")
		f.want("the provider", literal(trust[0].at("Principal", "Federated")), "arn:aws:iam::"+account+":oidc-provider/"+provider)
		f.want("the condition", trust[0].at("Condition"), map[string]any{"StringEquals": map[string]any{
			provider + ":aud": "sts.amazonaws.com",
			provider + ":sub": want.subjects,
		}})
		f.want("policies of others", p.at("ManagedPolicyArns"), nil)
		policies := objects(p.at("Policies"))
		if len(policies) != 1 {
			t.Fatalf("%s: %d policies", name, len(policies))
		}
		statements := objects(policies[0].at("PolicyDocument", "Statement"))
		if len(statements) != 1 {
			t.Fatalf("%s: %d statements", name, len(statements))
		}
		if want.assumes == nil { // it looks, and its other policies come from the stage
			f.want("the effect", statements[0].at("Effect"), "Deny")
			f.want("on what", statements[0].at("Resource"), "*")
			f.want("what it may not", statements[0].at("Action"), []any{"logs:FilterLogEvents", "s3:DeleteObject", "s3:GetObject", "secretsmanager:PutSecretValue",
				"secretsmanager:UpdateSecretVersionStage", "sqs:DeleteMessage", "sqs:PurgeQueue", "sqs:ReceiveMessage", "sqs:SendMessage"})
			for _, finding := range f {
				t.Errorf("%s: %s", name, finding)
			}
			continue
		}
		f.want("what it may", statements[0].at("Action"), "sts:AssumeRole")
		var got, wanted []string
		resources, isList := statements[0].at("Resource").([]any)
		if !isList {
			resources = []any{statements[0].at("Resource")}
		}
		for _, resource := range resources {
			got = append(got, literal(resource))
		}
		for _, kind := range want.assumes {
			wanted = append(wanted, "arn:aws:iam::"+account+":role/cdk-hnb659fds-"+kind+"-role-"+account+"-eu-central-1")
		}
		slices.Sort(got)
		f.want("whose role", got, wanted)
		for _, finding := range f {
			t.Errorf("%s: %s", name, finding)
		}
	}
}
