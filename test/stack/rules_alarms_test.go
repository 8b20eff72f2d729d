package stack

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/onepagecrm/nylas-webhooks/lambda/contract"
)

// signedOnly is why a page alarm may read the receiver's metrics of contract.Paging: a
// forged request moves none of them.
var signedOnly = map[contract.Metric]string{
	contract.SendFailed:        "counted after the signature was verified",
	contract.SecretUnavailable: "Secrets Manager failed; a request only finds it out",
	contract.Faulted:           "a defect of ours; a caller's nonsense is Refused",
	contract.Accepted:          "counted after SQS took a verified notification",
	contract.Spilled:           "counted after S3 took a verified notification",
}

// notOurs is the same for what others count: only a signed request or our own fault
// moves it.
var notOurs = map[string]string{
	"NylasWebhooks/GatewayFaults": "the gateway could not get an answer; bodies beyond Lambda's limit are left out",
	"AWS/Lambda/Errors":           "the function answers every request; an error is a crash",
	"AWS/Lambda/Throttles":        "our concurrency; the gateway's throttle bounds what a flood can ask for",

	"AWS/SQS/ApproximateAgeOfOldestMessage":      "only verified notifications are on the queues and in the bucket",
	"AWS/SQS/ApproximateNumberOfMessagesVisible": "only verified notifications are on the queue",
}

// mayPage tells whether a page alarm may read a metric, as namespace/name.
func mayPage(metric string) bool {
	name, own := strings.CutPrefix(metric, contract.MetricNamespace+"/")
	return notOurs[metric] != "" || own && slices.Contains(contract.Paging, contract.Metric(name))
}

// topicOf is the role of the topic an alarm of that severity tells.
var topicOf = map[string]string{"page": "Pages", "ticket": "Tickets"}

var description = regexp.MustCompile(`^\[(page|ticket)\] (.+)\nNot: (.+)\nFirst: aws .+\nRunbook: docs/runbook\.md#([a-z]+)$`)

// role returns an alarm's role, which is its name without the stack's.
func role(d deployment, id string) string {
	return strings.TrimPrefix(fmt.Sprint(d.template.Resources[id].Properties.at("AlarmName")), "NylasWebhooks-"+d.stage.Name+"-")
}

// metric returns what an alarm reads, as namespace/name.
func metric(p object) string { return fmt.Sprintf("%v/%v", p.at("Namespace"), p.at("MetricName")) }

