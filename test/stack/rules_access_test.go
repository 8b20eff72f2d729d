package stack

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// resourcePolicies are where the statements of a resource's own policy stand, by type.
var resourcePolicies = map[string][]string{
	keyType:                 {"KeyPolicy", "Statement"},
	"AWS::SQS::QueuePolicy": {"PolicyDocument", "Statement"},
	"AWS::S3::BucketPolicy": {"PolicyDocument", "Statement"},
	"AWS::SNS::TopicPolicy": {"PolicyDocument", "Statement"},
}

// inWords is a statement of a resource's policy as a line.
func inWords(s object) string {
	var principals []string
	switch p := s.at("Principal").(type) {
	case string:
		principals = append(principals, p)
	case map[string]any:
		for _, kind := range slices.Sorted(maps.Keys(p)) {
			for _, who := range list(p[kind]) {
				principals = append(principals, literal(who))
			}
		}
	}
	var actions, on, conditions []string
	for _, action := range list(s.at("Action")) {
		actions = append(actions, fmt.Sprint(action))
	}
	for _, resource := range list(s.at("Resource")) {
		on = append(on, literal(resource))
	}
	condition, _ := s.at("Condition").(map[string]any)
	for _, operator := range slices.Sorted(maps.Keys(condition)) {
		keys := condition[operator].(map[string]any)
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			conditions = append(conditions, fmt.Sprintf("%s %s %s", operator, key, literal(keys[key])))
		}
	}
	line := fmt.Sprintf("%v: %s may %s on %s", s.at("Effect"), strings.Join(principals, ", "), strings.Join(actions, ", "), strings.Join(on, ", "))
	if len(conditions) > 0 {
		line += " if " + strings.Join(conditions, " and ")
	}
	return line
}

// wantedStatements are all statements of the policies of a stage's resources.
func wantedStatements(d deployment) []string {
	t := d.template
	partition, region, account := "<AWS::Partition>", "<AWS::Region>", "<AWS::AccountId>"
	if d.stage.Account != "" {
		partition, region, account = "aws", d.stage.Region, d.stage.Account
	}
	queue, dead, bucket := "<"+t.id(queueType, "Queue")+">", "<"+t.id(queueType, "DeadLetters")+">", "<"+t.id(bucketType, "Bucket")+">"
	own := "<" + notices(t) + ">"
	var want []string
	add := func(format string, args ...any) { want = append(want, fmt.Sprintf(format, args...)) }
	const inClear = "if Bool aws:SecureTransport false"
	for _, q := range []string{queue, dead, own} {
		add("Deny: * may sqs:* on %s %s", q, inClear)
	}
	add("Deny: * may s3:* on %s, %s/* %s", bucket, bucket, inClear)
	add("Allow: events.amazonaws.com may sqs:SendMessage on %s if ArnEquals aws:SourceArn <%s>",
		own, t.id("AWS::Events::Rule", "Spilled"))
	for _, role := range []string{"Pages", "Tickets"} {
		topic := "<" + t.id(topicType, role) + ">"
		add("Deny: * may sns:Publish on %s %s", topic, inClear)
		add("Allow: cloudwatch.amazonaws.com may sns:Publish on %s if ArnLike aws:SourceArn arn:%s:cloudwatch:%s:%s:alarm:NylasWebhooks-%s-* and StringEquals aws:SourceAccount %s",
			topic, partition, region, account, d.stage.Name, account)
	}
	if d.stage.OwnKey {
		add("Allow: arn:%s:iam::%s:root may kms:* on *", partition, account)
		add("Deny: * may kms:CreateGrant on * if BoolIfExists aws:PrincipalIsAWSService false and BoolIfExists kms:GrantIsForAWSResource false")
	}
	if consumers := strings.Join(d.stage.ConsumerPrincipals, ", "); consumers != "" {
		var reads []string
		for _, action := range readActions {
			reads = append(reads, action.(string))
		}
		add("Allow: %s may %s on %s", consumers, strings.Join(reads, ", "), queue)
		add("Allow: %s may s3:GetObject on %s/overflow/*", consumers, bucket)
		if d.stage.OwnKey {
			add("Allow: %s may kms:Decrypt on *", consumers)
		}
	}
	slices.Sort(want)
	return want
}

