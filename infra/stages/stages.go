// Package stages says what may differ between the deployments of the stack. Whoever runs
// the system writes a list of [Stage] values, begun with [New], and gives it to package
// app: configuration is code here, typed, reviewed, and the same in every checkout.
//
// It knows nothing of the CDK and reads no environment, so that the
// same commit gives the same template everywhere. What is equal in every stage
// (timeouts, the status contract, alarm thresholds) is not here but beside the
// resource it belongs to.
package stages

import (
	"runtime"
	"time"
)

// Architecture of the function's processor, by the name GOARCH has for it.
type Architecture string

// The architectures that Lambda offers.
const (
	ARM64 Architecture = "arm64"
	AMD64 Architecture = "amd64"
)

// Recipients are who hears of the alarms of one severity.
type Recipients struct {
	// Emails are mail addresses. Each gets a mail to confirm the subscription.
	Emails []string
	// Endpoints are https URLs of a paging or ticket service that understands SNS.
	Endpoints []string
}

// Domain is a name of one's own for the webhook.
type Domain struct {
	// Name is the whole host name, as "webhooks.example.com". The URL is then
	// https://webhooks.example.com/nylas.
	Name string
	// CertificateARN names a certificate of ACM for it, in the stage's account and region.
	CertificateARN string
	// HostedZoneID is Route 53's id of the public zone in which the DNS record is made. Empty
	// where DNS is elsewhere: the output DomainTarget says where a CNAME has to lead.
	HostedZoneID string
}

// Threshold is that of an alarm.
type Threshold struct {
	// Limit is in the unit of the alarm's metric: seconds of an age, a number of messages.
	Limit  float64
	Reason string
}

// Stage is one deployment of the stack.
type Stage struct {
	// Name is lower case and short ("prod"). It is part of the stack's, the API's
	// and every alarm's name, the URL's first path element and every metric's
	// dimension; changing it makes another deployment.
	Name string

	// Account is the twelve-digit AWS account, Region the AWS region the stage lives
	// in. The CDK CLI refuses credentials of any other account. Empty means: where
	// the credentials point, which a Protected stage refuses.
	Account, Region string

	// Domain is the webhook's own name. What is registered at Nylas then stays whatever is
	// replaced behind it, and API Gateway's own name no longer answers. nil: that name is
	// the URL. Setting it later changes the URL: deploy, then hookctl webhook update, and
	// expect Nylas's requests to the old one to be refused until then.
	Domain *Domain

	// Protected stages need an account, a region and somebody to page before they can
	// be deployed, and have CloudFormation's termination protection.
	Protected bool
	// Retain keeps what holds data (queues with that of notices, bucket, table, secret,
	// key, log groups) when the stack or the resource is removed.
	Retain bool
	// OwnKey encrypts the queues with a KMS key of the stage, else SQS's own key does.
	// Set back to false, what is queued stays under the old key, and with the key go the
	// rights to decrypt it from every policy of the stack. `make deploy` refuses that while
	// notifications wait: empty the queue and the dead letters first.
	OwnKey bool

	// Architecture is what the function runs on.
	Architecture Architecture
	// RequestsPerSecond and Burst are the gateway's throttle. Beyond it Nylas reads
	// 429 and comes again.
	RequestsPerSecond, Burst int
	// AccountConcurrency is Lambda's quota of concurrent executions in the stage's account
	// and region, which all functions there share. AWS's default is 1,000; new accounts
	// begin with far less. `make deploy` compares it with the account's real one.
	// https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
	AccountConcurrency int
	// ReservedConcurrency caps how many copies of the function run at once; 0 leaves
	// them to the account's limit.
	ReservedConcurrency int
	// CanaryMinutes gives a new version of the function a tenth of the requests for so many
	// minutes, 5, 10, 15 or 30, before it gets all; alarm ReceiverErrors ends that and takes the
	// deployment back. 0: all at once. docs/delivery.md says what it sees and what it does not.
	CanaryMinutes int
	// Tracing sends X-Ray segments of gateway and function.
	Tracing bool
	// LogDays is how many days logs are kept, one of the values CloudWatch Logs has.
	LogDays int

	// ArchiveDays keeps a copy of each notification in the bucket for so many days, so that
	// it can be sent to the queue again (hookctl replay) and to a developer's machine
	// (hookctl forward); 0 keeps none. It is people's mail in one more place:
	// docs/data-protection.md.
	ArchiveDays int

	// RetentionDays is how long a notification waits for a consumer, 1 to 13 days. SQS counts a
	// dead letter's 14 days from the first send as well, so the longer this is, the less time is
	// left to repair what ended among the dead letters. Less than before deletes what is older
	// at once.
	RetentionDays int
	// ConsumerTimeout is how long the system that reads the queue may need for one
	// message. Six times this the message stays hidden, as AWS advises.
	ConsumerTimeout time.Duration
	// Deduplicate adds a DynamoDB table in which consumers write down what they have
	// handled, so that a notification that comes twice is handled once.
	Deduplicate bool
	// ConsumerPrincipals are ARNs of roles or accounts outside this account that may
	// read the queue. Inside it, attach the policy of output ConsumerPolicyArn.
	ConsumerPrincipals []string

	// QuietEventsPerMinute is how many notifications arrive per minute in the quietest
	// hour. With it silence and failing signatures page; 0 means not known yet, and
	// neither alarm exists. A Protected stage then wants a reason in AlarmsOff.
	QuietEventsPerMinute int
	// Pages hears of alarms that need somebody at once, Tickets of the others.
	Pages, Tickets Recipients
	// Thresholds are other thresholds than the table's (infra/webhooks/alarmtable.go has each
	// with its reason), by role ("QueueAge"), in the alarm's own unit. The page says so.
	Thresholds map[string]Threshold
	// AlarmsOff names alarms this stage does without, by role ("QueueAge"), each with
	// the reason.
	AlarmsOff map[string]string
}

// New returns a stage with what every stage begins with. It goes wherever the credentials
// point, its data is deleted with it, and anybody can deploy it.
func New(name string) Stage {
	return Stage{
		Name:         name,
		Architecture: ARM64, // a fifth cheaper than x86_64, and Go does not care
		// Nylas has no documented cap and names bursts of 20,000 events within seconds. At
		// 1,000/s a third of one was given up after three 429s, at this none was (ADR 11);
		// it is the default quota of an account in the newer Regions.
		RequestsPerSecond:  2500,
		Burst:              2500, // one second of the rate
		AccountConcurrency: 1000, // AWS's default
		LogDays:            14,   // long enough to look into last week; the logs hold grant ids
		RetentionDays:      7,    // a long weekend, and the days to repair what broke in it
		ConsumerTimeout:    30 * time.Second,
		Tracing:            true,
	}
}

// Production returns a stage for people's mail: protected, retained, under a key of its own,
// with logs for a quarter.
func Production(name string) Stage {
	s := New(name)
	s.Protected = true
	s.Retain = true
	s.OwnKey = true // the bodies are people's mail
	s.LogDays = 90  // a quarter, for questions that come late; not longer, data minimisation
	return s
}

// Local returns the stage that `make run` deploys to the local engine.
func Local() Stage {
	s := New("local")
	// The engine's own. The CDK CLI refuses credentials of any other account, so nobody
	// deploys this stage, whose secret is made up, into theirs.
	s.Account, s.Region = "000000000000", "us-east-1"
	s.Architecture = Architecture(runtime.GOARCH) // the engine runs the binary on this machine
	s.Tracing = false                             // which the engine has not
	// So that the tests see the table, the archive and the permissions for both.
	s.Deduplicate, s.ArchiveDays = true, 1
	return s
}
