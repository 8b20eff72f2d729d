package review

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// verdict is what is to say about one change of one resource.
type verdict struct {
	class Class
	code  string
	says  string
}

// resource is a resource of a template, as JSON.
type resource = map[string]any

// change is one that the diff engine found: what CloudFormation will do with the resource, and for
// which properties.
type change struct {
	Impact     string            `json:"impact"`
	Properties map[string]string `json:"properties"`
}

// The engine's words for what means a new resource.
var replaces = map[string]bool{"WILL_REPLACE": true, "MAY_REPLACE": true}

// holds are the types that hold something, and what becomes of that.
var holds = map[string]string{
	"AWS::SQS::Queue":                      "messages on the old one are not moved",
	"AWS::S3::Bucket":                      "objects in the old one are not moved",
	"AWS::DynamoDB::Table":                 "items in the old one are not moved",
	"AWS::SecretsManager::Secret":          "the value is gone, and nothing verifies until it is stored again",
	"AWS::KMS::Key":                        "what is encrypted under the old one cannot be read without it",
	"AWS::Logs::LogGroup":                  "what was logged is gone",
	"AWS::ApiGateway::RestApi":             "it has another address, and what is registered elsewhere leads to nothing",
	"AWS::ApiGateway::DomainName":          "its DNS target is another",
	"AWS::ApiGateway::Resource":            "the path that Nylas calls is answered 404, for a moment or for good",
	"AWS::ApiGateway::Method":              "what Nylas calls is answered 404, for a moment or for good",
	"AWS::Lambda::Function":                "what calls it by its name fails, and its history in metrics and logs ends",
	"AWS::Lambda::Alias":                   "the gateway calls what is not there, for a moment or for good",
	"AWS::SNS::Topic":                      "its subscriptions have to be confirmed again",
	"AWS::IAM::Role":                       "it has another ARN, or none, and others may name it",
	"AWS::IAM::ManagedPolicy":              "it has another ARN, or none; roles outside of the stack keep the old one and its deletion fails, or they lose these rights",
	"AWS::RDS::DBInstance":                 "data in the old one is not moved",
	"AWS::RDS::DBCluster":                  "data in the old one is not moved",
	"AWS::EFS::FileSystem":                 "files in the old one are not moved",
	"AWS::Kinesis::Stream":                 "records in the old one are not moved",
	"AWS::Cognito::UserPool":               "users in the old one are not moved",
	"AWS::OpenSearchService::Domain":       "data in the old one is not moved",
	"AWS::ElastiCache::CacheCluster":       "data in the old one is not moved",
	"AWS::EC2::Volume":                     "data on the old one is not moved",
	"AWS::DynamoDB::GlobalTable":           "items in the old one are not moved",
	"AWS::Backup::BackupVault":             "what was backed up stays in the old one",
	"AWS::SSM::Parameter":                  "what was set by hand is gone",
	"AWS::CertificateManager::Certificate": "it has to be validated again",
}

// anew are types that hold nothing, so that a new one is as good. What changed is judged by itself.
var anew = map[string]bool{
	"AWS::Lambda::Permission": true, "AWS::ApiGateway::GatewayResponse": true,
	"AWS::ApiGateway::BasePathMapping": true, "AWS::CloudWatch::Alarm": true, "AWS::CloudWatch::Dashboard": true, "AWS::Logs::MetricFilter": true,
	"AWS::SQS::QueuePolicy": true, "AWS::S3::BucketPolicy": true, "AWS::SNS::TopicPolicy": true, "AWS::IAM::Policy": true,
	"AWS::Events::Rule": true, "AWS::Route53::RecordSet": true, "AWS::SNS::Subscription": true,
}

// releases are types of which a deployment makes a new one, and the old one does no more: the
// CDK gives them another logical id each time.
var releases = map[string]verdict{
	"AWS::Lambda::Version":        {CodeOnly, "function-version", "the function gets a new version"},
	"AWS::ApiGateway::Deployment": {Changed, "api-deployment", "the API gets a new deployment"},
}

