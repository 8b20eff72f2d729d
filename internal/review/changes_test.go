package review

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// resources are those of a template under
type resources map[string]any

// the returns the resource whose id begins so.
func (r resources) the(id string) map[string]any {
	var found []string
	for name := range r {
		if strings.HasPrefix(name, id) && len(name)-len(id) <= 8 {
			found = append(found, name)
		}
	}
	if len(found) != 1 {
		panic(fmt.Sprintf("resources %s: %v", id, found))
	}
	return r[found[0]].(map[string]any)
}

// at returns the properties of it, or an object inside of them.
func (r resources) at(id string, path ...string) map[string]any {
	o := r.the(id)["Properties"].(map[string]any)
	for _, name := range path {
		switch inside := o[name].(type) {
		case map[string]any:
			o = inside
		case []any:
			o = inside[0].(map[string]any)
		}
	}
	return o
}

func (r resources) drop(id string) {
	for name := range r {
		if strings.HasPrefix(name, id) && len(name)-len(id) <= 8 {
			delete(r, name)
			return
		}
	}
	panic("no resource " + id)
}

// statement returns the statement with that id.
func (r resources) statement(id, document, sid string) map[string]any {
	for _, s := range r.at(id)[document].(map[string]any)["Statement"].([]any) {
		if one := s.(map[string]any); one["Sid"] == sid || sid == "" {
			return one
		}
	}
	panic("no statement " + sid)
}

