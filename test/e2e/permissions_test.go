package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/onepagecrm/nylas-webhooks/lambda/contract"
	"github.com/onepagecrm/nylas-webhooks/test/rights"
)

// without takes the statements with these Sids from the receiver's policy, until the
// returned function is called.
func (s *system) without(t *testing.T, sids ...string) (restore func()) {
	t.Helper()
	arn := s.resource(t, "ReceiverPolicy")
	document := must[rights.Policy](t)(rights.Read(t.Context(), s.config, arn))
	whole := string(must[[]byte](t)(json.Marshal(document)))
	before := len(document.Statement)
	document.Statement = slices.DeleteFunc(document.Statement, func(statement map[string]any) bool {
		return slices.Contains(sids, fmt.Sprint(statement["Sid"]))
	})
	if len(document.Statement) != before-len(sids) {
		t.Fatalf("the policy has not all of %v: %s", sids, whole)
	}
	// The engine has no SetDefaultPolicyVersion, so the way back is a new version, too.
	// IAM keeps five, so the one that is replaced goes.
	set := func(text string) {
		t.Helper()
		old := must[*iam.GetPolicyOutput](t)(s.iam.GetPolicy(t.Context(), &iam.GetPolicyInput{PolicyArn: &arn})).Policy.DefaultVersionId
		must[*iam.CreatePolicyVersionOutput](t)(s.iam.CreatePolicyVersion(t.Context(), &iam.CreatePolicyVersionInput{PolicyArn: &arn, PolicyDocument: &text, SetAsDefault: true}))
		must[*iam.DeletePolicyVersionOutput](t)(s.iam.DeletePolicyVersion(t.Context(), &iam.DeletePolicyVersionInput{PolicyArn: &arn, VersionId: old}))
	}
	set(string(must[[]byte](t)(json.Marshal(document))))
	return func() { set(whole) }
}

func TestWithoutGetSecretValue(t *testing.T) {
	sys.secret(t)
	restore := sys.without(t, "ReadSecret")
	// A function that runs has the secret and goes on with it.
	sys.received(t, sys.deliver(t, note{}.json()))

	back := sys.freshVersion(t)
	body := note{}.json()
	signature := sign(sys.secret(t), body)
	line := sys.logged(t, func() {
		if got := sys.post(t, body, signature); got.status != http.StatusServiceUnavailable {
			t.Errorf("a function that starts: answered %d, want 503", got.status)
		}
	})
	if line[contract.FieldReason] != string(contract.ReasonSecretUnavailable) || !strings.Contains(fmt.Sprint(line[contract.FieldError]), "AccessDenied") {
		t.Errorf("logged reason %v, error %v", line[contract.FieldReason], line[contract.FieldError])
	}
	if got := sys.challenge(t, challengeQuery("a")); got.status != http.StatusOK {
		t.Errorf("the challenge, which needs no secret, is answered %d", got.status)
	}
	restore()
	eventually(t, 30*time.Second, func() string { // it asks again at most every 10 s
		if got := sys.post(t, body, signature); got.status != http.StatusOK {
			return fmt.Sprintf("with the permission back, answered %d", got.status)
		}
		return ""
	})
	sys.received(t, signature)
	back()
	sys.received(t, sys.deliver(t, note{}.json()))
}

// freshVersion points the alias at a new version of the same code, of which nothing
// runs yet. The returned function points it back, as one does to roll back.
func (s *system) freshVersion(t *testing.T) (back func()) {
	t.Helper()
	function := s.resource(t, "Receiver")
	old := must[*lambda.GetAliasOutput](t)(s.lambda.GetAlias(t.Context(), &lambda.GetAliasInput{FunctionName: &function, Name: aws.String("live")}))
	describe := func(text *string) {
		must[*lambda.UpdateFunctionConfigurationOutput](t)(s.lambda.UpdateFunctionConfiguration(t.Context(), &lambda.UpdateFunctionConfigurationInput{FunctionName: &function, Description: text}))
	}
	is := must[*lambda.GetFunctionConfigurationOutput](t)(s.lambda.GetFunctionConfiguration(t.Context(), &lambda.GetFunctionConfigurationInput{FunctionName: &function}))
	describe(aws.String("another version")) // else publishing gives the old one
	version := must[*lambda.PublishVersionOutput](t)(s.lambda.PublishVersion(t.Context(), &lambda.PublishVersionInput{FunctionName: &function}))
	describe(is.Description)
	if aws.ToString(version.Version) == aws.ToString(old.FunctionVersion) {
		t.Fatalf("publishing gave version %s again", *version.Version)
	}
	point := func(to *string) {
		must[*lambda.UpdateAliasOutput](t)(s.lambda.UpdateAlias(t.Context(), &lambda.UpdateAliasInput{FunctionName: &function, Name: old.Name, FunctionVersion: to}))
	}
	point(version.Version)
	return func() { point(old.FunctionVersion) }
}