var alarmRules = []rule{
	{
		name: "alarms speak", why: "whoever is woken reads what it means, what it does not mean and what to do first; where it says nothing, minutes are lost",
		check: func(d deployment) (f findings) {
			seen := make(map[string]bool)
			for _, id := range d.template.of(alarmType) {
				p := d.template.Resources[id].Properties
				name := role(d, id)
				if !strings.HasPrefix(id, name+"Alarm") || seen[name] {
					f.addf("%s is named %v", id, p.at("AlarmName"))
				}
				seen[name] = true
				said := literal(p.at("AlarmDescription"))
				parts := description.FindStringSubmatch(said)
				if parts == nil {
					f.addf("%s does not say severity, meaning, what it is not, the first command and the runbook's heading: %q", name, said)
					continue
				}
				f.want(name+"'s heading", parts[4], strings.ToLower(name))
				if len(said) > 900 { // of 1,024, the rest is for generated names
					f.addf("%s's description has %d characters", name, len(said))
				}
			}
			return f
		},
		mutations: []mutation{
			{"no description", set(alarmType, "DeadLettersAlarm", nil, "AlarmDescription")},
			{"no command", set(alarmType, "TestEventAlarm", "[ticket] x\nNot: y\nRunbook: docs/runbook.md#testevent", "AlarmDescription")},
			{"another's heading", set(alarmType, "TestEventAlarm", "[ticket] x\nNot: y\nFirst: aws z\nRunbook: docs/runbook.md#mismatch", "AlarmDescription")},
			{"another stage's name", set(alarmType, "DeadLettersAlarm", "NylasWebhooks-prod-DeadLetters", "AlarmName")},
			{"too long", set(alarmType, "TestEventAlarm", "[ticket] x\nNot: "+strings.Repeat("y", 900)+"\nFirst: aws z\nRunbook: docs/runbook.md#testevent", "AlarmDescription")},
		},
	},
	{
		name: "alarms tell somebody", why: "an alarm without an action is a dashboard; and a ticket on the pager's topic wakes somebody for nothing",
		check: func(d deployment) (f findings) {
			for _, id := range d.template.of(alarmType) {
				p := d.template.Resources[id].Properties
				severity, _, _ := strings.Cut(strings.TrimPrefix(literal(p.at("AlarmDescription")), "["), "]")
				want := []any{ref(d.template.id(topicType, topicOf[severity]))}
				f.want(id+"'s action", p.at("AlarmActions"), want)
				f.want(id+"'s action when it is over", p.at("OKActions"), want)
				if p.at("ActionsEnabled") == false {
					f.addf("%s's actions are off", id)
				}
			}
			return f
		},
		mutations: []mutation{
			{"no action", set(alarmType, "SendFailedAlarm", nil, "AlarmActions")},
			{"ticket that pages", func(t template) {
				set(alarmType, "MismatchAlarm", []any{ref(t.id(topicType, "Pages"))}, "AlarmActions")(t)
			}},
			{"never over", set(alarmType, "SendFailedAlarm", nil, "OKActions")},
			{"switched off", set(alarmType, "SendFailedAlarm", false, "ActionsEnabled")},
		},
	},
	{
		name: "forged requests page nobody", why: "otherwise anybody on the internet wakes the team at will, until it stops listening",
		check: func(d deployment) (f findings) {
			for _, id := range d.template.of(alarmType) {
				p := d.template.Resources[id].Properties
				if !strings.HasPrefix(literal(p.at("AlarmDescription")), "[page]") || mayPage(metric(p)) {
					continue
				}
				// The one exception: signatures fail and none is good, five minutes long, where the
				// stage says that there always is a good one.
				exception := metric(p) == "NylasWebhooks/Verified" && d.stage.QuietEventsPerMinute > 0 &&
					p.is("Maximum", "Statistic") && p.is("LessThanThreshold", "ComparisonOperator") && p.is(1, "Threshold") &&
					p.is(60, "Period") && p.is(5, "EvaluationPeriods") && p.is(5, "DatapointsToAlarm") && p.is("notBreaching", "TreatMissingData")
				if !exception {
					f.addf("%s pages on %s, which a stranger can move", id, metric(p))
				}
			}
			return f
		},
		mutations: []mutation{
			{"page on mismatches", set(alarmType, "SendFailedAlarm", "Mismatch", "MetricName")},
			{"page on 5XXError", func(t template) {
				set(alarmType, "SendFailedAlarm", "AWS/ApiGateway", "Namespace")(t)
				set(alarmType, "SendFailedAlarm", "5XXError", "MetricName")(t)
			}},
			{"page on one bad minute", set(alarmType, "SignaturesFailingAlarm", 1, "DatapointsToAlarm")},
			{"page when nobody signs", set(alarmType, "SignaturesFailingAlarm", "breaching", "TreatMissingData")},
			{"page on any bad signature", set(alarmType, "SignaturesFailingAlarm", "Minimum", "Statistic")},
		},
	},
	{
		name: "alarms can fire", why: "a dimension that names no resource of this stack makes an alarm that never fires, and metric math one that the engine refuses",
		check: func(d deployment) (f findings) {
			for _, id := range d.template.of(alarmType) {
				p := d.template.Resources[id].Properties
				if p.at("Metrics") != nil {
					f.addf("%s is metric math", id)
				}
				m, _ := p.at("DatapointsToAlarm").(float64)
				n, _ := p.at("EvaluationPeriods").(float64)
				period, _ := p.at("Period").(float64)
				if m < 1 || m > n || period < 60 || int(period)%60 != 0 || period*n > longest(period) {
					f.addf("%s wants %v of %v periods of %v s", id, m, n, period)
				}
				if (p.at("Statistic") == nil) == (p.at("ExtendedStatistic") == nil) {
					f.addf("%s has no statistic, or two", id)
				}
				f.want(id+"'s dimensions", p.at("Dimensions"), dimensions(d, id, metric(p)))
			}
			return f
		},
		mutations: []mutation{
			{"another stage", func(t template) {
				objects(t.props(alarmType, "SendFailedAlarm").at("Dimensions"))[0]["Value"] = "prod"
			}},
			{"the queue instead of its dead letters", func(t template) {
				objects(t.props(alarmType, "DeadLettersAlarm").at("Dimensions"))[0]["Value"] = getAtt(t.id(queueType, "Queue"), "QueueName")
			}},
			{"the dead letters instead of what was spilled", func(t template) {
				objects(t.props(alarmType, "SpillWaitingAlarm").at("Dimensions"))[0]["Value"] = getAtt(t.id(queueType, "DeadLetters"), "QueueName")
			}},
			{"API of any stage", func(t template) {
				set(alarmType, "LatencyAlarm", list(t.props(alarmType, "LatencyAlarm").at("Dimensions"))[:1], "Dimensions")(t)
			}},
			{"metric math", set(alarmType, "LatencyAlarm", []any{}, "Metrics")},
			{"more datapoints than periods", set(alarmType, "QueueAgeAlarm", 6, "DatapointsToAlarm")},
			{"ten seconds", set(alarmType, "QueueAgeAlarm", 10, "Period")},
			{"no statistic", set(alarmType, "QueueAgeAlarm", nil, "Statistic")},
		},
	},
	{
		name: "what is measured, over what time", why: "the average of a count, the sum of an age or an hour instead of five minutes is another alarm than its text and its series say",
		check: func(d deployment) (f findings) {
			for _, id := range d.template.of(alarmType) {
				p := d.template.Resources[id].Properties
				statistic := p.at("Statistic")
				if statistic == nil {
					statistic = p.at("ExtendedStatistic")
				}
				want := statisticOf(metric(p))
				if role(d, id) == "Backlog" {
					want = "Average" // one that is being worked off swings; a dead letter stays
				}
				f.want(id+"'s statistic", statistic, want)
				seconds := 60 // the shortest that these metrics have
				switch {
				case slices.Contains(overFiveMinutes, role(d, id)):
					seconds = 300
				case role(d, id) == "DeadLettersExpiring":
					seconds = 3600 // it looks back over five days
				}
				f.want(id+"'s period", p.at("Period"), seconds)
			}
			return f
		},
		mutations: []mutation{
			{"the average of a count", set(alarmType, "SendFailedAlarm", "Average", "Statistic")},
			{"the least age", set(alarmType, "QueueAgeAlarm", "Minimum", "Statistic")},
			{"the sum of a depth", set(alarmType, "DeadLettersAlarm", "Sum", "Statistic")},
			{"the sum of a rate", set(alarmType, "ClientErrorsAlarm", "Sum", "Statistic")},
			{"the median", set(alarmType, "LatencyAlarm", "p50", "ExtendedStatistic")},
			{"an hour", set(alarmType, "SendFailedAlarm", 3600, "Period")},
			{"a minute for ten", set(alarmType, "SpilledManyAlarm", 60, "Period")},
		},
	},
	{
		name: "missing data", why: "CloudWatch's default keeps the last state: an alarm that is over would stay, silence would never be noticed",
		check: func(d deployment) (f findings) {
			for _, id := range d.template.of(alarmType) {
				want := "notBreaching"
				if role(d, id) == "Silence" {
					want = "breaching"
				}
				f.want(id+"'s missing data", d.template.Resources[id].Properties.at("TreatMissingData"), want)
			}
			return f
		},
		mutations: []mutation{
			{"default", set(alarmType, "DeadLettersAlarm", nil, "TreatMissingData")},
			{"silence is good", set(alarmType, "SilenceAlarm", "notBreaching", "TreatMissingData")},
		},
	},
	{
		name: "dead letters are seen", why: "SQS does not count its own moves as sent, and leaves what was received three times out of the age of the oldest, as every dead letter was",
		check: func(d deployment) (f findings) {
			dead, expiring := d.template.props(alarmType, "DeadLettersAlarm"), d.template.props(alarmType, "DeadLettersExpiringAlarm")
			f.want("the metric", metric(dead), "AWS/SQS/ApproximateNumberOfMessagesVisible")
			f.want("the threshold", []any{dead.at("ComparisonOperator"), dead.at("Threshold"), dead.at("DatapointsToAlarm")}, []any{"GreaterThanThreshold", 0, 1})
			kept, _ := d.template.props(queueType, "DeadLetters").at("MessageRetentionPeriod").(float64)
			before, _ := d.template.props(queueType, "Queue").at("MessageRetentionPeriod").(float64)
			f.want("what tells of expiry", []any{metric(expiring), expiring.at("Statistic"), expiring.at("ComparisonOperator"), expiring.at("Threshold")},
				[]any{"AWS/SQS/ApproximateNumberOfMessagesVisible", "Maximum", "GreaterThanThreshold", 0})
			period, _ := expiring.at("Period").(float64)
			n, _ := expiring.at("EvaluationPeriods").(float64)
			m, _ := expiring.at("DatapointsToAlarm").(float64)
			// The worst has what is left after it waited in the queue; two days of that are for
			// whoever is paged.
			if left := kept - before - period*n; m != n || left < 2*24*3600 || period*n < 4*24*3600 {
				f.addf("%v of %v periods of %v s leave %v s until the worst expires", m, n, period, left)
			}
			return f
		},
		mutations: []mutation{
			{"messages sent", set(alarmType, "DeadLettersAlarm", "NumberOfMessagesSent", "MetricName")},
			{"ten of them", set(alarmType, "DeadLettersAlarm", 10, "Threshold")},
			{"the age, which leaves them out", set(alarmType, "DeadLettersExpiringAlarm", "ApproximateAgeOfOldestMessage", "MetricName")},
			{"silenced by whoever looks at them", set(alarmType, "DeadLettersExpiringAlarm", "Minimum", "Statistic")},
			{"too late", set(alarmType, "DeadLettersExpiringAlarm", 121, "EvaluationPeriods")},
			{"every now and then", set(alarmType, "DeadLettersExpiringAlarm", 1, "DatapointsToAlarm")},
		},
	},
	{
		name: "topics", why: "a topic with a policy lets nobody publish whom it does not name; what tells of a failing key must not need that key; under AWS's own key CloudWatch publishes nothing and says so nowhere",
		check: func(d deployment) (f findings) {
			f.want("the topics", len(d.template.of(topicType)), 2)
			for _, id := range d.template.of(topicType) {
				f.want(id+"'s key", d.template.Resources[id].Properties.at("KmsMasterKeyId"), nil)
				policy := policyOf(d.template, "AWS::SNS::TopicPolicy", "Topics", id)
				if !tlsOnly(policy, "sns:Publish") {
					f.addf("%s accepts plain HTTP", id)
				}
				alarms := slices.ContainsFunc(objects(policy.at("PolicyDocument", "Statement")), func(s object) bool {
					return s.is("Allow", "Effect") && s.is("sns:Publish", "Action") && s.is("cloudwatch.amazonaws.com", "Principal", "Service") &&
						strings.HasSuffix(literal(s.at("Condition", "ArnLike", "aws:SourceArn")), ":alarm:NylasWebhooks-"+d.stage.Name+"-*")
				})
				f.want("letting this stack's alarms publish to "+id, alarms, true)
			}
			return f
		},
		mutations: []mutation{
			{"AWS's key", set(topicType, "Pages", "alias/aws/sns", "KmsMasterKeyId")},
			{"the key that may fail", func(t template) {
				set(topicType, "Tickets", getAtt(t.of(keyType)[0], "Arn"), "KmsMasterKeyId")(t)
			}},
			{"no policy", func(t template) { delete(t.Resources, t.id("AWS::SNS::TopicPolicy", "PagesPolicy")) }},
			{"alarms not named", func(t template) {
				statements := objects(t.props("AWS::SNS::TopicPolicy", "PagesPolicy").at("PolicyDocument", "Statement"))
				statements[1]["Principal"] = map[string]any{"Service": "events.amazonaws.com"}
			}},
		},
	},
	{
		name: "recipients", why: "whom the settings name, and nobody else, hears of the alarms",
		check: func(d deployment) (f findings) {
			var got, want []string
			for _, id := range d.template.of("AWS::SNS::Subscription") {
				p := d.template.Resources[id].Properties
				got = append(got, fmt.Sprintf("%s %v %v", text(p.at("TopicArn")), p.at("Protocol"), p.at("Endpoint")))
			}
			for role, recipients := range map[string][2][]string{
				"Pages": {d.stage.Pages.Emails, d.stage.Pages.Endpoints}, "Tickets": {d.stage.Tickets.Emails, d.stage.Tickets.Endpoints},
			} {
				for i, protocol := range []string{"email", "https"} {
					for _, endpoint := range recipients[i] {
						want = append(want, fmt.Sprintf("%s %v %v", text(ref(d.template.id(topicType, role))), protocol, endpoint))
					}
				}
			}
			slices.Sort(got)
			slices.Sort(want)
			f.want("the subscriptions", got, want)
			return f
		},
		mutations: []mutation{
			{"nobody", func(t template) {
				for _, id := range t.of("AWS::SNS::Subscription") {
					delete(t.Resources, id)
				}
			}},
		},
	},
}

