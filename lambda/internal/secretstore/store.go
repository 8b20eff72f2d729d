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
	// timeout of one read, of the 7.5 s that the handler has, and of one of its tries, so
	// that both fit.
	timeout    = 1500 * time.Millisecond
	tries      = 2
	tryTimeout = 700 * time.Millisecond
	maxBackoff = 100 * time.Millisecond // between the two
)

// ErrNotStored: the secret has no value yet that may verify: none at all, an empty one,
// the public constant of Nylas's test button, or one that can be guessed.
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

	mu      sync.Mutex
	held    held
	triedAt time.Time // last read that counts for minInterval
	err     error     // of the last read
}

// New returns a Store for the secret with this ARN. Nothing is read yet. Region,
// credentials and endpoint come from cfg.
func New(cfg aws.Config, arn string) *Store {
	connections := sdkhttp.Own(tryTimeout)
	return newStore(fresh{connections, secretsmanager.NewFromConfig(cfg, func(o *secretsmanager.Options) {
		o.Retryer = sdkhttp.Tries(tries, maxBackoff)
		o.HTTPClient = sdkhttp.Within(connections)
	})}, arn, wallClock)
}

// wallClock goes on while Lambda has frozen the process, which the monotonic clock that
// time.Now also reads may not: a secret is too old after five minutes of the world's.
func wallClock() time.Time { return time.Now().Round(0) }

// fresh drops its connections after a failure: the one that did not answer may be dead.
type fresh struct {
	http *http.Client
	client
}

func (f fresh) GetSecretValue(ctx context.Context, in *secretsmanager.GetSecretValueInput, options ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error) {
	out, err := f.client.GetSecretValue(ctx, in, options...)
	if err != nil {
		f.http.CloseIdleConnections()
	}
	return out, err
}

func newStore(c client, arn string, now func() time.Time) *Store {
	return &Store{client: c, arn: arn, now: now, err: ErrNotStored}
}

// Warm reads the secret while the execution environment starts. It does not count
// for the interval between reads, so a failure here costs the first request nothing.
func (s *Store) Warm(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.read(ctx)
	return s.err
}

// Keys returns the values that may verify a signature now, the current one first,
// from the cache where it is fresh. An error beside values tells what is not well with
// them: they are old and could not be read again, or the stored value has a form that
// Nylas's secrets do not have. An error without values is [ErrNotStored] or what Secrets
// Manager said.
func (s *Store) Keys(ctx context.Context) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !within(s.now(), s.held.loadedAt, maxAge) {
		s.reload(ctx)
	}
	return s.held.valid(s.now()), s.err
}

// Refresh is [Store.Keys], but reads again now, unless that was done less than ten
// seconds ago: the caller has seen a signature that the keys do not match.
func (s *Store) Refresh(ctx context.Context) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reload(ctx)
	return s.held.valid(s.now()), s.err
}

func (s *Store) reload(ctx context.Context) {
	now := s.now()
	if within(now, s.triedAt, minInterval) {
		return
	}
	s.triedAt = now
	s.read(ctx)
}

// within tells whether less than d has passed since then. A clock that was set back says
// nothing of how much.
func within(now, then time.Time, d time.Duration) bool {
	passed := now.Sub(then)
	return !then.IsZero() && passed >= 0 && passed < d
}

// read asks Secrets Manager. What could not be read does not replace what is held: a
// secret that was emptied or deleted by mistake goes on to work where it is known.
func (s *Store) read(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	current, err := s.get(ctx, "AWSCURRENT")
	if err != nil {
		s.err = fmt.Errorf("read secret: %w", err)
		return
	}
	var previous version
	var previousErr error
	if s.now().Before(current.created.Add(contract.PreviousSecretLifetime)) {
		if previous, previousErr = s.get(ctx, "AWSPREVIOUS"); errors.Is(previousErr, ErrNotStored) {
			previousErr = nil
		}
	}
	if previousErr != nil {
		s.held = s.held.adoptCurrent(current)
		s.err = fmt.Errorf("read previous secret: %w", previousErr)
		return
	}
	s.held = held{current: current.value, previous: previous.value, previousUntil: current.created.Add(contract.PreviousSecretLifetime), loadedAt: s.now()}
	s.err = nil
	if err := notification.CheckSecret(current.value); err != nil {
		s.err = fmt.Errorf("the stored secret is %w; it is tried all the same", err)
	}
}

// version is one version of the secret.
type version struct {
	value   string
	created time.Time
}

// held is what may verify.
type held struct {
	current, previous string
	previousUntil     time.Time // when previous stops to verify
	loadedAt          time.Time // last read of both
}

// adoptCurrent returns what is held when only the current version could be read. What it
// replaced here is likely the previous one; loadedAt stays, so the next read, which is
// soon, will tell.
func (h held) adoptCurrent(current version) held {
	if h.current != "" && h.current != current.value {
		h.previous = h.current
	}
	h.current, h.previousUntil = current.value, current.created.Add(contract.PreviousSecretLifetime)
	return h
}

func (h held) valid(now time.Time) []string {
	var keys []string
	if h.current != "" {
		keys = append(keys, h.current)
	}
	if h.previous != "" && now.Before(h.previousUntil) {
		keys = append(keys, h.previous)
	}
	return keys
}

// get returns the version of the secret that has this label.
func (s *Store) get(ctx context.Context, label string) (version, error) {
	out, err := s.client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{
		SecretId:     aws.String(s.arn),
		VersionStage: aws.String(label),
	})
	// A secret that was created empty has no version at all.
	// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
	if notFound := (*types.ResourceNotFoundException)(nil); errors.As(err, &notFound) {
		return version{}, ErrNotStored
	}
	if err != nil {
		return version{}, err
	}
	// The SDK takes any 200 for Secrets Manager's, some proxy's, too.
	if aws.ToString(out.VersionId) == "" {
		return version{}, errors.New("the answer names no version of the secret, so it is not from Secrets Manager")
	}
	// Blanks and a line feed at the end come from echo and editors; Nylas's secrets
	// have none.
	value := strings.TrimSpace(aws.ToString(out.SecretString))
	if value == "" {
		return version{}, ErrNotStored
	}
	if !notification.MayVerify(value) {
		return version{}, fmt.Errorf("%w: what is stored is %w", ErrNotStored, notification.CheckSecret(value))
	}
	return version{value, aws.ToTime(out.CreatedDate)}, nil
}
