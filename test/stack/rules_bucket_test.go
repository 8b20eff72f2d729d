package stack

import "slices"

// notices is the queue that S3 tells of every spilled notification.
func notices(t template) string { return t.id(queueType, "SpillNotices") }

var bucketRules = []rule{
	{
		name: "bucket is private", why: "it holds people's mail on the day SQS fails; nobody outside, and nobody in clear, may read or write it",
		check: func(d deployment) (f findings) {
			p := d.template.props(bucketType, "Bucket")
			f.want("the public access block", p.at("PublicAccessBlockConfiguration"), map[string]any{
				"BlockPublicAcls": true, "BlockPublicPolicy": true, "IgnorePublicAcls": true, "RestrictPublicBuckets": true,
			})
			f.want("the owner of objects", p.at("OwnershipControls", "Rules"), []any{map[string]any{"ObjectOwnership": "BucketOwnerEnforced"}})
			policy := d.template.props("AWS::S3::BucketPolicy", "BucketPolicy")
			if !tlsOnly(policy, "s3:*") {
				f.addf("the bucket accepts plain HTTP")
			}
			var want []any
			if len(d.stage.ConsumerPrincipals) > 0 {
				want = append(want, map[string]any{
					"Sid": "ConsumersReadOverflow", "Effect": "Allow", "Action": "s3:GetObject",
					"Principal": map[string]any{"AWS": single(d.stage.ConsumerPrincipals)}, "Resource": objectsUnder(d.template, "overflow/*"),
				})
			}
			var allowed []any
			for _, s := range objects(policy.at("PolicyDocument", "Statement")) {
				if s.is("Allow", "Effect") {
					allowed = append(allowed, s)
				}
			}
			f.want("who else may", allowed, want)
			return f
		},
		mutations: []mutation{
			{"public", set(bucketType, "Bucket", false, "PublicAccessBlockConfiguration", "BlockPublicPolicy")},
			{"plain HTTP", func(t template) { bucketStatement(t, 0)["Effect"] = "Allow" }},
			{"consumers read what was spilled", func(t template) { bucketStatement(t, 1)["Resource"] = objectsUnder(t, "*") }},
			{"everybody reads", func(t template) { bucketStatement(t, 1)["Principal"] = "*" }},
			{"uploader owns", set(bucketType, "Bucket", nil, "OwnershipControls")},
		},
	},
	{
		name: "bucket works without the key", why: "it exists for the day on which the queue or its key fails",
		check: func(d deployment) (f findings) {
			f.want("the encryption", d.template.props(bucketType, "Bucket").at("BucketEncryption", "ServerSideEncryptionConfiguration"), []any{
				map[string]any{"ServerSideEncryptionByDefault": map[string]any{"SSEAlgorithm": "AES256"}},
			})
			for _, id := range []string{d.template.id(bucketType, "Bucket"), notices(d.template)} {
				if key := d.template.id(keyType, "Key"); key != "" && slices.Contains(references(map[string]any(d.template.Resources[id].Properties)), key) {
					f.addf("%s uses the queue's key", id)
				}
			}
			return f
		},
		mutations: []mutation{
			{"under the key", func(t template) {
				first(t, "BucketEncryption", "ServerSideEncryptionConfiguration")["ServerSideEncryptionByDefault"] = map[string]any{
					"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": getAtt(t.id(keyType, "Key"), "Arn"),
				}
			}},
			{"notices under the key", func(t template) {
				set(queueType, "SpillNotices", getAtt(t.id(keyType, "Key"), "Arn"), "KmsMasterKeyId")(t)
			}},
		},
	},
	{
		name: "objects expire", why: "mail is not kept longer than it takes to replay it, nor shorter than a message that points to it",
		check: func(d deployment) (f findings) {
			days := func(queue string) float64 {
				seconds, _ := d.template.props(queueType, queue).at("MessageRetentionPeriod").(float64)
				return seconds / (24 * 3600)
			}
			// A pointer is spilled for 30 days, then on the queue, then rejected, which is a new message.
			want := []any{
				map[string]any{"Id": "Expire", "Status": "Enabled", "ExpirationInDays": 30 + days("Queue") + days("DeadLetters"),
					"AbortIncompleteMultipartUpload": map[string]any{"DaysAfterInitiation": 1}},
				map[string]any{"Id": "ExpireSpilled", "Status": "Enabled", "ExpirationInDays": 30, "Prefix": "spill/"},
			}
			if d.stage.ArchiveDays > 0 {
				want = append(want, map[string]any{"Id": "ExpireArchived", "Status": "Enabled", "ExpirationInDays": d.stage.ArchiveDays, "Prefix": "archive/"})
			}
			f.want("the lifecycle", d.template.props(bucketType, "Bucket").at("LifecycleConfiguration", "Rules"), want)
			f.want("versioning, which would keep what was deleted", d.template.props(bucketType, "Bucket").at("VersioningConfiguration"), nil)
			return f
		},
		mutations: []mutation{
			{"kept for ever", set(bucketType, "Bucket", nil, "LifecycleConfiguration")},
			{"a day", func(t template) { first(t, "LifecycleConfiguration", "Rules")["ExpirationInDays"] = 1 }},
			{"an archive for longer than the stage says", func(t template) {
				objects(t.props(bucketType, "Bucket").at("LifecycleConfiguration", "Rules"))[2]["ExpirationInDays"] = 15
			}},
			{"dead letters outlive their bodies", set(queueType, "DeadLetters", 15*24*3600, "MessageRetentionPeriod")},
			{"versions", set(bucketType, "Bucket", map[string]any{"Status": "Enabled"}, "VersioningConfiguration")},
		},
	},
	{
		name: "notices of the bucket", why: "how long a spilled notification waits is the age of its notice; S3 has no metric for it",
		check: func(d deployment) (f findings) {
			id := notices(d.template)
			f.want("what S3 tells", d.template.props(bucketType, "Bucket").at("NotificationConfiguration"), map[string]any{
				"EventBridgeConfiguration": map[string]any{"EventBridgeEnabled": true},
			})
			rule := d.template.props("AWS::Events::Rule", "Spilled")
			f.want("what makes a notice", rule.at("EventPattern"), map[string]any{
				"source": []any{"aws.s3"}, "detail-type": []any{"Object Created"}, "detail": map[string]any{
					"bucket": map[string]any{"name": []any{ref(d.template.id(bucketType, "Bucket"))}},
					"object": map[string]any{"key": []any{map[string]any{"prefix": "spill/"}}},
				},
			})
			f.want("the rule's state", rule.at("State"), "ENABLED")
			f.want("where notices go", rule.at("Targets"), []any{map[string]any{"Id": "Target0", "Arn": getAtt(id, "Arn")}})
			var senders []any
			for _, s := range objects(policyOf(d.template, "AWS::SQS::QueuePolicy", "Queues", id).at("PolicyDocument", "Statement")) {
				if s.is("Allow", "Effect") {
					senders = append(senders, []any{s.at("Action"), s.at("Principal"), s.at("Condition")})
				}
			}
			f.want("who sends notices", senders, []any{[]any{
				"sqs:SendMessage", map[string]any{"Service": "events.amazonaws.com"},
				map[string]any{"ArnEquals": map[string]any{"aws:SourceArn": getAtt(d.template.id("AWS::Events::Rule", "Spilled"), "Arn")}},
			}})
			f.want("the notices' retention", d.template.props(queueType, "SpillNotices").at("MessageRetentionPeriod"), 14*24*3600)
			return f
		},
		mutations: []mutation{
			{"no notices", set(bucketType, "Bucket", nil, "NotificationConfiguration")},
			{"of everything", func(t template) {
				delete(t.props("AWS::Events::Rule", "Spilled").at("EventPattern", "detail").(map[string]any), "object")
			}},
			{"switched off", set("AWS::Events::Rule", "Spilled", "DISABLED", "State")},
			{"any rule", func(t template) {
				for _, s := range objects(policyOf(t, "AWS::SQS::QueuePolicy", "Queues", notices(t)).at("PolicyDocument", "Statement")) {
					delete(s, "Condition")
				}
			}},
			{"forgotten after four days", set(queueType, "SpillNotices", nil, "MessageRetentionPeriod")},
		},
	},
	{
		name: "operator's rights", why: "who puts notifications back takes them from the dead letters and the bucket, and gives them to the queue; nothing else",
		check: func(d deployment) (f findings) {
			policy := d.template.props(managedPolicyType, "OperatorPolicy").at("PolicyDocument", "Statement")
			queue, dead := getAtt(d.template.id(queueType, "Queue"), "Arn"), getAtt(d.template.id(queueType, "DeadLetters"), "Arn")
			want := []any{
				statement("TakeDeadLetters", dead, []any{
					"sqs:CancelMessageMoveTask", "sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes",
					"sqs:ListMessageMoveTasks", "sqs:ReceiveMessage", "sqs:StartMessageMoveTask",
				}),
				statement("PutOntoQueue", queue, []any{"sqs:GetQueueAttributes", "sqs:SendMessage"}),
				map[string]any{
					"Sid": "ListSpilled", "Effect": "Allow", "Action": "s3:ListBucket", "Resource": getAtt(d.template.id(bucketType, "Bucket"), "Arn"),
					"Condition": map[string]any{"StringLike": map[string]any{"s3:prefix": "spill/*"}},
				},
				statement("TakeSpilled", objectsUnder(d.template, "spill/*"), []any{"s3:DeleteObject", "s3:GetObject"}),
				statement("ReadOverflow", objectsUnder(d.template, "overflow/*"), "s3:GetObject"),
				statement("TakeSpillNotices", getAtt(notices(d.template), "Arn"), []any{"sqs:DeleteMessage", "sqs:ReceiveMessage"}),
				statement("FindStack", thisStack(d), "cloudformation:DescribeStacks"),
				statement("ListResources", thisStack(d), "cloudformation:ListStackResources"),
				statement("ReadLogs", []any{
					getAtt(d.template.id(logGroupType, "AccessLogs"), "Arn"), getAtt(d.template.id(logGroupType, "ReceiverLogs"), "Arn"),
				}, "logs:FilterLogEvents"),
				statement("ReadAlarms", arnHere("cloudwatch", "alarm:*"), "cloudwatch:DescribeAlarms"),
				statement("ReadMetrics", "*", "cloudwatch:GetMetricStatistics"),
				statement("ReadSubscribers", []any{ref(d.template.id(topicType, "Pages")), ref(d.template.id(topicType, "Tickets"))}, "sns:ListSubscriptionsByTopic"),
			}
			if d.stage.ArchiveDays > 0 {
				want = append(want, map[string]any{
					"Sid": "ListArchive", "Effect": "Allow", "Action": "s3:ListBucket", "Resource": getAtt(d.template.id(bucketType, "Bucket"), "Arn"),
					"Condition": map[string]any{"StringLike": map[string]any{"s3:prefix": "archive/*"}},
				}, statement("ReadAndEraseArchive", objectsUnder(d.template, "archive/*"), []any{"s3:DeleteObject", "s3:GetObject"}))
			}
			if d.stage.OwnKey {
				want = append(want, statement("ReadAndEncryptNotifications", getAtt(d.template.id(keyType, "Key"), "Arn"), []any{"kms:Decrypt", "kms:GenerateDataKey"}))
			}
			f.want("the operator's rights", policy, want)
			return f
		},
		mutations: []mutation{
			{"reads the queue", func(t template) {
				operatorStatement(t, 1)["Action"] = append(slices.Clone(readActions), "sqs:SendMessage")
			}},
			{"lists the whole bucket", func(t template) { delete(operatorStatement(t, 2), "Condition") }},
			{"lists more than the archive", func(t template) { delete(operatorStatement(t, 12), "Condition") }},
			{"writes into the archive", func(t template) { operatorStatement(t, 13)["Action"] = []any{"s3:GetObject", "s3:PutObject"} }},
			{"deletes any object", func(t template) { operatorStatement(t, 3)["Resource"] = "*" }},
			{"finds any stack", func(t template) { operatorStatement(t, 6)["Resource"] = "*" }},
			{"finds no stack", func(t template) { operatorStatement(t, 6)["Effect"] = "Deny" }},
			{"reads any log", func(t template) { operatorStatement(t, 8)["Resource"] = "*" }},
			{"changes alarms", func(t template) { operatorStatement(t, 9)["Action"] = "cloudwatch:*" }},
			{"purges", func(t template) { operatorStatement(t, 0)["Action"] = "sqs:*" }},
		},
	},
	{
		name: "rights on the secret", why: "whoever has the secret signs as Nylas does; who reads and changes it is named one by one",
		check: func(d deployment) (f findings) {
			secret := getAtt(d.template.id(secretType, "Secret"), "Id")
			f.want("the rights on the secret", d.template.props(managedPolicyType, "SecretPolicy").at("PolicyDocument", "Statement"), []any{
				statement("FindStack", thisStack(d), "cloudformation:DescribeStacks"),
				statement("ReadSecret", secret, "secretsmanager:GetSecretValue"),
				statement("ChangeSecret", secret, []any{"secretsmanager:PutSecretValue", "secretsmanager:UpdateSecretVersionStage"}),
			})
			return f
		},
		mutations: []mutation{
			{"deletes it", func(t template) {
				objects(t.props(managedPolicyType, "SecretPolicy").at("PolicyDocument", "Statement"))[2]["Action"] = "secretsmanager:*"
			}},
			{"any secret", func(t template) {
				objects(t.props(managedPolicyType, "SecretPolicy").at("PolicyDocument", "Statement"))[1]["Resource"] = "*"
			}},
		},
	},
}

// thisStack is the stage's stack as a policy names it, without its id.
func thisStack(d deployment) any {
	return arnHere("cloudformation", "stack/NylasWebhooks-"+d.stage.Name+"/*")
}

// arnHere is an ARN of the account and region that the stack is deployed to.
func arnHere(service, resource string) any {
	return map[string]any{"Fn::Sub": "arn:${AWS::Partition}:" + service + ":${AWS::Region}:${AWS::AccountId}:" + resource}
}

// first is the first object of a list in the bucket's properties.
func first(t template, path ...string) object {
	return objects(t.props(bucketType, "Bucket").at(path...))[0]
}

func statement(sid string, resource, actions any) map[string]any {
	return map[string]any{"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resource}
}

func bucketStatement(t template, i int) object {
	return objects(t.props("AWS::S3::BucketPolicy", "BucketPolicy").at("PolicyDocument", "Statement"))[i]
}

func operatorStatement(t template, i int) object {
	return objects(t.props(managedPolicyType, "OperatorPolicy").at("PolicyDocument", "Statement"))[i]
}

// single is how a policy writes a list: one value as itself.
func single(values []string) any {
	if len(values) == 1 {
		return values[0]
	}
	return values
}
