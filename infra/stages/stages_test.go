package stages

import (
	"strings"
	"testing"
	"time"
)

func valid() Stage {
	return Stage{
		Name: "test", Account: "123456789012", Region: "eu-central-1", Architecture: ARM64,
		RequestsPerSecond: 1000, Burst: 1000, AccountConcurrency: 1000, ReservedConcurrency: 200, LogDays: 14, RetentionDays: 7,
		ConsumerTimeout: time.Minute, ConsumerPrincipals: []string{"arn:aws:iam::210987654321:role/crm"},
		QuietEventsPerMinute: 5, Protected: true, ArchiveDays: 30,
		Domain:    &Domain{Name: "webhooks.example.com", CertificateARN: "arn:aws:acm:eu-central-1:123456789012:certificate/0123abcd-01ab", HostedZoneID: "Z0123456789ABCDEFGHIJ"},
		Tickets:   Recipients{Emails: []string{"team@example.com"}},
		Pages:     Recipients{Emails: []string{"on-call@example.com"}, Endpoints: []string{"https://events.example.com/x"}},
		AlarmsOff: map[string]string{"QueueAge": "nobody reads this queue"},
	}
}

func TestStagesBeginValid(t *testing.T) {
	for _, s := range []Stage{New("dev"), Production("prod"), Local()} {
		if err := s.Validate(); err != nil {
			t.Error(err)
		}
	}
	if err := valid().Validate(); err != nil {
		t.Errorf("a stage with every setting: %v", err)
	}
}

func TestValidateSaysWhatToDo(t *testing.T) {
	tests := []struct {
		name    string
		corrupt func(*Stage)
		want    string
	}{
		{"concurrency below the throttle", func(s *Stage) { s.ReservedConcurrency = 5 },
			"test: reserved concurrency 5 serves about 25 requests/s at 200 ms; the throttle lets 1000 in. Raise one or lower the other."},
		{"upper case in the name", func(s *Stage) { s.Name = "Prod" }, "lower-case"},
		{"name that ends in a dash", func(s *Stage) { s.Name = "prod-" }, "lower-case"},
		{"region without account", func(s *Stage) { s.Account = "" }, "belong together"},
		{"account of eleven digits", func(s *Stage) { s.Account = "12345678901" }, "twelve digits"},
		{"zone instead of region", func(s *Stage) { s.Region = "eu-central-1a" }, "eu-central-1."},
		{"domain without a dot", func(s *Stage) { s.Domain.Name = "webhooks" }, `domain "webhooks" is not the name of a host`},
		{"domain with a scheme", func(s *Stage) { s.Domain.Name = "https://webhooks.example.com" }, "is not the name of a host"},
		{"domain in capitals", func(s *Stage) { s.Domain.Name = "Webhooks.example.com" }, "is not the name of a host"},
		{"domain of 254 letters", func(s *Stage) { s.Domain.Name = strings.Repeat("abcdefghi.", 25) + "abcd" }, "is not the name of a host"},
		{"no certificate", func(s *Stage) { s.Domain.CertificateARN = "" }, `certificate "" is not the ARN`},
		{"certificate elsewhere", func(s *Stage) { s.Domain.CertificateARN = "arn:aws:acm:us-east-1:123456789012:certificate/0" }, "the certificate is in region us-east-1 of account 123456789012"},
		{"certificate of another", func(s *Stage) { s.Domain.CertificateARN = "arn:aws:acm:eu-central-1:210987654321:certificate/0" }, "of account 210987654321; API Gateway takes one of the stage's own"},
		{"name of a zone", func(s *Stage) { s.Domain.HostedZoneID = "example.com" }, `hosted zone "example.com" is not an id`},
		{"unknown architecture", func(s *Stage) { s.Architecture = "riscv64" }, "no architecture"},
		{"retention that Logs has not", func(s *Stage) { s.LogDays = 15 }, "15 days"},
		{"an archive for a quarter", func(s *Stage) { s.ArchiveDays = 31 }, "the archive keeps mail for 31 days; the bucket keeps nothing else for longer than 30 that can be replayed. Set 1 to 30, or 0 for no archive."},
		{"an archive for no time", func(s *Stage) { s.ArchiveDays = -1 }, "-1 days"},
		{"a canary of no configuration", func(s *Stage) { s.CanaryMinutes = 7 }, "a canary of 7 minutes is none of CodeDeploy's. Set CanaryMinutes to 5, 10, 15 or 30, or to 0 for none."},
		{"a canary that nothing ends", func(s *Stage) {
			s.CanaryMinutes, s.AlarmsOff = 10, map[string]string{"ReceiverErrors": "it rings at night"}
		}, "ended by alarm ReceiverErrors, which this stage switches off"},
		{"no rate", func(s *Stage) { s.RequestsPerSecond = 0 }, "0 requests/s"},
		{"rate beyond the quota", func(s *Stage) { s.RequestsPerSecond, s.ReservedConcurrency = 10_001, 0 }, "10001 requests/s"},
		{"no burst", func(s *Stage) { s.Burst = 0 }, "0 requests in at once"},
		{"burst beyond the quota", func(s *Stage) { s.Burst = 5_001 }, "5001 requests in at once"},
		{"reservation beyond the account", func(s *Stage) { s.ReservedConcurrency = 901 }, "reserved concurrency 901 does not fit into the account's 1000: Lambda keeps 100"},
		{"no account concurrency", func(s *Stage) { s.AccountConcurrency = 0 }, "account's concurrency is 0"},
		{"a new account", func(s *Stage) { s.AccountConcurrency, s.ReservedConcurrency = 10, 0 }, "the account's concurrency 10 serves about 50 requests/s at 200 ms; the throttle lets 1000 in"},
		{"China", func(s *Stage) { s.Region = "cn-north-1" }, "in China"},
		{"negative concurrency", func(s *Stage) { s.ReservedConcurrency = -1 }, "reserved concurrency is -1"},
		{"no retention", func(s *Stage) { s.RetentionDays = 0 }, "for 0 days. Set RetentionDays to 1 to 13"},
		{"as long as the dead letters", func(s *Stage) { s.RetentionDays = 14 }, "for 14 days. Set RetentionDays to 1 to 13"},
		{"no consumer timeout", func(s *Stage) { s.ConsumerTimeout = 0 }, "consumer's timeout is 0s"},
		{"consumer slower than SQS allows", func(s *Stage) { s.ConsumerTimeout = 3 * time.Hour }, "12h0m0s"},
		{"half a second", func(s *Stage) { s.ConsumerTimeout = 1500 * time.Millisecond }, "whole seconds"},
		{"everybody as consumer", func(s *Stage) { s.ConsumerPrincipals = []string{"*"} }, `"*" is not the ARN`},
		{"negative traffic", func(s *Stage) { s.QuietEventsPerMinute = -1 }, "-1 events"},
		{"no mail address", func(s *Stage) { s.Tickets.Emails = []string{"ops"} }, `"ops" is not a plain mail address`},
		{"endpoint without TLS", func(s *Stage) { s.Pages.Endpoints = []string{"http://example.com"} }, "https"},
		{"threshold without a reason", func(s *Stage) { s.Thresholds = map[string]Threshold{"Backlog": {Limit: 1}} }, "alarm Backlog has another threshold without a reason"},
		{"threshold below 0", func(s *Stage) { s.Thresholds = map[string]Threshold{"Backlog": {-1, "x"}} }, "the threshold -1 of alarm Backlog"},
		{"threshold of an alarm that is off", func(s *Stage) { s.Thresholds = map[string]Threshold{"QueueAge": {1, "x"}} }, "alarm QueueAge has another threshold and is switched off"},
		{"alarm off without a reason", func(s *Stage) { s.AlarmsOff["Backlog"] = " " }, "alarm Backlog is switched off without a reason"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := valid()
			tt.corrupt(&s)
			err := s.Validate()
			if err == nil {
				t.Fatal("no problem reported")
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%q does not contain %q", err, tt.want)
			}
		})
	}
}

