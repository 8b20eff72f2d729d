package stack

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// unwatched are metrics that the system publishes and no alarm reads.
var unwatched = map[string]bool{"Challenged": true, "Refused": true}

// Names of metrics, as reads gives them.
const (
	gateway4xx     = "AWS/ApiGateway/4XXError"
	gateway5xx     = "AWS/ApiGateway/5XXError"
	gatewayLatency = "AWS/ApiGateway/Latency"
	lambdaErrors   = "AWS/Lambda/Errors"
	lambdaThrottle = "AWS/Lambda/Throttles"
	lambdaDuration = "AWS/Lambda/Duration"
	queueAge       = "AWS/SQS/ApproximateAgeOfOldestMessage of Queue"
	queueWaiting   = "AWS/SQS/ApproximateNumberOfMessagesVisible of Queue"
	deadWaiting    = "AWS/SQS/ApproximateNumberOfMessagesVisible of DeadLetters"
)

// usual is what everything publishes while twelve notifications a minute arrive and
// are accepted.
func usual() map[string]series {
	return map[string]series{
		"Accepted":     during(0, window, times(12, 1)...),
		"Verified":     during(0, window, times(12, 1)...),
		gateway4xx:     during(0, window, times(12, 0)...),
		gateway5xx:     during(0, window, times(12, 0)...),
		gatewayLatency: during(0, window, times(12, 40)...),
		lambdaErrors:   during(0, window, times(12, 0)...),
		lambdaThrottle: during(0, window, times(12, 0)...),
		lambdaDuration: during(0, window, times(12, 20)...),
		queueAge:       during(0, window, 2),
		queueWaiting:   during(0, window, 1),
		deadWaiting:    during(0, window, 0),
	}
}

// beside adds to what is usual.
func beside(more map[string]series) map[string]series {
	all := usual()
	for name, s := range more {
		all[name] = together(all[name], s)
	}
	return all
}

// instead is what is usual, but for these metrics.
func instead(other map[string]series) map[string]series {
	all := usual()
	for name, s := range other {
		all[name] = s
	}
	return all
}

// until is what is usual in so many minutes, and after, what the rest is.
func until(minute int, usual float64, rest series) series {
	return together(during(0, minute, times(12, usual)...), rest)
}

// TestScenarios lets things happen that are known to happen, to everything that is
// published at once, and tells exactly which alarms go off.
func TestScenarios(t *testing.T) {
	for _, c := range []struct {
		name      string
		published map[string]series
		want      []string
	}{
		{"nothing happens", usual(), nil},
		{"one test event", beside(map[string]series{
			"TestEvent": on(30, 1), gateway4xx: on(30, 1),
		}), []string{"TestEvent"}},
		{"a flood of forged requests while signed ones flow, an hour long", beside(map[string]series{
			"Mismatch": during(10, 70, times(1_000, 1)...), "Verified": during(10, 70, times(1_000, 0)...),
			gateway5xx: during(10, 70, times(1_000, 1)...), gateway4xx: during(10, 70, times(1_000, 0)...),
			gatewayLatency: during(10, 70, times(1_000, 60)...), lambdaDuration: during(10, 70, times(1_000, 20)...),
		}), []string{"Mismatch", "ServerErrors"}},
		{"a flood beyond the throttle", beside(map[string]series{
			"Mismatch": during(10, 70, times(1_000, 1)...), "Verified": during(10, 70, times(1_000, 0)...),
			gateway4xx: during(10, 70, times(9_000, 1)...), gateway5xx: during(10, 70, mixed(10_000, 1_000, 1, 0)...),
		}), []string{"ClientErrors", "Mismatch", "ServerErrors"}},
		{"a scanner without signatures", beside(map[string]series{
			"Refused": during(10, 20, times(100, 1)...), gateway4xx: during(10, 20, times(100, 1)...),
		}), []string{"ClientErrors"}},
		{"large bodies from a stranger, which Lambda refuses", beside(map[string]series{
			gateway4xx: during(10, 20, times(100, 1)...), // remapped to 503, which CloudWatch counts here; no GatewayFaults
		}), []string{"ClientErrors"}},
		{"the secret was rotated at Nylas and stored four minutes late", instead(map[string]series{
			"Accepted": together(during(0, 30, times(12, 1)...), during(34, window, times(12, 1)...)),
			"Verified": together(during(0, 30, times(12, 1)...), during(30, 34, times(12, 0)...), during(34, window, times(12, 1)...)),
			"Mismatch": during(30, 34, times(12, 1)...),
			gateway5xx: together(during(0, 30, times(12, 0)...), during(30, 34, times(12, 1)...), during(34, window, times(12, 0)...)),
		}), []string{"Mismatch", "ServerErrors"}},
		{"the secret was rotated at Nylas, and nobody noticed", instead(map[string]series{
			"Accepted": during(0, 30, times(12, 1)...), "Verified": until(30, 1, during(30, window, times(12, 0)...)),
			"Mismatch": during(30, window, times(12, 1)...), gateway5xx: until(30, 0, during(30, window, times(12, 1)...)),
		}), []string{"Mismatch", "ServerErrors", "SignaturesFailing", "Silence"}},
		{"SQS refused one", beside(map[string]series{"Spilled": on(30, 1)}), []string{"Spilled"}},
		{"SQS is down for ten minutes", instead(map[string]series{
			"Accepted": together(during(0, 30, times(12, 1)...), during(40, window, times(12, 1)...)),
			"Spilled":  during(30, 40, times(12, 1)...),
		}), []string{"Spilled", "SpilledMany"}},
		{"SQS and S3 are down for ten minutes", instead(map[string]series{
			"Accepted":     together(during(0, 30, times(12, 1)...), during(40, window, times(12, 1)...)),
			"SendFailed":   during(30, 40, times(12, 1)...),
			gateway5xx:     together(during(0, 30, times(12, 0)...), during(30, 40, times(12, 1)...), during(40, window, times(12, 0)...)),
			lambdaDuration: together(during(0, 30, times(12, 20)...), during(30, 40, times(12, 2_900)...), during(40, window, times(12, 20)...)),
			gatewayLatency: together(during(0, 30, times(12, 40)...), during(30, 40, times(12, 2_950)...), during(40, window, times(12, 40)...)),
		}), []string{"Latency", "SendFailed", "ServerErrors"}},
		{"the account's concurrency is used up for five minutes", beside(map[string]series{
			"GatewayFaults": during(30, 35, times(4, 1)...), lambdaThrottle: during(30, 35, times(4, 1)...),
			gateway4xx: during(30, 35, times(4, 1)...), // the remapped 503
		}), []string{"ClientErrors", "GatewayFaults", "ReceiverThrottled"}},
		{"one request crashes the function", beside(map[string]series{
			"GatewayFaults": on(30, 1), lambdaErrors: on(30, 1), gateway4xx: on(30, 1),
		}), []string{"ReceiverErrors"}},
		{"the consumer is deployed, which takes four minutes", instead(map[string]series{
			queueAge:     together(during(0, 30, 2), on(30, 60), on(31, 120), on(32, 180), on(33, 240), during(34, window, 2)),
			queueWaiting: together(during(0, 30, 1), on(30, 12), on(31, 24), on(32, 36), on(33, 48), during(34, window, 1)),
		}), nil},
		{"the consumer stands still", instead(map[string]series{
			queueAge: together(during(0, 30, 2), during(36, window, 360)), queueWaiting: during(0, window, 500),
		}), []string{"QueueAge"}},
		{"the consumer cannot handle one of them", beside(map[string]series{deadWaiting: during(30, 40, 1)}), []string{"DeadLetters"}},
		{"Nylas has stopped delivering", map[string]series{
			"Accepted": during(0, 30, times(12, 1)...), "Verified": during(0, 30, times(12, 1)...),
		}, []string{"Silence"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := goOff(stacks["full"], c.published)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("these go off: %v, want %v", got, c.want)
			}
		})
	}
}

