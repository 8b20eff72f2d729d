package review

import (
	"regexp"
)

// rule is one row of the judgement: which property, and what a change of it means. The first row that
// fits decides.
type rule struct {
	kind, path *regexp.Regexp
	judge      func(l leaf, path string, after resource) verdict
}

func on(kind, path string, judge func(leaf, string, resource) verdict) rule {
	return rule{regexp.MustCompile(`^(` + kind + `)$`), regexp.MustCompile(`^(` + path + `)(\..*)?$`), judge}
}

// always is the class of every change, with why.
func always(class Class, code, why string) func(leaf, string, resource) verdict {
	return func(l leaf, path string, _ resource) verdict {
		return verdict{class, code, became(path, l) + ": " + why}
	}
}

// down is loosened where the number falls or goes, and changed where it rises.
func down(code, why string) func(leaf, string, resource) verdict { return moved(code, why, false) }

func moved(code, why string, bad bool) func(leaf, string, resource) verdict {
	return func(l leaf, path string, _ resource) verdict {
		old, known := number(l.old)
		new, known2 := number(l.new)
		if known && known2 && (new > old) != bad {
			return verdict{Changed, code, became(path, l)}
		}
		return verdict{Loosened, code, became(path, l) + ": " + why}
	}
}

// unless is loosened where the value is none of these.
func unless(code, why string, good ...any) func(leaf, string, resource) verdict {
	return func(l leaf, path string, _ resource) verdict {
		for _, value := range good {
			if text(l.new) == text(value) {
				return verdict{Changed, code, became(path, l)}
			}
		}
		return verdict{Loosened, code, became(path, l) + ": " + why}
	}
}

// threshold follows the alarm's comparison.
func threshold(l leaf, path string, after resource) verdict {
	comparison := text(child(after["Properties"], "ComparisonOperator"))
	rings := "it rings later"
	if comparison == "LessThanThreshold" || comparison == "LessThanOrEqualToThreshold" {
		return moved("alarm-threshold", rings, false)(l, path, after)
	}
	return moved("alarm-threshold", rings, true)(l, path, after)
}

// actions: whoever is told no more is missed; whoever is told as well is no harm.
func actions(l leaf, path string, _ resource) verdict {
	if l.old == nil {
		return verdict{Changed, "alarm-actions", path + " tells more"}
	}
	return verdict{Loosened, "alarm-actions", became(path, l) + ": somebody hears of it no more, or another does"}
}

// public is widened where a block on public access is not on any more.
func public(l leaf, path string, _ resource) verdict {
	if l.new == true {
		return verdict{Changed, "public-access", path + " is blocked now"}
	}
	return verdict{Widened, "public-access", became(path, l) + ": the public may be let in"}
}

// asset is what the CDK builds of this commit, by its content.
var asset = regexp.MustCompile(`^[0-9a-f]{64}\.zip$`)

// functionCode is code only where it is built of this commit, and widened where it comes from
// elsewhere: no review has seen that, and it has the function's rights.
func functionCode(l leaf, path string, _ resource) verdict {
	was := became(path, l)
	if path == "Code.S3Key" && asset.MatchString(text(l.new)) {
		return verdict{CodeOnly, "function-code", was + ": another program"}
	}
	return verdict{Widened, "function-code-elsewhere", was + ": it runs a program that is not made of this commit"}
}

// released is code only where the alias follows a version of the template.
func released(l leaf, path string, _ resource) verdict {
	was := became(path, l)
	if o, ok := l.new.(map[string]any); ok && len(o) == 1 && o["Fn::GetAtt"] != nil {
		return verdict{CodeOnly, "function-version", was + ": the new version goes live"}
	}
	return verdict{Loosened, "function-alias", was + ": it stays at one version, whatever is deployed"}
}

// executionLog holds headers and bodies.
func executionLog(l leaf, path string, _ resource) verdict {
	was := became(path, l)
	switch v := text(l.new); {
	case v == "false" || v == "OFF":
		return verdict{Changed, "execution-log", was}
	case l.new == nil:
		return verdict{Loosened, "execution-log", was + ": that it is off stands there no more"}
	}
	return verdict{Widened, "execution-log", was + ": whoever reads logs can read headers and bodies"}
}

// Nylas tries again on these only; every other status of a failure loses the notification.
// https://developer.nylas.com/docs/v3/notifications/
var retried = []any{"429", "502", "503", "408"}

