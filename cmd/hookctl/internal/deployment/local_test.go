package deployment

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
)

func TestLeadsToEngine(t *testing.T) {
	engine := []string{"AWS_ENDPOINT_URL=https://localhost:4566", "AWS_ENDPOINT_URL_S3=https://127.0.0.1:4566", "AWS_ACCESS_KEY_ID=test"}
	for _, test := range []struct {
		left string // in the shell, beside or instead of the engine's
		want string // in the error, "" for none
	}{
		{"HOME=/home/me", ""},
		{"AWS_ENDPOINT_URL=https://[::1]:4566", ""},
		{"AWS_ENDPOINT_URL_SQS=", ""},
		{"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=false", ""},
		{"AWS_ENDPOINT_URL=", "AWS_ENDPOINT_URL is not set"},
		{"AWS_ENDPOINT_URL=https://sts.amazonaws.com", "AWS_ENDPOINT_URL is not on this machine"},
		{"AWS_ENDPOINT_URL=https://localhost.example.com", "AWS_ENDPOINT_URL is not on this machine"},
		{"AWS_ENDPOINT_URL=https://10.0.0.1", "AWS_ENDPOINT_URL is not on this machine"},
		{"AWS_ENDPOINT_URL_SQS=https://sqs.eu-west-1.amazonaws.com", "AWS_ENDPOINT_URL_SQS is not on this machine"},
		{"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=True", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"},
		{"AWS_ACCESS_KEY_ID=", "no AWS credentials"},
	} {
		name, _, _ := strings.Cut(test.left, "=")
		environment := []string{test.left}
		for _, setting := range engine {
			if !strings.HasPrefix(setting, name+"=") {
				environment = append(environment, setting)
			}
		}
		err := leadsToEngine(environment)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.left, err, test.want)
		}
	}
}

// The environment leads to the engine, and a profile takes that back.
func TestLocalStageIgnoresAProfilesEndpoints(t *testing.T) {
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
}