var dashboardRules = []rule{
	{
		name: "dashboard", why: "at three in the morning the picture is read from the top and from left to right; an alarm that is not on it is looked for in vain",
		check: func(d deployment) (f findings) {
			var body struct {
				Widgets []struct {
					Type       string
					X, Y       int
					Properties struct {
						Markdown string
						Alarms   []string
					}
				}
			}
			written := literal(d.template.props("AWS::CloudWatch::Dashboard", "Dashboard").at("DashboardBody"))
			if err := json.Unmarshal([]byte(written), &body); err != nil {
				f.addf("the body is not JSON: %v", err)
				return f
			}
			var shown, headings []string
			column := -1
			for _, w := range body.Widgets {
				switch {
				case w.Type == "alarm":
					f.want("where the alarms are", w.Y, 0)
					for _, alarm := range w.Properties.Alarms {
						shown = append(shown, strings.Trim(alarm, "<>"))
					}
				case w.Type == "text":
					if w.X <= column {
						f.addf("%s is not to the right of what comes before it", w.Properties.Markdown)
					}
					column = w.X
					headings = append(headings, strings.TrimPrefix(w.Properties.Markdown, "## "))
				}
			}
			slices.Sort(shown)
			f.want("the alarms", shown, d.template.of(alarmType))
			f.want("the columns", headings, []string{"Gateway", "Receiver", "Queue", "Dead letters"})
			return f
		},
		mutations: []mutation{
			{"empty", set("AWS::CloudWatch::Dashboard", "Dashboard", "{}", "DashboardBody")},
			{"an alarm not shown", func(t template) { t.Resources["XAlarm"] = &resource{Type: alarmType, Properties: object{}} }},
		},
	},
}

