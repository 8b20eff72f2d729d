package stack

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

const (
	restAPIType  = "AWS::ApiGateway::RestApi"
	methodType   = "AWS::ApiGateway::Method"
	apiStageType = "AWS::ApiGateway::Stage"
	responseType = "AWS::ApiGateway::GatewayResponse"
	domainType   = "AWS::ApiGateway::DomainName"
)

// loggable are the access log's variables that hold nothing of the caller's making,
// hence no personal data and no quote that would break the line.
var loggable = []string{
	"$context.extendedRequestId", "$context.requestTimeEpoch", "$context.stage", "$context.httpMethod",
	"$context.resourcePath", "$context.status", "$context.error.responseType", "$context.integration.status",
	"$context.integrationStatus", "$context.responseLatency", "$context.integrationLatency", "$context.responseLength",
}

var endpointRules = []rule{
	{
		name: "API", why: "the function must get the bytes that were signed; and metrics are told apart by the API's name alone",
		check: func(d deployment) (f findings) {
			if len(d.template.of(restAPIType)) != 1 {
				f.addf("%d APIs", len(d.template.of(restAPIType)))
				return f
			}
			p := d.template.Resources[d.template.of(restAPIType)[0]].Properties
			f.want("Name", p.at("Name"), "NylasWebhooks-"+d.stage.Name)
			f.want("BinaryMediaTypes", p.at("BinaryMediaTypes"), []any{"*/*"})
			f.want("EndpointConfiguration", p.at("EndpointConfiguration"), map[string]any{"Types": []any{"REGIONAL"}})
			if p.at("MinimumCompressionSize") != nil {
				f.addf("answers are compressed")
			}
			// TLS 1.2 and 1.3 with forward secrecy, post-quantum key exchange where the client has
			// it; an enhanced policy needs the access mode.
			// docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-security-policies-list.html
			f.want("SecurityPolicy", p.at("SecurityPolicy"), "SecurityPolicy_TLS13_1_2_PFS_PQ_2025_09")
			f.want("EndpointAccessMode", p.at("EndpointAccessMode"), "STRICT")
			if p.at("Policy") != nil {
				f.addf("a resource policy answers 403, which loses the event")
			}
			if off := p.at("DisableExecuteApiEndpoint") == true; off != (d.stage.Domain != nil) {
				f.addf("API Gateway's own name is off: %v", off)
			}
			return f
		},
		mutations: []mutation{
			{"text only", set(restAPIType, "Endpoint", nil, "BinaryMediaTypes")},
			{"compressed", set(restAPIType, "Endpoint", 0, "MinimumCompressionSize")},
			{"edge", set(restAPIType, "Endpoint", []any{"EDGE"}, "EndpointConfiguration", "Types")},
			{"allow list", set(restAPIType, "Endpoint", map[string]any{}, "Policy")},
			{"a second way in, beside the domain", set(restAPIType, "Endpoint", nil, "DisableExecuteApiEndpoint")},
			{"another name", set(restAPIType, "Endpoint", "webhooks", "Name")},
			{"TLS 1.0, AWS's default", set(restAPIType, "Endpoint", nil, "SecurityPolicy")},
			{"TLS 1.3 only, which not every client speaks", set(restAPIType, "Endpoint", "SecurityPolicy_TLS13_1_3_2025_09", "SecurityPolicy")},
			{"any Host header", set(restAPIType, "Endpoint", "BASIC", "EndpointAccessMode")},
		},
	},
	{
		name: "domain", why: "the URL at Nylas has to outlive the API, and its TLS is as strict as the API's own",
		check: func(d deployment) (f findings) {
			names, mappings, records := d.template.of(domainType), d.template.of("AWS::ApiGateway::BasePathMapping"), d.template.of("AWS::Route53::RecordSet")
			domain := d.stage.Domain
			if domain == nil {
				if len(names)+len(mappings)+len(records) > 0 {
					f.addf("there is a domain that no stage asked for")
				}
				return f
			}
			if len(names) != 1 || len(mappings) != 1 || len(records) != map[bool]int{true: 1}[domain.HostedZoneID != ""] {
				f.addf("%d domains, %d mappings, %d records", len(names), len(mappings), len(records))
				return f
			}
			p := d.template.Resources[names[0]].Properties
			f.want("DomainName", p.at("DomainName"), domain.Name)
			f.want("RegionalCertificateArn", p.at("RegionalCertificateArn"), domain.CertificateARN)
			f.want("EndpointConfiguration", p.at("EndpointConfiguration"), map[string]any{"Types": []any{"REGIONAL"}})
			f.want("SecurityPolicy", p.at("SecurityPolicy"), "SecurityPolicy_TLS13_1_2_PFS_PQ_2025_09")
			f.want("EndpointAccessMode", p.at("EndpointAccessMode"), "STRICT")
			p = d.template.Resources[mappings[0]].Properties
			f.want("the mapping's name", p.at("DomainName"), ref(names[0]))
			f.want("the mapping's API", p.at("RestApiId"), ref(d.template.of(restAPIType)[0]))
			f.want("the mapping's stage", p.at("Stage"), ref(d.template.of(apiStageType)[0]))
			f.want("the mapping's path", p.at("BasePath"), nil)
			f.want("WebhookUrl", d.template.Outputs["WebhookUrl"].Value, "https://"+domain.Name+"/nylas")
			for _, record := range records {
				p = d.template.Resources[record].Properties
				f.want("the record's name", p.at("Name"), domain.Name)
				f.want("its zone", p.at("HostedZoneId"), domain.HostedZoneID)
				f.want("its target", p.at("AliasTarget", "DNSName"), getAtt(names[0], "RegionalDomainName"))
			}
			return f
		},
		mutations: []mutation{
			{"TLS 1.0", set(domainType, "Domain", "TLS_1_0", "SecurityPolicy")},
			{"any Host header", set(domainType, "Domain", "BASIC", "EndpointAccessMode")},
			{"another path", set("AWS::ApiGateway::BasePathMapping", "DomainMapping", "v1", "BasePath")},
			{"another target", set("AWS::Route53::RecordSet", "DomainRecord", "example.com", "AliasTarget", "DNSName")},
			{"no mapping", func(t template) { delete(t.Resources, t.id("AWS::ApiGateway::BasePathMapping", "DomainMapping")) }},
		},
	},
	{
		name: "methods", why: "Nylas sends GET with a challenge and POST with notifications, and can carry no credentials",
		check: func(d deployment) (f findings) {
			var methods []string
			for _, id := range d.template.of(methodType) {
				p := d.template.Resources[id].Properties
				methods = append(methods, fmt.Sprint(p.at("HttpMethod")))
				f.want(id+"'s authorization", p.at("AuthorizationType"), "NONE")
				f.want(id+"'s integration", p.at("Integration", "Type"), "AWS_PROXY")
				f.want(id+"'s resource", p.at("ResourceId"), ref(d.template.id("AWS::ApiGateway::Resource", "Endpointnylas")))
				if p.at("RequestValidatorId") != nil || p.at("ApiKeyRequired") == true {
					f.addf("%s refuses requests by itself, with a 4xx that loses the event", id)
				}
			}
			slices.Sort(methods)
			f.want("the methods", methods, []string{"GET", "POST"})
			f.want("the path", d.template.props("AWS::ApiGateway::Resource", "Endpointnylas").at("PathPart"), "nylas")
			return f
		},
		mutations: []mutation{
			{"no challenge", func(t template) { delete(t.Resources, t.id(methodType, "EndpointnylasGET")) }},
			{"IAM", set(methodType, "EndpointnylasPOST", "AWS_IAM", "AuthorizationType")},
			{"validator", set(methodType, "EndpointnylasPOST", "x", "RequestValidatorId")},
			{"API key", set(methodType, "EndpointnylasPOST", true, "ApiKeyRequired")},
			{"another path", set("AWS::ApiGateway::Resource", "Endpointnylas", "webhook", "PathPart")},
		},
	},
	{
		name: "throttle", why: "without one, a flood takes the whole account's Lambda concurrency",
		check: func(d deployment) (f findings) {
			settings := objects(d.template.Resources[d.template.of(apiStageType)[0]].Properties.at("MethodSettings"))
			if len(settings) != 1 || !settings[0].is("/*", "ResourcePath") || !settings[0].is("*", "HttpMethod") {
				f.addf("the settings are not of every method: %s", text(settings))
				return f
			}
			f.want("the rate", settings[0].at("ThrottlingRateLimit"), d.stage.RequestsPerSecond)
			f.want("the burst", settings[0].at("ThrottlingBurstLimit"), d.stage.Burst)
			return f
		},
		mutations: []mutation{
			{"no rate", func(t template) { delete(methodSettings(t), "ThrottlingRateLimit") }},
			{"no burst", func(t template) { delete(methodSettings(t), "ThrottlingBurstLimit") }},
			{"one method only", func(t template) { methodSettings(t)["HttpMethod"] = "GET" }},
		},
	},
	{
		name: "no execution log", why: "the gateway's execution log can hold headers and bodies: signatures and people's mail",
		check: func(d deployment) (f findings) {
			for _, s := range objects(d.template.Resources[d.template.of(apiStageType)[0]].Properties.at("MethodSettings")) {
				f.want("LoggingLevel", s.at("LoggingLevel"), "OFF")
				f.want("DataTraceEnabled", s.at("DataTraceEnabled"), false)
				if s.at("CachingEnabled") == true {
					f.addf("a cache would answer one challenge with another")
				}
			}
			return f
		},
		mutations: []mutation{
			{"errors logged", func(t template) { methodSettings(t)["LoggingLevel"] = "ERROR" }},
			{"bodies logged", func(t template) { methodSettings(t)["DataTraceEnabled"] = true }},
			{"cached", func(t template) { methodSettings(t)["CachingEnabled"] = true }},
		},
	},
	{
		name: "access log", why: "a line must be JSON whatever is sent, and hold no header, body, query string (the challenge), path or address",
		check: func(d deployment) (f findings) {
			p := d.template.Resources[d.template.of(apiStageType)[0]].Properties
			f.want("the log group", p.at("AccessLogSetting", "DestinationArn"), getAtt(d.template.id(logGroupType, "AccessLogs"), "Arn"))
			format, _ := p.at("AccessLogSetting", "Format").(string)
			var line map[string]string
			if err := json.Unmarshal([]byte(format), &line); err != nil {
				f.addf("the format is not an object of strings: %v", err)
			}
			for key, variable := range line {
				if !slices.Contains(loggable, variable) {
					f.addf("%s logs %s", key, variable)
				}
			}
			// What the metric filter, the runbook's commands and whoever joins the logs read.
			for key, variable := range map[string]string{
				"requestId": "$context.extendedRequestId", "stage": "$context.stage", "status": "$context.status",
				"responseType": "$context.error.responseType", "lambdaStatus": "$context.integrationStatus", "latency": "$context.responseLatency",
			} {
				f.want(key, line[key], variable)
			}
			return f
		},
		mutations: []mutation{
			{"off", func(t template) { delete(apiStage(t), "AccessLogSetting") }},
			{"the id that a caller can set", logAlso("requestId", "$context.requestId")},
			{"address", logAlso("sourceIp", "$context.identity.sourceIp")},
			{"path", logAlso("path", "$context.path")},
			{"error text, whose quotes break the line", logAlso("error", "$context.integration.error")},
			{"response type gone", logAlso("responseType", "$context.status")},
			{"another group", func(t template) {
				object(apiStage(t).at("AccessLogSetting").(map[string]any))["DestinationArn"] = getAtt(t.id(logGroupType, "ReceiverLogs"), "Arn")
			}},
		},
	},
	{
		name: "tracing", why: "a trace that starts at the gateway shows where the time went",
		check: func(d deployment) (f findings) {
			f.want("TracingEnabled", d.template.Resources[d.template.of(apiStageType)[0]].Properties.at("TracingEnabled"), d.stage.Tracing)
			return f
		},
		mutations: []mutation{{"off", func(t template) { delete(apiStage(t), "TracingEnabled") }}},
	},
	{
		name: "account's setting untouched", why: "the logging role is one per account and region; a stage that sets it overwrites somebody else's, and removes it when deleted",
		check: func(d deployment) (f findings) {
			f.want("the account's settings", d.template.of("AWS::ApiGateway::Account"), []string(nil))
			return f
		},
		mutations: []mutation{{"set", func(t template) { t.Resources["X"] = &resource{Type: "AWS::ApiGateway::Account"} }}},
	},
	{
		name: "deployment", why: "API Gateway serves a snapshot: what the deployment does not wait for is not in it",
		check: func(d deployment) (f findings) {
			deployments := d.template.of("AWS::ApiGateway::Deployment")
			if len(deployments) != 1 {
				f.addf("%d deployments", len(deployments))
				return f
			}
			f.want("the stage's deployment", apiStage(d.template).at("DeploymentId"), ref(deployments[0]))
			waits := list(d.template.Resources[deployments[0]].DependsOn)
			for _, id := range slices.Concat(d.template.of(methodType), d.template.of(responseType)) {
				if !slices.Contains(waits, any(id)) {
					f.addf("the deployment does not wait for %s", id)
				}
			}
			return f
		},
		mutations: []mutation{
			{"nothing waited for", func(t template) { t.Resources[t.of("AWS::ApiGateway::Deployment")[0]].DependsOn = nil }},
			{"another deployment", func(t template) { apiStage(t)["DeploymentId"] = "x" }},
		},
	},
}

