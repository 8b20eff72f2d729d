package webhooks

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigateway"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/jsii-runtime-go"

	"github.com/onepagecrm/nylas-webhooks/infra/findings"
	"github.com/onepagecrm/nylas-webhooks/infra/stages"
	"github.com/onepagecrm/nylas-webhooks/lambda/contract"
)

const (
	// webhookPath is the API's one resource.
	webhookPath = "nylas"
	// integrationTimeout in seconds lies between Nylas's 10 s and Lambda's 8 s, so that
	// Nylas hears our 503 instead of hanging up.
	integrationTimeout = 9
	// retryAfter in seconds is honoured by Nylas on 429 only. At the throttle's 2,500
	// requests/s (docs/adr/0011) the largest burst that Nylas names, 20,000, has passed
	// in 8 of them.
	retryAfter = 60
	// tlsPolicy is the strictest that every current client can speak: TLS 1.3, and 1.2 with
	// forward secrecy, and key exchange that holds against quantum computers where the
	// client has it. AWS's default for a regional REST API lets TLS 1.0 in.
	// docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-security-policies-list.html
	tlsPolicy = "SecurityPolicy_TLS13_1_2_PFS_PQ_2025_09"
	// accessMode refuses a request whose Host is not the name that TLS was made for, or that
	// comes by another kind of endpoint; an HTTPS client that calls WebhookUrl passes. A
	// stricter mode takes AWS up to 15 minutes, in which the API answers; back to BASIC it
	// does not answer for as long.
	// docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-security-policies.html
	accessMode = "STRICT"
)

// gatewayResponse is what the gateway answers when the function is not asked or its
// answer is not to be had.
type gatewayResponse struct {
	id         string // construct id
	kind       awsapigateway.ResponseType
	status     int
	retryAfter int // seconds; 0: no header
	// fault says that it is ours: a signed notification was not taken, and a caller
	// cannot provoke it.
	fault bool
}

// gatewayResponses has every response type that can meet a request here. Nylas tries
// again on 408, 429, 502 and 503; AWS's own 500 would lose the event at once, and
// 504 is doubtful. No Retry-After beside 503, a short one would burn Nylas's three
// attempts in seconds.
func gatewayResponses() []gatewayResponse {
	return []gatewayResponse{
		{id: "Throttled", kind: awsapigateway.ResponseType_THROTTLED(), status: 429, retryAfter: retryAfter},
		// The function crashed, answered nonsense, or Lambda refused to start it.
		{id: "IntegrationFailure", kind: awsapigateway.ResponseType_INTEGRATION_FAILURE(), status: 503, fault: true},
		{id: "IntegrationTimeout", kind: awsapigateway.ResponseType_INTEGRATION_TIMEOUT(), status: 503, fault: true},
		// The function is gone, or the gateway may not call it.
		{id: "ApiConfigurationError", kind: awsapigateway.ResponseType_API_CONFIGURATION_ERROR(), status: 503, fault: true},
		// Every other 5xx, the gateway's own failures among them.
		{id: "Default5xx", kind: awsapigateway.ResponseType_DEFAULT_5XX(), status: 503, fault: true},
		// A content coding that the gateway cannot unpack: its 415 would lose the event.
		// Strangers can ask for it, so it is no fault.
		{id: "UnsupportedMediaType", kind: awsapigateway.ResponseType_UNSUPPORTED_MEDIA_TYPE(), status: 503},
		// Another path or method. AWS's own answer, 403 "Missing Authentication Token",
		// sends whoever mistyped the URL looking for credentials.
		{id: "NotFound", kind: awsapigateway.ResponseType_MISSING_AUTHENTICATION_TOKEN(), status: 404},
	}
}

// accessLogFields are the keys of an access log line. Each value comes from AWS or
// from a closed set: the gateway does not escape values, so a caller's quote would
// break the line and with it the count of faults. So no headers, no path, no error
// texts. No query string either, it holds the challenge; and no source address:
// nobody here acts on one (Nylas publishes no reliable list), and it is personal data.
//
// docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-variables-for-access-logging.html
type accessLogFields struct {
	RequestID          string `json:"requestId"` // as in the receiver's log and the message's attribute
	Time               string `json:"time"`
	Stage              string `json:"stage"`
	Method             string `json:"method"`
	Resource           string `json:"resource"`
	Status             string `json:"status"`            // what the caller read
	ResponseType       string `json:"responseType"`      // which gateway response, "-" when the function answered
	IntegrationStatus  string `json:"integrationStatus"` // what the function answered
	LambdaStatus       string `json:"lambdaStatus"`      // what Lambda answered when it was asked to run the function
	Latency            string `json:"latency"`           // milliseconds
	IntegrationLatency string `json:"integrationLatency"`
	ResponseLength     string `json:"responseLength"`
}