// dimensions returns what an alarm's dimensions must be for its metric: the resource
// of this stack that publishes it.
func dimensions(d deployment, alarm, metric string) any {
	dimension := func(name string, value any) map[string]any { return map[string]any{"Name": name, "Value": value} }
	namespace := metric[:strings.LastIndex(metric, "/")]
	switch {
	case namespace == "NylasWebhooks":
		return []any{dimension("Stage", d.template.props(functionType, "Receiver").at("Environment", "Variables", "WEBHOOK_STAGE"))}
	case namespace == "AWS/SQS" && strings.HasPrefix(alarm, "SpillWaiting"):
		return []any{dimension("QueueName", getAtt(notices(d.template), "QueueName"))}
	case namespace == "AWS/SQS" && strings.HasPrefix(alarm, "DeadLetters"):
		return []any{dimension("QueueName", getAtt(d.template.id(queueType, "DeadLetters"), "QueueName"))}
	case namespace == "AWS/SQS":
		return []any{dimension("QueueName", getAtt(d.template.id(queueType, "Queue"), "QueueName"))}
	case namespace == "AWS/ApiGateway":
		api := d.template.Resources[d.template.of(restAPIType)[0]].Properties
		return []any{dimension("ApiName", api.at("Name")), dimension("Stage", ref(d.template.of(apiStageType)[0]))}
	case metric == "AWS/Lambda/ClaimedAccountConcurrency": // the account's
		return nil
	case namespace == "AWS/Lambda":
		return []any{dimension("FunctionName", ref(d.template.id(functionType, "Receiver")))}
	}
	return "unknown namespace " + namespace
}

