// Package policy runs five checkers over the synthesized templates of every stage, and
// of one with every optional setting: cdk-nag (AWS Solutions and Serverless packs),
// cdk-preflight with the CDK's own validator, the Control Tower rules by cfn-guard,
// Checkov, and cfn-lint with its serverless rules. make policy synthesizes and installs
// what they need, every version locked.
//
//	assembly_test.go  the templates, and what infra/findings accepted in them
//	tools_test.go     the checkers, each as a list of findings
//	policy_test.go    the two compared
//
// A finding is either put right or accepted beside its resource, with the reason.
// One that is not accepted fails, and so does an acceptance without its finding. It
// does not use the checkers' own ways to suppress a finding, because none reports one that
// suppresses nothing.
package policy
