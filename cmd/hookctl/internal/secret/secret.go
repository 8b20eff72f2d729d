// Package secret reads and stores a stage's webhook secret in AWS Secrets Manager,
// by the rules that the receiver follows: the value is the secret itself, a plain
// string; the stage's secret starts without a value.
//
// hookctl's commands use it. It prints nothing, and no error of it holds a value. It
// does not talk to Nylas; package registration does, and stores here what Nylas says.
package secret

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/onepagecrm/nylas-webhooks/lambda/contract"
)

// The labels of the two versions that count.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/getting-started.html
const (
	labelCurrent  = "AWSCURRENT"
	labelPrevious = "AWSPREVIOUS"
)

// API is the part of Secrets Manager that [Store] needs.
type API interface {
	GetSecretValue(context.Context, *secretsmanager.GetSecretValueInput, ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error)
	PutSecretValue(context.Context, *secretsmanager.PutSecretValueInput, ...func(*secretsmanager.Options)) (*secretsmanager.PutSecretValueOutput, error)
	UpdateSecretVersionStage(context.Context, *secretsmanager.UpdateSecretVersionStageInput, ...func(*secretsmanager.Options)) (*secretsmanager.UpdateSecretVersionStageOutput, error)
}

// Store is one stage's secret.
type Store struct {
	API  API
	Name string // or ARN
}

// Version is one stored value.
type Version struct {
	ID      string // Secrets Manager's; also an empty value has one
	Value   string
	Created time.Time

	raw string // as it is stored, with the blanks that Value has not
}

// Stored is what a stage's secret holds. A version that is not there is the zero
// Version; one that is empty has no Value.
type Stored struct {
	Current, Previous Version
}

// PreviousUntil is when the previous version stops to verify, the zero time where
// there is none.
func (s Stored) PreviousUntil() time.Time {
	if s.Previous.Value == "" {
		return time.Time{}
	}
	return s.Current.Created.Add(contract.PreviousSecretLifetime)
}

// Interrupted tells that a [Store.Correct] ended between its two steps: the older
// version is current again, and the mistyped one, which is newer, the previous one.
// Nothing else makes a current version that is older than the previous one.
func (s Stored) Interrupted() bool {
	return s.Previous.Value != "" && s.Current.Created.Before(s.Previous.Created)
}

// Values returns the stored values, the current one first.
func (s Stored) Values() []string {
	var values []string
	for _, v := range []Version{s.Current, s.Previous} {
		if v.Value != "" {
			values = append(values, v.Value)
		}
	}
	return values
}

// Read returns the current and the previous version; with nothing usable current,
// there is no previous one either.
func (s Store) Read(ctx context.Context) (Stored, error) {
	current, err := s.get(ctx, labelCurrent)
	if err != nil || current.Value == "" {
		return Stored{Current: current}, err
	}
	previous, err := s.get(ctx, labelPrevious)
	return Stored{Current: current, Previous: previous}, err
}

// get returns the version with that label, the zero Version where there is none.
func (s Store) get(ctx context.Context, label string) (Version, error) {
	answer, err := s.API.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &s.Name, VersionStage: &label})
	var none *types.ResourceNotFoundException // also: the secret has no version yet
	if errors.As(err, &none) {
		return Version{}, nil
	}
	if err != nil {
		return Version{}, fmt.Errorf("read the stored secret (%s): %w", label, err)
	}
	if aws.ToString(answer.VersionId) == "" { // it would read as "no secret is stored"
		return Version{}, fmt.Errorf("read the stored secret (%s): %w", label, errAnswer)
	}
	// The receiver trims, too: blanks and a line feed come from echo and editors.
	raw := aws.ToString(answer.SecretString)
	return Version{
		ID: aws.ToString(answer.VersionId), Value: strings.TrimSpace(raw), raw: raw,
		Created: aws.ToTime(answer.CreatedDate),
	}, nil
}

// errAnswer: a 200 that Secrets Manager did not give. Its answers name a version.
var errAnswer = errors.New("the answer names neither version nor secret, so it is not Secrets Manager's (is AWS_ENDPOINT_URL right, or a proxy between?)")

// Random returns a new secret, for a stage that no real Nylas sends to.
func Random() string { return rand.Text() }
