package stack

import (
	"encoding/json"
	"fmt"
	"maps"
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
	gatewayCount   = "AWS/ApiGateway/Count"
	gatewayLatency = "AWS/ApiGateway/Latency"
	lambdaErrors   = "AWS/Lambda/Errors"
	lambdaThrottle = "AWS/Lambda/Throttles"
	lambdaDuration = "AWS/Lambda/Duration"
	queueAge       = "AWS/SQS/ApproximateAgeOfOldestMessage of Queue"
	queueWaiting   = "AWS/SQS/ApproximateNumberOfMessagesVisible of Queue"
	queueHeld      = "AWS/SQS/ApproximateNumberOfMessagesNotVisible of Queue"
	deadWaiting    = "AWS/SQS/ApproximateNumberOfMessagesVisible of DeadLetters"
	noticesAge     = "AWS/SQS/ApproximateAgeOfOldestMessage of SpillNotices"
	concurrent     = "AWS/Lambda/ConcurrentExecutions"
)

// usual is what everything publishes while twelve notifications a minute arrive and
// are accepted.
func usual() map[string]series { return usualFor(window) }

// usualFor is the same for so many minutes.
func usualFor(minutes int) map[string]series {
	return map[string]series{
		"Accepted":     during(0, minutes, times(12, 1)...),
		"Verified":     during(0, minutes, times(12, 1)...),
		gateway4xx:     during(0, minutes, times(12, 0)...),
		gateway5xx:     during(0, minutes, times(12, 0)...),
		gatewayLatency: during(0, minutes, times(12, 40)...),
		gatewayCount:   during(0, minutes, times(12, 1)...),
		lambdaErrors:   during(0, minutes, times(12, 0)...),
		lambdaThrottle: during(0, minutes, times(12, 0)...),
		lambdaDuration: during(0, minutes, times(12, 20)...),
		queueAge:       during(0, minutes, 2),
		queueWaiting:   during(0, minutes, 1),
		deadWaiting:    during(0, minutes, 0),
	}
}

// beside adds to what is usual.
func beside(more map[string]series) map[string]series { return added(usual(), more) }

// replaced is what is published when the second takes the first's place.
func replaced(all, other map[string]series) map[string]series {
	maps.Copy(all, other)
	return all
}