// guards are types that protect or tell, by themselves: without one, something is loosened.
var guards = map[string]string{
	"AWS::CloudWatch::Alarm":           "nobody is told any more of what it watched",
	"AWS::CloudWatch::CompositeAlarm":  "nobody is told any more of what it watched",
	"AWS::Logs::MetricFilter":          "what it counted is counted no more, and alarms on it stay silent",
	"AWS::SNS::Subscription":           "whom it told hears nothing any more",
	"AWS::ApiGateway::GatewayResponse": "API Gateway answers with its own status, which may lose a notification",
	"AWS::Events::Rule":                "what it passed on is passed on no more",
	"AWS::WAFv2::WebACL":               "what it kept out comes in",
	"AWS::WAFv2::WebACLAssociation":    "what it kept out comes in",
	"AWS::CodeDeploy::DeploymentGroup": "a new version gets all requests at once, and nothing takes it back",
	"AWS::Lambda::Permission":          "whom it let call the function is refused, and the gateway answers 503",
	"AWS::Backup::BackupPlan":          "nothing is backed up any more",
	"AWS::Config::ConfigRule":          "what it found is found no more",
	"AWS::CloudTrail::Trail":           "what was recorded is recorded no more",
}

// quiet are types that do nothing to others by being there.
var quiet = map[string]bool{
	"AWS::CloudWatch::Alarm": true, "AWS::CloudWatch::Dashboard": true, "AWS::Logs::LogGroup": true, "AWS::Logs::MetricFilter": true, "AWS::SQS::Queue": true,
	"AWS::S3::Bucket": true, "AWS::DynamoDB::Table": true, "AWS::KMS::Alias": true, "AWS::SNS::Topic": true, "AWS::SecretsManager::Secret": true,
	"AWS::Lambda::Function": true, "AWS::Lambda::Alias": true, "AWS::CDK::Metadata": true,
}

// permits are types that give rights by being there.
var permits = map[string]bool{
	"AWS::IAM::Role": true, "AWS::IAM::Policy": true, "AWS::IAM::ManagedPolicy": true, "AWS::IAM::User": true, "AWS::IAM::Group": true,
	"AWS::IAM::AccessKey": true, "AWS::IAM::InstanceProfile": true, "AWS::IAM::OIDCProvider": true, "AWS::IAM::RolePolicy": true, "AWS::IAM::UserPolicy": true,
	"AWS::Lambda::Permission": true, "AWS::Lambda::Url": true, "AWS::Lambda::LayerVersionPermission": true, "AWS::KMS::Grant": true,
	"AWS::EC2::SecurityGroup": true, "AWS::EC2::SecurityGroupIngress": true, "AWS::RAM::ResourceShare": true, "AWS::Events::EventBusPolicy": true,
}

// copies are types that lead data elsewhere by being there.
var copies = map[string]bool{
	"AWS::Lambda::EventSourceMapping": true, "AWS::Logs::SubscriptionFilter": true, "AWS::Pipes::Pipe": true, "AWS::KinesisFirehose::DeliveryStream": true,
}