// rules is the judgement, row by row. What no row knows is
// loosened, and says so (judgeLeaf).
var rules = []rule{
	on(`.*`, `Tags`, always(Changed, "tags", "costs and searches")),
	on(`.*`, `Description|AlarmDescription`, always(Changed, "text", "a text")),

	// Who is told, of what, when.
	on(`AWS::CloudWatch::Alarm`, `Threshold`, threshold),
	on(`AWS::CloudWatch::Alarm`, `ActionsEnabled`, unless("alarm-off", "the alarm tells nobody", true, nil)),
	on(`AWS::CloudWatch::Alarm`, `(Alarm|OK|InsufficientData)Actions`, actions),
	on(`AWS::CloudWatch::Alarm`, `.*`, always(Loosened, "alarm-when", "it rings at other times, and the gate cannot tell whether later")),
	on(`AWS::SNS::Subscription`, `Endpoint|Protocol|TopicArn|FilterPolicy.*`, always(Loosened, "alarm-recipient", "somebody else is told")),
	on(`AWS::Logs::MetricFilter`, `.*`, always(Loosened, "metric-filter", "something else is counted, and alarms read it")),
	on(`AWS::Events::Rule`, `State`, unless("event-rule", "it passes nothing on", "ENABLED", nil)),
	on(`AWS::Events::Rule`, `EventPattern|Targets|ScheduleExpression|EventBusName`, always(Loosened, "event-rule", "other events are passed on, or to others")),

	// How long something is kept.
	on(`AWS::SQS::Queue`, `MessageRetentionPeriod`, down("retention", "what waits longer is deleted, also of what is there already")),
	on(`AWS::SQS::Queue`, `RedrivePolicy\.maxReceiveCount`, always(Loosened, "dead-letters", "fewer, and a message is a dead letter after fewer tries; many, and a bad one never is")),
	on(`AWS::SQS::Queue`, `RedrivePolicy`, always(Loosened, "dead-letters", "what fails too often goes elsewhere, or nowhere")),
	on(`AWS::SQS::Queue`, `RedriveAllowPolicy`, always(Widened, "dead-letters-source", "other queues may put their dead letters here")),
	on(`AWS::SQS::Queue`, `VisibilityTimeout`, always(Loosened, "visibility", "shorter, and a message that is still worked on is handed out a second time; longer, and what a consumer that died had waits so long")),
	on(`AWS::SQS::Queue`, `(Kms.*|SqsManagedSseEnabled)`, always(Loosened, "encryption", "messages rest under another key, or under none")),
	on(`AWS::SQS::Queue`, `DelaySeconds|MaximumMessageSize`, always(Loosened, "queue", "what the queue takes, and when it hands it out")),
	on(`AWS::SQS::Queue`, `ReceiveMessageWaitTimeSeconds`, always(Changed, "queue", "how long a receive waits")),
	on(`AWS::Logs::LogGroup`, `RetentionInDays`, down("retention", "logs are gone earlier")),
	on(`AWS::Logs::LogGroup`, `KmsKeyId|DataProtectionPolicy`, always(Loosened, "encryption", "logs rest under another key, or are not masked")),
	on(`AWS::S3::Bucket`, `LifecycleConfiguration.*(Days|DaysAfterInitiation|NoncurrentDays)`, down("retention", "objects are deleted earlier")),
	on(`AWS::S3::Bucket`, `LifecycleConfiguration`, always(Loosened, "retention", "other objects are deleted, or at other times")),
	on(`AWS::S3::Bucket`, `NotificationConfiguration`, always(Loosened, "notices", "who watches for objects is told of other ones, or of none")),
	on(`AWS::S3::Bucket`, `ReplicationConfiguration`, always(Widened, "copied", "objects also go to another bucket, and who reads that is decided there")),
	on(`AWS::S3::Bucket`, `VersioningConfiguration|ObjectLock.*`, always(Loosened, "retention", "what is overwritten or deleted may not come back")),
	on(`AWS::DynamoDB::(Global)?Table`, `PointInTimeRecovery.*|DeletionProtectionEnabled|TimeToLive.*|.*Recovery.*`, always(Loosened, "retention", "what is deleted may not come back, or is deleted at other times")),
	on(`AWS::KMS::Key`, `PendingWindowInDays`, down("retention", "a key that is deleted by mistake is gone earlier")),

	// Encryption, TLS, who gets in.
	on(`AWS::KMS::Key`, `EnableKeyRotation`, unless("key-rotation", "the key is the same for ever", true)),
	on(`AWS::KMS::Key`, `Enabled`, unless("key-off", "what is encrypted under the key cannot be read", true, nil)),
	on(`AWS::KMS::Key`, `.*`, always(Loosened, "key", "what the key does, or who uses it")),
	on(`AWS::S3::Bucket`, `PublicAccessBlockConfiguration`, public),
	on(`AWS::S3::Bucket`, `AccessControl|OwnershipControls|WebsiteConfiguration|CorsConfiguration`, always(Widened, "public-access", "others may get at the objects")),
	on(`AWS::S3::Bucket`, `BucketEncryption`, always(Loosened, "encryption", "objects rest under another key, or none")),
	on(`AWS::DynamoDB::(Global)?Table`, `SSESpecification`, always(Loosened, "encryption", "items rest under another key, or none")),
	on(`AWS::SNS::Topic`, `KmsMasterKeyId`, always(Loosened, "encryption", "whether a page about a failing key can be sent")),
	on(`AWS::SNS::Topic`, `.*`, always(Loosened, "alarm-recipient", "whom the topic reaches")),
	on(`AWS::SecretsManager::Secret`, `KmsKeyId`, always(Loosened, "encryption", "the secret rests under another key")),
	on(`AWS::SecretsManager::Secret`, `SecretString|GenerateSecretString`, always(Replaced, "secret-value", "the stored value is overwritten, and nothing verifies until the right one is stored again")),
	on(`AWS::ApiGateway::(RestApi|DomainName)`, `SecurityPolicy`, always(Loosened, "tls", "other TLS versions and ciphers are spoken")),
	on(`AWS::ApiGateway::(RestApi|DomainName)`, `EndpointAccessMode`, unless("tls", "a Host header that is not the name that TLS was made for passes", "STRICT")),
	on(`AWS::ApiGateway::RestApi`, `DisableExecuteApiEndpoint`, unless("second-way-in", "API Gateway's own name answers beside the domain", true)),

	// The status contract: what Nylas reads, and so whether it tries again.
	on(`AWS::ApiGateway::GatewayResponse`, `StatusCode`, unless("status", "Nylas tries again on 408, 429, 502 and 503; with any other answer the notification is lost", retried...)),
	on(`AWS::ApiGateway::GatewayResponse`, `ResponseType|RestApiId`, always(Loosened, "status", "another failure is answered so, and this one by AWS's own status")),
	on(`AWS::ApiGateway::GatewayResponse`, `ResponseParameters`, always(Changed, "status-header", "when Nylas comes again")),
	on(`AWS::ApiGateway::Method`, `AuthorizationType|ApiKeyRequired|RequestValidatorId|RequestModels|RequestParameters|AuthorizerId|AuthorizationScopes`, always(Loosened, "refuses", "the gateway refuses requests by itself, or lets others in")),
	on(`AWS::ApiGateway::Method`, `HttpMethod|ResourceId|RestApiId`, always(Loosened, "status", "the method that Nylas calls is answered 404")),
	on(`AWS::ApiGateway::Method`, `Integration`, always(Loosened, "integration", "the request goes elsewhere, or fails at another time, with another status")),
	on(`AWS::ApiGateway::Resource`, `.*`, always(Loosened, "path", "the path that Nylas calls is answered 404")),
	on(`AWS::ApiGateway::RestApi`, `BinaryMediaTypes|MinimumCompressionSize`, always(Loosened, "bytes", "the function may not get the bytes that were signed")),
	on(`AWS::ApiGateway::RestApi`, `EndpointConfiguration`, always(Loosened, "endpoint", "who can reach it, and by which name")),
	on(`AWS::ApiGateway::RestApi`, `.*`, always(Loosened, "api", "what the API is; its name is what its metrics and alarms are found by")),
	on(`AWS::ApiGateway::Stage`, `MethodSettings.*(Throttling(Rate|Burst)Limit)`, always(Loosened, "throttle", "lower, Nylas reads 429 and gives up after three; higher, a flood takes the account's concurrency")),
	on(`AWS::ApiGateway::Stage`, `MethodSettings\.\d+\.(DataTraceEnabled|LoggingLevel)`, executionLog),
	on(`AWS::ApiGateway::Stage`, `MethodSettings`, always(Loosened, "api-stage", "throttle, cache, or what is logged of headers and bodies")),
	on(`AWS::ApiGateway::Stage`, `AccessLogSetting`, always(Loosened, "access-log", "alarms count its lines, and it may hold what must not be logged")),
	on(`AWS::ApiGateway::Stage`, `DeploymentId`, always(Changed, "api-deployment", "the API as it is now goes live")),
	on(`AWS::ApiGateway::Stage`, `StageName|RestApiId`, always(Replaced, "address", "the URL that is registered at Nylas leads to nothing")),
	on(`AWS::ApiGateway::BasePathMapping`, `.*`, always(Replaced, "address", "the URL that is registered at Nylas leads elsewhere")),
	on(`AWS::ApiGateway::DomainName`, `.*`, always(Loosened, "address", "the name, its certificate, or who can reach it")),
	on(`AWS::Route53::RecordSet`, `.*`, always(Replaced, "address", "the name leads elsewhere")),

	// The function.
	on(`AWS::Lambda::Function`, `Code`, functionCode),
	on(`AWS::Lambda::Function`, `Layers|FileSystemConfigs|CodeSigningConfigArn`, always(Widened, "function-code-elsewhere", "it runs, or may run, a program that is not made of this commit")),
	on(`AWS::Lambda::Alias`, `FunctionVersion`, released),
	on(`AWS::Lambda::Alias`, `.*`, always(Loosened, "function-alias", "which version answers")),
	on(`AWS::CodeDeploy::.*`, `.*`, always(Loosened, "canary", "how many requests a bad version gets, and what takes it back")),
	on(`AWS::Lambda::Function`, `Role`, always(Widened, "function-role", "it has the rights of another role")),
	on(`AWS::Lambda::Function`, `ReservedConcurrentExecutions`, always(Loosened, "concurrency", "lower, requests are refused; without it, other functions take the account's")),
	on(`AWS::Lambda::Function`, `Timeout`, always(Loosened, "timeout", "between Nylas's 10 s and what the function needs")),
	on(`AWS::Lambda::Function`, `MemorySize`, down("memory", "it is slower, or ends in the middle of a request")),
	on(`AWS::Lambda::Function`, `(Environment|Handler|Runtime|Architectures|PackageType|ImageConfig|VpcConfig|EphemeralStorage|SnapStart|DeadLetterConfig|RecursiveLoop|LoggingConfig|KmsKeyArn)`, always(Loosened, "function", "how it runs and where its lines go; a wrong value answers every request with 503")),
	on(`AWS::Lambda::Permission`, `.*`, always(Widened, "invoke", "others may invoke the function, or the gateway may not")),
	on(`AWS::Lambda::EventInvokeConfig|AWS::Lambda::EventSourceMapping`, `.*`, always(Loosened, "function", "what is tried again, and what is lost")),

	// Rights that are no document.
	on(`AWS::IAM::.*`, `ManagedPolicyArns|Roles|Users|Groups|PermissionsBoundary|Policies|MaxSessionDuration`, always(Widened, "attached", "who has which rights")),
	on(`AWS::IAM::.*`, `Path|RoleName|ManagedPolicyName|PolicyName`, always(Changed, "iam-name", "others may name it")),
	on(`AWS::(SQS::QueuePolicy|S3::BucketPolicy|SNS::TopicPolicy|SecretsManager::ResourcePolicy)`, `.*`, always(Widened, "policy-target", "the policy protects something else")),
	on(`AWS::EC2::SecurityGroup.*`, `.*`, always(Widened, "network", "others may connect")),

	// What changes nothing that matters here.
	on(`AWS::CloudWatch::Dashboard`, `DashboardBody`, always(Changed, "dashboard", "what is seen")),
	on(`AWS::(ApiGateway::Stage|Lambda::Function)`, `(TracingEnabled|TracingConfig)`, always(Changed, "tracing", "what X-Ray sees")),

	// Of every type, this knows such names: what looks like a protection is one.
	on(`.*`, `.*(?i:encrypt|kms|sse|tls|ssl|certificate|cipher|public|retention|protect|backup|recovery|versioning|logging|audit|waf|firewall|throttl|ratelimit|ingress|cidr|mfa|password|rotation|deadletter|redrive).*`, always(Loosened, "protection", "by its name it protects something, and no rule knows how")),
	on(`.*`, `.*(?i:policy|principal|role|permission|grant|acl|trust|access|auth).*`, always(Widened, "right", "by its name it gives or takes rights, and no rule knows which")),
}