func apiStage(t template) object { return t.Resources[t.of(apiStageType)[0]].Properties }

func methodSettings(t template) object { return objects(apiStage(t).at("MethodSettings"))[0] }

// logAlso sets a key of the access log's format.
func logAlso(key, variable string) func(template) {
	return func(t template) {
		setting := object(apiStage(t).at("AccessLogSetting").(map[string]any))
		var line map[string]string
		if err := json.Unmarshal([]byte(setting["Format"].(string)), &line); err != nil {
			panic(err)
		}
		line[key] = variable
		setting["Format"] = text(line)
	}
}

// gatewayResponse is what a caller reads of one of API Gateway's response types.
type gatewayResponse struct {
	native string // AWS's status, without a response of ours
	family string // the default that decides when the type itself has none
	want   string
}

// gatewayResponses has every type there is;
// docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
var gatewayResponses = map[string]gatewayResponse{
	"API_CONFIGURATION_ERROR":        {"500", "DEFAULT_5XX", "503"},
	"AUTHORIZER_CONFIGURATION_ERROR": {"500", "DEFAULT_5XX", "503"},
	"AUTHORIZER_FAILURE":             {"500", "DEFAULT_5XX", "503"},
	"INTEGRATION_FAILURE":            {"504", "DEFAULT_5XX", "503"},
	"INTEGRATION_TIMEOUT":            {"504", "DEFAULT_5XX", "503"},
	"DEFAULT_5XX":                    {"500", "DEFAULT_5XX", "503"},
	"THROTTLED":                      {"429", "DEFAULT_4XX", "429"},
	"QUOTA_EXCEEDED":                 {"429", "DEFAULT_4XX", "429"}, // of usage plans, which there are none
	"REQUEST_TOO_LARGE":              {"413", "DEFAULT_4XX", "413"}, // Nylas truncates at 1 MB, so it is not Nylas
	"MISSING_AUTHENTICATION_TOKEN":   {"403", "DEFAULT_4XX", "404"}, // another path or method
	"RESOURCE_NOT_FOUND":             {"404", "DEFAULT_4XX", "404"},
	// These need an authorizer, a validator, an API key, IAM or a WAF, which there are none.
	"ACCESS_DENIED":          {"403", "DEFAULT_4XX", "403"},
	"BAD_REQUEST_BODY":       {"400", "DEFAULT_4XX", "400"},
	"BAD_REQUEST_PARAMETERS": {"400", "DEFAULT_4XX", "400"},
	"EXPIRED_TOKEN":          {"403", "DEFAULT_4XX", "403"},
	"INVALID_API_KEY":        {"403", "DEFAULT_4XX", "403"},
	"INVALID_SIGNATURE":      {"403", "DEFAULT_4XX", "403"},
	"UNAUTHORIZED":           {"401", "DEFAULT_4XX", "401"},
	"UNSUPPORTED_MEDIA_TYPE": {"415", "DEFAULT_4XX", "503"}, // a content coding that the gateway cannot unpack; Nylas does not come again on 415
	"WAF_FILTERED":           {"403", "DEFAULT_4XX", "403"},
	"DEFAULT_4XX":            {"", "DEFAULT_4XX", ""}, // unset: it would change every 4xx above
}

