package stack

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/onepagecrm/nylas-webhooks/infra/stages"
)

const managedPolicyType = "AWS::IAM::ManagedPolicy"

// readActions is exactly what reading a queue needs.
var readActions = []any{"sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:ReceiveMessage"}

var receiverRules = []rule{
	{
		name: "function", why: "another runtime, architecture or limit is another program than the one that was tested",
		check: func(d deployment) (f findings) {
			p := d.template.props(functionType, "Receiver")
			architecture := map[stages.Architecture]string{stages.ARM64: "arm64", stages.AMD64: "x86_64"}[d.stage.Architecture]
			f.want("Architectures", p.at("Architectures"), []any{architecture})
			for property, want := range map[string]any{"Runtime": "provided.al2023", "Handler": "bootstrap", "MemorySize": 256} {
				f.want(property, p.at(property), want)
			}
			tracing := map[bool]any{true: map[string]any{"Mode": "Active"}}[d.stage.Tracing]
			f.want("TracingConfig", p.at("TracingConfig"), tracing)
			concurrency := any(d.stage.ReservedConcurrency)
			if d.stage.ReservedConcurrency == 0 {
				concurrency = nil
			}
			f.want("ReservedConcurrentExecutions", p.at("ReservedConcurrentExecutions"), concurrency)
			return f
		},
		mutations: []mutation{
			{"other architecture", set(functionType, "Receiver", []any{"x86_64"}, "Architectures")},
			{"less memory", set(functionType, "Receiver", 128, "MemorySize")},
			{"no tracing", set(functionType, "Receiver", nil, "TracingConfig")},
			{"unlimited", set(functionType, "Receiver", nil, "ReservedConcurrentExecutions")},
		},
	},
	{
		name: "own log group", why: "a group that Lambda makes by itself is kept for ever, and filters on JSON need JSON",
		check: func(d deployment) (f findings) {
			f.want("LoggingConfig", d.template.props(functionType, "Receiver").at("LoggingConfig"),
				map[string]any{"LogFormat": "JSON", "LogGroup": ref(d.template.id(logGroupType, "ReceiverLogs"))})
			return f
		},
		mutations: []mutation{
			{"Lambda's group", set(functionType, "Receiver", nil, "LoggingConfig", "LogGroup")},
			{"plain text", set(functionType, "Receiver", "Text", "LoggingConfig", "LogFormat")},
		},
	},
	{
		name: "time", why: "each must end before the one that waits for it, or Nylas hangs up on an answer that was coming: Nylas 10 s > gateway > Lambda > handler 7.5 s",
		check: func(d deployment) (f findings) {
			timeout, _ := d.template.props(functionType, "Receiver").at("Timeout").(float64)
			if timeout <= 7.5 {
				f.addf("Lambda ends the function after %v s, before its handler does at 7.5 s", timeout)
			}
			for _, id := range d.template.of("AWS::ApiGateway::Method") {
				gateway, _ := d.template.Resources[id].Properties.at("Integration", "TimeoutInMillis").(float64)
				if gateway <= timeout*1000 || gateway >= 10_000 {
					f.addf("%s gives up after %v ms; Lambda after %v s, Nylas after 10 s", id, gateway, timeout)
				}
			}
			return f
		},
		mutations: []mutation{
			{"Lambda's default of 3 s", set(functionType, "Receiver", nil, "Timeout")},
			{"Lambda outlasts the gateway", set(functionType, "Receiver", 9, "Timeout")},
			{"gateway's default of 29 s", set("AWS::ApiGateway::Method", "EndpointnylasPOST", nil, "Integration", "TimeoutInMillis")},
		},
	},
	{
		name: "alias", why: "the gateway calls an alias on a version that stays, so that rolling back is one call",
		check: func(d deployment) (f findings) {
			alias := d.template.props("AWS::Lambda::Alias", "Live")
			versions := d.template.of(versionType)
			if len(versions) != 1 {
				f.addf("%d versions", len(versions))
				return f
			}
			f.want("the version's DeletionPolicy", d.template.Resources[versions[0]].DeletionPolicy, "RetainExceptOnCreate")
			f.want("the alias's name", alias.at("Name"), "live")
			f.want("the alias's version", alias.at("FunctionVersion"), getAtt(versions[0], "Version"))
			for _, id := range d.template.of("AWS::ApiGateway::Method") {
				uri := literal(d.template.Resources[id].Properties.at("Integration", "Uri"))
				if want := "/functions/<" + d.template.id("AWS::Lambda::Alias", "Live") + ">/invocations"; !strings.HasSuffix(uri, want) {
					f.addf("%s calls %s", id, uri)
				}
			}
			return f
		},
		mutations: []mutation{
			{"version deleted", func(t template) { t.Resources[t.of(versionType)[0]].DeletionPolicy = "Delete" }},
			{"alias of the newest code", set("AWS::Lambda::Alias", "Live", "$LATEST", "FunctionVersion")},
			{"method calls the function", func(t template) {
				set("AWS::ApiGateway::Method", "EndpointnylasPOST", "…/functions/Receiver/invocations", "Integration", "Uri")(t)
			}},
		},
	},
	{
		name: "who may call the function", why: "whoever calls it past the gateway is past the throttle and the access log",
		check: func(d deployment) (f findings) {
			var calls []string
			for _, id := range d.template.of("AWS::Lambda::Permission") {
				p := d.template.Resources[id].Properties
				f.want(id+"'s function", p.at("FunctionName"), ref(d.template.id("AWS::Lambda::Alias", "Live")))
				f.want(id+"'s caller", p.at("Principal"), "apigateway.amazonaws.com")
				arn := literal(p.at("SourceArn"))
				calls = append(calls, arn[strings.LastIndex(arn, ":")+1:])
			}
			slices.Sort(calls)
			api, stage := d.template.of("AWS::ApiGateway::RestApi")[0], d.template.of("AWS::ApiGateway::Stage")[0]
			f.want("the calls", calls, []string{
				fmt.Sprintf("<%s>/<%s>/GET/nylas", api, stage), fmt.Sprintf("<%s>/<%s>/POST/nylas", api, stage),
			})
			return f
		},
		mutations: []mutation{
			{"any API of the account", func(t template) {
				t.Resources[t.of("AWS::Lambda::Permission")[0]].Properties["SourceArn"] = "arn:aws:execute-api:*"
			}},
			{"no source", func(t template) { delete(t.Resources[t.of("AWS::Lambda::Permission")[1]].Properties, "SourceArn") }},
			{"everybody", func(t template) { t.Resources[t.of("AWS::Lambda::Permission")[0]].Properties["Principal"] = "*" }},
			{"test button", func(t template) {
				t.Resources["X"] = t.clone().Resources[t.of("AWS::Lambda::Permission")[0]]
			}},
		},
	},
}