// added is what is published when both are.
func added(all, more map[string]series) map[string]series {
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

// scenario is something that is known to happen, with everything that is published at
// once, and exactly the alarms that go off.
type scenario struct {
	name      string
	published map[string]series
	want      []string
}

// scenarios are those beside the faults that test/faults knows. What happens begins in
// minute 30.
func scenarios() []scenario {
	return []scenario{
		{"nothing happens", usual(), nil},
		{"one test event", beside(map[string]series{
			"TestEvent": on(30, 1), gateway4xx: on(30, 1),
		}), []string{"TestEvent"}},
		{"a flood of forged requests while signed ones flow, an hour long", beside(map[string]series{
			"Mismatch": during(30, window, times(1_000, 1)...), "Verified": during(30, window, times(1_000, 0)...),
			gateway5xx: during(30, window, times(1_000, 1)...), gateway4xx: during(30, window, times(1_000, 0)...),
			gatewayLatency: during(30, window, times(1_000, 60)...), lambdaDuration: during(30, window, times(1_000, 20)...),
		}), []string{"Mismatch", "ServerErrors"}},
		{"a flood beyond the throttle", beside(map[string]series{
			"Mismatch": during(30, window, times(1_000, 1)...), "Verified": during(30, window, times(1_000, 0)...),
			gateway4xx: during(30, window, times(9_000, 1)...), gateway5xx: during(30, window, mixed(10_000, 1_000, 1, 0)...),
		}), []string{"ClientErrors", "Mismatch", "ServerErrors"}},
		{"a scanner without signatures", beside(map[string]series{
			"Refused": during(30, 40, times(100, 1)...), gateway4xx: during(30, 40, times(100, 1)...),
		}), []string{"ClientErrors"}},
		{"large bodies from a stranger, which Lambda refuses", beside(map[string]series{
			gateway4xx: during(30, 40, times(100, 1)...), // remapped to 503, which CloudWatch counts here; no GatewayFaults
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
		{"the archive has no copy of one", beside(map[string]series{"ArchiveFailed": on(30, 1)}), []string{"ArchiveFailed"}},
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
		{"no secret is stored", instead(map[string]series{
			"Accepted": during(0, 30, times(12, 1)...), "Verified": during(0, 30, times(12, 1)...),
			"NoSecret": during(30, window, times(12, 1)...), gateway5xx: until(30, 0, during(30, window, times(12, 1)...)),
		}), []string{"NoSecret", "ServerErrors", "Silence"}},
		{"compressed_delivery is switched on at Nylas", instead(map[string]series{
			"Accepted": during(0, 30, times(12, 1)...), "Verified": until(30, 1, during(30, window, times(12, 0)...)),
			"CompressedDelivery": during(30, window, times(12, 1)...), gateway5xx: until(30, 0, during(30, window, times(12, 1)...)),
		}), []string{"CompressedDelivery", "ServerErrors", "SignaturesFailing", "Silence"}},
		{"the receiver panics on every notification", instead(map[string]series{
			"Accepted": during(0, 30, times(12, 1)...),
			"Faulted":  during(30, window, times(12, 1)...), gateway5xx: until(30, 0, during(30, window, times(12, 1)...)),
		}), []string{"Faulted", "ServerErrors", "Silence"}},
		{"the function hangs until the gateway gives up", instead(map[string]series{
			"Accepted": during(0, 30, times(12, 1)...), "Verified": during(0, 30, times(12, 1)...),
			"GatewayFaults": during(30, window, times(12, 1)...), lambdaErrors: until(30, 0, during(30, window, times(12, 1)...)),
			gateway4xx: until(30, 0, during(30, window, times(12, 1)...)), gatewayLatency: until(30, 40, during(30, window, times(12, 9_000)...)),
			lambdaDuration: until(30, 20, during(30, window, times(12, 8_000)...)),
		}), []string{"ClientErrors", "Duration", "GatewayFaults", "Latency", "ReceiverErrors", "Silence"}},
		{"the concurrency is nearly used up", beside(map[string]series{concurrent: during(30, window, 450)}), []string{"Concurrency"}},
		{"nobody replays a notification that was spilled", added(usualFor(120), map[string]series{
			"Spilled": on(30, 1), noticesAge: ages(30, 120),
		}), []string{"SpillWaiting", "Spilled"}},
		{"the consumer works, but less than what arrives", instead(map[string]series{
			queueAge: together(during(0, 30, 2), ages(30, window)), queueWaiting: together(during(0, 30, 1), during(30, window, 25_000)),
		}), []string{"Backlog", "QueueAge"}},
		{"the consumer receives and does not delete", beside(map[string]series{queueHeld: during(30, window, 100_000)}), []string{"InFlight"}},
		{"nobody repairs the consumer for days", added(usualFor(5_200), map[string]series{
			queueAge: ages(30, 5_200), queueWaiting: during(30, 5_200, 500),
		}), []string{"QueueAge", "QueueExpiring"}},
		{"nobody handles a dead letter for days", replaced(usualFor(7_700), map[string]series{
			deadWaiting: together(during(0, 30, 0), during(30, 7_700, 1)),
		}), []string{"DeadLetters", "DeadLettersExpiring"}},
		{"a flood of requests", replaced(usual(), map[string]series{
			gatewayCount: together(during(0, 30, times(12, 1)...), during(30, window, times(15_000, 1)...)),
		}), []string{"Flood"}},
	}
}

// ages is the age of a message that arrives in one minute and is still there before
// another, in seconds.
func ages(from, to int) series {
	s := make(series)
	for minute := from; minute < to; minute++ {
		s[minute] = []float64{float64(60 * (minute - from + 1))}
	}
	return s
}

// TestScenarios lets them happen and tells exactly which alarms go off.
func TestScenarios(t *testing.T) {
	for _, c := range scenarios() {
		t.Run(c.name, func(t *testing.T) {
			off, err := goOff(stacks["full"], c.published)
			if err != nil {
				t.Fatal(err)
			}
			if got := slices.Sorted(maps.Keys(off)); !slices.Equal(got, slices.Sorted(slices.Values(c.want))) {
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
