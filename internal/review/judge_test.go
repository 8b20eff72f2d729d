package review

import (
	"slices"
	"strings"
	"testing"
)

// One resource that changes, and all that is said of it.
func TestJudge(t *testing.T) {
	e := reviewer(t)
	of := func(kind, properties string) string {
		return `{"Type": "` + kind + `", "Properties": {` + properties + `}}`
	}
	const (
		queue, bucket, alarm    = "AWS::SQS::Queue", "AWS::S3::Bucket", "AWS::CloudWatch::Alarm"
		function, stage, policy = "AWS::Lambda::Function", "AWS::ApiGateway::Stage", "AWS::SQS::QueuePolicy"
	)
	for name, c := range map[string]struct {
		old, new string // "" is none
		want     []string
	}{
		// A resource that comes.
		"a queue":                    {"", of(queue, ""), []string{"changed added R"}},
		"a queue of rights":          {"", of(policy, `"PolicyDocument": {"Statement": []}`), []string{"widened added-permission R"}},
		"a policy in a list":         {"", of("AWS::X::Y", `"A": [{"Policy": {"Statement": []}}]`), []string{"widened added-permission R"}},
		"a role":                     {"", of("AWS::IAM::Role", ""), []string{"widened added-permission R"}},
		"what nobody knows":          {"", of("AWS::X::Y", `"A": [1]`), []string{"loosened added-unknown R"}},
		"a subscription of logs":     {"", of("AWS::Logs::SubscriptionFilter", ""), []string{"widened copied R"}},
		"a rotation":                 {"", of("AWS::SecretsManager::RotationSchedule", ""), []string{"replaced secret-value R"}},
		"our function":               {"", of(function, `"Code": {"S3Key": "`+program64+`"}`), []string{"changed added R"}},
		"our function with a layer":  {"", of(function, `"Code": {"S3Key": "`+program64+`"}, "Layers": ["a"]`), []string{"widened function-code-elsewhere R"}},
		"the program of another":     {"", of(function, `"Code": {"S3Key": "a.zip"}`), []string{"widened function-code-elsewhere R"}},
		"a version":                  {"", of("AWS::Lambda::Version", ""), []string{"code only function-version R"}},
		"a deployment":               {"", of("AWS::ApiGateway::Deployment", ""), []string{"changed api-deployment R"}},
		"a deployment with a stage":  {"", of("AWS::ApiGateway::Deployment", `"StageName": "x"`), []string{"loosened second-way-in R"}},
		"a deployment that says how": {"", of("AWS::ApiGateway::Deployment", `"StageDescription": {}`), []string{"loosened second-way-in R"}},
		"a stage like a deployment":  {"", of(stage, `"StageName": "x"`), []string{"loosened added-unknown R"}},

		// One that goes.
		"no alarm":             {of(alarm, ""), "", []string{"loosened removed-guard R"}},
		"no queue":             {of(queue, ""), "", []string{"replaced removed R"}},
		"no role":              {of("AWS::IAM::Role", ""), "", []string{"replaced removed R"}},
		"no rights":            {of("AWS::IAM::Policy", `"PolicyDocument": {"Statement": [{"Effect": "Allow"}]}`), "", []string{"loosened removed-permission R"}},
		"no denial":            {of("AWS::IAM::Policy", `"PolicyDocument": {"Statement": [{"Effect": "Allow"}, {"Effect": "Deny"}]}`), "", []string{"widened removed-policy R"}},
		"no policy of a queue": {of(policy, `"PolicyDocument": {"Statement": [{"Effect": "Allow"}]}`), "", []string{"widened removed-policy R"}},
		"no X":                 {of("AWS::X::Y", ""), "", []string{"replaced removed R"}},

		// One that stays.
		"another type":                {of(queue, ""), of(bucket, ""), []string{"replaced type R Type"}},
		"another name":                {of(queue, `"QueueName": "a"`), of(queue, `"QueueName": "b"`), []string{"replaced replaced R Properties.QueueName", "loosened unknown R Properties.QueueName"}},
		"another name of an alarm":    {of(alarm, `"AlarmName": "a"`), of(alarm, `"AlarmName": "b"`), []string{"changed made-anew R Properties.AlarmName", "loosened alarm-when R Properties.AlarmName"}},
		"kept no more":                {`{"Type": "` + queue + `", "DeletionPolicy": "Retain"}`, `{"Type": "` + queue + `", "DeletionPolicy": "Delete"}`, []string{"loosened retention-policy R DeletionPolicy"}},
		"kept now":                    {`{"Type": "` + queue + `"}`, `{"Type": "` + queue + `", "UpdateReplacePolicy": "Retain"}`, []string{"changed retention-policy R UpdateReplacePolicy"}},
		"a copy instead":              {`{"Type": "` + queue + `", "DeletionPolicy": "RetainExceptOnCreate"}`, `{"Type": "` + queue + `", "DeletionPolicy": "Snapshot"}`, []string{"changed retention-policy R DeletionPolicy"}},
		"a note":                      {of(queue, ""), `{"Type": "` + queue + `", "Properties": {}, "Metadata": {"a": "b"}}`, []string{"nothing metadata R Metadata.a"}},
		"a note that a machine runs":  {of(queue, ""), `{"Type": "` + queue + `", "Properties": {}, "Metadata": {"AWS::CloudFormation::Init": "b"}}`, []string{"widened machine R Metadata.AWS::CloudFormation::Init"}},
		"a note of where it gets it":  {of(queue, ""), `{"Type": "` + queue + `", "Properties": {}, "Metadata": {"AWS::CloudFormation::Authentication": "b"}}`, []string{"widened machine R Metadata.AWS::CloudFormation::Authentication"}},
		"a note that a macro writes":  {of(queue, ""), `{"Type": "` + queue + `", "Properties": {}, "Metadata": {"a": {"Fn::Transform": {"Name": "A"}, "b": 1}}}`, []string{"widened machine R Metadata.a.Fn::Transform.Name", "nothing metadata R Metadata.a.b"}},
		"a condition":                 {of(queue, ""), `{"Type": "` + queue + `", "Properties": {}, "Condition": "c"}`, []string{"replaced condition R Condition"}},
		"how it is updated":           {of(queue, ""), `{"Type": "` + queue + `", "Properties": {}, "UpdatePolicy": {"a": 1}}`, []string{"loosened canary R UpdatePolicy.a"}},
		"after others":                {of(queue, ""), `{"Type": "` + queue + `", "Properties": {}, "DependsOn": "c"}`, []string{"changed order R DependsOn"}},
		"an attribute":                {of(queue, ""), `{"Type": "` + queue + `", "Properties": {}, "CreationPolicy": "c"}`, []string{"loosened attribute R CreationPolicy"}},
		"a property that nobody had":  {of(queue, ""), of(queue, `"A": 1`), []string{"loosened unknown R Properties.A"}},
		"two policies, each once":     {of("AWS::X::Y", `"A": {"PolicyDocument": {"Statement": [{"Effect": "Allow", "Action": "a"}]}}, "B": {"PolicyDocument": {"Statement": [{"Effect": "Allow", "Action": "a"}]}}`), of("AWS::X::Y", `"A": {"PolicyDocument": {"Statement": [{"Sid": "x", "Effect": "Allow", "Action": "b"}]}}, "B": {"PolicyDocument": {"Statement": [{"Effect": "Allow", "Action": "b"}]}}`), []string{"widened allow-added R Properties.A.PolicyDocument", "loosened allow-removed R Properties.A.PolicyDocument", "widened allow-added R Properties.B.PolicyDocument", "loosened allow-removed R Properties.B.PolicyDocument"}},
		"a policy that comes":         {of("AWS::X::Y", `"A": 1`), of("AWS::X::Y", `"A": 1, "Policy": {"Statement": [{"Effect": "Allow", "Action": "a"}]}`), []string{"widened allow-added R Properties.Policy"}},
		"a policy that goes":          {of("AWS::X::Y", `"A": 1, "Policy": {"Statement": [{"Effect": "Allow", "Action": "a"}]}`), of("AWS::X::Y", `"A": 1`), []string{"loosened allow-removed R Properties.Policy"}},
		"another policy in a list":    {of("AWS::X::Y", `"A": [{"Policy": {"Statement": [{"Effect": "Allow", "Action": "a"}]}}]`), of("AWS::X::Y", `"A": [{"Policy": {"Statement": [{"Effect": "Allow", "Action": "b"}]}}]`), []string{"widened allow-added R Properties.A.0.Policy", "loosened allow-removed R Properties.A.0.Policy"}},
		"no policy, by the same name": {of("AWS::X::Y", `"Policy": {"A": 1}`), of("AWS::X::Y", `"Policy": {"A": 2}`), []string{"widened right R Properties.Policy.A"}},

		// The rules that look at the value.
		"kept for less":            {of(queue, `"MessageRetentionPeriod": 600`), of(queue, `"MessageRetentionPeriod": 60`), []string{"loosened retention R Properties.MessageRetentionPeriod"}},
		"kept for longer":          {of(queue, `"MessageRetentionPeriod": 600`), of(queue, `"MessageRetentionPeriod": "601"`), []string{"changed retention R Properties.MessageRetentionPeriod"}},
		"kept as before":           {of(queue, `"MessageRetentionPeriod": 600`), of(queue, `"MessageRetentionPeriod": "600"`), []string{"loosened retention R Properties.MessageRetentionPeriod"}},
		"kept for who knows":       {of(queue, `"MessageRetentionPeriod": 600`), of(queue, `"MessageRetentionPeriod": "7 days"`), []string{"loosened retention R Properties.MessageRetentionPeriod"}},
		"kept since who knows":     {of(queue, `"MessageRetentionPeriod": {"Ref": "P"}`), of(queue, `"MessageRetentionPeriod": 600`), []string{"loosened retention R Properties.MessageRetentionPeriod"}},
		"a key that turns":         {of("AWS::KMS::Key", `"EnableKeyRotation": false`), of("AWS::KMS::Key", `"EnableKeyRotation": true`), []string{"changed key-rotation R Properties.EnableKeyRotation"}},
		"a key that is on":         {of("AWS::KMS::Key", `"Enabled": false`), of("AWS::KMS::Key", ``), []string{"changed key-off R Properties.Enabled"}},
		"a key that is off":        {of("AWS::KMS::Key", `"Enabled": true`), of("AWS::KMS::Key", `"Enabled": false`), []string{"loosened key-off R Properties.Enabled"}},
		"no second way in":         {of("AWS::ApiGateway::RestApi", `"DisableExecuteApiEndpoint": false`), of("AWS::ApiGateway::RestApi", `"DisableExecuteApiEndpoint": true`), []string{"changed second-way-in R Properties.DisableExecuteApiEndpoint"}},
		"above rings later":        {of(alarm, `"Threshold": 1, "ComparisonOperator": "GreaterThanThreshold"`), of(alarm, `"Threshold": 2, "ComparisonOperator": "GreaterThanThreshold"`), []string{"loosened alarm-threshold R Properties.Threshold"}},
		"above rings earlier":      {of(alarm, `"Threshold": 2, "ComparisonOperator": "GreaterThanThreshold"`), of(alarm, `"Threshold": 1, "ComparisonOperator": "GreaterThanThreshold"`), []string{"changed alarm-threshold R Properties.Threshold"}},
		"below rings earlier":      {of(alarm, `"Threshold": 1, "ComparisonOperator": "LessThanThreshold"`), of(alarm, `"Threshold": 2, "ComparisonOperator": "LessThanThreshold"`), []string{"changed alarm-threshold R Properties.Threshold"}},
		"at most rings later":      {of(alarm, `"Threshold": 2, "ComparisonOperator": "LessThanOrEqualToThreshold"`), of(alarm, `"Threshold": 1, "ComparisonOperator": "LessThanOrEqualToThreshold"`), []string{"loosened alarm-threshold R Properties.Threshold"}},
		"one more is told":         {of(alarm, ""), of(alarm, `"OKActions": ["a"]`), []string{"changed alarm-actions R Properties.OKActions"}},
		"another is told":          {of(alarm, `"OKActions": ["a"]`), of(alarm, `"OKActions": ["b"]`), []string{"loosened alarm-actions R Properties.OKActions.0"}},
		"the public is kept out":   {of(bucket, `"PublicAccessBlockConfiguration": {"BlockPublicAcls": false}`), of(bucket, `"PublicAccessBlockConfiguration": {"BlockPublicAcls": true}`), []string{"changed public-access R Properties.PublicAccessBlockConfiguration.BlockPublicAcls"}},
		"the public is let in":     {of(bucket, `"PublicAccessBlockConfiguration": {"BlockPublicAcls": true}`), of(bucket, ``), []string{"widened public-access R Properties.PublicAccessBlockConfiguration.BlockPublicAcls"}},
		"our next program":         {of(function, `"Code": {"S3Key": "a.zip"}`), of(function, `"Code": {"S3Key": "`+program64+`"}`), []string{"code only function-code R Properties.Code.S3Key"}},
		"its bucket":               {of(function, `"Code": {"S3Bucket": "a"}`), of(function, `"Code": {"S3Bucket": "`+program64+`"}`), []string{"widened function-code-elsewhere R Properties.Code.S3Bucket"}},
		"an alias that follows":    {of("AWS::Lambda::Alias", `"FunctionVersion": "1"`), of("AWS::Lambda::Alias", `"FunctionVersion": {"Fn::GetAtt": ["V", "Version"]}`), []string{"code only function-version R Properties.FunctionVersion"}},
		"an alias that refers":     {of("AWS::Lambda::Alias", `"FunctionVersion": "1"`), of("AWS::Lambda::Alias", `"FunctionVersion": {"Ref": "V"}`), []string{"loosened function-alias R Properties.FunctionVersion"}},
		"an alias of two":          {of("AWS::Lambda::Alias", `"FunctionVersion": "1"`), of("AWS::Lambda::Alias", `"FunctionVersion": {"Fn::GetAtt": ["V", "Version"], "A": "b"}`), []string{"loosened function-alias R Properties.FunctionVersion"}},
		"bodies are logged":        {of(stage, `"MethodSettings": [{"DataTraceEnabled": false}]`), of(stage, `"MethodSettings": [{"DataTraceEnabled": true}]`), []string{"widened execution-log R Properties.MethodSettings.0.DataTraceEnabled"}},
		"bodies are not logged":    {of(stage, `"MethodSettings": [{"DataTraceEnabled": true}]`), of(stage, `"MethodSettings": [{"DataTraceEnabled": false}]`), []string{"changed execution-log R Properties.MethodSettings.0.DataTraceEnabled"}},
		"no log of the gateway":    {of(stage, `"MethodSettings": [{"LoggingLevel": "INFO"}]`), of(stage, `"MethodSettings": [{"LoggingLevel": "OFF"}]`), []string{"changed execution-log R Properties.MethodSettings.0.LoggingLevel"}},
		"whatever the gateway log": {of(stage, `"MethodSettings": [{"LoggingLevel": "OFF", "A": 1}]`), of(stage, `"MethodSettings": [{"A": 1}]`), []string{"loosened execution-log R Properties.MethodSettings.0.LoggingLevel"}},
	} {
		t.Run(name, func(t *testing.T) {
			made := func(r string) map[string]any {
				if r == "" {
					return map[string]any{"Resources": map[string]any{}}
				}
				return template(t, `{"Resources": {"R": `+r+`}}`)
			}
			old, new := made(c.old), made(c.new)
			found, err := CompareTemplates(e, old, new)
			if got := said(found); err != nil || !slices.Equal(got, c.want) {
				t.Errorf("%q, %v\nwant %q", got, err, c.want)
			}
		})
	}
}