// judge compares one resource in two templates. Either may be nil.
func judge(id string, old, new resource, c change) []Finding {
	finding := func(path string, v verdict) Finding {
		return Finding{Class: v.class, Code: v.code, Resource: id, Type: typeOf(old, new), Path: path, Says: v.says}
	}
	switch {
	case old == nil:
		return []Finding{finding("", added(typeOf(nil, new), new))}
	case new == nil:
		return []Finding{finding("", removed(typeOf(old, nil), old))}
	case text(old["Type"]) != text(new["Type"]):
		return []Finding{finding("Type", verdict{Replaced, "type", fmt.Sprintf("it was of type %s and is of %s: %s", show(old["Type"]), show(new["Type"]), held(text(old["Type"]), old))})}
	}
	var found []Finding
	for _, property := range slices.Sorted(maps.Keys(c.Properties)) {
		if impact := c.Properties[property]; replaces[impact] {
			found = append(found, finding("Properties."+property, replacement(text(old["Type"]), property, impact, old)))
		}
	}
	documents := map[string]bool{} // policies that were judged as a whole
	for _, l := range leaves(nil, old, new) {
		if at, a, b, isPolicy := policyAt(l.path, old, new); isPolicy {
			if !documents[at] {
				documents[at] = true
				for _, v := range judgePolicy(a, b) {
					found = append(found, finding(at, v))
				}
			}
			continue
		}
		found = append(found, finding(l.String(), judgeLeaf(text(old["Type"]), l, new)))
	}
	return found
}

func typeOf(old, new resource) string {
	if old != nil {
		return text(old["Type"])
	}
	return text(new["Type"])
}

func added(kind string, r resource) verdict {
	if kind == "AWS::ApiGateway::Deployment" && (child(r["Properties"], "StageName") != nil || child(r["Properties"], "StageDescription") != nil) {
		return verdict{Loosened, "second-way-in", "it makes a stage of the API by itself, with a throttle and logs of its own or without"}
	}
	if v, ok := releases[kind]; ok {
		return v
	}
	if kind == "AWS::Lambda::Function" && (!asset.MatchString(text(child(child(r["Properties"], "Code"), "S3Key"))) || child(r["Properties"], "Layers") != nil) {
		return verdict{Widened, "function-code-elsewhere", "it is new, and runs a program that is not made of this commit"}
	}
	if kind == "AWS::SecretsManager::RotationSchedule" {
		return verdict{Replaced, "secret-value", "it is new, and overwrites the stored value"}
	}
	if copies[kind] {
		return verdict{Widened, "copied", "it is new, and takes data or messages to where others read them"}
	}
	if permits[kind] || hasPolicy(r) {
		return verdict{Widened, "added-permission", "it is new, and gives rights"}
	}
	if quiet[kind] {
		return verdict{Changed, "added", "it is new"}
	}
	return verdict{Loosened, "added-unknown", "it is new, and the gate does not know what it does to the others"}
}

func removed(kind string, r resource) verdict {
	if _, ok := releases[kind]; ok {
		return verdict{Nothing, "released", "the one before goes"}
	}
	if what, ok := guards[kind]; ok {
		return verdict{Loosened, "removed-guard", "it is removed: " + what}
	}
	if _, ok := holds[kind]; ok {
		return verdict{Replaced, "removed", "it is removed: " + held(kind, r)}
	}
	if permits[kind] && !denies(r) {
		return verdict{Loosened, "removed-permission", "it is removed, and the rights that it gave: what stops without them?"}
	}
	if permits[kind] || hasPolicy(r) {
		return verdict{Widened, "removed-policy", "it is removed, and what it denied is denied no more"}
	}
	return verdict{Replaced, "removed", "it is removed: " + held(kind, r)}
}

// held says what becomes of what a resource held that leaves the stack.
func held(kind string, r resource) string {
	what := holds[kind]
	if what == "" {
		what = "this knows nothing of the type; whatever it held is not moved"
	}
	if keeps(r["DeletionPolicy"]) {
		return what + ". The old one stays behind, outside of the stack"
	}
	return what + ", and it is deleted"
}

func replacement(kind, property, impact string, old resource) verdict {
	if v, ok := releases[kind]; ok {
		return v
	}
	will := "is replaced"
	if impact == "MAY_REPLACE" {
		will = "may be replaced"
	}
	if anew[kind] {
		return verdict{Changed, "made-anew", fmt.Sprintf("it %s, because of %s; it holds nothing, and for a moment there may be none", will, property)}
	}
	what := holds[kind]
	if what == "" {
		what = "this knows nothing of the type; whatever it held is not moved"
	} else if keeps(old["UpdateReplacePolicy"]) {
		what += "; the old one stays behind"
	} else {
		what += ", and it is deleted"
	}
	return verdict{Replaced, "replaced", fmt.Sprintf("it %s, because of %s: %s", will, property, what)}
}

