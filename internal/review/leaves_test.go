package review

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestBecame(t *testing.T) {
	long := strings.Repeat("the same text goes on ", 10)
	same := func(n int) string { return long[:n] }
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
		"no duration":           {"MaxReceiveCount", 600.0, 601.0, "x was 600 and is 601"},
		"a minute":              {"DelaySeconds", 60.0, 0.0, "x was 60 (1 minute) and is 0"},
		"minutes of a cache":    {"CacheTtlInSeconds", 120.0, "none", "x was 120 (2 minutes) and is none"},
		"an object with a Ref":  {"A", map[string]any{"Ref": "a", "B": 1.0}, nil, `x was {"B":1,"Ref":"a"} and is nothing`},
		"a join of three":       {"A", map[string]any{"Fn::Join": []any{"-", []any{"a"}, "b"}}, nil, `x was {"Fn::Join":["-",["a"],"b"]} and is nothing`},
		"a join by a number":    {"A", map[string]any{"Fn::Join": []any{1.0, []any{"a"}}}, nil, `x was {"Fn::Join":[1,["a"]]} and is nothing`},
		"a join of no list":     {"A", map[string]any{"Fn::Join": []any{"-", "a"}}, nil, `x was {"Fn::Join":["-","a"]} and is nothing`},
		"lines":                 {"A", "a\n  b", "c", "x was a b and is c"},
		"60 characters":         {"A", strings.Repeat("a", 60), strings.Repeat("b", 61), "x was " + strings.Repeat("a", 60) + " and is " + strings.Repeat("b", 60) + "…"},
		"one long, one short":   {"A", same(100), same(50), "x was " + cut(same(100)) + " and is " + cut(same(50))},
		"one long, one of 60":   {"A", same(100), same(60), "x was " + cut(same(100)) + " and is " + cut(same(60))},
		"one of 60, one long":   {"A", same(60), same(100), "x was " + cut(same(60)) + " and is " + cut(same(100))},
		"one goes on":           {"A", same(100), same(130), "x was …" + cut(same(100)[80:]) + " and is …" + cut(same(130)[80:])},
		"20 alike":              {"A", same(20) + strings.Repeat("a", 80), same(20) + strings.Repeat("b", 80), "x was " + same(20) + strings.Repeat("a", 40) + "… and is " + same(20) + strings.Repeat("b", 40) + "…"},
		"21 alike":              {"A", same(21) + strings.Repeat("a", 80), same(21) + strings.Repeat("b", 80), "x was …" + same(21)[1:] + strings.Repeat("a", 39) + "… and is …" + same(21)[1:] + strings.Repeat("b", 39) + "…"},
		"alike but for one":     {"A", "a" + long, "b" + long, "x was " + cut("a"+long) + " and is " + cut("b"+long)},
		"long ones, early":      {"Text", "one " + long, "two " + long, "x was " + cut("one "+long) + " and is " + cut("two "+long)},
	} {
		if got := became("x", leaf{[]string{c.path}, c.old, c.new}); got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// A whole template has no path.
func TestBecameWithoutAPath(t *testing.T) {
	if got := became("x", leaf{nil, "a", "b"}); got != "x was a and is b" {
		t.Error(got)
	}
}

func TestNumber(t *testing.T) {
	for _, c := range []struct {
		v    any
		want float64
		ok   bool
	}{{5.0, 5, true}, {"5", 5, true}, {"7:30", 0, false}, {"1/2", 0, false}, {"7 days", 0, false}, {"x", 0, false}, {true, 0, false}, {nil, 0, false}} {
		if got, ok := number(c.v); got != c.want || ok != c.ok {
			t.Errorf("%v: %g, %v", c.v, got, ok)
		}
	}
}

func TestLeaves(t *testing.T) {
	for name, c := range map[string]struct {
		old, new string
		want     []string
	}{
		"nothing":                  {`{"A": {"B": 1}}`, `{"A": {"B": 1}}`, nil},
		"inside of what came":      {`{}`, `{"A": {"C": 1, "B": 2}}`, []string{"A.B", "A.C"}},
		"in the order of names":    {`{"B": 1, "D": 1}`, `{"E": 1, "C": 1, "A": 1}`, []string{"A", "B", "C", "D", "E"}},
		"an empty object came":     {`{}`, `{"A": {}}`, []string{"A"}},
		"a function":               {`{"A": {"Ref": "a"}}`, `{"A": {"Ref": "b"}}`, []string{"A"}},
		"a function for an object": {`{"A": {"Ref": "a"}}`, `{"A": {"B": 1, "C": 2}}`, []string{"A"}},
		"an object for a function": {`{"A": {"B": 1, "C": 2}}`, `{"A": {"Fn::If": ["a"]}}`, []string{"A"}},
		"an object for a text":     {`{"A": "a"}`, `{"A": {"B": 1}}`, []string{"A"}},
		"a list as long":           {`{"A": [1, 2]}`, `{"A": [1, 3]}`, []string{"A.1"}},
		"a longer list":            {`{"A": [1, 2]}`, `{"A": [1, 2, 3]}`, []string{"A"}},
		"a list for a text":        {`{"A": ["a"]}`, `{"A": "a"}`, []string{"A"}},
	} {
		var got []string
		for _, l := range leaves(nil, template(t, c.old), template(t, c.new)) {
			got = append(got, l.String())
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// A policy's statements, by what they give.
func TestRights(t *testing.T) {
	for name, c := range map[string]struct {
		document string
		want     []statement // nil: it cannot be compared
	}{
		"lists":         {`{"Statement": [{"Effect": "Allow", "Action": ["a", "b"], "Resource": "r"}]}`, []statement{{effect: "Allow", action: "a", resource: "r"}, {effect: "Allow", action: "b", resource: "r"}}},
		"one statement": {`{"Statement": {"Effect": "Deny", "Action": "a", "Principal": "*"}}`, []statement{{effect: "Deny", action: "a", principal: "Principal *"}}},
		"principals":    {`{"Statement": [{"Effect": "Allow", "Action": "a", "Principal": {"AWS": ["1", "2"], "Service": "s"}}]}`, []statement{{effect: "Allow", action: "a", principal: "AWS 1"}, {effect: "Allow", action: "a", principal: "AWS 2"}, {effect: "Allow", action: "a", principal: "Service s"}}},
		"NotPrincipal":  {`{"Statement": [{"Effect": "Allow", "Action": "a", "NotPrincipal": {"AWS": "1"}}]}`, []statement{{effect: "Allow", action: "a", principal: `NotPrincipal {"AWS":"1"}`, negated: true}}},
		"NotAction":     {`{"Statement": [{"Effect": "Allow", "NotAction": ["b", "a"]}]}`, []statement{{effect: "Allow", action: "NotAction a, b", negated: true}}},
		"NotResource":   {`{"Statement": [{"Effect": "Allow", "Action": "a", "NotResource": "r"}]}`, []statement{{effect: "Allow", action: "a", resource: "NotResource r", negated: true}}},
		"a condition":   {`{"Statement": [{"Effect": "Allow", "Action": "a", "Condition": {"b": 1}}]}`, []statement{{effect: "Allow", action: "a", condition: `{"b":1}`}}},
		"no effect":     {`{"Statement": [{"Action": "a"}]}`, nil},
		"no statement":  {`{"Statement": ["a"]}`, nil},
		"a function":    {`{"Fn::If": ["a"]}`, nil},
		"nothing in it": {`{"Statement": []}`, []statement{}},
	} {
		got, ok := rights(template(t, c.document))
		want := map[statement]bool{}
		for _, s := range c.want {
			want[s] = true
		}
		if ok != (c.want != nil) || ok && !maps.Equal(got, want) {
			t.Errorf("%s: %v, %v", name, got, ok)
		}
	}
	if _, ok := rights("text"); ok {
		t.Error("a text is a policy")
	}
	if none, ok := rights(nil); none != nil || !ok {
		t.Error("no policy gives no rights")
	}
}

// What is said of two policies.
func TestJudgePolicy(t *testing.T) {
	one := func(statement string) string { return `{"Statement": [` + statement + `]}` }
	for name, c := range map[string]struct {
		old, new string
		want     []string
	}{
		"another order":                    {one(`{"Effect": "Allow", "NotAction": ["a", "b"]}`), one(`{"Effect": "Allow", "NotAction": ["b", "a"]}`), []string{"changed policy-reordered: a policy is written differently and gives the same rights"}},
		"another effect":                   {one(``), one(`{"Effect": "Maybe", "Action": "a"}`), []string{`widened policy-unreadable: the effect of a statement is "Maybe"`}},
		"an effect that was none":          {one(`{"Effect": "Maybe", "Action": "a", "Resource": "r"}`), one(``), []string{"widened deny-removed: a on r is denied no more"}},
		"a version":                        {`{"Version": "2012-10-17", "Statement": []}`, `{"Version": "2008-10-17", "Statement": []}`, []string{"widened policy-unreadable: the policy's version was 2012-10-17 and is 2008-10-17: before 2012-10-17 what stands in ${…} is no variable"}},
		"no version":                       {`{"Version": "2012-10-17", "Statement": []}`, one(``), []string{"widened policy-unreadable: the policy's version was 2012-10-17 and is nothing: before 2012-10-17 what stands in ${…} is no variable"}},
		"a policy":                         {`null`, `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "a", "Resource": "r", "Condition": {"b": 1}}]}`, []string{`widened allow-added: whoever has the policy may a on r, if {"b":1}`}},
		"no policy":                        {`{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "a", "Resource": "r", "Principal": {"AWS": "1"}}]}`, `null`, []string{"loosened allow-removed: AWS 1 may no longer a on r: what stops without it?"}},
		"a denial":                         {one(``), one(`{"Effect": "Deny", "Action": "a", "Resource": "r"}`), []string{"changed deny-added: a is denied now on r"}},
		"no denial":                        {one(`{"Effect": "Deny", "Action": "a", "Resource": "r", "Condition": {"b": 1}}`), one(``), []string{`widened deny-removed: a on r is denied no more, if {"b":1}`}},
		"a condition":                      {one(`{"Effect": "Allow", "Action": "a", "Resource": "r"}`), one(`{"Effect": "Allow", "Action": "a", "Resource": "r", "Condition": {"b": 1}}`), []string{"changed allow-narrowed: a on r is allowed under a further condition"}},
		"another condition":                {one(`{"Effect": "Allow", "Action": "a", "Resource": "r", "Condition": {"b": 1}}`), one(`{"Effect": "Allow", "Action": "a", "Resource": "r", "Condition": {"b": 2}}`), []string{`widened allow-added: whoever has the policy may a on r, if {"b":2}`, "loosened allow-removed: whoever has the policy may no longer a on r: what stops without it?"}},
		"no condition":                     {one(`{"Effect": "Allow", "Action": "a", "Resource": "r", "Condition": {"b": 1}}`), one(`{"Effect": "Allow", "Action": "a", "Resource": "r"}`), []string{"widened allow-added: whoever has the policy may a on r", "loosened allow-removed: whoever has the policy may no longer a on r: what stops without it?"}},
		"a wider one":                      {one(`{"Effect": "Allow", "Action": "s:a", "Resource": "r"}`), one(`{"Effect": "Allow", "Action": "s:*", "Resource": "r"}`), []string{"widened allow-added: whoever has the policy may s:* on r"}},
		"another right, under a condition": {one(`{"Effect": "Allow", "Action": "a", "Resource": "r"}`), one(`{"Effect": "Allow", "Action": "b", "Resource": "r", "Condition": {"b": 1}}`), []string{`widened allow-added: whoever has the policy may b on r, if {"b":1}`, "loosened allow-removed: whoever has the policy may no longer a on r: what stops without it?"}},
		"a denial under a condition":       {one(`{"Effect": "Deny", "Action": "a", "Resource": "r"}`), one(`{"Effect": "Deny", "Action": "a", "Resource": "r", "Condition": {"b": 1}}`), []string{`changed deny-added: a is denied now on r, if {"b":1}`, "widened deny-removed: a on r is denied no more"}},
		"a wider denial":                   {one(`{"Effect": "Deny", "Action": "s:a", "Resource": "r"}`), one(`{"Effect": "Deny", "Action": "s:*", "Resource": "r"}`), []string{"changed deny-added: s:* is denied now on r", "widened deny-removed: s:a on r is denied no more"}},
		"NotAction":                        {one(``), one(`{"Effect": "Allow", "NotAction": "a"}`), []string{"widened policy-not: a statement with NotAction, NotResource or NotPrincipal is another: read what it is about now"}},
		"unreadable before":                {`{"Fn::If": ["a"]}`, one(``), []string{"widened policy-unreadable: a policy is not in a form that can be compared: read it"}},
	} {
		decode := func(text string) (v any) {
			if err := json.Unmarshal([]byte(text), &v); err != nil {
				t.Fatal(err)
			}
			return v
		}
		var got []string
		for _, v := range judgePolicy(decode(c.old), decode(c.new)) {
			got = append(got, fmt.Sprintf("%s %s: %s", v.class, v.code, v.says))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q\nwant %q", name, got, c.want)
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
