package e2e

import (
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
)

// Nylas honours Retry-After on 429, and only there.
func TestThrottling(t *testing.T) {
	api := sys.resource(t, "Endpoint")
	throttle := func(rate, burst string) {
		t.Helper()
		must[*apigateway.UpdateStageOutput](t)(sys.api.UpdateStage(t.Context(), &apigateway.UpdateStageInput{
			RestApiId: &api, StageName: aws.String("local"), PatchOperations: []types.PatchOperation{
				{Op: types.OpReplace, Path: aws.String("/*/*/throttling/rateLimit"), Value: &rate},
				{Op: types.OpReplace, Path: aws.String("/*/*/throttling/burstLimit"), Value: &burst},
			},
		}))
	}
	stage := must[*apigateway.GetStageOutput](t)(sys.api.GetStage(t.Context(), &apigateway.GetStageInput{RestApiId: &api, StageName: aws.String("local")}))
	normal := stage.MethodSettings["*/*"]
	defer func() {
		throttle(fmt.Sprint(normal.ThrottlingRateLimit), fmt.Sprint(normal.ThrottlingBurstLimit))
		eventually(t, soon, func() string {
			if got := sys.challenge(t, challengeQuery("a")); got.status != http.StatusOK {
				return fmt.Sprintf("after the throttle is gone: answered %d", got.status)
			}
			return ""
		})
	}()

	throttle("1", "1") // a second and a burst of one
	var got answer
	eventually(t, soon, func() string {
		if got = sys.challenge(t, challengeQuery("a")); got.status == http.StatusOK {
			return "nothing is throttled"
		}
		return ""
	})
	if got.status != http.StatusTooManyRequests || got.header.Get("Retry-After") != "60" {
		t.Errorf("answered %d with Retry-After %q, want 429 with 60", got.status, got.header.Get("Retry-After"))
	}
}

// Where the function is not there at all, the gateway's own answer is one that Nylas
// tries again, not AWS's 500.
func TestFunctionGone(t *testing.T) {
	sys.secret(t)
	function := sys.resource(t, "Receiver")
	alias := must[*lambda.GetAliasOutput](t)(sys.lambda.GetAlias(t.Context(), &lambda.GetAliasInput{FunctionName: &function, Name: aws.String("live")}))
	must[*lambda.DeleteAliasOutput](t)(sys.lambda.DeleteAlias(t.Context(), &lambda.DeleteAliasInput{FunctionName: &function, Name: alias.Name}))
	defer func() {
		must[*lambda.CreateAliasOutput](t)(sys.lambda.CreateAlias(t.Context(), &lambda.CreateAliasInput{
			FunctionName: &function, Name: alias.Name, FunctionVersion: alias.FunctionVersion, Description: alias.Description,
		}))
		sys.received(t, sys.deliver(t, note{}.json()))
	}()
	body := note{}.json()
	got := sys.post(t, body, sign(sys.secret(t), body))
	if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") != "" {
		t.Errorf("answered %d with Retry-After %q, want 503 without", got.status, got.header.Get("Retry-After"))
	}
}

// A deployment leaves nothing to deploy: what is synthesized twice is the same.
func TestNoDifferenceAfterDeployment(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), sys.engine.CDK(), "diff", stackName, "--output", sys.engine.Assembly()+".diff")
	cmd.Dir = sys.engine.Root
	said, err := cmd.CombinedOutput() // the CLI says everything on standard error
	output := string(said)
	if err != nil {
		t.Fatalf("cdk diff: %v\n%s", err, output)
	}
	if !strings.Contains(output, "There were no differences") {
		t.Errorf("cdk diff says:\n%s", output)
	}
	if strings.Contains(strings.ToLower(output), "warning") {
		t.Errorf("cdk diff warns:\n%s", output)
	}
}
