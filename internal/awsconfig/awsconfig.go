// Package awsconfig loads the usual AWS settings for the programs and tests that run
// outside of Lambda. It is the only place that does (golangci-lint holds it to that), so
// that no client of theirs is made without the workaround of package sdkhttp.
package awsconfig

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go/logging"

	"github.com/onepagecrm/nylas-webhooks/internal/sdkhttp"
	"github.com/onepagecrm/nylas-webhooks/internal/sqsanswer"
)

// Load reads environment, shared files and profile as every AWS tool does. Clients made
// of it follow no redirect, and try again when a queue's key was asked too often.
// https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html
func Load(ctx context.Context) (aws.Config, error) {
	// What the SDK logs is about its connections; whoever reads errors here has no use for it.
	cfg, err := config.LoadDefaultConfig(ctx, config.WithLogger(logging.Nop{}))
	if err != nil {
		return aws.Config{}, fmt.Errorf("read the AWS settings: %w", err)
	}
	cfg.HTTPClient = sdkhttp.Client(cfg.HTTPClient)
	mode := cfg.RetryMode
	cfg.Retryer = func() aws.Retryer {
		var r aws.Retryer = retry.NewStandard()
		if mode == aws.RetryModeAdaptive {
			r = retry.NewAdaptiveMode()
		}
		return retry.AddWithErrorCodes(r, sqsanswer.KeyThrottled...)
	}
	return cfg, nil
}
