package stack

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// This file draws docs/pictures/architecture.svg from prod's template: what there is, and
// who may do what to it, by the policies. Where a part stands and how an arrow runs is
// written down here; a part or an arrow of the template that has no place fails the test.

// actor is who has a policy, by its role in the template.
var actors = map[string]string{
	"ReceiverPolicy": "Receiver", "ConsumerPolicy": "consumer", "WorkerPolicy": "consumer", "OperatorPolicy": "operator", "SecretPolicy": "keeper",
}

// verbs are what an arrow says, by the permission. Those without text are part of another.
var verbs = map[string]string{
	"sqs:SendMessage": "send", "sqs:ReceiveMessage": "receive", "sqs:DeleteMessage": "delete",
	"sqs:ChangeMessageVisibility": "", "sqs:GetQueueAttributes": "", "sqs:GetQueueUrl": "",
	"sqs:StartMessageMoveTask": "", "sqs:ListMessageMoveTasks": "", "sqs:CancelMessageMoveTask": "",
	"s3:PutObject": "put", "s3:GetObject": "get", "s3:DeleteObject": "delete", "s3:ListBucket": "",
	"secretsmanager:GetSecretValue": "read", "secretsmanager:PutSecretValue": "store", "secretsmanager:UpdateSecretVersionStage": "",
}

// order is that of verbs on one arrow.
var order = []string{"read", "receive", "get", "send", "put", "store", "delete"}

// inBox are permissions that are no arrow but a line in a box, or nothing to look at.
var inBox = []string{"kms:", "logs:", "xray:", "cloudformation:", "cloudwatch:", "sns:"}

// place is where a part stands.
type place struct {
	class, title string
	x, y, w, h   int
	lines        func(t template) []string
}

// places are the parts, by role in the template, and those outside it, in small letters.
var places = map[string]place{
	"nylas":        {"out", "Nylas", 20, 176, 104, 60, nil},
	"Endpoint":     {"box", "API Gateway", 196, 160, 168, 94, endpointLines},
	"Receiver":     {"box", "Lambda, in Go", 444, 160, 168, 94, receiverLines},
	"Secret":       {"data", "Secrets Manager", 444, 40, 168, 56, func(template) []string { return []string{"the webhook secret"} }},
	"Queue":        {"data", "SQS queue", 700, 160, 168, 94, queueLines("Queue")},
	"DeadLetters":  {"data", "dead-letter queue", 700, 344, 168, 74, queueLines("DeadLetters")},
	"Bucket":       {"data", "S3 bucket", 444, 344, 168, 74, bucketLines},
	"SpillNotices": {"data", "queue of notices", 444, 500, 168, 56, queueLines("SpillNotices")},
	"consumer":     {"out", "your consumer", 972, 160, 140, 94, func(template) []string { return []string{"ConsumerPolicy,", "WorkerPolicy"} }},
	"keeper":       {"out", "who has the secret", 700, 40, 168, 56, func(template) []string { return []string{"SecretPolicy"} }},
	"operator":     {"out", "operator, hookctl", 700, 500, 168, 56, func(template) []string { return []string{"OperatorPolicy"} }},
	"alarms":       {"bad", "", 196, 614, 672, 62, alarmLines},
	"Pages":        {"bad", "pages", 972, 594, 140, 48, func(t template) []string { return []string{topicLine(t, "Pages")} }},
	"Tickets":      {"bad", "tickets", 972, 650, 140, 48, func(t template) []string { return []string{topicLine(t, "Tickets")} }},
}

// way is how an arrow runs, and where its text stands.
type way struct {
	both, maybe bool // two heads; only when something has gone wrong, or somebody does it
	points      [][2]int
	textX       int
	textY       int
	anchor      string
	when        string // after the text: what the template does not say
}

