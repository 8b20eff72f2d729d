package review

import (
	"encoding/json"
	"strings"
	"testing"
)

// What this app's templates do not have, in templates of one resource: what another company's
// stack may have, and what somebody might try.
func TestOtherTemplatesAreJudged(t *testing.T) {
	e := reviewer(t)
	judged := func(old, new map[string]any) []Finding {
		t.Helper()
		found, err := CompareTemplates(e, old, new)
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
		want           Class
	}{
		{"pattern wider", policy(rep(allow, "Send*", "SendMessage")), policy(allow), Widened},
		{"pattern other", policy(allow), policy(rep(allow, "sqs:Send*", "sqs:S*d")), Widened},
		{"? to *", policy(rep(allow, "Send*", "Send?")), policy(allow), Widened},
		{"NotPrincipal", policy(allow), policy(rep(allow, `"Principal"`, `"NotPrincipal"`)), Widened},
		{"NotResource", policy(allow), policy(rep(allow, `"Resource"`, `"NotResource"`)), Widened},
		{"value more", policy(allow), policy(rep(allow, `["1", "2"]`, `["1", "2", "3"]`)), Widened},
		{"IfExists", policy(allow), policy(rep(allow, "StringEquals", "StringEqualsIfExists")), Widened},
		{"Not value less", policy(ne), policy(rep(ne, `["1", "2"]`, `["1"]`)), Widened},
		{"deny for one less", policy(deny), policy(rep(deny, `"*"`, `{"AWS": "a"}`)), Widened},
		{"deny fewer actions", policy(deny), policy(rep(deny, `"sqs:*"`, `"sqs:S*"`)), Widened},
		{"deny fewer resources", policy(deny), policy(rep(deny, `"q"`, `"p"`)), Widened},
		{"deny one condition more", policy(deny), policy(rep(deny, `"Bool": {`, `"StringEquals": {"k": "v"}, "Bool": {`)), Widened},
		{"function as statement", policy(allow), policy(`{"Version": "2012-10-17", "Statement": [{"Fn::If": ["c", {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}, {"Ref": "AWS::NoValue"}]}]}`), Widened},
		{"function as policy", policy(allow), policy(`{"Fn::If": ["c", {}, {}]}`), Widened},
		{"resource by Sub", policy(allow), policy(rep(allow, `"q"`, `{"Fn::Sub": "${X}*"}`)), Widened},
		{"NotAction less", policy(rep(allow, `"Action": ["sqs:Send*"]`, `"NotAction": ["a:a", "b:b"]`)), policy(rep(allow, `"Action": ["sqs:Send*"]`, `"NotAction": ["a:a"]`)), Widened},
		{"retention appears", q(`"A": 1`), q(`"A": 1, "MessageRetentionPeriod": 60`), Loosened},
		{"retention goes", q(`"MessageRetentionPeriod": 1209600`), q(`"A": 1`), Loosened},
		{"log retention appears", `{"Type": "AWS::Logs::LogGroup", "Properties": {"A": 1}}`, `{"Type": "AWS::Logs::LogGroup", "Properties": {"A": 1, "RetentionInDays": 1}}`, Loosened},
		{"retention as text", q(`"MessageRetentionPeriod": "600"`), q(`"MessageRetentionPeriod": "60"`), Loosened},
		{"retention by Ref", q(`"MessageRetentionPeriod": 600`), q(`"MessageRetentionPeriod": {"Ref": "P"}`), Loosened},
		{"code inline", fn(`{"S3Bucket": "b", "S3Key": "k"}`), fn(`{"ZipFile": "other"}`), Widened},
		{"code from another bucket", fn(`{"S3Bucket": "b", "S3Key": "k"}`), fn(`{"S3Bucket": "other", "S3Key": "k"}`), Widened},
		{"a layer", fn(`{}`), `{"Type": "AWS::Lambda::Function", "Properties": {"Code": {}, "Layers": ["arn:other"]}}`, Widened},
		{"alias pinned", `{"Type": "AWS::Lambda::Alias", "Properties": {"FunctionVersion": {"Fn::GetAtt": ["V", "Version"]}}}`, `{"Type": "AWS::Lambda::Alias", "Properties": {"FunctionVersion": "1"}}`, Loosened},
		{"what the engine stumbles over hides nothing", q(`"A": 1`), q(`"A": 1, "FifoQueue": true`), Replaced},
		{"empty as 0", q(`"VisibilityTimeout": "1"`), q(`"VisibilityTimeout": ""`), Loosened},
		{"unknown type changes its Policy text", `{"Type": "AWS::Logs::ResourcePolicy", "Properties": {"PolicyDocument": "{}"}}`, `{"Type": "AWS::Logs::ResourcePolicy", "Properties": {"PolicyDocument": "{\"Statement\": []}"}}`, Widened},
		{"a boundary goes", `{"Type": "AWS::IAM::Role", "Properties": {"A": 1, "PermissionsBoundary": "arn"}}`, `{"Type": "AWS::IAM::Role", "Properties": {"A": 1}}`, Widened},
		{"it exists under a condition", q(`"A": 1`), `{"Type": "AWS::SQS::Queue", "Condition": "c", "Properties": {"A": 1}}`, Replaced},
		{"a denial of all actions but one more", policy(rep(deny, `"Action": "sqs:*"`, `"NotAction": ["a:a"]`)), policy(rep(deny, `"Action": "sqs:*"`, `"NotAction": ["a:a", "b:b"]`)), Widened},
		{"bodies in the log", `{"Type": "AWS::ApiGateway::Stage", "Properties": {"MethodSettings": [{"DataTraceEnabled": false}]}}`, `{"Type": "AWS::ApiGateway::Stage", "Properties": {"MethodSettings": [{"DataTraceEnabled": true}]}}`, Widened},
		{"another path", `{"Type": "AWS::ApiGateway::Resource", "Properties": {"PathPart": "a"}}`, `{"Type": "AWS::ApiGateway::Resource", "Properties": {"PathPart": "b"}}`, Replaced},
		{"a policy's version", policy(rep(allow, `{"Statement"`, `{"Version": "2012-10-17", "Statement"`)), policy(rep(allow, `{"Statement"`, `{"Version": "2008-10-17", "Statement"`)), Widened},
		{"what a machine runs", `{"Type": "AWS::EC2::Instance", "Metadata": {"AWS::CloudFormation::Init": {"config": {"commands": {"a": {"command": "a"}}}}}}`, `{"Type": "AWS::EC2::Instance", "Metadata": {"AWS::CloudFormation::Init": {"config": {"commands": {"a": {"command": "b"}}}}}}`, Widened},
		{"an attribute that nobody knows", `{"Type": "AWS::EC2::Instance", "CreationPolicy": {"ResourceSignal": {"Count": 3}}}`, `{"Type": "AWS::EC2::Instance", "CreationPolicy": {"ResourceSignal": {"Count": 0}}}`, Loosened},
		{"replication", `{"Type": "AWS::S3::Bucket", "Properties": {"A": 1}}`, `{"Type": "AWS::S3::Bucket", "Properties": {"A": 1, "ReplicationConfiguration": {"Role": "r"}}}`, Widened},
	} {
		old, new := tpl(p.old), tpl(p.new)
		if p.name == "what the engine stumbles over hides nothing" {
			for _, s := range []map[string]any{old, new} {
				s["Resources"].(map[string]any)["P"] = map[string]any{"Type": "AWS::SQS::QueuePolicy", "Properties": map[string]any{"Queues": []any{"q"}}}
			}
			new["Resources"].(map[string]any)["P"].(map[string]any)["Properties"].(map[string]any)["X"] = "y"
		}
		found := judged(old, new)
		if Worst(found) < p.want {
			t.Errorf("%s: %v, want %v\n%+v", p.name, Worst(found), p.want, found)
		}
	}
	for kind, want := range map[string]Class{
		"AWS::Lambda::Url": Widened, "AWS::EC2::SecurityGroupIngress": Widened, "AWS::Lambda::Permission": Widened,
		"AWS::Lambda::EventSourceMapping": Widened, "AWS::Logs::SubscriptionFilter": Widened,
		"AWS::SecretsManager::RotationSchedule": Replaced, "AWS::New::Thing": Changed,
	} {
		found := judged(map[string]any{"Resources": map[string]any{}}, tpl(`{"Type": "`+kind+`", "Properties": {"A": "b"}}`))
		if Worst(found) < want {
			t.Errorf("a new %s: %v, want %v\n%+v", kind, Worst(found), want, found)
		}
	}
	for r, want := range map[string]Class{
		fn(`{"ZipFile": "other"}`):                        Widened,
		fn(`{"S3Bucket": "other", "S3Key": "other.zip"}`): Widened,
		`{"Type": "AWS::ApiGateway::Deployment", "Properties": {"RestApiId": "a", "StageName": "second"}}`: Loosened,
	} {
		if found := judged(map[string]any{"Resources": map[string]any{}}, tpl(r)); Worst(found) < want {
			t.Errorf("new, %s: %v, want %v\n%+v", r, Worst(found), want, found)
		}
	}
	denies := `{"Type": "AWS::IAM::Policy", "Properties": {"Roles": ["r"], "PolicyDocument": {"Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}}}}`
	if found := judged(tpl(denies), map[string]any{"Resources": map[string]any{}}); Worst(found) < Widened {
		t.Errorf("a policy that denies is gone: %v\n%+v", Worst(found), found)
	}
	for kind, want := range map[string]Class{
		"AWS::IAM::ManagedPolicy": Replaced, "AWS::IAM::Role": Replaced, "AWS::Lambda::Permission": Loosened,
		"AWS::Lambda::Version": Changed, "AWS::ApiGateway::Deployment": Changed,
	} {
		found := judged(tpl(`{"Type": "`+kind+`", "Properties": {"A": "b"}}`), map[string]any{"Resources": map[string]any{}})
		if Worst(found) < want {
			t.Errorf("no %s any more: %v, want %v\n%+v", kind, Worst(found), want, found)
		}
	}
}
