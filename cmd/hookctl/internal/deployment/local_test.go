package deployment

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
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
		{"one service without an address", "local", map[string]string{"AWS_ENDPOINT_URL": "https://localhost:4566", "AWS_ENDPOINT_URL_SQS": ""}, ""},
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

// The environment leads to the engine, and a profile takes that back.
func TestLocalStageIgnoresProfiles(t *testing.T) {
	profile := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(profile, []byte("[profile mine]\nignore_configured_endpoint_urls = true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
		"AWS_CONFIG_FILE": profile, "AWS_PROFILE": "mine", "AWS_MAX_ATTEMPTS": "1",
	} {
		t.Setenv(name, value)
	}
	cfg, err := Connect(t.Context(), Local)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Find(t.Context(), cloudformation.NewFromConfig(cfg), Local)
	if err == nil || !strings.Contains(err.Error(), "the AWS settings lead to cloudformation.us-east-1.amazonaws.com") {
		t.Errorf("the error is %v", err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	if _, err := Connect(t.Context(), Local); err == nil || !strings.Contains(err.Error(), "not from AWS_PROFILE") {
		t.Errorf("credentials of a profile: %v", err)
	}
}