// ways are the arrows that have a place, by "from to".
var ways = map[string]way{
	"nylas Endpoint":        {points: [][2]int{{124, 206}, {196, 206}}, textX: 160, textY: 198, anchor: "middle"},
	"Endpoint Receiver":     {points: [][2]int{{364, 206}, {444, 206}}, textX: 404, textY: 198, anchor: "middle"},
	"Receiver Secret":       {points: [][2]int{{528, 160}, {528, 96}}, textX: 536, textY: 132, anchor: "start"},
	"Receiver Queue":        {points: [][2]int{{612, 206}, {700, 206}}, textX: 656, textY: 198, anchor: "middle"},
	"Receiver Bucket":       {maybe: true, points: [][2]int{{528, 254}, {528, 344}}, textX: 520, textY: 304, anchor: "end", when: ": SQS is down, or it is too large"},
	"keeper Secret":         {both: true, maybe: true, points: [][2]int{{700, 68}, {612, 68}}, textX: 656, textY: 60, anchor: "middle"},
	"consumer Queue":        {both: true, points: [][2]int{{868, 206}, {972, 206}}, textX: 920, textY: 198, anchor: "middle"},
	"consumer Bucket":       {maybe: true, points: [][2]int{{612, 360}, {652, 360}, {652, 312}, {1010, 312}, {1010, 254}}, textX: 778, textY: 306, anchor: "start", when: " what is too large"},
	"consumer DeadLetters":  {maybe: true, points: [][2]int{{1060, 254}, {1060, 381}, {868, 381}}, textX: 946, textY: 405, anchor: "start", when: " what the CRM rejects"},
	"Queue DeadLetters":     {maybe: true, points: [][2]int{{760, 254}, {760, 344}}, textX: 768, textY: 280, anchor: "start"},
	"operator DeadLetters":  {both: true, maybe: true, points: [][2]int{{760, 500}, {760, 418}}, textX: 768, textY: 464, anchor: "start"},
	"operator Queue":        {maybe: true, points: [][2]int{{868, 516}, {930, 516}, {930, 236}, {868, 236}}, textX: 938, textY: 464, anchor: "start"},
	"operator Bucket":       {both: true, maybe: true, points: [][2]int{{700, 514}, {656, 514}, {656, 396}, {612, 396}}, textX: 664, textY: 464, anchor: "start"},
	"operator SpillNotices": {both: true, maybe: true, points: [][2]int{{700, 540}, {612, 540}}, textX: 656, textY: 572, anchor: "middle"},
	"Bucket SpillNotices":   {maybe: true, points: [][2]int{{528, 418}, {528, 500}}, textX: 520, textY: 464, anchor: "end"},
	"alarms Pages":          {maybe: true, points: [][2]int{{868, 620}, {972, 620}}},
	"alarms Tickets":        {maybe: true, points: [][2]int{{868, 670}, {972, 670}}},
}

// undrawn are the types that are a setting of what is drawn, or a line in a box.
var undrawn = []string{
	"AWS::ApiGateway::Deployment", "AWS::ApiGateway::GatewayResponse", "AWS::ApiGateway::Method", "AWS::ApiGateway::Resource", "AWS::ApiGateway::Stage",
	"AWS::CloudWatch::Alarm", "AWS::CloudWatch::Dashboard", "AWS::Events::Rule", "AWS::IAM::ManagedPolicy", "AWS::IAM::Role", "AWS::KMS::Key",
	"AWS::Lambda::Alias", "AWS::Lambda::Permission", "AWS::Lambda::Version", "AWS::Logs::LogGroup", "AWS::Logs::MetricFilter",
	"AWS::S3::BucketPolicy", "AWS::SNS::TopicPolicy", "AWS::SQS::QueuePolicy",
}

// roleOf is the role of a resource in the template, without the CDK's hash.
func roleOf(id string) string {
	if len(id) > 8 && strings.Trim(id[len(id)-8:], "0123456789ABCDEF") == "" {
		return id[:len(id)-8]
	}
	return id
}