// What becomes of what a resource holds that goes, or is made anew.
func TestWhatBecomesOfWhatItHeld(t *testing.T) {
	kept, deleted := resource{"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Snapshot"}, resource{"UpdateReplacePolicy": "Delete"}
	for _, c := range []struct{ got, want string }{
		{held("AWS::SQS::Queue", kept), "messages on the old one are not moved. The old one stays behind, outside of the stack"},
		{held("AWS::SQS::Queue", deleted), "messages on the old one are not moved, and it is deleted"},
		{held("AWS::X::Y", deleted), "this knows nothing of the type; whatever it held is not moved, and it is deleted"},
		{replacement("AWS::SQS::Queue", "Name", "WILL_REPLACE", kept).says, "it is replaced, because of Name: messages on the old one are not moved; the old one stays behind"},
		{replacement("AWS::SQS::Queue", "Name", "MAY_REPLACE", deleted).says, "it may be replaced, because of Name: messages on the old one are not moved, and it is deleted"},
		{replacement("AWS::X::Y", "Name", "WILL_REPLACE", kept).says, "it is replaced, because of Name: this knows nothing of the type; whatever it held is not moved"},
		{replacement("AWS::CloudWatch::Alarm", "Name", "MAY_REPLACE", deleted).says, "it may be replaced, because of Name; it holds nothing, and for a moment there may be none"},
		{replacement("AWS::Lambda::Version", "Name", "WILL_REPLACE", deleted).says, "the function gets a new version"},
	} {
		if c.got != c.want {
			t.Errorf("%s\nwant %s", c.got, c.want)
		}
	}
}

