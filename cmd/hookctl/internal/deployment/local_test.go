package deployment

import (
	"strings"
	"testing"
)

// What is meant for the local engine reaches nobody's account.
func TestCheckLocal(t *testing.T) {
	tests := []struct {
		name, stage string
		environment map[string]string
		refuses     string
	}{
		{"the engine", "local", map[string]string{"AWS_ENDPOINT_URL": "https://localhost:4566", "AWS_ENDPOINT_URL_S3": "https://127.0.0.1:4566"}, ""},
		{"AWS itself", "local", nil, "AWS_ENDPOINT_URL is not set"},
		{"somebody's endpoint", "local", map[string]string{"AWS_ENDPOINT_URL": "https://sqs.eu-west-1.amazonaws.com"}, "AWS_ENDPOINT_URL does not lead to this machine"},
		{"a name that begins like it", "local", map[string]string{"AWS_ENDPOINT_URL": "https://localhost.example.com"}, "does not lead"},
		{"one service elsewhere", "local", map[string]string{"AWS_ENDPOINT_URL": "https://localhost:4566", "AWS_ENDPOINT_URL_SQS": "https://sqs.eu-west-1.amazonaws.com"}, "AWS_ENDPOINT_URL_SQS does not"},
		{"the address is ignored", "local", map[string]string{"AWS_ENDPOINT_URL": "https://localhost:4566", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"},
		{"no address", "local", map[string]string{"AWS_ENDPOINT_URL": "localhost"}, "does not lead"},
		{"another stage, on AWS", "dev", nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, name := range []string{"AWS_ENDPOINT_URL", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"} {
				t.Setenv(name, "")
			}
			for name, value := range tt.environment {
				t.Setenv(name, value)
			}
			err := CheckLocal(tt.stage)
			if tt.refuses == "" && err != nil || tt.refuses != "" && (err == nil || !strings.Contains(err.Error(), tt.refuses)) {
				t.Errorf("CheckLocal = %v, want %q", err, tt.refuses)
			}
		})
	}
}
