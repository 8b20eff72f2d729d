package rights

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
)

// Policy is an IAM policy's document, its statements as they are.
type Policy struct {
	Version   string
	Statement []map[string]any
}

// Read returns the default version of a deployed managed policy.
func Read(ctx context.Context, root aws.Config, arn string) (p Policy, err error) {
	client := iam.NewFromConfig(root)
	policy, err := client.GetPolicy(ctx, &iam.GetPolicyInput{PolicyArn: &arn})
	if err != nil {
		return p, err
	}
	version, err := client.GetPolicyVersion(ctx, &iam.GetPolicyVersionInput{PolicyArn: &arn, VersionId: policy.Policy.DefaultVersionId})
	if err != nil {
		return p, err
	}
	text, err := url.PathUnescape(aws.ToString(version.PolicyVersion.Document)) // IAM answers it URL-encoded
	if err != nil {
		return p, err
	}
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return p, fmt.Errorf("the policy is %s: %w", text, err)
	}
	return p, nil
}

// Without is the policy without an action of its i-th statement.
func (p Policy) Without(i int, action string) Policy {
	less := Policy{Version: p.Version}
	for j, statement := range p.Statement {
		if i != j {
			less.Statement = append(less.Statement, statement)
			continue
		}
		rest := slices.DeleteFunc(Actions(statement), func(a string) bool { return a == action })
		if len(rest) == 0 {
			continue
		}
		changed := maps.Clone(statement)
		changed["Action"] = rest
		less.Statement = append(less.Statement, changed)
	}
	return less
}

// Permission names an action of a statement, as in "ReadQueue/sqs:ReceiveMessage".
func Permission(statement map[string]any, action string) string {
	return fmt.Sprintf("%v/%s", statement["Sid"], action)
}

// Actions are a statement's, of which JSON writes one without brackets.
func Actions(statement map[string]any) []string {
	if one, ok := statement["Action"].(string); ok {
		return []string{one}
	}
	var all []string
	several, _ := statement["Action"].([]any)
	for _, action := range several {
		all = append(all, fmt.Sprint(action))
	}
	return all
}
