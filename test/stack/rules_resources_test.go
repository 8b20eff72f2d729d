package stack

import (
	"maps"
	"slices"
	"strings"
)

const (
	queueType    = "AWS::SQS::Queue"
	secretType   = "AWS::SecretsManager::Secret"
	keyType      = "AWS::KMS::Key"
	logGroupType = "AWS::Logs::LogGroup"
	functionType = "AWS::Lambda::Function"
	versionType  = "AWS::Lambda::Version"
	alarmType    = "AWS::CloudWatch::Alarm"
	topicType    = "AWS::SNS::Topic"
	bucketType   = "AWS::S3::Bucket"
)

// accepted are the types that the local engine deploys. It refuses a template with
// any other as a whole, so a new one is tried there first and then added.
var accepted = []string{
	"AWS::ApiGateway::BasePathMapping", "AWS::ApiGateway::Deployment", domainType, "AWS::ApiGateway::GatewayResponse", "AWS::ApiGateway::Method", "AWS::ApiGateway::Resource",
	"AWS::ApiGateway::RestApi", "AWS::ApiGateway::Stage", alarmType, "AWS::CloudWatch::Dashboard", "AWS::Events::Rule", "AWS::IAM::ManagedPolicy",
	"AWS::IAM::Role", keyType, "AWS::Route53::RecordSet", "AWS::Lambda::Alias", functionType, "AWS::Lambda::Permission", versionType, logGroupType,
	"AWS::Logs::MetricFilter", bucketType, "AWS::S3::BucketPolicy", tableType, "AWS::SNS::Subscription", topicType, "AWS::SNS::TopicPolicy", queueType, "AWS::SQS::QueuePolicy", secretType,
}

// stateful are the logical ids of what holds data, by type. A changed id is a new,
// empty resource, and the old one with its data is orphaned or deleted.
var stateful = map[string][]string{
	queueType:    {"DeadLettersBBF8BAAB", "Queue4A7E3555", "SpillNotices5DF528D5"},
	bucketType:   {"Bucket83908E77"},
	secretType:   {"Secret"},
	tableType:    {"CompletedDFD81B64"},
	keyType:      {"Key961B73FD"},
	logGroupType: {"AccessLogs8B620ECA", "ReceiverLogsDEB6297F"},
}

var outputNames = []string{"BucketName", "ConsumerPolicyArn", "DashboardUrl", "DeadLetterQueueUrl", "OperatorPolicyArn", "QueueArn", "QueueUrl",
	"SecretName", "SecretPolicyArn", "SpillNoticesQueueUrl", "WebhookUrl", "WorkerPolicyArn"}

// physicalNames are the properties that fix a resource's name, by type.
var physicalNames = map[string]string{
	queueType: "QueueName", tableType: "TableName", bucketType: "BucketName", topicType: "TopicName", secretType: "Name", logGroupType: "LogGroupName", functionType: "FunctionName",
	"AWS::IAM::Role": "RoleName", "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
}

