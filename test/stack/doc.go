// Package stack tests the CloudFormation templates: what the stacks are, as they
// would be deployed, without an AWS account.
//
//	snapshot_test.go    prod in full, the other stages as their difference from it
//	rules_*_test.go     what must hold in every stage, each with its reason and with
//	                    mutations: ways to break the template that it has to notice
//	cloudwatch_test.go  alarms evaluated as CloudWatch does
//	alarms_test.go      for each alarm, what must set it off and what must not
//	scenarios_test.go   what happens to a system, and exactly which alarms go off
//	faulttable_test.go  docs/alarms-by-fault.md: each fault has its alarm in time
//	costs_test.go       docs/costs.md: what prod costs, by AWS's prices (prices_test.go)
//	diagram_test.go     docs/pictures/architecture.svg: the parts, and who may do what
//	pages_picture_test.go  docs/pictures: the dashboard, and an alarm's mail
//	stage_test.go       what the assembly says about the stacks
//	contract_test.go    the function's environment
//	build_test.go       the same commit gives the same bytes, elsewhere too
//	runbook_test.go     every alarm has its heading, every heading its alarm; the rights
//	                    that the runbook's commands take
//
// Everything is synthesized once, in one Node process and in order, before any test
// runs; the tests only read decoded JSON. It does not use the CDK's
// assertions module, whose failed check is a panic that ends the test binary.
//
// The snapshots in testdata are written anew by UPDATE_SNAPSHOTS=1, never in CI.
package stack
