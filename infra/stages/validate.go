package stages

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"net/mail"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

const (
	// gatewayAccountLimit is API Gateway's default quota of requests per second of an
	// account and region; docs.aws.amazon.com/apigateway/latest/developerguide/limits.html
	gatewayAccountLimit = 10_000
	// gatewayAccountBurst is the same quota's burst.
	gatewayAccountBurst = 5_000
	// assumedMilliseconds is how long a request is assumed to hold a copy of the
	// function when concurrency and throttle are compared: a send to SQS with a slow tail.
	assumedMilliseconds = 200
	// unreserved is what Lambda does not let an account reserve.
	unreserved = 100
	// visibilityFactor is how many times the consumer's timeout a message stays hidden;
	// docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
	visibilityFactor = 6
	// maxHostName is DNS's limit.
	maxHostName = 253
	// maxArchiveDays is as long as the bucket keeps what was spilled. A body that is too
	// large for a message is kept three weeks longer: until what is replayed on the last day
	// has left queue and dead letters.
	maxArchiveDays = 30
	// maxRetentionDays leaves a message that fails on its last day a day among the dead letters.
	maxRetentionDays = 13
	// maxVisibility is SQS's limit.
	maxVisibility = 12 * time.Hour
)

var (
	stageName      = regexp.MustCompile(`^[a-z][a-z0-9]{1,15}$`) // short, and valid in every name it becomes part of
	accountID      = regexp.MustCompile(`^[0-9]{12}$`)
	regionName     = regexp.MustCompile(`^[a-z]{2,4}(-[a-z]+)+-[0-9]$`) // eu-central-1, us-gov-west-1, eusc-de-east-1
	principalARN   = regexp.MustCompile(`^arn:aws[a-z-]*:iam::[0-9]{12}:(root|role/.+|user/.+)$`)
	hostName       = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])$`) // RFC 1123, with a dot
	certificateARN = regexp.MustCompile(`^arn:aws[a-z-]*:acm:([a-z0-9-]+):([0-9]{12}):certificate/[a-z0-9-]+$`)
	hostedZoneID   = regexp.MustCompile(`^Z[A-Z0-9]{1,31}$`)
	// logDays are the retention periods that CloudWatch Logs accepts, up to two years;
	// docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
	logDays = []int{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731}
)

// VisibilityTimeout is how long a message that was received stays hidden from other
// receivers.
func (s Stage) VisibilityTimeout() time.Duration { return visibilityFactor * s.ConsumerTimeout }

// problems collects sentences about one stage.
type problems struct {
	stage string
	errs  []error
}

func (p *problems) addf(format string, args ...any) {
	p.errs = append(p.errs, fmt.Errorf("%s: "+format, append([]any{p.stage}, args...)...))
}

// Validate returns every problem of the stage at once, each a sentence that says
// what to do, joined by [errors.Join]; nil if there is none.
func (s Stage) Validate() error {
	p := &problems{stage: s.Name}
	if !stageName.MatchString(s.Name) {
		p.addf("the name %q becomes part of resource names; use 2 to 16 lower-case letters and digits, a letter first.", s.Name)
	}
	s.validatePlace(p)
	s.validateDomain(p)
	s.validateCapacity(p)
	s.validateCanary(p)
	s.validateConsumer(p)
	if s.ArchiveDays < 0 || s.ArchiveDays > maxArchiveDays {
		p.addf("the archive keeps mail for %d days; the bucket keeps nothing else for longer than %d that can be replayed. Set 1 to %d, or 0 for no archive.",
			s.ArchiveDays, maxArchiveDays, maxArchiveDays)
	}
	s.validateAlarms(p)
	return errors.Join(p.errs...)
}

func (s Stage) validatePlace(p *problems) {
	if (s.Account == "") != (s.Region == "") {
		p.addf("account %q and region %q belong together. Set both or none.", s.Account, s.Region)
	}
	if s.Account != "" && !accountID.MatchString(s.Account) {
		p.addf("account %q is not twelve digits.", s.Account)
	}
	if s.Region != "" && !regionName.MatchString(s.Region) {
		p.addf("region %q does not look like eu-central-1.", s.Region)
	}
	if strings.HasPrefix(s.Region, "cn-") {
		p.addf("region %s is in China, where nobody has tried whether SQS takes a MessageGroupId on a standard queue; without that every send fails. Use another region.", s.Region)
	}
	if s.Architecture != ARM64 && s.Architecture != AMD64 {
		p.addf("Lambda has no architecture %q. Use %s or %s.", s.Architecture, ARM64, AMD64)
	}
	if !slices.Contains(logDays, s.LogDays) {
		p.addf("CloudWatch Logs cannot keep logs for %d days. Use one of %v.", s.LogDays, logDays)
	}
}

func (s Stage) validateDomain(p *problems) {
	if s.Domain == nil {
		return
	}
	if !hostName.MatchString(s.Domain.Name) || len(s.Domain.Name) > maxHostName {
		p.addf("domain %q is not the name of a host in lower case, as webhooks.example.com.", s.Domain.Name)
	}
	parts := certificateARN.FindStringSubmatch(s.Domain.CertificateARN)
	switch {
	case parts == nil:
		p.addf("certificate %q is not the ARN of an ACM certificate.", s.Domain.CertificateARN)
	case s.Account != "" && (parts[1] != s.Region || parts[2] != s.Account):
		p.addf("the certificate is in region %s of account %s; API Gateway takes one of the stage's own (%s of %s).", parts[1], parts[2], s.Region, s.Account)
	}
	if s.Domain.HostedZoneID != "" && !hostedZoneID.MatchString(s.Domain.HostedZoneID) {
		p.addf("hosted zone %q is not an id of Route 53, as Z0123456789ABCDEFGHIJ.", s.Domain.HostedZoneID)
	}
}

func (s Stage) validateCapacity(p *problems) {
	if s.RequestsPerSecond < 1 || s.RequestsPerSecond > gatewayAccountLimit {
		p.addf("the throttle lets %d requests/s in; a region's default quota is %d. Set 1 to %d.",
			s.RequestsPerSecond, gatewayAccountLimit, gatewayAccountLimit)
	}
	if s.Burst < 1 || s.Burst > gatewayAccountBurst {
		p.addf("the throttle lets %d requests in at once; a region's default quota is %d. Set 1 to %d.",
			s.Burst, gatewayAccountBurst, gatewayAccountBurst)
	}
	if s.ReservedConcurrency < 0 {
		p.addf("reserved concurrency is %d. Set 0 to leave it to the account's limit, or a positive number.", s.ReservedConcurrency)
	}
	// Lambda keeps 100 of an account's concurrency unreserved;
	// docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
	if s.ReservedConcurrency > 0 && s.ReservedConcurrency > s.AccountConcurrency-unreserved {
		p.addf("reserved concurrency %d does not fit into the account's %d: Lambda keeps %d of them for other functions. Raise the quota (AccountConcurrency) or lower the reservation.",
			s.ReservedConcurrency, s.AccountConcurrency, unreserved)
	}
	if s.AccountConcurrency < 1 {
		p.addf("the account's concurrency is %d. Set AccountConcurrency to what this prints: aws lambda get-account-settings --query AccountLimit.ConcurrentExecutions", s.AccountConcurrency)
	} else if all := s.AccountConcurrency * 1000 / assumedMilliseconds; s.ReservedConcurrency == 0 && all < s.RequestsPerSecond {
		p.addf("the account's concurrency %d serves about %d requests/s at %d ms; the throttle lets %d in. Ask AWS for a higher quota, or lower RequestsPerSecond.",
			s.AccountConcurrency, all, assumedMilliseconds, s.RequestsPerSecond)
	}
	served := s.ReservedConcurrency * 1000 / assumedMilliseconds
	if s.ReservedConcurrency > 0 && served < s.RequestsPerSecond {
		p.addf("reserved concurrency %d serves about %d requests/s at %d ms; the throttle lets %d in. Raise one or lower the other.",
			s.ReservedConcurrency, served, assumedMilliseconds, s.RequestsPerSecond)
	}
}

// canaryMinutes are those for which CodeDeploy has a configuration of its own.
// https://docs.aws.amazon.com/codedeploy/latest/userguide/deployment-configurations.html
var canaryMinutes = []int{0, 5, 10, 15, 30}

func (s Stage) validateCanary(p *problems) {
	if !slices.Contains(canaryMinutes, s.CanaryMinutes) {
		p.addf("a canary of %d minutes is none of CodeDeploy's. Set CanaryMinutes to 5, 10, 15 or 30, or to 0 for none.", s.CanaryMinutes)
	}
	if _, off := s.AlarmsOff["ReceiverErrors"]; off && s.CanaryMinutes > 0 {
		p.addf("the canary is ended by alarm ReceiverErrors, which this stage switches off. Switch it on, or set CanaryMinutes to 0.")
	}
}

func (s Stage) validateConsumer(p *problems) {
	if s.RetentionDays < 1 || s.RetentionDays > maxRetentionDays {
		p.addf("the queue keeps a notification for %d days. Set RetentionDays to 1 to %d: a dead letter is deleted 14 days after its first send, which has to be later.", s.RetentionDays, maxRetentionDays)
	}
	if s.ConsumerTimeout < time.Second || s.VisibilityTimeout() > maxVisibility {
		p.addf("the consumer's timeout is %s; %d times that a message stays hidden, and SQS allows %s. Set 1s to %s.",
			s.ConsumerTimeout, visibilityFactor, maxVisibility, maxVisibility/visibilityFactor)
	}
	if s.ConsumerTimeout%time.Second != 0 {
		p.addf("the consumer's timeout is %s; SQS counts whole seconds.", s.ConsumerTimeout)
	}
	for _, arn := range s.ConsumerPrincipals {
		if !principalARN.MatchString(arn) {
			p.addf("consumer principal %q is not the ARN of an IAM role, user or account root.", arn)
		}
	}
}

func (s Stage) validateAlarms(p *problems) {
	if s.QuietEventsPerMinute < 0 {
		p.addf("%d events per minute in the quietest hour cannot be. Set 0 if it is not known.", s.QuietEventsPerMinute)
	}
	for _, r := range []Recipients{s.Pages, s.Tickets} {
		for _, address := range r.Emails {
			if a, err := mail.ParseAddress(address); err != nil || a.Address != address {
				p.addf("%q is not a plain mail address.", address)
			}
		}
		for _, endpoint := range r.Endpoints {
			if u, err := url.Parse(endpoint); err != nil || u.Scheme != "https" || u.Host == "" {
				p.addf("an alarm endpoint is not an https URL.") // which may hold a token, so it is not repeated
			}
		}
	}
	for _, role := range slices.Sorted(maps.Keys(s.Thresholds)) {
		threshold := s.Thresholds[role]
		if strings.TrimSpace(threshold.Reason) == "" {
			p.addf("alarm %s has another threshold without a reason. Write one, it is read when the alarm rings.", role)
		}
		if threshold.Limit < 0 || math.IsNaN(threshold.Limit) || math.IsInf(threshold.Limit, 0) {
			p.addf("the threshold %g of alarm %s cannot be. Set 0 or more.", threshold.Limit, role)
		}
		if _, off := s.AlarmsOff[role]; off {
			p.addf("alarm %s has another threshold and is switched off. Keep one of them.", role)
		}
	}
	for _, role := range slices.Sorted(maps.Keys(s.AlarmsOff)) {
		if strings.TrimSpace(s.AlarmsOff[role]) == "" {
			p.addf("alarm %s is switched off without a reason. Write one, it is read when the alarm is missed.", role)
		}
	}
}

// Deployable returns what keeps a valid stage from being deployed, as sentences
// joined by [errors.Join]; nil if nothing does. Synthesizing needs none of it, so
// that anybody can look at the templates.
func (s Stage) Deployable() error {
	if !s.Protected {
		return nil
	}
	p := &problems{stage: s.Name}
	if s.Account == "" || s.Region == "" {
		p.addf("has no account and region. Set its Account and Region.")
	}
	if len(s.Pages.Emails)+len(s.Pages.Endpoints) == 0 {
		p.addf("has nobody to page. Set its Pages: a mail address, or the https endpoint of your paging service.")
	}
	if len(s.Tickets.Emails)+len(s.Tickets.Endpoints) == 0 {
		p.addf("has nobody to write tickets to. Set its Tickets: a wrong secret, say, loses everything and is a ticket only.")
	}
	if s.QuietEventsPerMinute == 0 && s.AlarmsOff["SignaturesFailing"] == "" {
		p.addf("does not say how many notifications arrive in its quietest hour, so nobody is woken when every signature fails. " +
			"Set its QuietEventsPerMinute, or write why not into AlarmsOff[\"SignaturesFailing\"].")
	}
	return errors.Join(p.errs...)
}