// arrows are who does what to whom, with the text of each arrow.
func arrows(t template) (map[string]string, error) {
	said := make(map[string][]string)
	say := func(from, to string, text ...string) {
		for _, word := range text {
			if key := from + " " + to; word != "" && !slices.Contains(said[key], word) {
				said[key] = append(said[key], word)
			}
		}
	}
	for _, id := range t.of("AWS::IAM::ManagedPolicy") {
		actor, ok := actors[roleOf(id)]
		if !ok {
			return nil, fmt.Errorf("%s is a policy of nobody that is drawn", id)
		}
		for _, s := range objects(t.Resources[id].Properties.at("PolicyDocument", "Statement")) {
			for _, action := range list(s["Action"]) {
				name := fmt.Sprint(action)
				if slices.ContainsFunc(inBox, func(prefix string) bool { return strings.HasPrefix(name, prefix) }) {
					continue
				}
				verb, ok := verbs[name]
				if !ok {
					return nil, fmt.Errorf("%s may %s, for which no arrow has a word", id, name)
				}
				for _, to := range references(s["Resource"]) {
					say(actor, roleOf(to), verb)
				}
			}
		}
	}
	for _, id := range t.of("AWS::ApiGateway::Method") {
		say("nylas", "Endpoint", fmt.Sprint(t.Resources[id].Properties["HttpMethod"]))
	}
	for _, id := range t.of("AWS::Lambda::Permission") {
		alias := references(t.Resources[id].Properties["FunctionName"])
		for _, to := range alias {
			say("Endpoint", roleOf(references(t.Resources[to].Properties["FunctionName"])[0]), "invoke")
		}
	}
	for _, id := range t.of("AWS::SQS::Queue") {
		if p := t.Resources[id].Properties; p["RedrivePolicy"] != nil {
			say(roleOf(id), roleOf(references(p.at("RedrivePolicy", "deadLetterTargetArn"))[0]), fmt.Sprintf("after %v receives", p.at("RedrivePolicy", "maxReceiveCount")))
		}
	}
	for _, id := range t.of("AWS::Events::Rule") {
		p := t.Resources[id].Properties
		for _, to := range references(p.at("Targets")) {
			say(roleOf(references(p.at("EventPattern", "detail", "bucket"))[0]), roleOf(to), fmt.Sprintf("for each in %v", p.at("EventPattern", "detail", "object", "key", "0", "prefix")))
		}
	}
	for _, id := range t.of("AWS::CloudWatch::Alarm") {
		for _, to := range references(t.Resources[id].Properties["AlarmActions"]) {
			say("alarms", roleOf(to), " ")
		}
	}
	texts := make(map[string]string)
	for key, words := range said {
		// As one does them, where they are verbs.
		slices.SortStableFunc(words, func(a, b string) int { return slices.Index(order, a) - slices.Index(order, b) })
		texts[key] = strings.TrimSpace(strings.Join(words, ", "))
	}
	return texts, nil
}

// days of a number of seconds.
func days(seconds any) string {
	n, _ := seconds.(float64)
	return fmt.Sprintf("%.0f days", n/86400)
}

func endpointLines(t template) []string {
	stage := t.Resources[t.of("AWS::ApiGateway::Stage")[0]].Properties
	rate, _ := stage.at("MethodSettings", "0", "ThrottlingRateLimit").(float64)
	log := t.Resources[references(stage.at("AccessLogSetting", "DestinationArn"))[0]].Properties
	return []string{
		fmt.Sprintf("/%v, TLS 1.2 and 1.3", t.props("AWS::ApiGateway::Resource", "Endpointnylas")["PathPart"]),
		fmt.Sprintf("throttle %s a second", count(rate)), fmt.Sprintf("access log, %v days", log["RetentionInDays"]),
	}
}