var accessRules = []rule{{
	name: "statements of resources", why: "each opens or closes a resource whatever the callers' own policies say; one more is somebody more who reads mail",
	check: func(d deployment) (f findings) {
		var got []string
		for kind, path := range resourcePolicies {
			for _, id := range d.template.of(kind) {
				for _, s := range objects(d.template.Resources[id].Properties.at(path...)) {
					got = append(got, inWords(s))
				}
			}
		}
		slices.Sort(got)
		want := wantedStatements(d)
		for _, line := range got {
			if !slices.Contains(want, line) {
				f.addf("not expected: %s", line)
			}
		}
		for _, line := range want {
			if !slices.Contains(got, line) {
				f.addf("missing: %s", line)
			}
		}
		f.want("the number of statements", len(got), len(want))
		return f
	},
	mutations: []mutation{
		{"a topic for everybody", func(t template) {
			p := t.props("AWS::SNS::TopicPolicy", "PagesPolicy").at("PolicyDocument").(map[string]any)
			p["Statement"] = append(p["Statement"].([]any), map[string]any{
				"Effect": "Allow", "Principal": "*", "Action": "sns:Publish", "Resource": ref(t.id(topicType, "Pages")),
			})
		}},
		{"a key for another service", func(t template) {
			keyStatement(t, 2)["Principal"] = map[string]any{"Service": []any{"cloudwatch.amazonaws.com", "events.amazonaws.com"}}
		}},
		{"the notices for any rule", func(t template) {
			for _, s := range objects(policyOf(t, "AWS::SQS::QueuePolicy", "Queues", notices(t)).at("PolicyDocument", "Statement")) {
				delete(s, "Condition")
			}
		}},
		{"consumers read what was spilled", func(t template) { bucketStatement(t, 1)["Resource"] = objectsUnder(t, "*") }},
		{"the key twice", func(t template) {
			p := t.props(keyType, "Key").at("KeyPolicy").(map[string]any)
			p["Statement"] = append(p["Statement"].([]any), p["Statement"].([]any)[0])
		}},
	},
}}

// Every statement that has a name stands in docs/least-privilege.md, in a row with its
// actions, and no other name does.
func TestEveryStatementIsDocumented(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(root, "docs", "least-privilege.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := make(map[string]string) // statement → row
	for line := range strings.Lines(string(data)) {
		cells := strings.Split(line, "|")
		if len(cells) > 4 && strings.HasPrefix(strings.TrimSpace(cells[1]), "`") {
			rows[strings.Trim(cells[1], " `")] = line
		}
	}
	named := make(map[string]bool)
	for _, d := range stacks {
		for id, r := range d.template.Resources {
			for _, path := range [][]string{{"PolicyDocument", "Statement"}, {"KeyPolicy", "Statement"}} {
				for _, s := range objects(r.Properties.at(path...)) {
					name, ok := s.at("Sid").(string)
					if !ok {
						continue
					}
					if name == "AllowPublishThroughSSLOnly" { // the CDK's name; the table has it with the others that refuse plain HTTP
						continue
					}
					named[name] = true
					row, ok := rows[name]
					if !ok {
						t.Errorf("docs/least-privilege.md has no row for %s of %s", name, id)
						continue
					}
					for _, action := range list(s.at("Action")) {
						if !strings.Contains(row, "`"+fmt.Sprint(action)+"`") {
							t.Errorf("the row of %s does not say %v", name, action)
						}
					}
				}
			}
		}
	}
	for name := range rows {
		if !named[name] {
			t.Errorf("docs/least-privilege.md has a row for %s, which is no statement", name)
		}
	}
}
