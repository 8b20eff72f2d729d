package main

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/onepagecrm/nylas-webhooks/internal/review"
)

// account is 111122223333, with one stack, or none.
type account struct {
	identity error
	stack    *types.Stack
	describe error
	template string
	get      error
}

func (a account) GetCallerIdentity(context.Context, *sts.GetCallerIdentityInput, ...func(*sts.Options)) (*sts.GetCallerIdentityOutput, error) {
	return &sts.GetCallerIdentityOutput{Account: aws.String("111122223333")}, a.identity
}

func (a account) DescribeStacks(_ context.Context, in *cloudformation.DescribeStacksInput, _ ...func(*cloudformation.Options)) (*cloudformation.DescribeStacksOutput, error) {
	if a.describe != nil {
		return nil, a.describe
	}
	if a.stack == nil {
		return &cloudformation.DescribeStacksOutput{}, nil
	}
	if *in.StackName != "NylasWebhooks-prod" {
		return nil, errors.New("another stack was asked for: " + *in.StackName)
	}
	return &cloudformation.DescribeStacksOutput{Stacks: []types.Stack{*a.stack}}, nil
}

func (a account) GetTemplate(_ context.Context, in *cloudformation.GetTemplateInput, _ ...func(*cloudformation.Options)) (*cloudformation.GetTemplateOutput, error) {
	if in.TemplateStage != types.TemplateStageOriginal {
		return nil, errors.New("the processed template was asked for")
	}
	return &cloudformation.GetTemplateOutput{TemplateBody: &a.template}, a.get
}

func TestDeployed(t *testing.T) {
	const template = `{"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}}`
	there := &types.Stack{StackStatus: types.StackStatusUpdateComplete, EnableTerminationProtection: aws.Bool(true), Tags: []types.Tag{{Key: aws.String("Stage"), Value: aws.String("prod")}}}
	refused := errors.New("refused")
	for name, test := range map[string]struct {
		account     account
		environment string
		ok          bool
		fails       string
	}{
		"there":                     {account{stack: there, template: template}, "aws://111122223333/eu-west-1", true, ""},
		"wherever":                  {account{stack: there, template: template}, "aws://unknown-account/unknown-region", true, ""},
		"not there":                 {account{describe: &smithy.GenericAPIError{Code: "ValidationError", Message: "Stack with id NylasWebhooks-prod does not exist"}}, "aws://111122223333/eu-west-1", false, ""},
		"a first try that failed":   {account{stack: &types.Stack{StackStatus: types.StackStatusRollbackComplete}, template: template}, "aws://111122223333/eu-west-1", false, ""},
		"a name that is none":       {account{describe: &smithy.GenericAPIError{Code: "ValidationError", Message: "1 validation error detected"}}, "aws://111122223333/eu-west-1", false, "describe stack NylasWebhooks-prod"},
		"only a change set":         {account{stack: &types.Stack{StackStatus: types.StackStatusReviewInProgress}}, "aws://111122223333/eu-west-1", false, ""},
		"in another account":        {account{describe: &smithy.GenericAPIError{Code: "ValidationError"}}, "aws://444455556666/eu-west-1", false, "belongs to account 444455556666; these credentials are of account 111122223333"},
		"no credentials":            {account{identity: refused}, "aws://111122223333/eu-west-1", false, "whose credentials"},
		"may not describe":          {account{describe: refused}, "aws://111122223333/eu-west-1", false, "describe stack NylasWebhooks-prod: refused"},
		"an answer of no stack":     {account{}, "aws://111122223333/eu-west-1", false, "describes 0 stacks"},
		"may not read":              {account{stack: there, get: refused}, "aws://111122223333/eu-west-1", false, "get the template of stack NylasWebhooks-prod: refused"},
		"a template in YAML":        {account{stack: there, template: "Resources:\n  Queue: {}"}, "aws://111122223333/eu-west-1", false, "not the JSON"},
		"a template of no resource": {account{stack: there, template: "{}"}, "aws://111122223333/eu-west-1", false, "not the JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok, err := deployed(t.Context(), test.account, test.account, review.Stack{Name: "NylasWebhooks-prod", Environment: test.environment})
			if ok != test.ok || (err == nil) != (test.fails == "") || err != nil && !strings.Contains(err.Error(), test.fails) {
				t.Fatalf("%v, %v", ok, err)
			}
			if ok && (!got.Protected || got.Tags["Stage"] != "prod" || got.Environment != test.environment || got.Template["Resources"] == nil) {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestAsGiven(t *testing.T) {
	got, err := asGiven(map[string]any{"Description": "Überlast → 503 <&>", "Resources": map[string]any{"A": 1.0}})
	if err != nil || got["Description"] != "?berlast ? 503 <&>" || got["Resources"] == nil {
		t.Errorf("%v, %v", got, err)
	}
}