// descriptions of managed policies are create-only: another text makes another policy
// with another ARN, which roles outside the stack do not have, and the deletion of the
// old one fails while they have it.
// docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-iam-managedpolicy.html
var descriptions = map[string]string{
	"ConsumerPolicy": "What reading the queue of NylasWebhooks-%s needs",
	"WorkerPolicy":   "What hookworker of NylasWebhooks-%s needs beyond the consumer policy",
	"OperatorPolicy": "What putting notifications of NylasWebhooks-%s back takes",
	"SecretPolicy":   "What looking after the webhook secret of NylasWebhooks-%s takes",
	"ReceiverPolicy": "What the receiver of NylasWebhooks-%s needs",
}

var policyRules = []rule{
	{
		name: "texts of policies", why: "the text of a managed policy is create-only; whoever rewords it takes the rights away from roles outside the stack",
		check: func(d deployment) (f findings) {
			for _, id := range d.template.of(managedPolicyType) {
				p := d.template.Resources[id].Properties
				name := ""
				for role := range descriptions {
					if strings.HasPrefix(id, role) {
						name = role
					}
				}
				f.want(id+"'s text", p.at("Description"), fmt.Sprintf(descriptions[name], d.stage.Name))
			}
			f.want("policies", len(d.template.of(managedPolicyType)), len(descriptions))
			return f
		},
		mutations: []mutation{
			{"another text", set(managedPolicyType, "OperatorPolicy", "What an operator needs", "Description")},
		},
	},
	{
		name: "the receiver's policy is seen", why: "attached from the role's side a policy is in no table of cdk diff, and --security-only is silent whatever it allows",
		check: func(d deployment) (f findings) {
			role := d.template.id("AWS::IAM::Role", "ReceiverRole")
			f.want("who has the receiver's policy", d.template.props(managedPolicyType, "ReceiverPolicy").at("Roles"), []any{ref(role)})
			f.want("what the role names itself", d.template.Resources[role].Properties.at("ManagedPolicyArns"), nil)
			// The role no longer waits for the policy, so the function has to: else it runs, for
			// as long as that takes, without a right to send or to log.
			policy := d.template.id(managedPolicyType, "ReceiverPolicy")
			if function := d.template.Resources[d.template.id(functionType, "Receiver")]; !slices.Contains(list(function.DependsOn), any(policy)) {
				f.addf("the function does not wait for %s", policy)
			}
			return f
		},
		mutations: []mutation{
			{"on nobody", set(managedPolicyType, "ReceiverPolicy", nil, "Roles")},
			{"not waited for", func(t template) { t.Resources[t.id(functionType, "Receiver")].DependsOn = nil }},
			{"from the role's side", func(t template) {
				set("AWS::IAM::Role", "ReceiverRole", []any{ref(t.id(managedPolicyType, "ReceiverPolicy"))}, "ManagedPolicyArns")(t)
			}},
		},
	},
	{
		name: "no inline policy", why: "what the function may do stands in one policy that names itself; a grant somewhere must not add to it",
		check: func(d deployment) (f findings) {
			f.want("policies", append(d.template.of("AWS::IAM::Policy"), d.template.of("AWS::IAM::UserPolicy")...), []string(nil))
			for _, id := range d.template.of("AWS::IAM::Role") {
				p := d.template.Resources[id].Properties
				if p.at("Policies") != nil {
					f.addf("%s has an inline policy", id)
				}
				for _, arn := range list(p.at("ManagedPolicyArns")) {
					if text(arn) == text(canaryPolicy) && id == d.template.id("AWS::IAM::Role", "CanaryRole") {
						continue
					}
					if ids := references(arn); len(ids) != 1 || d.template.Resources[ids[0]] == nil {
						f.addf("%s has %s, which is not of this template", id, text(arn))
					}
				}
			}
			return f
		},
		mutations: []mutation{
			{"a grant", func(t template) { t.Resources["X"] = &resource{Type: "AWS::IAM::Policy"} }},
			{"inline", set("AWS::IAM::Role", "ReceiverRole", []any{map[string]any{}}, "Policies")},
			{"AWS's own", set("AWS::IAM::Role", "ReceiverRole", []any{"arn:aws:iam::aws:policy/AdministratorAccess"}, "ManagedPolicyArns")},
		},
	},
	{
		name: "receiver's rights", why: "a function that strangers can call may do exactly this: send to this queue, put into the places of this bucket that are for it, read this secret, write its own log",
		check: func(d deployment) (f findings) {
			want := map[string]any{
				"sqs:SendMessage":               getAtt(d.template.id(queueType, "Queue"), "Arn"),
				"secretsmanager:GetSecretValue": getAtt("Secret", "Id"),
				"logs:CreateLogStream":          getAtt(d.template.id(logGroupType, "ReceiverLogs"), "Arn"),
				"logs:PutLogEvents":             getAtt(d.template.id(logGroupType, "ReceiverLogs"), "Arn"),
				"s3:PutObject":                  []any{objectsUnder(d.template, "spill/*"), objectsUnder(d.template, "overflow/*")},
			}
			if d.stage.ArchiveDays > 0 {
				want["s3:PutObject"] = append(list(want["s3:PutObject"]), objectsUnder(d.template, "archive/*"))
			}
			if d.stage.OwnKey {
				want["kms:Decrypt"] = getAtt(d.template.id(keyType, "Key"), "Arn")
				want["kms:GenerateDataKey"] = want["kms:Decrypt"]
			}
			if d.stage.Tracing { // these two know no resource
				want["xray:PutTelemetryRecords"], want["xray:PutTraceSegments"] = "*", "*"
			}
			f.want("the receiver's rights", rights(d.template.props(managedPolicyType, "ReceiverPolicy")), want)
			return f
		},
		mutations: []mutation{
			{"any queue", func(t template) { receiverStatement(t, 0)["Resource"] = "*" }},
			{"any action", func(t template) { receiverStatement(t, 0)["Action"] = "sqs:*" }},
			{"may read the queue", func(t template) { receiverStatement(t, 0)["Action"] = []any{"sqs:SendMessage", "sqs:ReceiveMessage"} }},
			{"may overwrite the whole bucket", func(t template) { receiverStatement(t, 3)["Resource"] = "*" }},
			{"may read what was spilled", func(t template) { receiverStatement(t, 3)["Action"] = []any{"s3:GetObject", "s3:PutObject"} }},
			{"may not read the secret", func(t template) { receiverStatement(t, 1)["Effect"] = "Deny" }},
			{"may read the archive", func(t template) { receiverStatement(t, 5)["Action"] = []any{"s3:GetObject", "s3:PutObject"} }},
			{"no archive", func(t template) { receiverStatement(t, 5)["Effect"] = "Deny" }},
			{"may not use the key", func(t template) { receiverStatement(t, 6)["Action"] = "kms:Decrypt" }},
		},
	},
	{
		name: "consumer's rights", why: "the policy that people attach to the CRM must neither lack a right nor open anything else",
		check: func(d deployment) (f findings) {
			want := make(map[string]any)
			for _, action := range readActions {
				want[action.(string)] = getAtt(d.template.id(queueType, "Queue"), "Arn")
			}
			want["s3:GetObject"] = objectsUnder(d.template, "overflow/*")
			if d.stage.OwnKey {
				want["kms:Decrypt"] = getAtt(d.template.id(keyType, "Key"), "Arn")
			}
			f.want("the consumer's rights", rights(d.template.props(managedPolicyType, "ConsumerPolicy")), want)
			f.want("ConsumerPolicyArn", d.template.Outputs["ConsumerPolicyArn"].Value, ref(d.template.id(managedPolicyType, "ConsumerPolicy")))
			return f
		},
		mutations: []mutation{
			{"may purge", func(t template) { consumerPolicyStatement(t)["Action"] = append(readActions, "sqs:PurgeQueue") }},
			{"both queues", func(t template) { consumerPolicyStatement(t)["Resource"] = "*" }},
			{"output of the receiver's policy", func(t template) {
				t.Outputs["ConsumerPolicyArn"] = output{Description: "x", Value: ref(t.id(managedPolicyType, "ReceiverPolicy"))}
			}},
		},
	},
	{
		name: "role of the function alone", why: "whoever else could take the role could write into the queue",
		check: func(d deployment) (f findings) {
			role := d.template.props("AWS::IAM::Role", "ReceiverRole")
			f.want("who takes the role", role.at("AssumeRolePolicyDocument", "Statement"), []any{map[string]any{
				"Action": "sts:AssumeRole", "Effect": "Allow", "Principal": map[string]any{"Service": "lambda.amazonaws.com"},
			}})
			roles := []string{d.template.id("AWS::IAM::Role", "ReceiverRole")}
			if d.stage.CanaryMinutes > 0 {
				roles = append([]string{d.template.id("AWS::IAM::Role", "CanaryRole")}, roles...)
			}
			f.want("the roles", d.template.of("AWS::IAM::Role"), roles)
			return f
		},
		mutations: []mutation{
			{"another principal", set("AWS::IAM::Role", "ReceiverRole", []any{}, "AssumeRolePolicyDocument", "Statement")},
			{"another role", func(t template) { t.Resources["X"] = &resource{Type: "AWS::IAM::Role", Properties: object{}} }},
		},
	},
}

