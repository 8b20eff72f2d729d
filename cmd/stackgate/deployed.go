package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/onepagecrm/nylas-webhooks/internal/awsconfig"
	"github.com/onepagecrm/nylas-webhooks/internal/review"
)

// identity is the part of AWS that [deployed] needs.
type identity interface {
	GetCallerIdentity(context.Context, *sts.GetCallerIdentityInput, ...func(*sts.Options)) (*sts.GetCallerIdentityOutput, error)
}

// stacks is the part of CloudFormation that [deployed] needs.
type stacks interface {
	DescribeStacks(context.Context, *cloudformation.DescribeStacksInput, ...func(*cloudformation.Options)) (*cloudformation.DescribeStacksOutput, error)
	GetTemplate(context.Context, *cloudformation.GetTemplateInput, ...func(*cloudformation.Options)) (*cloudformation.GetTemplateOutput, error)
}

// onAWS is [deployed] with the credentials of the environment, in the stack's own region.
func onAWS(ctx context.Context, s review.Stack) (review.Stack, bool, error) {
	cfg, err := awsconfig.Load(ctx)
	if err != nil {
		return review.Stack{}, false, err
	}
	if _, region := place(s); region != "" {
		cfg.Region = region
	}
	return deployed(ctx, sts.NewFromConfig(cfg), cloudformation.NewFromConfig(cfg), s)
}

// place is the account and the region of a stack, each "" where the credentials decide.
func place(s review.Stack) (account, region string) {
	account, region, _ = strings.Cut(strings.TrimPrefix(s.Environment, "aws://"), "/")
	if strings.HasPrefix(account, "unknown-") {
		account = ""
	}
	if strings.HasPrefix(region, "unknown-") {
		region = ""
	}
	return account, region
}

// asGiven is a template as CloudFormation gives it back: with ? for what is not ASCII. Otherwise
// every such character would be a change. The CDK's own diff does the same.
func asGiven(template map[string]any) (map[string]any, error) {
	encoded, err := json.Marshal(template)
	if err != nil {
		return nil, err
	}
	ascii := bytes.Map(func(r rune) rune {
		if r > unicode.MaxASCII {
			return '?'
		}
		return r
	}, encoded)
	var given map[string]any
	err = json.Unmarshal(ascii, &given)
	return given, err
}

// deployed returns what CloudFormation has of a stack, and false where it has none. Credentials
// of another account than the stack's are an error: there it would be missing, too.
func deployed(ctx context.Context, account identity, formation stacks, s review.Stack) (review.Stack, bool, error) {
	who, err := account.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return review.Stack{}, false, fmt.Errorf("ask AWS whose credentials these are: %w. Set AWS_PROFILE, or sign in (aws sso login)", err)
	}
	if own, _ := place(s); own != "" && own != aws.ToString(who.Account) {
		return review.Stack{}, false, fmt.Errorf("%s belongs to account %s; these credentials are of account %s. Set AWS_PROFILE to a profile of %[2]s", s.Name, own, aws.ToString(who.Account))
	}
	described, err := formation.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &s.Name})
	var refusal smithy.APIError
	if errors.As(err, &refusal) && refusal.ErrorCode() == "ValidationError" && strings.Contains(refusal.ErrorMessage(), "does not exist") {
		return review.Stack{}, false, nil
	}
	if err != nil {
		return review.Stack{}, false, fmt.Errorf("describe stack %s: %w", s.Name, err)
	}
	if len(described.Stacks) != 1 {
		return review.Stack{}, false, fmt.Errorf("describe stack %s: the answer describes %d stacks, so it is not CloudFormation's", s.Name, len(described.Stacks))
	}
	switch described.Stacks[0].StackStatus { //nolint:exhaustive // in every other state there is something
	case types.StackStatusReviewInProgress, // a change set was made, and nothing else
		types.StackStatusRollbackComplete: // its first deployment failed, and all is deleted again; GetTemplate still has the template
		return review.Stack{}, false, nil
	}
	// Original: as the CDK CLI sent it, without what transforms make of it.
	got, err := formation.GetTemplate(ctx, &cloudformation.GetTemplateInput{StackName: &s.Name, TemplateStage: types.TemplateStageOriginal})
	if err != nil {
		return review.Stack{}, false, fmt.Errorf("get the template of stack %s: %w", s.Name, err)
	}
	// What is in the assembly alone, as the roles, is as it is there.
	there := s
	there.Protected, there.Tags, there.Template = aws.ToBool(described.Stacks[0].EnableTerminationProtection), map[string]string{}, nil
	for _, tag := range described.Stacks[0].Tags {
		there.Tags[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	if err := json.Unmarshal([]byte(aws.ToString(got.TemplateBody)), &there.Template); err != nil || there.Template["Resources"] == nil {
		return review.Stack{}, false, fmt.Errorf("the template of stack %s is not the JSON that the CDK writes. Was it deployed by something else?", s.Name)
	}
	return there, true, nil
}
