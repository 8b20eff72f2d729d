package stack

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/onepagecrm/nylas-webhooks/internal/review"
)

// What this app's templates do not have, in templates of one resource: what another company's
// stack may have, and what somebody might try.
func TestOtherTemplatesAreJudged(t *testing.T) {
	e := newReviewer(t)
	judged := func(old, new map[string]any) []review.Finding {
		t.Helper()
		found, err := review.CompareTemplates(e, old, new)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	tpl := func(r string) map[string]any {
		var m map[string]any
		if err := json.Unmarshal([]byte(`{"Resources": {"R": `+r+`}}`), &m); err != nil {
			t.Fatal(err, r)
		}
		return m
	}
	policy := func(doc string) string {
		return `{"Type": "AWS::SQS::QueuePolicy", "Properties": {"Queues": ["q"], "PolicyDocument": ` + doc + `}}`
	}
	const allow = `{"Statement": [{"Effect": "Allow", "Principal": {"AWS": "a"}, "Action": ["sqs:Send*"], "Resource": "q", "Condition": {"StringEquals": {"k": ["1", "2"]}}}]}`
	const deny = `{"Statement": [{"Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": "q", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}]}`
	rep := func(s, a, b string) string {
		if !strings.Contains(s, a) {
			panic(a)
		}
		return strings.Replace(s, a, b, 1)
	}
	ne := rep(allow, "StringEquals", "StringNotEquals")
	fn := func(code string) string {
		return `{"Type": "AWS::Lambda::Function", "Properties": {"Code": ` + code + `}}`
	}
	q := func(p string) string { return `{"Type": "AWS::SQS::Queue", "Properties": {` + p + `}}` }
	for _, p := range []struct {
		name, old, new string
		want           review.Class
	}{
		{"pattern wider", policy(rep(allow, "Send*", "SendMessage")), policy(allow), review.Widened},
		{"pattern other", policy(allow), policy(rep(allow, "sqs:Send*", "sqs:S*d")), review.Widened},
		{"? to *", policy(rep(allow, "Send*", "Send?")), policy(allow), review.Widened},
		{"NotPrincipal", policy(allow), policy(rep(allow, `"Principal"`, `"NotPrincipal"`)), review.Widened},
		{"NotResource", policy(allow), policy(rep(allow, `"Resource"`, `"NotResource"`)), review.Widened},
		{"value more", policy(allow), policy(rep(allow, `["1", "2"]`, `["1", "2", "3"]`)), review.Widened},
		{"IfExists", policy(allow), policy(rep(allow, "StringEquals", "StringEqualsIfExists")), review.Widened},
		{"Not value less", policy(ne), policy(rep(ne, `["1", "2"]`, `["1"]`)), review.Widened},
		{"deny for one less", policy(deny), policy(rep(deny, `"*"`, `{"AWS": "a"}`)), review.Widened},
		{"deny fewer actions", policy(deny), policy(rep(deny, `"sqs:*"`, `"sqs:S*"`)), review.Widened},
		{"deny fewer resources", policy(deny), policy(rep(deny, `"q"`, `"p"`)), review.Widened},
		{"deny one condition more", policy(deny), policy(rep(deny, `"Bool": {`, `"StringEquals": {"k": "v"}, "Bool": {`)), review.Widened},
		{"function as statement", policy(allow), policy(`{"Version": "2012-10-17", "Statement": [{"Fn::If": ["c", {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}, {"Ref": "AWS::NoValue"}]}]}`), review.Widened},
		{"function as policy", policy(allow), policy(`{"Fn::If": ["c", {}, {}]}`), review.Widened},
		{"resource by Sub", policy(allow), policy(rep(allow, `"q"`, `{"Fn::Sub": "${X}*"}`)), review.Widened},
		{"NotAction less", policy(rep(allow, `"Action": ["sqs:Send*"]`, `"NotAction": ["a:a", "b:b"]`)), policy(rep(allow, `"Action": ["sqs:Send*"]`, `"NotAction": ["a:a"]`)), review.Widened},
		{"retention appears", q(`"A": 1`), q(`"A": 1, "MessageRetentionPeriod": 60`), review.Loosened},
		{"retention goes", q(`"MessageRetentionPeriod": 1209600`), q(`"A": 1`), review.Loosened},
		{"log retention appears", `{"Type": "AWS::Logs::LogGroup", "Properties": {"A": 1}}`, `{"Type": "AWS::Logs::LogGroup", "Properties": {"A": 1, "RetentionInDays": 1}}`, review.Loosened},
		{"retention as text", q(`"MessageRetentionPeriod": "600"`), q(`"MessageRetentionPeriod": "60"`), review.Loosened},
		{"retention by Ref", q(`"MessageRetentionPeriod": 600`), q(`"MessageRetentionPeriod": {"Ref": "P"}`), review.Loosened},
		{"code inline", fn(`{"S3Bucket": "b", "S3Key": "k"}`), fn(`{"ZipFile": "other"}`), review.Widened},
		{"code from another bucket", fn(`{"S3Bucket": "b", "S3Key": "k"}`), fn(`{"S3Bucket": "other", "S3Key": "k"}`), review.Widened},
		{"a layer", fn(`{}`), `{"Type": "AWS::Lambda::Function", "Properties": {"Code": {}, "Layers": ["arn:other"]}}`, review.Widened},
		{"alias pinned", `{"Type": "AWS::Lambda::Alias", "Properties": {"FunctionVersion": {"Fn::GetAtt": ["V", "Version"]}}}`, `{"Type": "AWS::Lambda::Alias", "Properties": {"FunctionVersion": "1"}}`, review.Loosened},
		{"what the engine stumbles over hides nothing", q(`"A": 1`), q(`"A": 1, "FifoQueue": true`), review.Replaced},
		{"empty as 0", q(`"VisibilityTimeout": "1"`), q(`"VisibilityTimeout": ""`), review.Loosened},
		{"unknown type changes its Policy text", `{"Type": "AWS::Logs::ResourcePolicy", "Properties": {"PolicyDocument": "{}"}}`, `{"Type": "AWS::Logs::ResourcePolicy", "Properties": {"PolicyDocument": "{\"Statement\": []}"}}`, review.Widened},
		{"a boundary goes", `{"Type": "AWS::IAM::Role", "Properties": {"A": 1, "PermissionsBoundary": "arn"}}`, `{"Type": "AWS::IAM::Role", "Properties": {"A": 1}}`, review.Widened},
		{"it exists under a condition", q(`"A": 1`), `{"Type": "AWS::SQS::Queue", "Condition": "c", "Properties": {"A": 1}}`, review.Replaced},
		{"a denial of all actions but one more", policy(rep(deny, `"Action": "sqs:*"`, `"NotAction": ["a:a"]`)), policy(rep(deny, `"Action": "sqs:*"`, `"NotAction": ["a:a", "b:b"]`)), review.Widened},
		{"bodies in the log", `{"Type": "AWS::ApiGateway::Stage", "Properties": {"MethodSettings": [{"DataTraceEnabled": false}]}}`, `{"Type": "AWS::ApiGateway::Stage", "Properties": {"MethodSettings": [{"DataTraceEnabled": true}]}}`, review.Widened},
		{"another path", `{"Type": "AWS::ApiGateway::Resource", "Properties": {"PathPart": "a"}}`, `{"Type": "AWS::ApiGateway::Resource", "Properties": {"PathPart": "b"}}`, review.Replaced},
		{"a policy's version", policy(rep(allow, `{"Statement"`, `{"Version": "2012-10-17", "Statement"`)), policy(rep(allow, `{"Statement"`, `{"Version": "2008-10-17", "Statement"`)), review.Widened},
		{"what a machine runs", `{"Type": "AWS::EC2::Instance", "Metadata": {"AWS::CloudFormation::Init": {"config": {"commands": {"a": {"command": "a"}}}}}}`, `{"Type": "AWS::EC2::Instance", "Metadata": {"AWS::CloudFormation::Init": {"config": {"commands": {"a": {"command": "b"}}}}}}`, review.Widened},
		{"an attribute that nobody knows", `{"Type": "AWS::EC2::Instance", "CreationPolicy": {"ResourceSignal": {"Count": 3}}}`, `{"Type": "AWS::EC2::Instance", "CreationPolicy": {"ResourceSignal": {"Count": 0}}}`, review.Loosened},
		{"replication", `{"Type": "AWS::S3::Bucket", "Properties": {"A": 1}}`, `{"Type": "AWS::S3::Bucket", "Properties": {"A": 1, "ReplicationConfiguration": {"Role": "r"}}}`, review.Widened},
	} {
		old, new := tpl(p.old), tpl(p.new)
		if p.name == "what the engine stumbles over hides nothing" {
			for _, s := range []map[string]any{old, new} {
				s["Resources"].(map[string]any)["P"] = map[string]any{"Type": "AWS::SQS::QueuePolicy", "Properties": map[string]any{"Queues": []any{"q"}}}
			}
			new["Resources"].(map[string]any)["P"].(map[string]any)["Properties"].(map[string]any)["X"] = "y"
		}
		found := judged(old, new)
		if review.Worst(found) < p.want {
			t.Errorf("%s: %v, want %v\n%+v", p.name, review.Worst(found), p.want, found)
		}
	}
	for kind, want := range map[string]review.Class{
		"AWS::Lambda::Url": review.Widened, "AWS::EC2::SecurityGroupIngress": review.Widened, "AWS::Lambda::Permission": review.Widened,
		"AWS::Lambda::EventSourceMapping": review.Widened, "AWS::Logs::SubscriptionFilter": review.Widened,
		"AWS::SecretsManager::RotationSchedule": review.Replaced, "AWS::New::Thing": review.Changed,
	} {
		found := judged(map[string]any{"Resources": map[string]any{}}, tpl(`{"Type": "`+kind+`", "Properties": {"A": "b"}}`))
		if review.Worst(found) < want {
			t.Errorf("a new %s: %v, want %v\n%+v", kind, review.Worst(found), want, found)
		}
	}
	for r, want := range map[string]review.Class{
		fn(`{"ZipFile": "other"}`):                        review.Widened,
		fn(`{"S3Bucket": "other", "S3Key": "other.zip"}`): review.Widened,
		`{"Type": "AWS::ApiGateway::Deployment", "Properties": {"RestApiId": "a", "StageName": "second"}}`: review.Loosened,
	} {
		if found := judged(map[string]any{"Resources": map[string]any{}}, tpl(r)); review.Worst(found) < want {
			t.Errorf("new, %s: %v, want %v\n%+v", r, review.Worst(found), want, found)
		}
	}
	denies := `{"Type": "AWS::IAM::Policy", "Properties": {"Roles": ["r"], "PolicyDocument": {"Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}}}}`
	if found := judged(tpl(denies), map[string]any{"Resources": map[string]any{}}); review.Worst(found) < review.Widened {
		t.Errorf("a policy that denies is gone: %v\n%+v", review.Worst(found), found)
	}
	for kind, want := range map[string]review.Class{
		"AWS::IAM::ManagedPolicy": review.Replaced, "AWS::IAM::Role": review.Replaced, "AWS::Lambda::Permission": review.Loosened,
		"AWS::Lambda::Version": review.Changed, "AWS::ApiGateway::Deployment": review.Changed,
	} {
		found := judged(tpl(`{"Type": "`+kind+`", "Properties": {"A": "b"}}`), map[string]any{"Resources": map[string]any{}})
		if review.Worst(found) < want {
			t.Errorf("no %s any more: %v, want %v\n%+v", kind, review.Worst(found), want, found)
		}
	}
	// What is beside the resources, or stands in the place of one.
	for _, p := range []struct {
		name, old, new string
		want           review.Class
	}{
		{"a macro", `{}`, `{"Transform": "Macro"}`, review.Widened},
		{"another macro", `{"Fn::Transform": {"Name": "A"}}`, `{"Fn::Transform": {"Name": "B"}}`, review.Widened},
		{"a section that nobody knows", `{"Hooks": {"H": 1}}`, `{"Hooks": {"H": 2}}`, review.Loosened},
		{"a loop that makes resources", `{}`, `{"Resources": {"Fn::ForEach::Users": ["Name", ["a"], {"User${Name}": {"Type": "AWS::IAM::User"}}]}}`, review.Widened},
		{"a resource that a macro writes", `{"Resources": {"R": {"Fn::Transform": {"Name": "A"}}}}`, `{"Resources": {"R": {"Fn::Transform": {"Name": "B"}}}}`, review.Loosened},
	} {
		var old, new map[string]any
		for text, into := range map[string]*map[string]any{p.old: &old, p.new: &new} {
			if err := json.Unmarshal([]byte(text), into); err != nil {
				t.Fatal(err)
			}
		}
		if found := judged(old, new); review.Worst(found) < p.want {
			t.Errorf("%s: %v, want %v\n%+v", p.name, review.Worst(found), p.want, found)
		}
	}
}
