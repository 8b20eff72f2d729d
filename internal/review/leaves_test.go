package review

import (
	"strings"
	"testing"
)

func TestBecame(t *testing.T) {
	long := strings.Repeat("the same text goes on ", 10)
	for name, c := range map[string]struct {
		path     string
		old, new any
		want     string
	}{
		"a number":              {"MaxReceiveCount", 5.0, 6.0, "x was 5 and is 6"},
		"nothing":               {"Name", nil, "a", "x was nothing and is a"},
		"days":                  {"MessageRetentionPeriod", 604800.0, 86400.0, "x was 604800 (7 days) and is 86400 (1 day)"},
		"hours, as a text":      {"MessageRetentionPeriod", "604800", "3600", "x was 604800 (7 days) and is 3600 (1 hour)"},
		"minutes":               {"VisibilityTimeout", 360.0, 30.0, "x was 360 (6 minutes) and is 30"},
		"a reference":           {"Arn", map[string]any{"Fn::GetAtt": []any{"Queue", "Arn"}}, map[string]any{"Ref": "Other"}, "x was Queue.Arn and is Other"},
		"a text in parts":       {"Text", map[string]any{"Fn::Join": []any{":", []any{"arn", map[string]any{"Ref": "AWS::Partition"}, "s3"}}}, "b", "x was arn:AWS::Partition:s3 and is b"},
		"another function":      {"Text", map[string]any{"Fn::If": []any{"A", "b", "c"}}, "b", `x was {"Fn::If":["A","b","c"]} and is b`},
		"spoken alike":          {"Text", map[string]any{"Ref": "Queue"}, "Queue", `x was {"Ref":"Queue"} and is Queue`},
		"long ones, at the end": {"Text", long + "one", long + "two", "x was …e same text goes on one and is …e same text goes on two"},
		"long ones, early":      {"Text", "one " + long, "two " + long, "x was " + cut("one "+long) + " and is " + cut("two "+long)},
	} {
		if got := became("x", leaf{[]string{c.path}, c.old, c.new}); got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestCovered(t *testing.T) {
	wide := statement{effect: "Allow", action: "sqs:*", resource: "q"}
	for name, c := range map[string]struct {
		old, new statement
		want     bool
	}{
		"all of the service":      {statement{effect: "Allow", action: "sqs:SendMessage", resource: "q"}, wide, true},
		"in other letters":        {statement{effect: "Allow", action: "SQS:sendmessage", resource: "q"}, wide, true},
		"of another service":      {statement{effect: "Allow", action: "sns:Publish", resource: "q"}, wide, false},
		"on another resource":     {statement{effect: "Allow", action: "sqs:SendMessage", resource: "other"}, wide, false},
		"of somebody else":        {statement{effect: "Allow", action: "sqs:SendMessage", resource: "q", principal: "AWS 1"}, wide, false},
		"under a condition":       {statement{effect: "Allow", action: "sqs:SendMessage", resource: "q", condition: "x"}, wide, false},
		"a part of the name":      {statement{effect: "Allow", action: "sqs:SendMessage", resource: "q"}, statement{effect: "Allow", action: "sqs:Send?essag*", resource: "q"}, true},
		"not the whole name":      {statement{effect: "Allow", action: "sqs:SendMessage", resource: "q"}, statement{effect: "Allow", action: "sqs:Send?", resource: "q"}, false},
		"a point is no wildcard":  {statement{effect: "Allow", action: "sqsxSendMessage", resource: "q"}, statement{effect: "Allow", action: "sqs.Send*", resource: "q"}, false},
		"what is named by NOT":    {statement{effect: "Allow", action: "sqs:SendMessage", resource: "q", negated: true}, statement{effect: "Allow", action: "sqs:*", resource: "q", negated: true}, false},
		"a denial of all of them": {statement{effect: "Allow", action: "sqs:SendMessage", resource: "q"}, statement{effect: "Deny", action: "sqs:*", resource: "q"}, false},
	} {
		if got := covered(c.old, map[statement]bool{c.new: true}); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// Of a right that was there twice, with a condition and without, one goes.
func TestNarrowedToWhatWasThere(t *testing.T) {
	allow := map[string]any{"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "q"}
	bounded := map[string]any{"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "q", "Condition": map[string]any{"Bool": "x"}}
	both, one := map[string]any{"Statement": []any{allow, bounded}}, map[string]any{"Statement": []any{bounded}}
	if found := judgePolicy(both, one); len(found) != 1 || found[0].code != "allow-narrowed" {
		t.Errorf("%+v", found)
	}
}

func TestSay(t *testing.T) {
	for encoded, want := range map[string]string{
		`{"Fn::GetAtt":["Queue","Arn"]}`: "Queue.Arn",
		`AWS {"Ref":"AWS::AccountId"}`:   "AWS AWS::AccountId",
		`Service lambda.amazonaws.com`:   "Service lambda.amazonaws.com",
		`*`:                              "*",
	} {
		if got := say(encoded); got != want {
			t.Errorf("%s: %s", encoded, got)
		}
	}
}
