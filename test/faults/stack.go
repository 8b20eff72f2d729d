package faults

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/onepagecrm/nylas-webhooks/lambda/contract"
	"github.com/onepagecrm/nylas-webhooks/test/faults/gateway"
)

// Stack is what prod's template says about the front door, so that the runs have its
// timeouts, limits and gateway responses and not their own.
type Stack struct {
	Timeout            time.Duration // the function's
	Memory             int           // MiB
	IntegrationTimeout time.Duration
	Rate, Burst        int
	Responses          map[string]gateway.Response
	// Pages are the receiver's and the gateway's metrics that a page alarm reads.
	Pages []contract.Metric
}

// template is the part of a CloudFormation template that is read.
type template struct {
	Resources map[string]struct {
		Type       string
		Properties struct {
			// AWS::Lambda::Function
			Timeout, MemorySize int
			// AWS::ApiGateway::GatewayResponse
			ResponseType, StatusCode string
			ResponseParameters       map[string]string
			// AWS::ApiGateway::Method
			HttpMethod  string
			Integration struct{ TimeoutInMillis int }
			// AWS::ApiGateway::Stage
			MethodSettings []struct{ ThrottlingRateLimit, ThrottlingBurstLimit int }
			// AWS::CloudWatch::Alarm
			Namespace, MetricName string
			AlarmActions          []struct{ Ref string }
		}
	}
}

// ReadStack reads the snapshot of prod's template, which test/stack keeps true.
func ReadStack(root string) (Stack, error) {
	text, err := os.ReadFile(filepath.Join(root, "test", "stack", "testdata", "prod.json"))
	if err != nil {
		return Stack{}, fmt.Errorf("read prod's template: %w", err)
	}
	var t template
	if err := json.Unmarshal(text, &t); err != nil {
		return Stack{}, fmt.Errorf("read prod's template: %w", err)
	}
	s := Stack{Responses: make(map[string]gateway.Response)}
	for _, id := range slices.Sorted(maps.Keys(t.Resources)) {
		p := t.Resources[id].Properties
		switch t.Resources[id].Type {
		case "AWS::Lambda::Function":
			s.Timeout, s.Memory = time.Duration(p.Timeout)*time.Second, p.MemorySize
		case "AWS::ApiGateway::Method":
			s.IntegrationTimeout = time.Duration(p.Integration.TimeoutInMillis) * time.Millisecond
		case "AWS::ApiGateway::Stage":
			for _, m := range p.MethodSettings {
				s.Rate, s.Burst = m.ThrottlingRateLimit, m.ThrottlingBurstLimit
			}
		case "AWS::ApiGateway::GatewayResponse":
			response, err := gatewayResponse(p.StatusCode, p.ResponseParameters)
			if err != nil {
				return Stack{}, fmt.Errorf("read prod's template: %s: %w", id, err)
			}
			s.Responses[p.ResponseType] = response
		case "AWS::CloudWatch::Alarm":
			if p.Namespace == contract.MetricNamespace && len(p.AlarmActions) > 0 && strings.HasPrefix(p.AlarmActions[0].Ref, "Pages") {
				s.Pages = append(s.Pages, contract.Metric(p.MetricName))
			}
		}
	}
	if s.Timeout == 0 || s.Memory == 0 || s.IntegrationTimeout == 0 || s.Rate == 0 || s.Burst == 0 || len(s.Pages) == 0 {
		return Stack{}, fmt.Errorf("read prod's template: something is missing in %+v", s)
	}
	return s, nil
}

func gatewayResponse(status string, parameters map[string]string) (gateway.Response, error) {
	r := gateway.Response{Headers: make(map[string]string)}
	if _, err := fmt.Sscan(status, &r.Status); err != nil {
		return r, fmt.Errorf("status code %q: %w", status, err)
	}
	for name, value := range parameters {
		header, ok := strings.CutPrefix(name, "gatewayresponse.header.")
		if !ok {
			return r, fmt.Errorf("parameter %s is not a header", name)
		}
		r.Headers[header] = strings.Trim(value, "'") // a literal
	}
	return r, nil
}