// overFiveMinutes are the alarms that do not look at single minutes: what comes too
// slowly for that, and tickets, of which one in five minutes is enough.
var overFiveMinutes = []string{
	"SpilledMany", "SpillWaiting", "QueueExpiring", "Silence", "Flood",
	"Spilled", "Mismatch", "NoSecret", "CompressedDelivery", "TestEvent", "ArchiveFailed",
}

// longest is how far back an alarm may look, in seconds: a day, and a week where its
// periods are an hour or more.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
func longest(period float64) float64 {
	if period >= 3600 {
		return 7 * 24 * 3600
	}
	return 24 * 3600
}

// statisticOf is the statistic in which a metric means what the alarms say.
// https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
// https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-metrics-and-dimensions.html
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
func statisticOf(metric string) string {
	switch metric {
	case "AWS/ApiGateway/4XXError", "AWS/ApiGateway/5XXError":
		return "Average" // of 0 and 1: the rate
	case "AWS/ApiGateway/Latency", "AWS/Lambda/Duration":
		return "p90"
	case "AWS/SQS/ApproximateAgeOfOldestMessage", "AWS/SQS/ApproximateNumberOfMessagesVisible", "AWS/SQS/ApproximateNumberOfMessagesNotVisible",
		"AWS/Lambda/ClaimedAccountConcurrency", "AWS/Lambda/ConcurrentExecutions":
		return "Maximum" // a level
	case "NylasWebhooks/Verified":
		return "Maximum" // 0 only where each was 0
	}
	return "Sum" // a count
}
