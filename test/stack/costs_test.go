package stack

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/onepagecrm/nylas-webhooks/lambda/contract"
	"github.com/onepagecrm/nylas-webhooks/notification"
)

// This file computes docs/costs.md: what prod's template costs a month at three volumes,
// by AWS's prices and the assumptions below. What the template says (alarms, memory,
// tracing, retention, key) is read from it, so a change of the stack changes the page.

const (
	month = 30 * 24 * 60 * 60 // seconds

	// bodyBytes is a mail with some HTML. Nylas sends whole mails up to 1 MB; calendar,
	// contact and grant notifications have 1 to 2 kB. A second table shows other sizes.
	bodyBytes = 40_000
	// sqsStep is what SQS bills as one request. https://aws.amazon.com/sqs/pricing/
	sqsStep = 65_536
	// billedMilliseconds of a warm request: SQS takes about 15 ms to answer inside a region,
	// and 256 MB is a seventh of a processor for some milliseconds of work. Doubled.
	billedMilliseconds = 50
	// burst is how many times the mean rate an hour in the middle of the day brings; so
	// many copies of the function read the secret.
	burst = 10
	// secretCalls every secretSeconds, by each copy: the current and the previous value.
	secretCalls, secretSeconds = 2, 300
	// pollSeconds is the long poll of an idle consumer, of which there are two.
	pollSeconds, consumers = 20, 2
	// keyReuseSeconds is how long SQS uses a data key, where the template says nothing.
	// AWS: reads of the key = seconds / reuse * (2 * senders + receivers).
	// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html#sqs-estimate-kms-usage-costs
	keyReuseSeconds, senders, receivers = 300, 1, 1
	// X-Ray's default rule: one request a second, and of the others one in twenty.
	// https://docs.aws.amazon.com/xray/latest/devguide/xray-console-sampling.html
	tracedPerSecond, tracedShare = 1, 0.05
)

// attributeBytes are the attributes of a message, with ids as long as Nylas's and AWS's.
var attributeBytes = func() float64 {
	n := notification.Notification{
		Body: []byte("{}"), ID: strings.Repeat("n", 36), Type: "message.created", GrantID: strings.Repeat("g", 36), Attempt: 1,
		ReceivedAt: time.Unix(1_795_703_000, 0), Signature: notification.Sign("a secret", []byte("{}")), RequestID: "BcD1eFgHiJkLmNo=",
	}
	message, err := n.Encode()
	if err != nil {
		panic(err) // {} is a body that SQS takes
	}
	return float64(message.Size() - len(n.Body))
}()

// costs is what a deployment costs, by what its template says.
type costs struct {
	d    deployment
	used map[string]bool // prices
	err  error           // the first that went wrong
}

// of is what so many units cost.
func (c *costs) of(name string, units float64) float64 {
	p, ok := prices[name]
	if !ok {
		c.fail("there is no price %q in prices_test.go", name)
	}
	c.used[name] = true
	return units / p.units * p.dollars
}

func (c *costs) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf(format, args...)
	}
}

// number is the number at a path of a resource.
func (c *costs) number(kind, role string, path ...string) float64 {
	n, ok := c.d.template.props(kind, role).at(path...).(float64)
	if !ok {
		c.fail("%s %s has no number %v", kind, role, path)
	}
	return n
}

// logBytes are what a request writes into the log groups of receiver and gateway.
func (c *costs) logBytes() (receiver, lambda, access float64) {
	format, _ := c.d.template.props("AWS::ApiGateway::Stage", c.stageID()).at("AccessLogSetting", "Format").(string)
	line := accessVariable.ReplaceAllStringFunc(format, func(variable string) string {
		value, ok := accessValues[strings.TrimPrefix(variable, "$context.")]
		if !ok {
			c.fail("the access log has %s, and accessValues has no example of it", variable)
		}
		return value
	})
	if level := c.d.template.props("AWS::Lambda::Function", "Receiver").at("LoggingConfig", "SystemLogLevel"); level == nil || level == "INFO" {
		lambda = float64(len(strings.Join(lambdaLines, "")))
	} else if level != "WARN" {
		c.fail("what Lambda writes at level %v is not known", level)
	}
	return float64(len(receiverLine())), lambda, float64(len(line))
}