// Changes of prod as real commits make them, and what a reviewer has to be told.
func TestPreparedChanges(t *testing.T) {
	e := reviewer(t)
	for name, c := range map[string]struct {
		edit  func(r resources)
		class Class
		says  string
	}{
		// The fifteen that a person would not see in cdk diff, or hardly.
		"a queue renamed":           {func(r resources) { r.at("Queue")["QueueName"] = "notifications" }, Replaced, "messages on the old one are not moved; the old one stays behind"},
		"a queue made FIFO":         {func(r resources) { r.at("Queue")["FifoQueue"] = true }, Replaced, "because of FifoQueue"},
		"TLS denied no more":        {func(r resources) { r.drop("QueuePolicy") }, Widened, "what it denied is denied no more"},
		"the key opened":            {func(r resources) { r.statement("Key", "KeyPolicy", "")["Principal"] = "*" }, Widened, "may kms:* on *"},
		"503 becomes 500":           {func(r resources) { r.at("EndpointIntegrationFailure")["StatusCode"] = "500" }, Loosened, "with any other answer the notification is lost"},
		"seven days become an hour": {func(r resources) { r.at("Queue")["MessageRetentionPeriod"] = 3600.0 }, Loosened, "was 604800 (7 days) and is 3600 (1 hour): what waits longer is deleted"},
		"Retain becomes Delete":     {func(r resources) { r.the("Queue")["DeletionPolicy"] = "Delete" }, Loosened, "what it holds is deleted with it"},
		"a role that may do all": {func(r resources) {
			r.at("ReceiverRole")["ManagedPolicyArns"] = []any{"arn:aws:iam::aws:policy/AdministratorAccess"}
		}, Widened, "who has which rights"},
		"key rotation off":             {func(r resources) { r.at("Key")["EnableKeyRotation"] = false }, Loosened, "the key is the same for ever"},
		"a threshold times 100":        {func(r resources) { o := r.at("QueueAgeAlarm"); o["Threshold"] = o["Threshold"].(float64) * 100 }, Loosened, "it rings later"},
		"an alarm's actions gone":      {func(r resources) { delete(r.at("QueueAgeAlarm"), "AlarmActions") }, Loosened, "somebody hears of it no more"},
		"the throttle from 2,500 to 5": {func(r resources) { r.at("EndpointDeploymentStageprod", "MethodSettings")["ThrottlingRateLimit"] = 5.0 }, Loosened, "Nylas reads 429"},
		"public access unblocked":      {func(r resources) { r.at("Bucket", "PublicAccessBlockConfiguration")["BlockPublicPolicy"] = false }, Widened, "the public may be let in"},
		"logs kept a day":              {func(r resources) { r.at("ReceiverLogs")["RetentionInDays"] = 1.0 }, Loosened, "logs are gone earlier"},
		"a statement that allows *": {func(r resources) {
			r.statement("ReceiverPolicy", "PolicyDocument", "SendNotifications")["Action"] = "*"
		}, Widened, "may * on"},

		"only the program":            {func(r resources) { r.at("Receiver", "Code")["S3Key"] = strings.Repeat("fedcba9876543210", 4) + ".zip" }, CodeOnly, "another program"},
		"a note of the CDK's":         {func(r resources) { r.the("Queue")["Metadata"] = map[string]any{"aws:cdk:path": "x"} }, Nothing, ""},
		"nothing":                     {func(resources) {}, Nothing, ""},
		"a text of an alarm":          {func(r resources) { r.at("QueueAgeAlarm")["AlarmDescription"] = "better" }, Changed, "a text"},
		"a tag":                       {func(r resources) { r.at("Queue")["Tags"] = []any{map[string]any{"Key": "Owner", "Value": "crm"}} }, Changed, "costs and searches"},
		"a widget":                    {func(r resources) { r.at("Dashboard")["DashboardBody"] = "{}" }, Changed, "what is seen"},
		"kept for longer":             {func(r resources) { r.at("Queue")["MessageRetentionPeriod"] = 1123200.0 }, Changed, "was 604800 (7 days) and is 1123200 (13 days)"},
		"an alarm that rings earlier": {func(r resources) { r.at("QueueAgeAlarm")["Threshold"] = 1.0 }, Changed, "Threshold was"},
		"one more who is told":        {func(r resources) { r.at("QueueAgeAlarm")["InsufficientDataActions"] = []any{"arn:aws:sns:x"} }, Changed, "tells more"},
		"an alarm gone":               {func(r resources) { r.drop("QueueAgeAlarm") }, Loosened, "nobody is told any more"},
		"an alarm new":                {func(r resources) { r["NewAlarm"] = copied(r.the("QueueAgeAlarm")) }, Changed, "it is new"},
		"an alarm on another metric":  {func(r resources) { r.at("QueueAgeAlarm")["MetricName"] = "NumberOfMessagesSent" }, Loosened, "it rings at other times"},
		"missing data is no fault":    {func(r resources) { r.at("QueueAgeAlarm")["TreatMissingData"] = "ignore" }, Loosened, "it rings at other times"},
		"an alarm switched off":       {func(r resources) { r.at("QueueAgeAlarm")["ActionsEnabled"] = false }, Loosened, "the alarm tells nobody"},
		"one right more": {func(r resources) {
			s := r.statement("ReceiverPolicy", "PolicyDocument", "SendNotifications")
			s["Action"] = []any{s["Action"], "sqs:ReceiveMessage"}
		}, Widened, "may sqs:ReceiveMessage on"},
		"one right less": {func(r resources) {
			s := r.statement("ConsumerPolicy", "PolicyDocument", "")
			s["Action"] = s["Action"].([]any)[1:]
		}, Loosened, "may no longer"},
		"a right under a condition": {func(r resources) {
			r.statement("ReceiverPolicy", "PolicyDocument", "SendNotifications")["Condition"] = map[string]any{"Bool": map[string]any{"aws:SecureTransport": "true"}}
		}, Changed, "allowed under a further condition"},
		// Its name has "Not" in it, and the statement has none.
		"a denial for SpillNotices": {func(r resources) {
			o := r.at("SpillNoticesPolicy", "PolicyDocument")
			denial := copied(o["Statement"].([]any)[0].(map[string]any))
			denial["Effect"], denial["Action"] = "Deny", "sqs:PurgeQueue"
			o["Statement"] = append(o["Statement"].([]any), denial)
		}, Changed, "sqs:PurgeQueue is denied now"},
		"a right with no condition": {func(r resources) {
			for _, s := range r.at("PagesPolicy", "PolicyDocument")["Statement"].([]any) {
				if s.(map[string]any)["Effect"] == "Allow" {
					delete(s.(map[string]any), "Condition")
				}
			}
		}, Widened, "may sns:Publish"},
		"statements in another order": {func(r resources) {
			s := r.at("ReceiverPolicy", "PolicyDocument")["Statement"].([]any)
			slices.Reverse(s)
		}, Changed, "gives the same rights"},
		"a policy's description":       {func(r resources) { r.at("ConsumerPolicy")["Description"] = "better" }, Replaced, "roles outside of the stack keep the old one"},
		"another key":                  {func(r resources) { delete(r.at("Queue"), "KmsMasterKeyId") }, Loosened, "under another key, or under none"},
		"TLS 1.0":                      {func(r resources) { r.at("Endpoint")["SecurityPolicy"] = "TLS_1_0" }, Loosened, "other TLS versions"},
		"any Host header":              {func(r resources) { r.at("Endpoint")["EndpointAccessMode"] = "BASIC" }, Loosened, "a Host header"},
		"IAM in front of the method":   {func(r resources) { r.at("EndpointnylasPOST")["AuthorizationType"] = "AWS_IAM" }, Loosened, "the gateway refuses requests by itself"},
		"bodies in the gateway's log":  {func(r resources) { r.at("EndpointDeploymentStageprod", "MethodSettings")["DataTraceEnabled"] = true }, Widened, "can read headers and bodies"},
		"a bucket gone":                {func(r resources) { r.drop("Bucket") }, Replaced, "objects in the old one are not moved. The old one stays behind"},
		"fewer copies of the function": {func(r resources) { r.at("Receiver")["ReservedConcurrentExecutions"] = 5.0 }, Loosened, "requests are refused"},
		"another variable":             {func(r resources) { r.at("Receiver", "Environment", "Variables")["WEBHOOK_QUEUE_URL"] = "x" }, Loosened, "a wrong value answers every request with 503"},
		"the gateway may not call":     {func(r resources) { r.at("Bucket")["NotificationConfiguration"] = map[string]any{} }, Loosened, "who watches for objects"},
		"a type that nobody here knows": {func(r resources) {
			r["X"] = map[string]any{"Type": "AWS::Foo::Bar", "Properties": map[string]any{"Size": 1.0}}
		}, Loosened, "it is new, and the gate does not know"},
		"dead letters after one try": {func(r resources) { r.at("Queue", "RedrivePolicy")["maxReceiveCount"] = 1.0 }, Loosened, "a message is a dead letter after fewer tries"},
		"NotAction names less": {func(r resources) {
			s := r.statement("ConsumerPolicy", "PolicyDocument", "")
			delete(s, "Action")
			s["NotAction"] = []any{"s3:*"}
		}, Widened, "NotAction"},
		"a statement that depends": {func(r resources) {
			r.at("ConsumerPolicy", "PolicyDocument")["Statement"] = []any{map[string]any{"Fn::If": []any{"a", "b", "c"}}}
		}, Widened, "not in a form that can be compared"},
		"the gateway may not invoke": {func(r resources) {
			for id, one := range r {
				if one.(map[string]any)["Type"] == "AWS::Lambda::Permission" {
					delete(r, id)
				}
			}
		}, Loosened, "the gateway answers 503"},
		"one more gateway response": {func(r resources) {
			r["X"] = map[string]any{"Type": "AWS::ApiGateway::GatewayResponse", "Properties": map[string]any{"StatusCode": "400"}}
		}, Loosened, "it is new, and the gate does not know"},
		"logs kept for ever, now a day": {func(r resources) { r.at("ReceiverLogs")["RetentionInDays"] = 1.0 }, Loosened, "logs are gone earlier"},
		"a bad one is never dead":       {func(r resources) { r.at("Queue", "RedrivePolicy")["maxReceiveCount"] = 1000.0 }, Loosened, "a bad one never is"},
		"hidden for half a day":         {func(r resources) { r.at("Queue")["VisibilityTimeout"] = 43200.0 }, Loosened, "waits so long"},
		"the program of somebody else":  {func(r resources) { r.at("Receiver", "Code")["S3Bucket"] = "somebody-else" }, Widened, "runs a program that is not"},
		"who gets the pages":            {func(r resources) { r.at("PagesPolicy")["Topics"] = []any{"x"} }, Widened, "protects something else"},
		"spilled mail kept for a day":   {func(r resources) { r.at("Bucket", "LifecycleConfiguration", "Rules")["ExpirationInDays"] = 1.0 }, Loosened, "objects are deleted earlier"},
	} {
		t.Run(name, func(t *testing.T) {
			base := prod(t)
			head := copied(base)
			c.edit(head["Resources"].(map[string]any))
			found, err := CompareTemplates(e, base, head)
			if err != nil {
				t.Fatal(err)
			}
			if got := Worst(found); got != c.class {
				t.Errorf("%s, want %s: %+v", got, c.class, found)
			}
			if c.says != "" && !slices.ContainsFunc(found, func(f Finding) bool { return f.Class == c.class && strings.Contains(f.Says, c.says) }) {
				t.Errorf("nothing says %q: %+v", c.says, found)
			}
		})
	}
}

