package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/onepagecrm/nylas-webhooks/consumer"
	"github.com/onepagecrm/nylas-webhooks/internal/awserror"
	"github.com/onepagecrm/nylas-webhooks/notification"
)

const (
	// webhookSecretAge is how long values are used. After that they verify nothing, also
	// while they cannot be read again.
	webhookSecretAge = 5 * time.Minute
	// mismatchInterval is the least time between the last read and one that a mismatch
	// causes, so that forged messages cannot buy calls. It is shorter than the 75 s or more
	// over which a message is received before it is a dead letter.
	mismatchInterval = time.Minute
	// failureInterval is the least time between two reads while there are no values to use.
	failureInterval = 10 * time.Second
	// webhookSecretTimeout is for one read of both values, with the SDK's tries.
	webhookSecretTimeout = 5 * time.Second
)

// webhookSecret is Nylas's webhook secret in Secrets Manager, with which the signature of
// each message is verified again, see [consumer.Config].Secrets. It fails closed: without
// values no message is handled, and all of them wait.
//
// Unlike the receiver it takes the previous value for as long as the secret has it. What
// Nylas signed with that one may lie in the queue for days.
type webhookSecret struct {
	client secretReader
	arn    string

	mu         sync.Mutex
	values     []string  // of the last read that succeeded, the current one first
	readAt     time.Time // when that was
	triedAt    time.Time // the last read, however it ended
	err        error     // of that one
	mismatched bool      // since the last read that succeeded
}

// verify makes a consumer verify with it. Who observed before goes on to.
func (s *webhookSecret) verify(c *consumer.Config) {
	before := c.Observe
	c.Secrets = s.keys
	c.Observe = func(e consumer.Event) {
		before(e)
		s.observe(e)
	}
}

// keys is for [consumer.Config].Secrets.
func (s *webhookSecret) keys(ctx context.Context) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	wait := failureInterval
	if s.fresh() {
		wait = mismatchInterval
	}
	if (!s.fresh() || s.mismatched) && (s.triedAt.IsZero() || time.Since(s.triedAt) >= wait) {
		s.read(ctx)
	}
	if !s.fresh() {
		return nil, s.err
	}
	return s.values, nil
}

// observe is for [consumer.Config].Observe. A signature that matches no value may be that
// of a new one. The message is received again, and the next verification reads.
func (s *webhookSecret) observe(e consumer.Event) {
	if e.Kind != consumer.Unverified || !errors.Is(e.Err, notification.ErrMismatch) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mismatched = true
}

func (s *webhookSecret) fresh() bool {
	return !s.readAt.IsZero() && time.Since(s.readAt) < webhookSecretAge
}

// read replaces the values only where both could be read. What ends the message that
// happens to ask does not end the read, which is for all of them.
func (s *webhookSecret) read(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), webhookSecretTimeout)
	defer cancel()
	s.triedAt = time.Now()
	current, err := s.get(ctx, "AWSCURRENT")
	if err == nil && current == "" {
		err = errors.New("it has no value; store it with: hookctl secret set")
	}
	var previous string
	if err == nil {
		previous, err = s.get(ctx, "AWSPREVIOUS")
	}
	if err == nil && !notification.MayVerify(current) {
		err = notification.CheckSecret(current)
	}
	if err != nil {
		s.err = fmt.Errorf("read the webhook secret that %s names: %w", webhookVar, err)
		return
	}
	s.values = []string{current}
	if notification.MayVerify(previous) {
		s.values = append(s.values, previous)
	}
	s.readAt, s.err, s.mismatched = time.Now(), nil, false
}

// get returns the value that has this label, "" where none has.
func (s *webhookSecret) get(ctx context.Context, label string) (string, error) {
	out, err := s.client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &s.arn, VersionStage: &label})
	if notFound := (*types.ResourceNotFoundException)(nil); errors.As(err, &notFound) {
		return "", nil
	}
	if err != nil {
		// Its text without what something on the way may have answered, the secret included.
		return "", fmt.Errorf("%s: %s", label, awserror.Text(err))
	}
	// What answered in its place, as a proxy, names no version.
	if aws.ToString(out.VersionId) == "" {
		return "", fmt.Errorf("%s: the answer is not that of Secrets Manager; look for a proxy on the way", label)
	}
	return strings.TrimSpace(aws.ToString(out.SecretString)), nil // echo and editors leave a line feed, as the receiver knows
}

// checkSecretARN says what is wrong with the ARN of a secret.
func checkSecretARN(text string) error {
	parsed, err := arn.Parse(text)
	if err != nil || parsed.Service != "secretsmanager" || !strings.HasPrefix(parsed.Resource, "secret:") {
		return errors.New("is not the ARN of a secret; the stack's output SecretName is, as in arn:aws:secretsmanager:eu-west-1:123456789012:secret:name-AbCdEf")
	}
	return nil
}
