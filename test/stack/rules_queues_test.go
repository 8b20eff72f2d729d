package stack

import (
	"maps"
	"slices"
	"strings"
)

// tlsOnly tells whether a policy denies everybody everything (or the given action)
// without TLS.
func tlsOnly(policy object, action string) bool {
	return slices.ContainsFunc(objects(policy.at("PolicyDocument", "Statement")), func(s object) bool {
		principal := s.at("Principal")
		return s.is("Deny", "Effect") && s.is(action, "Action") && s.is("false", "Condition", "Bool", "aws:SecureTransport") &&
			(principal == "*" || text(principal) == `{"AWS":"*"}`)
	})
}

// policyOf returns the policy that is attached to a queue or topic.
func policyOf(t template, kind, members, id string) object {
	for _, policy := range t.of(kind) {
		if p := t.Resources[policy].Properties; p.is([]any{ref(id)}, members) {
			return p
		}
	}
	return object{}
}

var queueRules = []rule{
	{
		name: "dead letters", why: "a notification that no consumer can handle must be put aside before it expires, and not be tried for ever",
		check: func(d deployment) (f findings) {
			queue, dead := d.template.props(queueType, "Queue"), d.template.props(queueType, "DeadLetters")
			f.want("the queue's redrive policy", queue.at("RedrivePolicy"), map[string]any{
				"deadLetterTargetArn": getAtt(d.template.id(queueType, "DeadLetters"), "Arn"), "maxReceiveCount": 5,
			})
			f.want("who may use the dead-letter queue", dead.at("RedriveAllowPolicy"), map[string]any{"redrivePermission": "allowAll"})
			if dead.at("RedrivePolicy") != nil {
				f.addf("dead letters are moved on")
			}
			return f
		},
		mutations: []mutation{
			{"tried once", set(queueType, "Queue", 1, "RedrivePolicy", "maxReceiveCount")},
			{"no dead letters", set(queueType, "Queue", nil, "RedrivePolicy")},
			{"nobody may", set(queueType, "DeadLetters", "denyAll", "RedriveAllowPolicy", "redrivePermission")},
			{"dead letters of dead letters", set(queueType, "DeadLetters", map[string]any{}, "RedrivePolicy")},
		},
	},
	{
		name: "retention", why: "SQS counts from the first send, so dead letters must be kept longer than the queue keeps them",
		check: func(d deployment) (f findings) {
			f.want("the queue's retention", d.template.props(queueType, "Queue").at("MessageRetentionPeriod"), d.stage.RetentionDays*24*3600)
			f.want("the dead letters' retention", d.template.props(queueType, "DeadLetters").at("MessageRetentionPeriod"), 14*24*3600)
			return f
		},
		mutations: []mutation{
			{"dead letters as short as the queue", set(queueType, "DeadLetters", 7*24*3600, "MessageRetentionPeriod")},
			{"SQS's default of four days", set(queueType, "Queue", nil, "MessageRetentionPeriod")},
		},
	},
	{
		name: "message size", why: "the receiver decides by this limit how a body travels, and older queues had a quarter of it",
		check: func(d deployment) (f findings) {
			for _, role := range []string{"Queue", "DeadLetters"} {
				f.want(role+"'s message size", d.template.props(queueType, role).at("MaximumMessageSize"), 1048576)
			}
			return f
		},
		mutations: []mutation{
			{"default", set(queueType, "Queue", nil, "MaximumMessageSize")},
			{"smaller dead letters", set(queueType, "DeadLetters", 262144, "MaximumMessageSize")},
		},
	},
	{
		name: "standard queue", why: "FIFO's five minutes of deduplication are shorter than Nylas's retries, and Nylas promises no order",
		check: func(d deployment) (f findings) {
			for _, id := range d.template.of(queueType) {
				if d.template.Resources[id].Properties.at("FifoQueue") != nil {
					f.addf("%s is FIFO", id)
				}
			}
			return f
		},
		mutations: []mutation{{"FIFO", set(queueType, "Queue", true, "FifoQueue")}},
	},
	{
		name: "visibility", why: "a message that shows up again while it is still worked on is worked on twice, and dies after five times",
		check: func(d deployment) (f findings) {
			f.want("the visibility timeout", d.template.props(queueType, "Queue").at("VisibilityTimeout"), 6*d.stage.ConsumerTimeout.Seconds())
			return f
		},
		mutations: []mutation{{"default of 30 s", set(queueType, "Queue", nil, "VisibilityTimeout")}},
	},
	{
		name: "encrypted at rest", why: "the bodies are people's mail",
		check: func(d deployment) (f findings) {
			for _, id := range d.template.of(queueType) {
				p := d.template.Resources[id].Properties
				if d.stage.OwnKey && id != notices(d.template) { // notices hold names of objects, no mail
					f.want(id+"'s key", p.at("KmsMasterKeyId"), getAtt(d.template.id(keyType, "Key"), "Arn"))
				} else {
					f.want(id+"'s encryption by SQS", p.at("SqsManagedSseEnabled"), true)
				}
			}
			return f
		},
		mutations: []mutation{
			{"not encrypted", set(queueType, "Queue", nil, "KmsMasterKeyId")},
			{"AWS's key, which no other account can use", set(queueType, "DeadLetters", "alias/aws/sqs", "KmsMasterKeyId")},
		},
	},
	{
		name: "queues over TLS only", why: "nobody may read or write people's mail in clear, whatever his permissions",
		check: func(d deployment) (f findings) {
			for _, id := range d.template.of(queueType) {
				if !tlsOnly(policyOf(d.template, "AWS::SQS::QueuePolicy", "Queues", id), "sqs:*") {
					f.addf("%s accepts plain HTTP", id)
				}
			}
			return f
		},
		mutations: []mutation{
			{"policy gone", func(t template) { delete(t.Resources, t.id("AWS::SQS::QueuePolicy", "DeadLettersPolicy")) }},
			{"allowed instead of denied", func(t template) {
				objects(t.props("AWS::SQS::QueuePolicy", "QueuePolicy").at("PolicyDocument", "Statement"))[0]["Effect"] = "Allow"
			}},
		},
	},
	{
		name: "queue is not public", why: "whoever may send to the queue can write into the CRM without a signature",
		check: func(d deployment) (f findings) {
			for _, id := range d.template.of(queueType) {
				for _, s := range objects(policyOf(d.template, "AWS::SQS::QueuePolicy", "Queues", id).at("PolicyDocument", "Statement")) {
					if s.is("Deny", "Effect") {
						continue
					}
					var want []any
					for _, arn := range d.stage.ConsumerPrincipals {
						want = append(want, arn)
					}
					if id == notices(d.template) {
						continue // see "notices of the bucket"
					}
					if role := d.template.id(queueType, "Queue"); id != role {
						f.addf("%s is opened to %s", id, text(s.at("Principal")))
					}
					f.want(id+"'s readers", list(s.at("Principal", "AWS")), want)
					f.want(id+"'s readers' rights", s.at("Action"), readActions)
				}
			}
			return f
		},
		mutations: []mutation{
			{"everybody", func(t template) { consumerStatement(t)["Principal"] = map[string]any{"AWS": "*"} }},
			{"may send", func(t template) { consumerStatement(t)["Action"] = "sqs:SendMessage" }},
		},
	},
	{
		name: "who needs the key", why: "on the day the key fails the receiver has to start, to keep notifications and to log, and the alarms have to reach somebody; what needs the key does none of it",
		check: func(d deployment) (f findings) {
			if !d.stage.OwnKey {
				return nil
			}
			key := d.template.id(keyType, "Key")
			for _, id := range slices.Sorted(maps.Keys(d.template.Resources)) {
				r := d.template.Resources[id]
				if id != key && slices.Contains(references(map[string]any(r.Properties)), key) && !holdsMail(d.template, id) {
					f.addf("%s needs the key", id)
				}
			}
			return f
		},
		mutations: []mutation{
			{"the pages", func(t template) {
				set(topicType, "Pages", getAtt(t.id(keyType, "Key"), "Arn"), "KmsMasterKeyId")(t)
			}},
			{"the receiver's log", func(t template) {
				set(logGroupType, "ReceiverLogs", getAtt(t.id(keyType, "Key"), "Arn"), "KmsKeyId")(t)
			}},
			{"the function's variables", func(t template) {
				set(functionType, "Receiver", getAtt(t.id(keyType, "Key"), "Arn"), "KmsKeyArn")(t)
			}},
			{"the secret", func(t template) { set(secretType, "Secret", ref(t.id(keyType, "Key")), "KmsKeyId")(t) }},
			{"the notices of what was spilled", func(t template) {
				t.Resources[notices(t)].Properties["KmsMasterKeyId"] = getAtt(t.id(keyType, "Key"), "Arn")
			}},
		},
	},
	{
		name: "key", why: "the key is the last line before people's mail",
		check: func(d deployment) (f findings) {
			if !d.stage.OwnKey {
				return nil
			}
			key := d.template.props(keyType, "Key")
			f.want("rotation", key.at("EnableKeyRotation"), true)
			grants := false
			for _, s := range objects(key.at("KeyPolicy", "Statement")) {
				if s.is("Allow", "Effect") && strings.Contains(text(s.at("Principal")), `"*"`) {
					f.addf("everybody may %s", text(s.at("Action")))
				}
				grants = grants || s.is("Deny", "Effect") && s.is("kms:CreateGrant", "Action") && s.is(map[string]any{
					"aws:PrincipalIsAWSService": "false", "kms:GrantIsForAWSResource": "false",
				}, "Condition", "BoolIfExists")
			}
			f.want("refusing grants", grants, true)
			return f
		},
		mutations: []mutation{
			{"not rotated", set(keyType, "Key", false, "EnableKeyRotation")},
			{"everybody", func(t template) { keyStatement(t, 0)["Principal"] = map[string]any{"AWS": "*"} }},
			{"grants", func(t template) { keyStatement(t, 1)["Effect"] = "Allow" }},
		},
	},
}

func keyStatement(t template, i int) object {
	return objects(t.props(keyType, "Key").at("KeyPolicy", "Statement"))[i]
}

// consumerStatement is what lets another account's consumer read the queue.
func consumerStatement(t template) object {
	statements := objects(policyOf(t, "AWS::SQS::QueuePolicy", "Queues", t.id(queueType, "Queue")).at("PolicyDocument", "Statement"))
	return statements[len(statements)-1]
}

// holdsMail tells whether a resource may need the key: the two queues with notifications,
// and the policies of those who send to them or read them.
func holdsMail(t template, id string) bool {
	return id == t.id(queueType, "Queue") || id == t.id(queueType, "DeadLetters") || t.Resources[id].Type == managedPolicyType
}