var resourceRules = []rule{
	{
		name: "known types", why: "the local engine refuses a template with a type it does not know, so nothing could be tested",
		check: func(d deployment) (f findings) {
			for id, r := range d.template.Resources {
				if strings.HasPrefix(r.Type, "AWS::CodeDeploy::") && d.stage.Name != "local" {
					continue // a stage that the engine deploys has no canary
				}
				if !slices.Contains(accepted, r.Type) {
					f.addf("%s is of type %s", id, r.Type)
				}
			}
			return f
		},
		mutations: []mutation{{"composite alarm", func(t template) { t.Resources["X"] = &resource{Type: "AWS::CloudWatch::CompositeAlarm"} }}},
	},
	{
		name: "logical ids of state", why: "a renamed construct is a new, empty queue beside the one with the notifications",
		check: func(d deployment) (f findings) {
			for kind, ids := range stateful {
				if kind == keyType && !d.stage.OwnKey || kind == tableType && !d.stage.Deduplicate {
					ids = nil
				}
				f.want(kind, d.template.of(kind), ids)
			}
			return f
		},
		mutations: []mutation{
			{"renamed queue", func(t template) { rename(t, "Queue4A7E3555", "Events4A7E3555") }},
			{"key gone", func(t template) { delete(t.Resources, "Key961B73FD") }},
		},
	},
	{
		name: "state is kept", why: "removing a resource or the stack must not delete notifications, the secret or the logs of production",
		check: func(d deployment) (f findings) {
			// Except on create: what a failed first deployment made would be in the way of the next.
			removed, replaced := "Delete", "Delete"
			if d.stage.Retain {
				removed, replaced = "RetainExceptOnCreate", "Retain"
			}
			for kind := range stateful {
				for _, id := range d.template.of(kind) {
					f.want(id+"'s DeletionPolicy", d.template.Resources[id].DeletionPolicy, removed)
					f.want(id+"'s UpdateReplacePolicy", d.template.Resources[id].UpdateReplacePolicy, replaced)
				}
			}
			return f
		},
		mutations: []mutation{
			{"queue deleted with the stack", func(t template) { t.Resources["Queue4A7E3555"].DeletionPolicy = "Delete" }},
			{"secret deleted when replaced", func(t template) { t.Resources["Secret"].UpdateReplacePolicy = "" }},
		},
	},
	{
		name: "generated names", why: "a resource of a fixed name cannot be replaced, and a retained one blocks its own re-creation",
		check: func(d deployment) (f findings) {
			for id, r := range d.template.Resources {
				if property, ok := physicalNames[r.Type]; ok && r.Properties.at(property) != nil {
					f.addf("%s has the fixed name %s", id, text(r.Properties.at(property)))
				}
			}
			return f
		},
		mutations: []mutation{{"queue of a fixed name", set(queueType, "Queue", "events", "QueueName")}},
	},
	{
		name: "outputs", why: "people and programs find the deployment by exactly these names",
		check: func(d deployment) (f findings) {
			names := outputNames
			if d.stage.Deduplicate {
				names = slices.Sorted(slices.Values(append([]string{"CompletedTableName"}, names...)))
			}
			if d.stage.ArchiveDays > 0 {
				names = slices.Sorted(slices.Values(append([]string{"ArchiveDays"}, names...)))
			}
			f.want("the outputs' names", slices.Sorted(maps.Keys(d.template.Outputs)), names)
			for name, o := range d.template.Outputs {
				if o.Description == "" || o.Value == nil || o.Export != nil {
					f.addf("%s needs a description and a value, and no export", name)
				}
			}
			if url := literal(d.template.Outputs["WebhookUrl"].Value); !strings.HasSuffix(url, "/nylas") || !strings.HasPrefix(url, "https://") {
				f.addf("WebhookUrl is %s", url)
			}
			return f
		},
		mutations: []mutation{
			{"output gone", func(t template) { delete(t.Outputs, "QueueArn") }},
			{"URL of the root", func(t template) { t.Outputs["WebhookUrl"] = output{Description: "x", Value: "https://example.com/"} }},
		},
	},
	{
		name: "logs end", why: "logs hold grant ids and cost money for as long as they are kept",
		check: func(d deployment) (f findings) {
			for _, id := range d.template.of(logGroupType) {
				f.want(id+"'s retention", d.template.Resources[id].Properties.at("RetentionInDays"), d.stage.LogDays)
			}
			return f
		},
		mutations: []mutation{{"kept for ever", set(logGroupType, "AccessLogs", nil, "RetentionInDays")}},
	},
	{
		name: "empty secret", why: "a generated value is a wrong secret: every signature would fail instead of waiting for the right one",
		check: func(d deployment) (f findings) {
			for key := range d.template.props(secretType, "Secret") {
				if key != "Description" {
					f.addf("the secret has %s", key)
				}
			}
			return f
		},
		mutations: []mutation{{"generated", set(secretType, "Secret", map[string]any{}, "GenerateSecretString")}},
	},
	{
		name: "refused until set up", why: "production without an account in its settings would land wherever the credentials point",
		check: func(d deployment) (f findings) {
			_, refused := d.template.Rules["Deployable"]
			f.want("refusing the deployment", refused, d.stage.Deployable() != nil)
			return f
		},
		mutations: []mutation{{"refused though complete", func(t template) { t.Rules["Deployable"] = map[string]any{} }}},
	},
}

func rename(t template, from, to string) {
	t.Resources[to] = t.Resources[from]
	delete(t.Resources, from)
}
