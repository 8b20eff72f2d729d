package main

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go"
)

type stored struct {
	value, version string
	err            error
	asked          string
}

func (s *stored) GetSecretValue(_ context.Context, in *secretsmanager.GetSecretValueInput, _ ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error) {
	s.asked = *in.SecretId
	return &secretsmanager.GetSecretValueOutput{SecretString: &s.value, VersionId: aws.String(s.version)}, s.err
}

func TestSigningSecretsFromSecretsManager(t *testing.T) {
	const arn = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:hookworker-AbCdEf"
	s, err := load(environment(map[string]string{secretsVar: "", secretARNVar: arn}))
	if err != nil || s.secretARN != arn || s.signers != nil {
		t.Fatalf("%v, %q", err, s.secretARN)
	}
	store := &stored{value: signingSecret + "\n" + signingSecret, version: "v"}
	signers, err := fetchSigners(t.Context(), store, s.secretARN)
	if err != nil || len(signers) != 2 || store.asked != arn {
		t.Errorf("%v, %d signers, asked for %s", err, len(signers), store.asked)
	}
	// A proxy on the way may answer with what it saw.
	echo := &smithy.OperationError{ServiceID: "Secrets Manager", OperationName: "GetSecretValue", Err: &smithy.GenericAPIError{Code: "BadGateway", Message: "no answer to " + signingSecret}}
	for says, store := range map[string]*stored{
		"Secrets Manager GetSecretValue: BadGateway":            {err: echo},
		"cannot be read: no such secret":                        {err: errors.New("no such secret"), version: "v", value: signingSecret},
		"the answer is not that of Secrets Manager":             {value: signingSecret},
		"the secret's value is not set, or empty":               {version: "v"},
		"the secret's value holds an unusable secret, number 2": {version: "v", value: signingSecret + " whsec_c2hvcnQ="},
	} {
		signers, err := fetchSigners(t.Context(), store, arn)
		if err == nil || signers != nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "whsec_c2") || strings.Contains(err.Error(), signingSecret) {
			t.Errorf("%v, want %q", err, says)
		}
	}
}
