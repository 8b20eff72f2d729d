package stack

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/onepagecrm/nylas-webhooks/internal/review"
)

func newReviewer(t *testing.T) *review.Engine {
	t.Helper()
	e, err := review.NewEngine(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func raw(t *testing.T, name string) map[string]any {
	t.Helper()
	var made map[string]any
	if err := json.Unmarshal([]byte(text(stacks[name].template)), &made); err != nil {
		t.Fatal(err)
	}
	return made
}

func copied[T any](v T) T {
	var c T
	encoded, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(encoded, &c)
	}
	if err != nil {
		panic(err) // it was decoded from JSON
	}
	return c
}

// mutate calls try with every way to change every value of v, which is at path.
func mutate(v any, path []string, replace func(any), try func(path []string, how string, old, new any)) {
	change := func(how string, new any) {
		replace(new)
		try(path, how, v, new)
		replace(v)
	}
	switch v := v.(type) {
	case map[string]any:
		if isComputed(v) {
			change("changed", "something else")
			return
		}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			inside := v[name]
			delete(v, name)
			try(append(slices.Clone(path), name), "removed", inside, nil)
			v[name] = inside
			mutate(inside, append(slices.Clone(path), name), func(new any) { v[name] = new }, try)
		}
	case []any:
		if len(v) == 0 {
			change("added to", []any{"something else"})
			return
		}
		change("added to", append(slices.Clone(v), altered(v[len(v)-1])))
		change("taken from", slices.Clone(v[:len(v)-1]))
		for i := range v {
			mutate(v[i], append(slices.Clone(path), fmt.Sprint(i)), func(new any) { v[i] = new }, try)
		}
	case float64:
		change("up", v*2+1)
		change("down", v/2-1)
	case bool:
		change("changed", !v)
	default:
		change("changed", altered(v))
	}
}

// altered is another value of the same kind.
func altered(v any) any {
	switch v := v.(type) {
	case string:
		return v + "x"
	case map[string]any:
		c := copied(v)
		for name, inside := range c {
			c[name] = altered(inside)
		}
		return c
	case []any:
		return append(slices.Clone(v), "x")
	}
	return "x"
}

func isComputed(o map[string]any) bool {
	for name := range o {
		if len(o) == 1 && (name == "Ref" || strings.HasPrefix(name, "Fn::")) {
			return true
		}
	}
	return false
}