func (c *costs) stageID() string { return c.d.template.of("AWS::ApiGateway::Stage")[0] }

// requests is what the way to the function costs, whoever calls.
func (c *costs) requests(n float64) (gateway, calls, compute, logs float64) {
	f := c.d.template.props("AWS::Lambda::Function", "Receiver")
	gateway = c.of("API Gateway, REST API", n)
	calls = c.of("Lambda, requests", n)
	processor := strings.Trim(text(f.at("Architectures")), `[]"`)
	compute = c.of("Lambda, "+processor, n*billedMilliseconds/1000*c.number("AWS::Lambda::Function", "Receiver", "MemorySize")/1024)
	receiver, lambda, access := c.logBytes()
	logs = c.logs("ReceiverLogs", n*(receiver+lambda)) + c.logs("AccessLogs", n*access)
	return gateway, calls, compute, logs
}

// logs of so many bytes a month, taken in and kept; they are kept compressed, and are
// counted as they are.
func (c *costs) logs(role string, bytes float64) float64 {
	if class := c.d.template.props("AWS::Logs::LogGroup", role).at("LogGroupClass"); class != nil && class != "STANDARD" {
		c.fail("there is no price for log groups of class %v", class)
	}
	kept := c.number("AWS::Logs::LogGroup", role, "RetentionInDays") / 30
	return c.of("CloudWatch Logs, ingestion", bytes) + c.of("CloudWatch Logs, storage", bytes*kept)
}

// sqs is what n messages of a size cost on their way over a queue, of which so many are
// received and deleted at once.
func (c *costs) sqs(n, bytes, batch float64) float64 {
	requests := n * (math.Ceil(bytes/sqsStep) + math.Ceil(batch*bytes/sqsStep)/batch + 1/batch)
	return c.of("SQS", requests) + c.of("SQS, fair queue", requests)
}

// traces of n requests that are spread evenly, which is the worst case.
func (c *costs) traces(n float64) float64 {
	if c.d.template.props("AWS::ApiGateway::Stage", c.stageID()).at("TracingEnabled") != true {
		return 0
	}
	first := min(n, month*tracedPerSecond)
	return c.of("X-Ray", first+(n-first)*tracedShare)
}

// watching is what alarms, metrics and the dashboard cost, whatever arrives.
func (c *costs) watching() (dollars float64, alarms, metrics int) {
	for _, id := range c.d.template.of("AWS::CloudWatch::Alarm") {
		p := c.d.template.Resources[id].Properties
		if p.at("Metrics") != nil {
			c.fail("alarm %s has several metrics, and each is billed; count them", id)
		}
		if period, _ := p["Period"].(float64); period < 60 {
			c.fail("alarm %s has a high resolution, for which there is no price here", id)
		}
		alarms++
	}
	metrics = len(contract.Metrics) + len(c.d.template.of("AWS::Logs::MetricFilter"))
	if c.d.stage.ArchiveDays == 0 {
		metrics-- // ArchiveFailed
	}
	dashboards := len(c.d.template.of("AWS::CloudWatch::Dashboard"))
	return c.of("CloudWatch, alarm", float64(alarms)) + c.of("CloudWatch, custom metric", float64(metrics)) + c.of("CloudWatch, dashboard", float64(dashboards)), alarms, metrics
}