// The rule that keeps a stage that is not set up from being deployed, and what is of the stack.
func TestChangesOfTheStack(t *testing.T) {
	e := reviewer(t)
	base := Stack{Name: "NylasWebhooks-prod", Environment: "aws://123456789012/eu-central-1", Protected: true, Template: prod(t)}
	for name, c := range map[string]struct {
		edit  func(s *Stack)
		class Class
		code  string
	}{
		"the Deployable rule gone":  {func(s *Stack) { delete(s.Template["Rules"].(map[string]any), "Deployable") }, Loosened, "rule"},
		"no termination protection": {func(s *Stack) { s.Protected = false }, Loosened, "stack-protection"},
		"another account":           {func(s *Stack) { s.Environment = "aws://210987654321/eu-central-1" }, Replaced, "stack-elsewhere"},
		"another name":              {func(s *Stack) { s.Name = "NylasWebhooks-production" }, Replaced, "stack-elsewhere"},
		"a role that may more":      {func(s *Stack) { s.ExecutionRole = "arn:aws:iam::123456789012:role/Admin" }, Widened, "stack-role"},
		"another parameter":         {func(s *Stack) { s.Parameters = map[string]string{"Stage": "x"} }, Loosened, "stack-parameters"},
		"an output gone":            {func(s *Stack) { delete(s.Template["Outputs"].(map[string]any), "QueueUrl") }, Changed, "output"},
		"a tag of the stack":        {func(s *Stack) { s.Tags = map[string]string{"Owner": "crm"} }, Changed, "tags"},
		"a condition on all": {func(s *Stack) {
			s.Template["Conditions"] = map[string]any{"On": map[string]any{"Fn::Equals": []any{"a", "b"}}}
		}, Replaced, "condition"},
		"a text": {func(s *Stack) { s.Template["Description"] = "x" }, Changed, "text"},
	} {
		head := copied(base)
		c.edit(&head)
		found, err := Compare(e, map[string]Stack{"s": base}, map[string]Stack{"s": head})
		if err != nil {
			t.Fatal(err)
		}
		if len(found) == 0 || found[0].Class != c.class || found[0].Code != c.code || found[0].Stack != "s" {
			t.Errorf("%s: %+v, want %s %s", name, found, c.class, c.code)
		}
	}
	for name, c := range map[string]struct {
		base, head map[string]Stack
		class      Class
	}{
		"a stack gone": {map[string]Stack{"s": base}, nil, Replaced},
		"a stack new":  {nil, map[string]Stack{"s": base}, Widened}, // it has policies
	} {
		found, err := Compare(e, c.base, c.head)
		if err != nil || len(found) == 0 || found[0].Class != c.class {
			t.Errorf("%s: %+v, %v", name, found, err)
		}
	}
}
