package secret

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/onepagecrm/nylas-webhooks/lambda/contract"
	"github.com/onepagecrm/nylas-webhooks/notification"
)

// Result is what a change did.
type Result string

// The results.
const (
	Unchanged Result = "unchanged" // the value was current already; nothing was written
	Saved     Result = "stored"    // the value is current, what was current is the previous one
	Corrected Result = "corrected" // the value is current, the previous one is what it was before the mistake
)

// Put makes value the current version; what was current becomes the previous one. What
// cannot be Nylas's is refused ([notification.ErrNotASecret]), here and by the others.
// Read first ([Store.Set] does): Secrets Manager makes a new version even of the same
// value, and the previous secret is forgotten.
func (s Store) Put(ctx context.Context, value string) error {
	if err := notification.CheckSecret(value); err != nil {
		return err
	}
	answer, err := s.API.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{SecretId: &s.Name, SecretString: &value})
	if err == nil && aws.ToString(answer.VersionId) == "" {
		err = errAnswer
	}
	if err != nil {
		return fmt.Errorf("store the secret: %w", err)
	}
	return nil
}

// Set makes value the current version, unless it is.
func (s Store) Set(ctx context.Context, value string) (Result, error) {
	if err := notification.CheckSecret(value); err != nil {
		return "", err
	}
	stored, err := s.Read(ctx)
	if err != nil {
		return "", err
	}
	if stored.Current.Value == value {
		return Unchanged, nil
	}
	// After an interrupted correction this is its second step.
	return Saved, s.Put(ctx, value)
}

// Correct makes value the current version in place of one that was stored by
// mistake: the previous version stays what it was before the mistake.
//
// Two steps: AWSCURRENT moves back to the previous version, and then the value is
// put, which makes that version AWSPREVIOUS again. At no moment is the good older
// version without a label, so signatures made with it verify throughout. After a
// crash between the steps, [Stored.Interrupted] is true and Correct does the second.
//
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecretVersionStage.html:
// whenever AWSCURRENT moves, AWSPREVIOUS moves to the version that it was taken from.
func (s Store) Correct(ctx context.Context, value string) (Result, error) {
	if err := notification.CheckSecret(value); err != nil {
		return "", err
	}
	stored, err := s.Read(ctx)
	if err != nil {
		return "", err
	}
	mistake := stored.Current
	switch {
	case stored.Current.Value == value && !stored.Interrupted():
		return Unchanged, nil
	case mistake.Value == "":
		return Saved, s.Put(ctx, value)
	case stored.Interrupted() && stored.Current.Value != value:
		return Corrected, s.Put(ctx, value)
	case stored.Interrupted(): // the right value is the older one: only the mistake is left to unlabel
		return Corrected, s.remove(ctx, labelPrevious, stored.Previous.ID)
	}
	// From here on there is something half done: finish also after Ctrl-C.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTime)
	defer cancel()
	if stored.Previous.Value == "" { // nothing to go back to; an empty version is nothing
		if err := s.Put(ctx, value); err != nil {
			return "", err
		}
		if err := s.remove(ctx, labelPrevious, mistake.ID); err != nil {
			return "", fmt.Errorf("the right value is stored, but the mistyped one may verify for another %s. Take it out: hookctl secret revoke-previous. %w", contract.PreviousSecretLifetime, err)
		}
		return Corrected, nil
	}
	if err := s.move(ctx, labelCurrent, mistake.ID, stored.Previous.ID); err != nil {
		return "", err
	}
	if stored.Previous.Value == value {
		err = s.remove(ctx, labelPrevious, mistake.ID)
	} else {
		err = s.Put(ctx, value)
	}
	if err != nil {
		return "", fmt.Errorf("the older value is current again, the right one is not stored yet. Run the same command again to finish. %w", err)
	}
	return Corrected, nil
}

// finishTime bounds a second step; Secrets Manager answers in milliseconds, the SDK
// tries three times.
const finishTime = 30 * time.Second

// ErrNoPrevious: there is no previous version to revoke.
var ErrNoPrevious = errors.New("no previous version is stored")

// RevokePrevious takes the label AWSPREVIOUS away, so that no receiver reads that
// version any more, and returns the version's id. Receivers that have it cached use it
// for up to five minutes more. [ErrNoPrevious] where there is none.
func (s Store) RevokePrevious(ctx context.Context) (id string, err error) {
	previous, err := s.get(ctx, labelPrevious)
	if err != nil {
		return "", err
	}
	if previous.ID == "" {
		return "", ErrNoPrevious
	}
	return previous.ID, s.remove(ctx, labelPrevious, previous.ID)
}

// CanPut asks Secrets Manager whether these credentials may store a value, by storing
// the current one once more under the id that it has. AWS documents that as a success
// that does nothing; the local engine drops the previous version. Without a current
// version nothing is asked.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html
func (s Store) CanPut(ctx context.Context, stored Stored) error {
	if stored.Current.Value == "" {
		return nil
	}
	answer, err := s.API.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{
		SecretId: &s.Name, SecretString: &stored.Current.raw, ClientRequestToken: &stored.Current.ID,
	})
	if err == nil && aws.ToString(answer.VersionId) == "" {
		err = errAnswer
	}
	if err != nil {
		return fmt.Errorf("check that the secret can be stored: %w", err)
	}
	return nil
}

func (s Store) move(ctx context.Context, label, from, to string) error {
	err := s.label(ctx, &secretsmanager.UpdateSecretVersionStageInput{VersionStage: &label, RemoveFromVersionId: &from, MoveToVersionId: &to})
	if err != nil {
		return fmt.Errorf("move %s to the older version: %w", label, err)
	}
	return nil
}

func (s Store) remove(ctx context.Context, label, from string) error {
	err := s.label(ctx, &secretsmanager.UpdateSecretVersionStageInput{VersionStage: &label, RemoveFromVersionId: &from})
	if err != nil {
		return fmt.Errorf("take %s away: %w", label, err)
	}
	return nil
}

// label changes the labels, and believes no answer that does not name the secret: a
// revoked value must not verify after "revoked" was said.
func (s Store) label(ctx context.Context, in *secretsmanager.UpdateSecretVersionStageInput) error {
	in.SecretId = &s.Name
	out, err := s.API.UpdateSecretVersionStage(ctx, in)
	if err == nil && (out == nil || aws.ToString(out.ARN) == "") {
		return errAnswer
	}
	return err
}