// key is the stage's KMS key and what SQS asks of it.
func (c *costs) key() float64 {
	keys := float64(len(c.d.template.of("AWS::KMS::Key")))
	asks := float64(0)
	if queue := c.d.template.props("AWS::SQS::Queue", "Queue"); queue["KmsMasterKeyId"] != nil {
		reuse := float64(keyReuseSeconds)
		if given, ok := queue["KmsDataKeyReusePeriodSeconds"].(float64); ok {
			reuse = given
		}
		asks = month / reuse * (2*senders + receivers)
	}
	return c.of("KMS, key", keys) + c.of("KMS, requests", asks)
}

// secret is the secret and how often it is read.
func (c *costs) secret(n float64) float64 {
	copies := max(1, math.Ceil(n/month*billedMilliseconds/1000*burst))
	calls := min(n, copies*month/secretSeconds) * secretCalls
	return c.of("Secrets Manager, secret", float64(len(c.d.template.of("AWS::SecretsManager::Secret")))) + c.of("Secrets Manager, calls", calls)
}

// part is a row: what a volume costs a month.
type part struct {
	name string
	cost func(n float64) float64
}

func (c *costs) parts() []part {
	return []part{
		{"API Gateway", func(n float64) float64 { gateway, _, _, _ := c.requests(n); return gateway }},
		{"SQS: send, receive, delete", func(n float64) float64 {
			return c.sqs(n, bodyBytes+attributeBytes, 1) + c.of("SQS", consumers*month/pollSeconds)
		}},
		{"CloudWatch Logs: taken in, kept", func(n float64) float64 { _, _, _, logs := c.requests(n); return logs }},
		{"X-Ray", c.traces},
		{"Lambda: requests", func(n float64) float64 { _, calls, _, _ := c.requests(n); return calls }},
		{"Lambda: compute", func(n float64) float64 { _, _, compute, _ := c.requests(n); return compute }},
		{"Secrets Manager", c.secret},
		{"KMS", func(float64) float64 { return c.key() }},
		{"alarms, metrics, dashboard", func(float64) float64 { dollars, _, _ := c.watching(); return dollars }},
		{"S3, SNS, EventBridge", func(float64) float64 { return 0 }}, // nothing is spilled, no alarm rings
	}
}

// volumes are notifications a month: a small company, a large one, and what is near the
// end of API Gateway's first price step.
var volumes = []float64{100_000, 10_000_000, 300_000_000}