// accessLogLine is a line as API Gateway writes it: the format with the values for the
// variables, "-" for what a request does not have.
func accessLogLine(t template, values map[string]string) (map[string]string, error) {
	format, _ := apiStage(t).at("AccessLogSetting", "Format").(string)
	var line map[string]string
	if err := json.Unmarshal([]byte(format), &line); err != nil {
		return nil, fmt.Errorf("the format is no JSON: %w", err)
	}
	for key, variable := range line {
		if value, ok := values[strings.TrimPrefix(variable, "$context.")]; ok {
			line[key] = value
		} else {
			line[key] = "-"
		}
	}
	return line, nil
}

// TestGatewayFaultsAreCounted lets the metric filter read lines of prod's access log.
// What CloudWatch itself makes of the pattern only an account can show.
func TestGatewayFaultsAreCounted(t *testing.T) {
	prod := stacks["prod"].template
	pattern := fmt.Sprint(prod.props("AWS::Logs::MetricFilter", "GatewayFaults").at("FilterPattern"))
	for _, c := range []struct {
		what                                                string
		status, responseType, integrationStatus, lambdaCode string // $context's status, error.responseType, integration.status, integrationStatus
		counted                                             bool
	}{
		{"accepted", "200", "-", "200", "200", false},
		{"a challenge", "200", "-", "200", "200", false},
		{"no signature", "401", "-", "401", "200", false},
		{"a forged signature, which the function answers 503", "503", "-", "503", "200", false},
		{"no mail is safe, which the function answers 503", "503", "-", "503", "200", false},
		{"beyond the throttle", "429", "THROTTLED", "-", "-", false},
		{"another path", "404", "MISSING_AUTHENTICATION_TOKEN", "-", "-", false},
		{"a body beyond the gateway's 10 MB", "413", "REQUEST_TOO_LARGE", "-", "-", false},
		{"a body beyond Lambda's 6 MB", "503", "INTEGRATION_FAILURE", "-", "413", false},
		{"Lambda throttles", "503", "INTEGRATION_FAILURE", "-", "429", true},
		{"Lambda fails", "503", "INTEGRATION_FAILURE", "-", "500", true},
		{"the function crashes, or answers nonsense", "503", "INTEGRATION_FAILURE", "-", "200", true},
		{"the function takes longer than 9 s", "503", "INTEGRATION_TIMEOUT", "-", "-", true},
		{"the gateway may not call the function", "503", "API_CONFIGURATION_ERROR", "-", "-", true},
		{"the function's alias is gone", "503", "API_CONFIGURATION_ERROR", "-", "404", true},
		{"the gateway itself fails", "503", "DEFAULT_5XX", "-", "-", true},
	} {
		line, err := accessLogLine(prod, map[string]string{
			"status": c.status, "error.responseType": c.responseType, "integration.status": c.integrationStatus,
			"integrationStatus": c.lambdaCode, "stage": "prod", "httpMethod": "POST", "resourcePath": "/nylas",
		})
		if err != nil {
			t.Fatal(err)
		}
		counted, err := matches(pattern, line)
		if err != nil {
			t.Fatal(err)
		}
		if counted != c.counted {
			t.Errorf("%s: counted %t, want %t", c.what, counted, c.counted)
		}
		if line["stage"] != "prod" { // the metric's dimension
			t.Errorf("%s: the line has the stage %q", c.what, line["stage"])
		}
	}
}
