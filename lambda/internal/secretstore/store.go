// Package secretstore keeps the Nylas webhook secret at hand: it reads it from AWS
// Secrets Manager, caches it, and reads it again when it may have been rotated.
// The receiver is its only user.
//
// It decides which values may verify a signature right now, and how often Secrets
// Manager may be asked. It does not verify signatures, and it never writes: the operator
// stores and rotates the secret.
package secretstore

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/onepagecrm/nylas-webhooks/internal/sdkhttp"
	"github.com/onepagecrm/nylas-webhooks/lambda/contract"
	"github.com/onepagecrm/nylas-webhooks/notification"
)

const (
	// maxAge: how long a value is used unseen. A rotation is noticed earlier, by its
	// first mismatch; this bounds how long a value lives after another was stored and
	// its label removed.
	maxAge = 5 * time.Minute
	// minInterval between two reads of one execution environment, so that forged
	// requests cannot buy calls of Secrets Manager (or exhaust its rate for others).
	minInterval = 10 * time.Second
	// timeout of one read, of the 7.5 s that the handler has, and of one of its two
	// tries, so that both fit.
	timeout    = 1500 * time.Millisecond
	tryTimeout = 700 * time.Millisecond
)

// ErrNotStored: the secret has no usable value yet: none at all, an empty one, or
// the public constant of Nylas's test button.
var ErrNotStored = errors.New("no webhook secret is stored")

// client is the part of *secretsmanager.Client that is used here.
type client interface {
	GetSecretValue(context.Context, *secretsmanager.GetSecretValueInput, ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error)
}

// Store holds what the last successful read found. It is safe for concurrent use.
type Store struct {
	client client
	arn    string
	now    func() time.Time

	mu       sync.Mutex
	current  string
	previous string
	// previousUntil is when previous stops to verify.
	previousUntil time.Time
	loadedAt      time.Time // last successful read
	triedAt       time.Time // last read that counts for minInterval
	err           error     // of the last read
}

// New returns a Store for the secret with this ARN. Nothing is read yet. Region,
// credentials and endpoint come from cfg.
func New(cfg aws.Config, arn string) *Store {
	return newStore(secretsmanager.NewFromConfig(cfg, func(o *secretsmanager.Options) {
		o.RetryMaxAttempts = 2
		o.HTTPClient = sdkhttp.Client(&http.Client{Timeout: tryTimeout})
	}), arn, time.Now)
}

func newStore(c client, arn string, now func() time.Time) *Store {
	return &Store{client: c, arn: arn, now: now, err: ErrNotStored}
}

// Warm reads the secret while the execution environment starts. It does not count
// for the interval between reads, so a failure here costs the first request nothing.
func (s *Store) Warm(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = s.load(ctx)
	return s.err
}

// Keys returns the values that may verify a signature now, the current one first,
// from the cache where it is fresh. An error beside values means that they are old
// and could not be read again; an error without values is [ErrNotStored] or what
// Secrets Manager said.
func (s *Store) Keys(ctx context.Context) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.loadedAt.IsZero() || s.now().Sub(s.loadedAt) >= maxAge {
		s.reload(ctx)
	}
	return s.valid(), s.err
}

// Refresh is [Store.Keys], but reads again now, unless that was done less than ten
// seconds ago: the caller has seen a signature that the keys do not match.
func (s *Store) Refresh(ctx context.Context) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reload(ctx)
	return s.valid(), s.err
}

func (s *Store) reload(ctx context.Context) {
	now := s.now()
	if !s.triedAt.IsZero() && now.Sub(s.triedAt) < minInterval {
		return
	}
	s.triedAt = now
	s.err = s.load(ctx)
}

func (s *Store) valid() []string {
	var keys []string
	if s.current != "" {
		keys = append(keys, s.current)
	}
	if s.previous != "" && s.now().Before(s.previousUntil) {
		keys = append(keys, s.previous)
	}
	return keys
}

// load reads the secret and, while it may still verify, the previous value. What
// could not be read does not replace what is held: a secret that was emptied or
// deleted by mistake goes on to work where it is known.
func (s *Store) load(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	current, created, err := s.get(ctx, "AWSCURRENT")
	if err != nil {
		return fmt.Errorf("read secret: %w", err)
	}
	var previous string
	until := created.Add(contract.PreviousSecretLifetime)
	if s.now().Before(until) {
		if previous, _, err = s.get(ctx, "AWSPREVIOUS"); err != nil && !errors.Is(err, ErrNotStored) {
			// The current one is certain. What it replaced here is likely the one that could
			// not be read; the next read will tell.
			if s.current != "" && s.current != current {
				s.previous = s.current
			}
			s.current, s.previousUntil = current, until
			return fmt.Errorf("read previous secret: %w", err)
		}
	}
	s.current, s.previous, s.previousUntil, s.loadedAt = current, previous, until, s.now()
	return nil
}

// get returns a version's value and when it was created.
func (s *Store) get(ctx context.Context, stage string) (string, time.Time, error) {
	out, err := s.client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{
		SecretId:     aws.String(s.arn),
		VersionStage: aws.String(stage),
	})
	// A secret that was created empty has no version at all.
	// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
	if notFound := (*types.ResourceNotFoundException)(nil); errors.As(err, &notFound) {
		return "", time.Time{}, ErrNotStored
	}
	if err != nil {
		return "", time.Time{}, err
	}
	// Blanks and a line feed at the end come from echo and editors; Nylas's secrets
	// have none.
	value := strings.TrimSpace(aws.ToString(out.SecretString))
	switch value {
	case "":
		return "", time.Time{}, ErrNotStored
	case notification.MockSecret:
		return "", time.Time{}, fmt.Errorf("%w: the value is the public key of Nylas's test events, store the webhook's own", ErrNotStored)
	}
	return value, aws.ToTime(out.CreatedDate), nil
}