var gatewayRules = []rule{
	{
		name: "gateway responses", why: "Nylas tries again on 408, 429, 502 and 503; AWS's own 500 and 504 lose the event, and a Retry-After beside 503 burns all attempts in seconds",
		check: func(d deployment) (f findings) {
			set := make(map[string]object)
			for _, id := range d.template.of(responseType) {
				p := d.template.Resources[id].Properties
				kind := fmt.Sprint(p.at("ResponseType"))
				if _, known := gatewayResponses[kind]; !known {
					f.addf("%s is of the unknown type %s", id, kind)
				}
				set[kind] = p
			}
			for _, kind := range slices.Sorted(maps.Keys(gatewayResponses)) {
				r := gatewayResponses[kind]
				status := r.native
				for _, source := range []string{r.family, kind} { // the type's own wins
					if own, ok := set[source].at("StatusCode").(string); ok {
						status = own
					}
				}
				f.want(kind+"'s status", status, r.want)
				headers := set[kind].at("ResponseParameters")
				if kind == "THROTTLED" {
					f.want(kind+"'s headers", headers, map[string]any{"gatewayresponse.header.Retry-After": "'60'"})
				} else if headers != nil {
					f.addf("%s has the headers %s", kind, text(headers))
				}
			}
			return f
		},
		mutations: []mutation{
			{"AWS's 504", func(t template) {
				delete(t.props(responseType, "EndpointIntegrationTimeout"), "StatusCode")
				delete(t.props(responseType, "EndpointDefault5xx"), "StatusCode")
			}},
			{"a 500 of its own", set(responseType, "EndpointApiConfigurationError", "500", "StatusCode")},
			{"default gone", func(t template) { delete(t.Resources, t.id(responseType, "EndpointDefault5xx")) }},
			{"no Retry-After", set(responseType, "EndpointThrottled", nil, "ResponseParameters")},
			{"Retry-After beside 503", set(responseType, "EndpointDefault5xx", map[string]any{"gatewayresponse.header.Retry-After": "'1'"}, "ResponseParameters")},
			{"every 4xx changed", set(responseType, "EndpointNotFound", "DEFAULT_4XX", "ResponseType")},
		},
	},
	{
		name: "gateway faults are counted", why: "they are the only sign that the gateway answered 503 by itself: CloudWatch counts remapped responses as 4XXError",
		check: func(d deployment) (f findings) {
			filter := d.template.props("AWS::Logs::MetricFilter", "GatewayFaults")
			f.want("the log group", filter.at("LogGroupName"), ref(d.template.id(logGroupType, "AccessLogs")))
			f.want("the metric", filter.at("MetricTransformations"), []any{map[string]any{
				"MetricNamespace": "NylasWebhooks", "MetricName": "GatewayFaults", "MetricValue": "1",
				"Dimensions": []any{map[string]any{"Key": "Stage", "Value": "$.stage"}},
			}})
			f.want("the API's stage, which the dimension takes its value from", apiStage(d.template).at("StageName"), d.stage.Name)
			pattern := fmt.Sprint(filter.at("FilterPattern"))
			for kind, r := range gatewayResponses {
				counted, err := matches(pattern, map[string]string{"responseType": kind, "lambdaStatus": "-"})
				if err != nil {
					f.addf("%v", err)
					return f
				}
				// An authorizer's 5xx cannot occur, and DEFAULT_5XX is logged for types without a
				// response of their own.
				if fault := strings.HasPrefix(r.native, "5") && !strings.HasPrefix(kind, "AUTHORIZER"); counted != fault {
					f.addf("counting %s is %v", kind, counted)
				}
			}
			for _, line := range []map[string]string{
				{"responseType": "-", "lambdaStatus": "200"},                   // the function answered, whatever it was
				{"responseType": "INTEGRATION_FAILURE", "lambdaStatus": "413"}, // a body beyond Lambda's limit, which anybody can send
			} {
				if counted, err := matches(pattern, line); err != nil || counted {
					f.addf("%v is counted (%v)", line, err)
				}
			}
			return f
		},
		mutations: []mutation{
			{"timeouts not counted", set("AWS::Logs::MetricFilter", "GatewayFaults", `{ ($.responseType = "INTEGRATION_FAILURE" || $.responseType = "API_CONFIGURATION_ERROR" || $.responseType = "DEFAULT_5XX") && $.lambdaStatus != "413" }`, "FilterPattern")},
			{"throttling counted", set("AWS::Logs::MetricFilter", "GatewayFaults", `{ ($.responseType = "THROTTLED") && $.lambdaStatus != "413" }`, "FilterPattern")},
			{"large bodies counted", set("AWS::Logs::MetricFilter", "GatewayFaults", `{ ($.responseType = "INTEGRATION_FAILURE" || $.responseType = "INTEGRATION_TIMEOUT" || $.responseType = "API_CONFIGURATION_ERROR" || $.responseType = "DEFAULT_5XX") && $.lambdaStatus != "500" }`, "FilterPattern")},
			{"all stages together", func(t template) {
				delete(objects(t.props("AWS::Logs::MetricFilter", "GatewayFaults").at("MetricTransformations"))[0], "Dimensions")
			}},
			{"another log", set("AWS::Logs::MetricFilter", "GatewayFaults", "x", "LogGroupName")},
		},
	},
}

// matches evaluates a metric filter's pattern of the form { (a || b) && c }, whose
// terms compare a field with a string, against a log line.
func matches(pattern string, line map[string]string) (bool, error) {
	inner, ok := strings.CutPrefix(pattern, "{ ")
	inner, ok2 := strings.CutSuffix(inner, " }")
	if !ok || !ok2 {
		return false, fmt.Errorf("the pattern %s has no braces", pattern)
	}
	for _, all := range strings.Split(inner, " && ") {
		one := false
		for _, term := range strings.Split(strings.Trim(all, "()"), " || ") {
			var field, operator, value string
			if n, err := fmt.Sscanf(term, "%s %s %q", &field, &operator, &value); n != 3 {
				return false, fmt.Errorf("the term %s is not understood: %w", term, err)
			}
			equal := line[strings.TrimPrefix(field, "$.")] == value
			one = one || equal == (operator == "=")
		}
		if !one {
			return false, nil
		}
	}
	return true, nil
}