// rights returns action → resource of a policy that only allows and without
// conditions; anything else under a key that equals no action.
func rights(policy object) map[string]any {
	found := make(map[string]any)
	for i, s := range objects(policy.at("PolicyDocument", "Statement")) {
		keys := slices.Sorted(maps.Keys(s))
		if !s.is("Allow", "Effect") || text(keys) != `["Action","Effect","Resource","Sid"]` {
			found[fmt.Sprintf("statement %d", i)] = s
			continue
		}
		for _, action := range list(s.at("Action")) {
			name := fmt.Sprint(action)
			if other, ok := found[name]; ok {
				found[name] = append(list(other), s.at("Resource"))
				continue
			}
			found[name] = s.at("Resource")
		}
	}
	return found
}

// objectsUnder is the ARN of the bucket's objects under a prefix.
func objectsUnder(t template, prefix string) any {
	return map[string]any{"Fn::Join": []any{"", []any{getAtt(t.id(bucketType, "Bucket"), "Arn"), "/" + prefix}}}
}

func receiverStatement(t template, i int) object {
	return objects(t.props(managedPolicyType, "ReceiverPolicy").at("PolicyDocument", "Statement"))[i]
}

func consumerPolicyStatement(t template) object {
	return objects(t.props(managedPolicyType, "ConsumerPolicy").at("PolicyDocument", "Statement"))[0]
}