// atLeast says of which class a change has to be, whatever the judgement thinks: the first row
// that fits. It is written from the templates, not from the judgement's rules.
var atLeast = []struct {
	kind, path, how string
	class           review.Class
}{
	{`.*`, `(.*\.)?Metadata(\..*)?`, `.*`, review.Nothing},
	{`AWS::Lambda::Version|AWS::ApiGateway::Deployment`, `.*`, `.*`, review.Nothing},
	{`.*`, `Type`, `.*`, review.Replaced},
	{`.*`, `(Deletion|UpdateReplace)Policy`, `.*`, review.Loosened},
	// Rights. A statement's name and the policy's version give none.
	{`.*`, `.*(Policy|PolicyDocument)\..*\.(Sid|Id)|.*(Policy|PolicyDocument)\.(Version|Id)`, `.*`, review.Changed},
	{`.*`, `.*(Policy|PolicyDocument)\.Statement(\.[0-9]+)?`, `taken from|removed`, review.Changed},
	{`.*`, `.*(Policy|PolicyDocument)\.Statement\.[0-9]+\.(Action|Resource)`, `taken from`, review.Changed}, // one right less
	{`.*`, `Properties\.(AssumeRole|Key)?Policy(Document)?(\..*)?`, `changed|added to`, review.Widened},
	{`AWS::Lambda::Permission`, `Properties\..*`, `.*`, review.Widened},
	{`AWS::Lambda::Function`, `Properties\.Role`, `.*`, review.Widened},
	{`AWS::IAM::(Role|ManagedPolicy)`, `Properties\.(ManagedPolicyArns|Roles)(\..*)?`, `.*`, review.Widened},
	{`AWS::S3::Bucket`, `Properties\.PublicAccessBlockConfiguration(\..*)?`, `.*`, review.Widened},
	// Who is told.
	{`AWS::CloudWatch::Alarm`, `Properties\.(AlarmDescription|Tags.*)`, `.*`, review.Changed},
	{`AWS::CloudWatch::Alarm`, `Properties\.(Alarm|OK|InsufficientData)Actions`, `added to`, review.Changed},
	{`AWS::CloudWatch::Alarm`, `Properties\.Threshold`, `up|down`, review.Changed}, // see the test
	{`AWS::CloudWatch::Alarm`, `Properties\..*`, `.*`, review.Loosened},
	{`AWS::SNS::Subscription|AWS::Logs::MetricFilter|AWS::Events::Rule`, `Properties\.(Endpoint|Protocol|FilterPattern|MetricTransformations.*|EventPattern.*|Targets.*)`, `.*`, review.Loosened},
	{`AWS::Events::Rule`, `Properties\.State`, `changed`, review.Loosened}, // none is ENABLED
	// How long, under which key, how much at once, over which TLS.
	{`AWS::SQS::Queue`, `Properties\.(MessageRetentionPeriod|VisibilityTimeout)`, `down|removed`, review.Loosened},
	{`AWS::SQS::Queue`, `Properties\.(Kms.*|SqsManagedSseEnabled|RedrivePolicy(\..*)?)`, `changed|down|removed`, review.Loosened},
	{`AWS::Logs::LogGroup`, `Properties\.RetentionInDays`, `down|removed`, review.Loosened},
	{`AWS::S3::Bucket`, `Properties\.LifecycleConfiguration\..*Days.*`, `down|removed`, review.Loosened},
	{`AWS::S3::Bucket`, `Properties\.(BucketEncryption|LifecycleConfiguration|NotificationConfiguration)(\..*)?`, `changed|removed|taken from`, review.Loosened},
	{`AWS::KMS::Key`, `Properties\.EnableKeyRotation`, `.*`, review.Loosened},
	{`AWS::DynamoDB::Table`, `Properties\.(SSESpecification|PointInTimeRecoverySpecification|TimeToLiveSpecification)(\..*)?`, `changed|removed`, review.Loosened},
	{`AWS::ApiGateway::GatewayResponse`, `Properties\.(StatusCode|ResponseType)`, `.*`, review.Loosened},
	{`AWS::ApiGateway::Stage`, `Properties\.(MethodSettings|AccessLogSetting)(\..*)?`, `.*`, review.Loosened},
	{`AWS::ApiGateway::(RestApi|DomainName)`, `Properties\.(SecurityPolicy|EndpointAccessMode|BinaryMediaTypes.*|EndpointConfiguration.*)`, `.*`, review.Loosened},
	{`AWS::ApiGateway::(Method|Resource)`, `Properties\..*`, `.*`, review.Loosened},
	{`AWS::Lambda::Function`, `Properties\.(ReservedConcurrentExecutions|Timeout|Environment(\..*)?)`, `.*`, review.Loosened},
	{`AWS::Lambda::Function`, `Properties\.Code(\.[^K]*)?`, `.*`, review.Widened},
	{`AWS::Lambda::Alias`, `Properties\.FunctionVersion`, `.*`, review.CodeOnly},
	{``, `Rules(\..*)?`, `.*`, review.Loosened},
	{`.*`, `.*`, `.*`, review.Changed},
}

