// Package review says what a change of CloudFormation templates means: what is replaced and what
// that loses, who may do more, which protection does less, what behaves differently. cmd/stackgate
// is its command.
//
//	assembly.go  the stacks of what cdk synth writes
//	engine.go    the CDK's diff engine, which says what CloudFormation replaces
//	leaves.go    every value that differs
//	judge.go     a resource that came, went or changed
//	rules.go     the judgement on properties, a row each, with its reason
//	policy.go    policies, compared by the rights that they give
//	accept.go    findings that are accepted, with a reason and an end
//	report.go    how it is told
package review