func TestRegions(t *testing.T) {
	for _, region := range []string{"eu-central-1", "us-gov-west-1", "ap-southeast-4", "eusc-de-east-1"} {
		s := valid()
		s.Domain = nil // its certificate is elsewhere
		s.Region = region
		if err := s.Validate(); err != nil {
			t.Errorf("%s: %v", region, err)
		}
	}
}

func TestValidateReportsEveryProblemAtOnce(t *testing.T) {
	s := valid()
	s.Domain = nil
	s.Account, s.Region, s.LogDays, s.Burst = "1", "x", 0, 0
	if got := len(strings.Split(s.Validate().Error(), "\n")); got != 4 {
		t.Errorf("%d problems reported, want 4:\n%v", got, s.Validate())
	}
}

func TestDeployable(t *testing.T) {
	s := valid()
	if err := s.Deployable(); err != nil {
		t.Errorf("a complete stage: %v", err)
	}
	s.Account, s.Region, s.Pages, s.Tickets, s.QuietEventsPerMinute = "", "", Recipients{}, Recipients{}, 0
	err := s.Deployable()
	if err == nil {
		t.Fatal("a stage without account and pager is deployable")
	}
	for _, want := range []string{"no account and region", "nobody to page", "nobody to write tickets to", "quietest hour"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not contain %q", err, want)
		}
	}
	s.AlarmsOff["SignaturesFailing"] = "the traffic is not known yet"
	if err := s.Deployable(); strings.Contains(err.Error(), "quietest hour") {
		t.Errorf("a written reason does not count: %v", err)
	}
	s.Protected = false
	if err := s.Deployable(); err != nil {
		t.Errorf("an unprotected stage needs neither: %v", err)
	}
}
