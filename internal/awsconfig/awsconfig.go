// Package awsconfig loads the usual AWS settings for the programs and tests that run
// outside of Lambda. It is the only place that does (golangci-lint holds it to that), so
// that no client of theirs is made without the workaround of package sdkhttp.
package awsconfig

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go/logging"

	"github.com/onepagecrm/nylas-webhooks/internal/sdkhttp"
)

// Load reads environment, shared files and profile as every AWS tool does.
// https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html
func Load(ctx context.Context) (aws.Config, error) {
	// What the SDK logs is about its connections; whoever reads errors here has no use for it.
	cfg, err := config.LoadDefaultConfig(ctx, config.WithLogger(logging.Nop{}))
	if err != nil {
		return aws.Config{}, fmt.Errorf("read the AWS settings: %w", err)
	}
	cfg.HTTPClient = sdkhttp.Client(cfg.HTTPClient)
	return cfg, nil
}