var accessLog = accessLogFields{
	RequestID:          "$context.extendedRequestId", // $context.requestId is what a caller says it is
	Time:               "$context.requestTimeEpoch",
	Stage:              "$context.stage",
	Method:             "$context.httpMethod",
	Resource:           "$context.resourcePath",
	Status:             "$context.status",
	ResponseType:       "$context.error.responseType",
	IntegrationStatus:  "$context.integration.status",
	LambdaStatus:       "$context.integrationStatus",
	Latency:            "$context.responseLatency",
	IntegrationLatency: "$context.integrationLatency",
	ResponseLength:     "$context.responseLength",
}

// gatewayFaultPattern selects the access log lines of faults. 413 is not one: Lambda
// refused a body beyond its limit, which is nothing Nylas sends and everybody can.
func gatewayFaultPattern() string {
	var types []string
	for _, r := range gatewayResponses() {
		if r.fault {
			types = append(types, fmt.Sprintf("$.responseType = %q", *r.kind.ResponseType()))
		}
	}
	return fmt.Sprintf(`{ (%s) && $.lambdaStatus != "413" }`, strings.Join(types, " || "))
}

// gatewayFaults is the one metric that comes from the access log. It stands beside the
// receiver's own, with the same dimension.
const gatewayFaults contract.Metric = "GatewayFaults"

// newGatewayFaults counts access log lines instead of reading AWS's 5XXError, because
// AWS counts a remapped gateway response as 4XXError, and strangers move both.
func newGatewayFaults(stack awscdk.Stack, stage stages.Stage, logs awslogs.LogGroup) awscloudwatch.Metric {
	awslogs.NewMetricFilter(stack, jsii.String("GatewayFaults"), &awslogs.MetricFilterProps{
		LogGroup:        logs,
		FilterPattern:   awslogs.FilterPattern_Literal(jsii.String(gatewayFaultPattern())),
		MetricNamespace: jsii.String(contract.MetricNamespace),
		MetricName:      jsii.String(string(gatewayFaults)),
		MetricValue:     jsii.String("1"),
		// From the line, where it is the gateway's stage, which has our stage's name.
		Dimensions: &map[string]*string{contract.DimensionStage: jsii.String("$.stage")},
	})
	return ownMetric(stage, gatewayFaults, sum, minute)
}

type endpoint struct {
	api    awsapigateway.RestApi
	stage  awsapigateway.Stage
	domain *stages.Domain
	logs   awslogs.LogGroup
	faults awscloudwatch.Metric
}

// url is what is registered at Nylas.
func (e endpoint) url() *string {
	if e.domain != nil {
		return jsii.String("https://" + e.domain.Name + "/" + webhookPath)
	}
	return e.api.UrlForPath(jsii.String("/" + webhookPath))
}