// What a new resource of each known type, one that goes, and one that is made anew means. The
// lists are written here once more: what leaves one of them by mistake is judged as something else.
func TestKnownTypes(t *testing.T) {
	for _, c := range []struct {
		what  string
		judge func(kind string, r resource) verdict
		types map[string]string // by class and code
	}{
		{"a new %s", added, map[string]string{
			"changed added": "CloudWatch::Alarm CloudWatch::Dashboard Logs::LogGroup Logs::MetricFilter SQS::Queue S3::Bucket DynamoDB::Table KMS::Alias SNS::Topic SecretsManager::Secret Lambda::Alias CDK::Metadata",
			"widened added-permission": `IAM::Role IAM::Policy IAM::ManagedPolicy IAM::User IAM::Group IAM::AccessKey IAM::InstanceProfile IAM::OIDCProvider IAM::RolePolicy IAM::UserPolicy
				Lambda::Permission Lambda::Url Lambda::LayerVersionPermission KMS::Grant EC2::SecurityGroup EC2::SecurityGroupIngress RAM::ResourceShare Events::EventBusPolicy`,
			"widened copied":         "Lambda::EventSourceMapping Logs::SubscriptionFilter Pipes::Pipe KinesisFirehose::DeliveryStream",
			"loosened added-unknown": "KMS::Key ApiGateway::Stage X::Y",
		}},
		{"no %s any more", removed, map[string]string{
			"loosened removed-guard": `CloudWatch::Alarm CloudWatch::CompositeAlarm Logs::MetricFilter SNS::Subscription ApiGateway::GatewayResponse Events::Rule WAFv2::WebACL WAFv2::WebACLAssociation
				CodeDeploy::DeploymentGroup Lambda::Permission Backup::BackupPlan Config::ConfigRule CloudTrail::Trail`,
			"replaced removed":            "SQS::Queue S3::Bucket DynamoDB::Table SecretsManager::Secret KMS::Key IAM::Role IAM::ManagedPolicy Lambda::Function X::Y",
			"loosened removed-permission": "IAM::Policy IAM::User Lambda::Url KMS::Grant",
			"nothing released":            "Lambda::Version ApiGateway::Deployment",
		}},
	} {
		for want, types := range c.types {
			for kind := range strings.FieldsSeq(types) {
				if v := c.judge("AWS::"+kind, resource{}); v.class.String()+" "+v.code != want {
					t.Errorf(c.what+": %s %s, want %s", kind, v.class, v.code, want)
				}
			}
		}
	}
	for want, types := range map[string]string{
		"changed made-anew": `Lambda::Permission ApiGateway::GatewayResponse ApiGateway::BasePathMapping CloudWatch::Alarm CloudWatch::Dashboard Logs::MetricFilter SQS::QueuePolicy S3::BucketPolicy
			SNS::TopicPolicy IAM::Policy Events::Rule Route53::RecordSet SNS::Subscription`,
		"replaced replaced":          "SQS::Queue IAM::Role X::Y",
		"code only function-version": "Lambda::Version",
		"changed api-deployment":     "ApiGateway::Deployment",
	} {
		for kind := range strings.FieldsSeq(types) {
			for _, impact := range []string{"WILL_REPLACE", "MAY_REPLACE"} {
				r := resource{"Type": "AWS::" + kind}
				found := judge("R", r, r, change{Properties: map[string]string{"Name": impact, "Other": "WILL_UPDATE"}})
				if got := said(found); !slices.Equal(got, []string{want + " R Properties.Name"}) {
					t.Errorf("a %s that is made anew (%s): %q, want %s", kind, impact, got, want)
				}
			}
		}
	}
}
