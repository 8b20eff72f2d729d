// Command receiver is the Lambda function behind the front door. It wires: what is
// decided about a request stands in lambda/internal/receive, and how the stack
// configures it in lambda/contract.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/onepagecrm/nylas-webhooks/internal/awserror"
	"github.com/onepagecrm/nylas-webhooks/lambda/contract"
	"github.com/onepagecrm/nylas-webhooks/lambda/internal/receive"
	"github.com/onepagecrm/nylas-webhooks/lambda/internal/secretstore"
	"github.com/onepagecrm/nylas-webhooks/lambda/internal/spill"
	"github.com/onepagecrm/nylas-webhooks/lambda/internal/sqsqueue"
)

// warmUp: how long the start of an execution environment may wait for AWS. What it
// does not get by then is fetched when a request needs it.
const warmUp = time.Second

func main() {
	config, err := contract.Load(os.LookupEnv)
	if err != nil {
		// Lambda logs it, and API Gateway answers 503, which Nylas retries.
		fmt.Fprintln(os.Stderr, "receiver:", err)
		os.Exit(1)
	}
	limitMemory()

	cfg := awsConfig()
	secrets := secretstore.New(cfg, config.SecretARN)
	queue := sqsqueue.New(cfg, config.QueueURL)
	bucket := spill.New(cfg, config.Bucket)
	warm(secrets.Warm, queue.Warm)

	handler := receive.New(secrets, queue, bucket, config.Stage, os.Stdout, time.Now)
	if config.Archive == contract.ArchiveOn {
		handler.ArchiveIn(bucket)
	}
	lambda.Start(handler)
}

// awsConfig takes what Lambda puts into the environment. The SDK's own
// config.LoadDefaultConfig would probe files and instance metadata first, which
// costs a fifth of the binary and several milliseconds of every start.
// https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
func awsConfig() aws.Config {
	cfg := aws.Config{
		Region: os.Getenv("AWS_REGION"),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{
				AccessKeyID:     os.Getenv("AWS_ACCESS_KEY_ID"),
				SecretAccessKey: os.Getenv("AWS_SECRET_ACCESS_KEY"),
				SessionToken:    os.Getenv("AWS_SESSION_TOKEN"),
				Source:          "Lambda environment",
			}, nil
		}),
	}
	// The SDKs' standard way to another endpoint: a local engine.
	if endpoint := os.Getenv("AWS_ENDPOINT_URL"); endpoint != "" {
		cfg.BaseEndpoint = aws.String(endpoint)
	}
	return cfg
}

// limitMemory lets Go collect garbage more often before Lambda ends the process for its
// memory.
func limitMemory() {
	if megabytes, err := strconv.ParseInt(os.Getenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"), 10, 64); err == nil {
		debug.SetMemoryLimit(megabytes << 20 * 8 / 10) // the rest is not Go's heap
	}
}

// warm runs the given steps at once and waits for them. A failure is no reason not
// to start; it is written down, and the first request that needs the step tries again.
func warm(steps ...func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), warmUp)
	defer cancel()
	var all sync.WaitGroup
	for _, step := range steps {
		all.Go(func() {
			if err := step(ctx); err != nil {
				slog.New(slog.NewJSONHandler(os.Stderr, nil)).Warn("warm up", contract.FieldError, awserror.Text(err))
			}
		})
	}
	all.Wait()
}
