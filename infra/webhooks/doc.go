// Package webhooks is the stack that takes Nylas's webhooks in: one file per unit,
// in the order in which a notification meets them.
//
//	endpoint.go   API Gateway: /nylas, the throttle, what it answers by itself
//	domain.go     a name of one's own for it
//	receiver.go   the Lambda function and what it may do
//	secret.go     the webhook secret, created empty
//	queues.go     the queue, its dead letters, who may read them
//	bucket.go     where a notification is kept when SQS does not take it
//	worker.go     what hookworker may do beyond reading, the table of what was handled
//	operator.go   who may put notifications back
//	key.go        the KMS key of stages that have their own
//	alarms.go     how an alarm is built and whom it tells; alarmtable.go has them all
//	dashboard.go  the flow from left to right
//	policies.go   how a statement of a policy is written
//	build.go      the function's binary
//
// [NewStack] in stack.go connects them and defines nothing itself. Package app
// calls it once per stage, test/stack synthesizes the same.
//
// It reads no environment and looks nothing up: what differs between
// deployments comes from package stages.
package webhooks