// render writes the page's tables.
func (c *costs) render() string {
	var b strings.Builder
	b.WriteString("| dollars a month |")
	for _, n := range volumes {
		fmt.Fprintf(&b, " %s notifications |", count(n))
	}
	b.WriteString("\n| --- | ---: | ---: | ---: |\n")
	totals := make([]float64, len(volumes))
	compute := make([]float64, len(volumes))
	for _, p := range c.parts() {
		fmt.Fprintf(&b, "| %s |", p.name)
		for i, n := range volumes {
			cost := p.cost(n)
			totals[i] += cost
			if p.name == "Lambda: compute" {
				compute[i] = cost
			}
			fmt.Fprintf(&b, " %s |", dollars(cost))
		}
		b.WriteString("\n")
	}
	row := func(name string, value func(i int) string) {
		fmt.Fprintf(&b, "| **%s** |", name)
		for i := range volumes {
			fmt.Fprintf(&b, " **%s** |", value(i))
		}
		b.WriteString("\n")
	}
	row("together", func(i int) string { return dollars(totals[i]) })
	row("per million notifications", func(i int) string { return dollars(totals[i] / volumes[i] * 1e6) })
	row("of it Lambda's compute", func(i int) string { return fmt.Sprintf("%.0f %%", compute[i]/totals[i]*100) })

	receiver, lambda, access := c.logBytes()
	_, alarms, metrics := c.watching()
	fmt.Fprintf(&b, "\nRead from the template: %d alarms, %d metrics of its own, %.0f MB of memory, logs kept for %.0f days. A request writes %s bytes of log: the receiver's line %.0f, Lambda's own two %.0f, the access log's %.0f.\n",
		alarms, metrics, c.number("AWS::Lambda::Function", "Receiver", "MemorySize"), c.number("AWS::Logs::LogGroup", "ReceiverLogs", "RetentionInDays"),
		count(receiver+lambda+access), receiver, lambda, access)

	b.WriteString("\n| what else | dollars |\n| --- | ---: |\n")
	other := func(name string, cost float64) { fmt.Fprintf(&b, "| %s | %s |\n", name, dollars(cost)) }
	for _, size := range []float64{1_000, bodyBytes, 200_000, 900_000} {
		other(fmt.Sprintf("SQS, a million notifications of %s bytes", count(size)), c.sqs(1e6, size+attributeBytes, 1))
	}
	other("the same of 1,000 bytes, received and deleted in batches of ten", c.sqs(1e6, 1_000+attributeBytes, 10))
	other("a million notifications spilled to S3 in an outage, and replayed", c.of("S3, PUT", 1e6)+c.of("S3, GET", 1e6)+c.sqs(1e6, bodyBytes+attributeBytes, 1)+c.sqs(1e6, 1_000, 10))
	other("an archive of 14 days (`ArchiveDays`), a million notifications", c.of("S3, PUT", 1e6)+c.of("S3, storage", 1e6*bodyBytes*14/30))
	other("the table against duplicates (`Deduplicate`), a million notifications: two writes each", c.of("DynamoDB, writes", 2e6))
	other("an HTTP API in place of the REST API, a million requests", c.of("API Gateway, HTTP API", 1e6))
	flood := c.number("AWS::ApiGateway::Stage", c.stageID(), "MethodSettings", "0", "ThrottlingRateLimit") * 24 * 60 * 60
	gateway, calls, duration, logs := c.requests(flood)
	other(fmt.Sprintf("a day of forged requests at the throttle, %s of them", count(flood)), gateway+calls+duration+logs+c.traces(flood)-c.traces(0))

	b.WriteString("\n| price | dollars | per | AWS's page | read in |\n| --- | ---: | --- | --- | --- |\n")
	for _, name := range slices.Sorted(maps.Keys(c.used)) {
		p := prices[name]
		fmt.Fprintf(&b, "| %s | %s | %s | [page](%s) | %s |\n", name, strconv.FormatFloat(p.dollars, 'f', -1, 64), p.unit, p.page, p.read)
	}
	return b.String()
}

// dollars with cents, and with commas where there are thousands.
func dollars(d float64) string {
	if d >= 1000 {
		return count(math.Round(d))
	}
	return fmt.Sprintf("%.2f", d)
}