func receiverLines(t template) []string {
	f := t.props("AWS::Lambda::Function", "Receiver")
	log := t.Resources[references(f.at("LoggingConfig", "LogGroup"))[0]].Properties
	last := fmt.Sprintf("log, %v days", log["RetentionInDays"])
	if f.at("TracingConfig", "Mode") == "Active" {
		last += "; X-Ray"
	}
	return []string{"verifies the signature", fmt.Sprintf("%v MB, %v s at most", f["MemorySize"], f["Timeout"]), last}
}

func queueLines(role string) func(template) []string {
	return func(t template) []string {
		q := t.props("AWS::SQS::Queue", role)
		key := "SQS's own key"
		if q["KmsMasterKeyId"] != nil {
			key = "the stage's KMS key"
		}
		lines := []string{"kept " + days(q["MessageRetentionPeriod"])}
		if role == "SpillNotices" {
			return lines
		}
		return append(lines, key)
	}
}

func bucketLines(t template) []string {
	var lines []string
	for _, rule := range objects(t.props("AWS::S3::Bucket", "Bucket").at("LifecycleConfiguration", "Rules")) {
		prefix := fmt.Sprint(rule["Prefix"])
		if rule["Prefix"] == nil {
			prefix = "overflow/"
		}
		lines = append(lines, fmt.Sprintf("%s %v days", prefix, rule["ExpirationInDays"]))
	}
	slices.Reverse(lines)
	return lines
}

// alarmLines say how many alarms watch what.
func alarmLines(t template) []string {
	watched := make(map[string]int)
	for _, id := range t.of("AWS::CloudWatch::Alarm") {
		p := t.Resources[id].Properties
		what := map[any]string{"AWS/ApiGateway": "the gateway", "AWS/Lambda": "Lambda", "NylasWebhooks": "the receiver's own metrics"}[p["Namespace"]]
		if p["Namespace"] == "AWS/SQS" {
			what = map[string]string{"Queue": "the queue", "DeadLetters": "dead letters", "SpillNotices": "notices"}[roleOf(references(p.at("Dimensions"))[0])]
		}
		watched[what]++
	}
	if watched[""] > 0 {
		return []string{"alarms on what has no name here"} // and the test fails, see below
	}
	var parts []string
	total := 0
	for _, what := range slices.SortedFunc(maps.Keys(watched), func(a, b string) int {
		if watched[a] != watched[b] {
			return watched[b] - watched[a]
		}
		return strings.Compare(a, b)
	}) {
		parts = append(parts, fmt.Sprintf("%s %d", what, watched[what]))
		total += watched[what]
	}
	return []string{fmt.Sprintf("%d alarms in CloudWatch", total), strings.Join(parts, " · ")}
}

func topicLine(t template, role string) string {
	n := 0
	for _, id := range t.of("AWS::CloudWatch::Alarm") {
		if slices.ContainsFunc(references(t.Resources[id].Properties["AlarmActions"]), func(to string) bool { return roleOf(to) == role }) {
			n++
		}
	}
	return fmt.Sprintf("of %d alarms", n)
}