// newEndpoint makes a REST API, because only that can turn the 500 it answers when
// Lambda refuses an invocation into a 503, which Nylas tries again.
//
// There is no authorizer: the sender can carry neither IAM nor API keys, and the
// signature over the body is checked by the function, for no authorizer sees a body.
func newEndpoint(stack awscdk.Stack, stage stages.Stage, receiver receiver) endpoint {
	logs := newLogGroup(stack, stage, "AccessLogs")
	format, err := json.Marshal(accessLog)
	if err != nil {
		panic(err) // a struct of strings always marshals
	}
	api := awsapigateway.NewRestApi(stack, jsii.String("Endpoint"), &awsapigateway.RestApiProps{
		RestApiName: jsii.String(StackName(stage)), // the metrics' dimension, so it has to be unique
		Description: jsii.String("Where Nylas delivers"),
		EndpointConfiguration: &awsapigateway.EndpointConfiguration{
			Types: &[]awsapigateway.EndpointType{awsapigateway.EndpointType_REGIONAL},
		},
		BinaryMediaTypes: jsii.Strings("*/*"), // the function gets the exact bytes, in base64
		CloudWatchRole:   jsii.Bool(false),    // one per account and region, so it is not a stage's to set; see infra/account
		DeployOptions: &awsapigateway.StageOptions{
			StageName:            &stage.Name,
			ThrottlingRateLimit:  jsii.Number(stage.RequestsPerSecond),
			ThrottlingBurstLimit: jsii.Number(stage.Burst),
			TracingEnabled:       &stage.Tracing,
			AccessLogDestination: awsapigateway.NewLogGroupLogDestination(logs),
			AccessLogFormat:      awsapigateway.AccessLogFormat_Custom(jsii.String(string(format))),
			LoggingLevel:         awsapigateway.MethodLoggingLevel_OFF, // the execution log can hold headers and bodies
			DataTraceEnabled:     jsii.Bool(false),
		},
	})
	// The L2 has no property for these two.
	l1 := api.Node().DefaultChild().(awsapigateway.CfnRestApi)
	l1.SetSecurityPolicy(jsii.String(tlsPolicy))
	l1.SetEndpointAccessMode(jsii.String(accessMode))
	if stage.Domain != nil {
		l1.SetDisableExecuteApiEndpoint(jsii.Bool(true)) // one way in, which is the registered one
	}
	api.Node().TryRemoveChild(jsii.String("Endpoint")) // an output with a generated name; WebhookUrl says it

	integration := awsapigateway.NewLambdaIntegration(receiver.alias, &awsapigateway.LambdaIntegrationOptions{
		Timeout:         awscdk.Duration_Seconds(jsii.Number(integrationTimeout)),
		AllowTestInvoke: jsii.Bool(false), // the console's test button would be a way around the stage
	})
	resource := api.Root().AddResource(jsii.String(webhookPath), nil)
	var methods []awsapigateway.Method
	for _, method := range []string{"GET", "POST"} { // the challenge, the notifications
		methods = append(methods, resource.AddMethod(&method, integration, nil))
	}
	acceptEndpoint(stage, api, methods)
	for _, r := range gatewayResponses() {
		var headers *map[string]*string
		if r.retryAfter > 0 {
			headers = &map[string]*string{"Retry-After": jsii.String(fmt.Sprintf("'%d'", r.retryAfter))}
		}
		// The L2, because it makes the change part of a new deployment; the L1 would not.
		api.AddGatewayResponse(&r.id, &awsapigateway.GatewayResponseOptions{
			Type:            r.kind,
			StatusCode:      jsii.String(fmt.Sprint(r.status)),
			ResponseHeaders: headers,
		})
	}
	return endpoint{api: api, stage: api.DeploymentStage(), domain: stage.Domain, logs: logs, faults: newGatewayFaults(stack, stage, logs)}
}

func acceptEndpoint(stage stages.Stage, api awsapigateway.RestApi, methods []awsapigateway.Method) {
	findings.Accept(api, "whether a validator ignores the case of a header's name is documented nowhere, and a wrong guess loses every notification",
		"AwsSolutions-APIG2")
	for _, method := range methods {
		findings.Accept(method, "Nylas can carry neither IAM nor Cognito nor an API key; the signature over the body is the authorisation, and no authorizer sees a body",
			"AwsSolutions-APIG4", "AwsSolutions-COG4", "CKV_AWS_59")
		for _, child := range *method.Node().Children() {
			if permission, ok := child.(awslambda.CfnPermission); ok {
				findings.Accept(permission, "not so: SourceArn names this method of this API; the rule does not read it, because it is put together",
					"CT.LAMBDA.PR.2")
			}
		}
	}
	front := api.DeploymentStage()
	findings.Accept(front, "managed rules stumble over mail in HTML, a rate rule over Nylas's bursts, and a WAF's 403 loses the notification",
		"AwsSolutions-APIG3")
	findings.Accept(front, "the execution log can hold headers and bodies; the access log has what went wrong",
		"AwsSolutions-APIG6", "CT.APIGATEWAY.PR.1")
	findings.Accept(front, "a POST is not cacheable, and a cached challenge would answer another one", "CKV_AWS_120")
	if !stage.Tracing {
		findings.Accept(front, noTracing, "Serverless-APIGWXrayEnabled", "CKV_AWS_73", "CT.APIGATEWAY.PR.2", "WS2002")
	}
}
