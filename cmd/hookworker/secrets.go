package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/onepagecrm/nylas-webhooks/internal/awserror"
)

// secretTimeout is for one read at the start, with the SDK's tries.
const secretTimeout = 30 * time.Second

type secretReader interface {
	GetSecretValue(context.Context, *secretsmanager.GetSecretValueInput, ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error)
}

// fetchSigners reads the signing secrets from Secrets Manager, once: the CRM's side of a
// rotation takes a while anyway, in which both secrets are stored, and the worker is
// started again. It needs secretsmanager:GetSecretValue on that secret.
func fetchSigners(ctx context.Context, client secretReader, arn string) ([]*standardwebhooks.Webhook, error) {
	ctx, cancel := context.WithTimeout(ctx, secretTimeout)
	defer cancel()
	out, err := client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &arn})
	if err != nil {
		// Its text without what something on the way may have answered, the secret included.
		return nil, fmt.Errorf("%s cannot be read: %s", secretARNVar, awserror.Text(err))
	}
	// What answered in its place, as a proxy, names no version.
	if aws.ToString(out.VersionId) == "" {
		return nil, fmt.Errorf("%s cannot be read: the answer is not that of Secrets Manager", secretARNVar)
	}
	signers, problems := newSigners(aws.ToString(out.SecretString))
	if len(problems) > 0 {
		return nil, fmt.Errorf("%s: the secret's value %w", secretARNVar, errors.Join(problems...))
	}
	return signers, nil
}