// diagram draws the template, or says what has no place.
func diagram(t template) (string, error) {
	for _, id := range slices.Sorted(maps.Keys(t.Resources)) {
		if _, placed := places[roleOf(id)]; !placed && !slices.Contains(undrawn, t.Resources[id].Type) {
			return "", fmt.Errorf("%s (%s) has no place in the picture", id, t.Resources[id].Type)
		}
	}
	texts, err := arrows(t)
	if err != nil {
		return "", err
	}
	if slices.Contains(alarmLines(t), "alarms on what has no name here") {
		return "", fmt.Errorf("an alarm watches what alarmLines has no name for")
	}
	s := newSVG(1132, 716, "Architecture of the stage prod", "Drawn from the CloudFormation template: parts, and who may do what to them. docs/architecture.md says the same in words.")
	for _, key := range slices.Sorted(maps.Keys(ways)) {
		if _, ok := texts[key]; !ok {
			return "", fmt.Errorf("the arrow %q is in no policy of the template any more", key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(texts)) {
		w, ok := ways[key]
		if !ok {
			return "", fmt.Errorf("the arrow %q (%s) has no place in the picture", key, texts[key])
		}
		class := ""
		if w.maybe {
			class = "maybe"
		}
		s.arrow(class, w.both, w.points...)
		if texts[key] != "" {
			s.text("small", w.anchor, w.textX, w.textY, texts[key]+w.when)
		}
	}
	for _, role := range slices.Sorted(maps.Keys(places)) {
		p := places[role]
		s.rect(p.class, p.x, p.y, p.w, p.h)
		y := p.y + 20
		if p.lines == nil {
			y = p.y + p.h/2 + 5
		}
		if p.title != "" {
			s.text("title", "middle", p.x+p.w/2, y, p.title)
			y += 19
		}
		if p.lines == nil {
			continue
		}
		for i, line := range p.lines(t) {
			class := "small"
			if p.title == "" && i == 0 {
				class, y = "title", p.y+26
			}
			s.text(class, "middle", p.x+p.w/2, y, line)
			y += 18
		}
	}
	s.arrow("", false, [2]int{20, 560}, [2]int{60, 560})
	s.text("small", "start", 68, 564, "each time")
	s.arrow("maybe", false, [2]int{20, 584}, [2]int{60, 584})
	s.text("small", "start", 68, 588, "when it fails,")
	s.text("small", "start", 68, 604, "or by hand")
	return s.done(), nil
}

func TestDiagram(t *testing.T) {
	picture, err := diagram(stacks["prod"].template)
	if err != nil {
		t.Fatal(err)
	}
	keepFile(t, "pictures/architecture.svg", picture)
}

// What comes, goes or may do more changes the picture, or stops it.
func TestDiagramNotices(t *testing.T) {
	was, err := diagram(stacks["prod"].template)
	if err != nil {
		t.Fatal(err)
	}
	statements := func(tt template, role string) []any {
		return tt.props("AWS::IAM::ManagedPolicy", role)["PolicyDocument"].(map[string]any)["Statement"].([]any)
	}
	for name, change := range map[string]func(tt template){
		"longer kept":   func(tt template) { tt.props("AWS::SQS::Queue", "Queue")["MessageRetentionPeriod"] = 86400.0 },
		"no redrive":    func(tt template) { delete(tt.props("AWS::SQS::Queue", "Queue"), "RedrivePolicy") },
		"an alarm less": func(tt template) { delete(tt.Resources, tt.id("AWS::CloudWatch::Alarm", "BacklogAlarm")) },
		"another throttle": func(tt template) {
			tt.Resources[tt.of("AWS::ApiGateway::Stage")[0]].Properties["MethodSettings"].([]any)[0].(map[string]any)["ThrottlingRateLimit"] = 5.0
		},
		"the receiver may read": func(tt template) {
			statements(tt, "ReceiverPolicy")[0].(map[string]any)["Action"] = "sqs:ReceiveMessage"
		},
		"the receiver goes on": func(tt template) {
			statements(tt, "ReceiverPolicy")[0].(map[string]any)["Resource"] = getAtt(tt.id("AWS::SQS::Queue", "DeadLetters"), "Arn")
		},
		"the consumer may purge": func(tt template) { statements(tt, "ConsumerPolicy")[0].(map[string]any)["Action"] = "sqs:PurgeQueue" },
		"a part more":            func(tt template) { tt.Resources["More"] = &resource{Type: "AWS::SQS::Queue", Properties: object{}} },
		"nobody is woken": func(tt template) {
			for _, id := range tt.of("AWS::CloudWatch::Alarm") {
				tt.Resources[id].Properties["AlarmActions"] = []any{ref(tt.id("AWS::SNS::Topic", "Tickets"))}
			}
		},
	} {
		changed := stacks["prod"].template.clone()
		change(changed)
		if now, err := diagram(changed); err == nil && now == was {
			t.Errorf("%s: the picture is the same", name)
		}
	}
}