// No change of any value of prod, or of the stage with every option, is called less than it is.
func TestEveryLeafIsJudged(t *testing.T) {
	e := newReviewer(t)
	counts := map[review.Class]int{}
	n, failures := 0, 0
	for _, name := range []string{"prod", "full"} {
		template := raw(t, name)
		judged := func(kind, id string, base, now map[string]any) func(path []string, how string, old, new any) {
			return func(path []string, how string, old, new any) {
				n++
				found, err := review.CompareTemplates(e, base, now)
				if err != nil {
					t.Fatal(err)
				}
				got := review.Worst(found)
				counts[got]++
				at := strings.Join(path, ".")
				want := review.Changed
				for _, row := range atLeast {
					if whole(row.kind).MatchString(kind) && whole(row.path).MatchString(at) && whole(row.how).MatchString(how) {
						want = row.class
						break
					}
				}
				if how == "added to" && effectAt(base, id, path) == "Deny" {
					want = review.Changed // more is denied
				}
				if at == "Properties.Threshold" {
					less := strings.HasPrefix(fmt.Sprint(child(base, id, "ComparisonOperator")), "Less")
					if less == (how == "down") {
						want = review.Loosened // it rings later
					}
				}
				if got < want || len(found) == 0 && want > review.Nothing {
					if failures++; failures <= 20 {
						t.Errorf("%s %s (%s): %s %s, from %s to %s: %s, at least %s; %+v", name, id, kind, at, how, short(old), short(new), got, want, found)
					}
				}
			}
		}
		resources := template["Resources"].(map[string]any)
		for _, id := range slices.Sorted(maps.Keys(resources)) {
			r := resources[id].(map[string]any)
			// The resource alone: the engine is quicker so.
			base, now := map[string]any{"Resources": map[string]any{id: copied(r)}}, map[string]any{"Resources": map[string]any{id: r}}
			try := judged(fmt.Sprint(r["Type"]), id, base, now)
			mutate(r, nil, func(any) {}, try)
			// And without it, and with it alone.
			for how, pair := range map[string][2]map[string]any{"gone": {base, {"Resources": map[string]any{}}}, "new": {{"Resources": map[string]any{}}, base}} {
				n++
				found, err := review.CompareTemplates(e, pair[0], pair[1])
				if err != nil {
					t.Fatal(err)
				}
				want := review.Changed
				switch kind := fmt.Sprint(r["Type"]); {
				case kind == versionType || kind == "AWS::ApiGateway::Deployment":
					want = review.Nothing
				case how == "new" && (strings.HasPrefix(kind, "AWS::IAM::") || strings.HasSuffix(kind, "Policy") || kind == "AWS::Lambda::Permission"):
					want = review.Widened
				case how == "gone" && (kind == alarmType || kind == responseType || strings.HasPrefix(kind, "AWS::SNS::") || strings.HasPrefix(kind, "AWS::Logs::M") || strings.HasPrefix(kind, "AWS::Events")):
					want = review.Loosened
				case how == "gone" && strings.HasSuffix(kind, "Policy") && !strings.HasPrefix(kind, "AWS::IAM::"):
					want = review.Widened
				case how == "gone" && slices.Contains([]string{queueType, bucketType, secretType, tableType, keyType, logGroupType, restAPIType, domainType}, kind):
					want = review.Replaced
				}
				if got := review.Worst(found); got < want {
					t.Errorf("%s: %s (%s) is %s: %s, at least %s", name, id, kind(r), how, got, want)
				}
			}
		}
		rest := copied(template)
		delete(rest, "Resources")
		mutate(rest, nil, func(any) {}, judged("", "", copied(rest), rest))
	}
	t.Logf("%d changes: %v", n, counts)
	if failures > 20 {
		t.Errorf("%d more", failures-20)
	}
	if n < 4500 {
		t.Errorf("only %d changes", n)
	}
}

func kind(r map[string]any) string { return fmt.Sprint(r["Type"]) }

var compiled = map[string]*regexp.Regexp{}

func whole(pattern string) *regexp.Regexp {
	if compiled[pattern] == nil {
		compiled[pattern] = regexp.MustCompile(`^(` + pattern + `)$`)
	}
	return compiled[pattern]
}

func child(template map[string]any, id, property string) any {
	r, _ := template["Resources"].(map[string]any)[id].(map[string]any)
	properties, _ := r["Properties"].(map[string]any)
	return properties[property]
}

// effectAt is the effect of the statement in which the path lies; "" elsewhere.
func effectAt(template map[string]any, id string, path []string) string {
	if id == "" {
		return ""
	}
	v := template["Resources"].(map[string]any)[id]
	for _, name := range path {
		switch one := v.(type) {
		case map[string]any:
			if effect, ok := one["Effect"].(string); ok {
				return effect
			}
			v = one[name]
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i >= len(one) {
				return ""
			}
			v = one[i]
		}
	}
	return ""
}

func short(v any) string {
	s := text(v)
	if len(s) > 80 {
		s = s[:80]
	}
	return s
}