// keeps tells whether a DeletionPolicy or UpdateReplacePolicy keeps the resource.
func keeps(policy any) bool {
	p := text(policy)
	return p == "Retain" || p == "RetainExceptOnCreate" || p == "Snapshot"
}

// policyKeys are the properties that hold policy documents.
var policyKeys = regexp.MustCompile(`(?i)^(policy(document)?|assumerolepolicydocument|keypolicy|resourcepolicy|accesspolicies|repositorypolicytext|filesystempolicy)$`)

// policyAt returns the policy document, of both sides, in which the path lies.
func policyAt(path []string, old, new resource) (at string, a, b any, ok bool) {
	a, b = any(old), any(new)
	for i, name := range path {
		a, b = child(a, name), child(b, name)
		if policyKeys.MatchString(name) && (isDocument(a) || isDocument(b)) {
			return strings.Join(path[:i+1], "."), a, b, true
		}
	}
	return "", nil, nil, false
}

func child(v any, name string) any {
	switch v := v.(type) {
	case map[string]any:
		return v[name]
	case []any:
		for i, one := range v {
			if fmt.Sprint(i) == name {
				return one
			}
		}
	}
	return nil
}

func isDocument(v any) bool {
	o, ok := v.(map[string]any)
	return ok && o["Statement"] != nil
}

// hasPolicy tells whether a policy document is anywhere in the resource.
func hasPolicy(v any) bool {
	if isDocument(v) {
		return true
	}
	switch v := v.(type) {
	case map[string]any:
		for _, one := range v {
			if hasPolicy(one) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, hasPolicy)
	}
	return false
}

// denies tells whether a statement anywhere in the resource denies something, or cannot be read.
func denies(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		if effect := v["Effect"]; effect != nil && effect != "Allow" {
			return true
		}
		for _, one := range v {
			if denies(one) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, denies)
	}
	return false
}

// judgeLeaf judges one value of a resource that stays.
func judgeLeaf(kind string, l leaf, after resource) verdict {
	switch l.path[0] {
	case "DeletionPolicy", "UpdateReplacePolicy":
		if keeps(l.old) && !keeps(l.new) {
			return verdict{Loosened, "retention-policy", became(l.path[0], l) + ": what it holds is deleted with it"}
		}
		return verdict{Changed, "retention-policy", became(l.path[0], l)}
	case "Metadata":
		if s := l.String(); strings.HasPrefix(s, "Metadata.AWS::CloudFormation::Init") || strings.HasPrefix(s, "Metadata.AWS::CloudFormation::Authentication") || strings.Contains(s, "Fn::") {
			return verdict{Widened, "machine", became(s, l) + ": the machine reads it, and runs what it says"}
		}
		return verdict{Nothing, "metadata", "a note of the CDK's, which AWS does not read"}
	case "Condition":
		return verdict{Replaced, "condition", "whether it is there depends on another condition: " + held(kind, after)}
	case "UpdatePolicy":
		return verdict{Loosened, "canary", became(l.String(), l) + ": how many requests a bad version gets, and what takes it back"}
	case "DependsOn":
		return verdict{Changed, "order", "it is made after others"}
	case "Properties":
	default:
		return verdict{Loosened, "attribute", became(l.String(), l) + ": no rule knows what that does"}
	}
	path := strings.Join(l.path[1:], ".")
	for _, r := range rules {
		if r.kind.MatchString(kind) && r.path.MatchString(path) {
			return r.judge(l, path, after)
		}
	}
	return verdict{Loosened, "unknown", became(path, l) + ": no rule knows what that does"}
}