// count with a comma at the thousands.
func count(n float64) string {
	digits := fmt.Sprintf("%.0f", n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// free are the types of resources that cost nothing by themselves.
var free = []string{
	"AWS::ApiGateway::Deployment", "AWS::ApiGateway::GatewayResponse", "AWS::ApiGateway::Method", "AWS::ApiGateway::Resource", "AWS::ApiGateway::Stage",
	"AWS::Events::Rule", "AWS::IAM::ManagedPolicy", "AWS::IAM::Role", "AWS::Lambda::Alias", "AWS::Lambda::Permission", "AWS::Lambda::Version",
	"AWS::S3::BucketPolicy", "AWS::SNS::Topic", "AWS::SNS::TopicPolicy", "AWS::SQS::QueuePolicy",
}

// counted are the types whose price is in the page.
var counted = []string{
	"AWS::ApiGateway::RestApi", "AWS::CloudWatch::Alarm", "AWS::CloudWatch::Dashboard", "AWS::KMS::Key", "AWS::Lambda::Function", "AWS::Logs::LogGroup",
	"AWS::Logs::MetricFilter", "AWS::S3::Bucket", "AWS::SQS::Queue", "AWS::SecretsManager::Secret",
}

// costsOf returns the page's tables, or what the template has that nobody priced.
func costsOf(d deployment) (string, error) {
	for id, r := range d.template.Resources {
		if !slices.Contains(free, r.Type) && !slices.Contains(counted, r.Type) {
			return "", fmt.Errorf("%s is %s, and costs_test.go knows no price for that", id, r.Type)
		}
	}
	c := costs{d: d, used: make(map[string]bool)}
	page := c.render()
	return page, c.err
}

func TestCosts(t *testing.T) {
	page, err := costsOf(stacks["prod"])
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range prices {
		if !strings.Contains(page, "| "+name+" |") && name != "Lambda, x86_64" { // a stage's choice
			t.Errorf("price %q is used nowhere", name)
		}
		if p.dollars <= 0 || p.units <= 0 || p.unit == "" || p.read == "" || !strings.HasPrefix(p.page, "https://aws.amazon.com/") {
			t.Errorf("price %q lacks its number, unit or source: %+v", name, p)
		}
	}
	keepComputed(t, "costs.md", page)
}

// What is read from the template changes the page, and what has no price stops it.
func TestCostsNotice(t *testing.T) {
	was, err := costsOf(stacks["prod"])
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(tt template){
		"tracing off": func(tt template) {
			delete(tt.Resources[tt.of("AWS::ApiGateway::Stage")[0]].Properties, "TracingEnabled")
		},
		"more memory":       func(tt template) { tt.props("AWS::Lambda::Function", "Receiver")["MemorySize"] = 512.0 },
		"another processor": func(tt template) { tt.props("AWS::Lambda::Function", "Receiver")["Architectures"] = []any{"x86_64"} },
		"an alarm less":     func(tt template) { delete(tt.Resources, tt.id("AWS::CloudWatch::Alarm", "BacklogAlarm")) },
		"logs kept longer":  func(tt template) { tt.props("AWS::Logs::LogGroup", "ReceiverLogs")["RetentionInDays"] = 365.0 },
		"fewer lines": func(tt template) {
			tt.props("AWS::Lambda::Function", "Receiver")["LoggingConfig"].(map[string]any)["SystemLogLevel"] = "WARN"
		},
		"no key":           func(tt template) { delete(tt.Resources, tt.of("AWS::KMS::Key")[0]) },
		"data keys longer": func(tt template) { tt.props("AWS::SQS::Queue", "Queue")["KmsDataKeyReusePeriodSeconds"] = 3600.0 },
		"a longer log line": func(tt template) {
			tt.Resources[tt.of("AWS::ApiGateway::Stage")[0]].Properties["AccessLogSetting"].(map[string]any)["Format"] = "$context.status and more"
		},
		"unknown: variable": func(tt template) {
			tt.Resources[tt.of("AWS::ApiGateway::Stage")[0]].Properties["AccessLogSetting"].(map[string]any)["Format"] = "$context.identity.sourceIp"
		},
		"unknown: resource": func(tt template) {
			tt.Resources["Firewall"] = &resource{Type: "AWS::WAFv2::WebACL", Properties: object{}}
		},
		"unknown: log class": func(tt template) {
			tt.props("AWS::Logs::LogGroup", "ReceiverLogs")["LogGroupClass"] = "INFREQUENT_ACCESS"
		},
		"unknown: metrics": func(tt template) { tt.props("AWS::CloudWatch::Alarm", "BacklogAlarm")["Metrics"] = []any{} },
		"unknown: period":  func(tt template) { tt.props("AWS::CloudWatch::Alarm", "BacklogAlarm")["Period"] = 10.0 },
	} {
		d := deployment{stage: stacks["prod"].stage, template: stacks["prod"].template.clone()}
		change(d.template)
		page, err := costsOf(d)
		if strings.HasPrefix(name, "unknown") != (err != nil) {
			t.Errorf("%s: error %v", name, err)
		}
		if err == nil && page == was {
			t.Errorf("%s: the page is the same", name)
		}
	}
}
