// Package findings records what a policy checker says of a resource and we accept,
// beside the resource and with the reason. The stacks call it; test/policy runs the
// checkers and compares: a finding that is not accepted fails, and so does an
// acceptance of something no checker says any more.
//
// It writes nothing into the template. Of the five checkers only two
// would read it there, Checkov and cfn-lint; cdk-nag 3 reads the CDK's own record of
// acknowledged rules, which is what is written, and the Control Tower rules read
// nothing. And a reason that is put better must not be a new deployment of the API.
package findings

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/constructs-go/constructs/v10"
)

// Accept records that these findings about the construct's one resource stay, all for
// the same reason. An id is what the checker prints:
//
//	AwsSolutions-APIG4  Serverless-LambdaDLQ  cdk-nag; AwsSolutions-IAM5 has its finding in brackets
//	pf-logs-filter-pattern-bracket  F3012     cdk-preflight, and the CDK's validator
//	CT.SQS.PR.1                               the Control Tower rules, run by cfn-guard
//	CKV_AWS_116                               Checkov
//	W3005  ES6000                             cfn-lint, and its serverless rules
func Accept(construct constructs.IConstruct, reason string, ids ...string) {
	var rules []*awscdk.Acknowledgment
	for _, id := range ids {
		rules = append(rules, &awscdk.Acknowledgment{Id: &id, Reason: &reason})
	}
	awscdk.Validations_Of(construct).Acknowledge(rules...)
}
