package stack

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/onepagecrm/nylas-webhooks/internal/release"
	"github.com/onepagecrm/nylas-webhooks/lambda/contract"
)

// This file has the lines that a request leaves in the logs, for costs_test.go to count.

// receiverLine is the receiver's log line for a notification that was accepted, with ids as
// long as Nylas's and AWS's.
func receiverLine() string {
	line := map[string]any{
		contract.FieldTimestamp: "2026-11-26T14:23:07.123Z", contract.FieldLevel: "INFO", contract.FieldMessage: "request", contract.FieldVersion: release.Version,
		contract.FieldOutcome: contract.Accepted, contract.FieldReason: "", contract.FieldStatus: 200,
		contract.FieldRequestID: "BcD1eFgHiJkLmNo=", contract.FieldNotificationID: strings.Repeat("n", 36),
		contract.FieldType: "message.created", contract.FieldGrantID: strings.Repeat("g", 36),
		contract.FieldAttempt: 1, contract.FieldBytes: bodyBytes, contract.FieldEncoding: "", contract.FieldMilliseconds: 21,
		contract.DimensionStage: "prod", string(contract.Accepted): 1, string(contract.Verified): 1,
		"_aws": map[string]any{"Timestamp": 1_795_703_000_000, "CloudWatchMetrics": []any{map[string]any{
			"Namespace": contract.MetricNamespace, "Dimensions": [][]string{{contract.DimensionStage}},
			"Metrics": []any{map[string]any{"Name": contract.Accepted, "Unit": "Count"}, map[string]any{"Name": contract.Verified, "Unit": "Count"}},
		}}},
	}
	return text(line)
}

// lambdaLines are what Lambda itself writes for a request at the level INFO, in the form of
// https://docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html
var lambdaLines = []string{
	`{"time":"2026-11-26T14:23:07.101Z","type":"platform.start","record":{"requestId":"40f6c622-67a3-4159-97f2-ce364a0cb7a8","functionArn":"arn:aws:lambda:us-east-1:123456789012:function:NylasWebhooks-prod-ReceiverC61A5DC1-AbCdEfGhIjKl","version":"42"}}`,
	`{"time":"2026-11-26T14:23:07.155Z","type":"platform.report","record":{"requestId":"40f6c622-67a3-4159-97f2-ce364a0cb7a8","metrics":{"durationMs":21.593,"billedDurationMs":22,"memorySizeMB":256,"maxMemoryUsedMB":28},"status":"success"}}`,
}

// accessValues are values of the access log's variables, as long as real ones.
var accessValues = map[string]string{
	"extendedRequestId": "BcD1eFgHiJkLmNo=", "requestTimeEpoch": "1795703000000", "stage": "prod", "httpMethod": "POST",
	"resourcePath": "/nylas", "status": "200", "error.responseType": "-", "integration.status": "200",
	"integrationStatus": "200", "responseLatency": "31", "integrationLatency": "28", "responseLength": "0",
}

var accessVariable = regexp.MustCompile(`\$context\.([A-Za-z.]+)`)

// The line of which the length is counted has each field that the receiver writes of a
// notification that was accepted.
func TestCostsCountTheWholeLine(t *testing.T) {
	names, err := os.ReadFile(filepath.Join(root, "lambda", "contract", "names.go"))
	if err != nil {
		t.Fatal(err)
	}
	fields := regexp.MustCompile(`(?m)^\tField\w+ += "(\w+)"`).FindAllStringSubmatch(string(names), -1)
	if len(fields) < 16 {
		t.Fatalf("%d fields in names.go", len(fields))
	}
	for _, f := range fields {
		if inLine := strings.Contains(receiverLine(), `"`+f[1]+`":`); inLine == strings.Contains(f[1], contract.FieldError) {
			t.Errorf("field %s is in the line: %v", f[1], inLine) // errors are not
		}
	}
}
