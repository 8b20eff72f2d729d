package secretstore

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

var _ client = (*secretsmanager.Client)(nil)

// fakeClient is Secrets Manager with one secret, and a clock.
type fakeClient struct {
	current, previous *stored
	err               error // of every call
	previousErr       error
	calls             int
	now               time.Time
}

type stored struct {
	value   string
	created time.Time
	id      *string
}

func (f *fakeClient) GetSecretValue(_ context.Context, in *secretsmanager.GetSecretValueInput, _ ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error) {
	f.calls++
	if f.err != nil {
		return nil, f.err
	}
	v := f.current
	if *in.VersionStage == "AWSPREVIOUS" {
		if f.previousErr != nil {
			return nil, f.previousErr
		}
		v = f.previous
	}
	if v == nil {
		return nil, &types.ResourceNotFoundException{}
	}
	return &secretsmanager.GetSecretValueOutput{SecretString: aws.String(v.value), CreatedDate: aws.Time(v.created), VersionId: v.id}, nil
}

// put stores a value as PutSecretValue does.
func (f *fakeClient) put(value string) {
	f.previous, f.current = f.current, &stored{value, f.now, aws.String("v1")}
}

func start() (*fakeClient, *Store) {
	f := &fakeClient{now: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)}
	return f, newStore(f, "arn", func() time.Time { return f.now })
}

func (f *fakeClient) pass(d time.Duration) { f.now = f.now.Add(d) }

func expect(t *testing.T, what string, keys []string, err error, want []string, wantErr error) {
	t.Helper()
	if !slices.Equal(keys, want) || !errors.Is(err, wantErr) {
		t.Errorf("%s: got %d keys %q and error %v, want %q and %v", what, len(keys), keys, err, want, wantErr)
	}
}

var (
	ctx     = context.Background()
	errDown = errors.New("Secrets Manager is down")
)

func TestNothingStored(t *testing.T) {
	for name, v := range map[string]*stored{
		"no version":        nil,
		"empty":             {value: "", id: aws.String("v1")},
		"blanks":            {value: " \n", id: aws.String("v1")},
		"the mock value":    {value: "mock-webhook-secret\n", id: aws.String("v1")},
		"it can be guessed": {value: "1234567", id: aws.String("v1")},
	} {
		t.Run(name, func(t *testing.T) {
			f, s := start()
			f.current = v
			keys, err := s.Keys(ctx)
			expect(t, "Keys", keys, err, nil, ErrNotStored)
		})
	}
}

func TestValueIsTrimmed(t *testing.T) {
	f, s := start()
	f.put(" secret-1\n")
	keys, err := s.Keys(ctx)
	expect(t, "Keys", keys, err, []string{"secret-1"}, nil)
}

func TestCachedForFiveMinutes(t *testing.T) {
	f, s := start()
	f.put("secret-one")
	f.pass(2 * time.Hour) // too old for AWSPREVIOUS to matter: one call a read
	if err := s.Warm(ctx); err != nil {
		t.Fatal(err)
	}
	f.put("secret-two")
	f.pass(5*time.Minute - time.Second)
	keys, err := s.Keys(ctx)
	expect(t, "before", keys, err, []string{"secret-one"}, nil)
	if f.calls != 1 {
		t.Errorf("%d calls, want 1", f.calls)
	}
	f.pass(time.Second)
	keys, err = s.Keys(ctx)
	expect(t, "after", keys, err, []string{"secret-two", "secret-one"}, nil)
}

func TestPreviousVerifiesForSixtyMinutes(t *testing.T) {
	f, s := start()
	f.put("secret-old")
	f.pass(24 * time.Hour)
	f.put("secret-new")
	keys, err := s.Keys(ctx)
	expect(t, "at once", keys, err, []string{"secret-new", "secret-old"}, nil)

	// Without another read: the cache alone must drop it. It is read at 58 minutes.
	f.pass(58 * time.Minute)
	_, _ = s.Keys(ctx)
	calls := f.calls
	f.pass(2*time.Minute - time.Second)
	keys, err = s.Keys(ctx)
	expect(t, "before 60 minutes", keys, err, []string{"secret-new", "secret-old"}, nil)
	f.pass(time.Second)
	keys, err = s.Keys(ctx)
	expect(t, "at 60 minutes", keys, err, []string{"secret-new"}, nil)
	if f.calls != calls {
		t.Errorf("%d calls, want none", f.calls-calls)
	}
}

func TestUnusablePreviousIsNoKey(t *testing.T) {
	for _, value := range []string{"", "mock-webhook-secret", "x"} {
		f, s := start()
		f.put(value)
		f.put("secret-new")
		keys, err := s.Keys(ctx)
		expect(t, "Keys", keys, err, []string{"secret-new"}, nil)
	}
}

// What a stranger can cause by forged requests: one read per ten seconds.
func TestForgedRequestsBuyOneReadPerTenSeconds(t *testing.T) {
	f, s := start()
	f.put("secret-one")
	f.pass(2 * time.Hour)
	if err := s.Warm(ctx); err != nil {
		t.Fatal(err)
	}
	for range 600 { // a minute, ten requests a second
		if _, err := s.Keys(ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Refresh(ctx); err != nil {
			t.Fatal(err)
		}
		f.pass(100 * time.Millisecond)
	}
	if f.calls != 1+6 {
		t.Errorf("%d calls in a minute, want 1 at the start and 6", f.calls)
	}
}

// The same while no secret is stored, or Secrets Manager fails.
func TestFailuresAreRememberedForTenSeconds(t *testing.T) {
	for name, e := range map[string]error{"not stored": nil, "down": errDown} {
		t.Run(name, func(t *testing.T) {
			f, s := start()
			f.err = e
			want := e
			if e == nil {
				want = ErrNotStored
			}
			for range 100 {
				keys, err := s.Keys(ctx)
				expect(t, "Keys", keys, err, nil, want)
				f.pass(99 * time.Millisecond)
			}
			if f.calls != 1 {
				t.Errorf("%d calls within ten seconds, want 1", f.calls)
			}
			f.err = nil
			f.put("secret-one")
			f.pass(100 * time.Millisecond)
			keys, err := s.Keys(ctx)
			expect(t, "after ten seconds", keys, err, []string{"secret-one"}, nil)
		})
	}
}

// An answer that does not name the version is not Secrets Manager's: it does not say
// that nothing is stored, and nothing of it is kept.
func TestAnswerOfSomethingElse(t *testing.T) {
	for name, answer := range map[string]*stored{"empty": {}, "with a value": {value: "not-the-secret"}, "an empty id": {id: aws.String("")}} {
		f, s := start()
		f.current = answer
		keys, err := s.Keys(ctx)
		if len(keys) != 0 || err == nil || errors.Is(err, ErrNotStored) {
			t.Errorf("%s, for the current version: %q, %v, want no keys and another error than ErrNotStored", name, keys, err)
		}
		f.put("secret-old")
		f.put("secret-new")
		genuine := f.previous
		f.previous = answer
		f.pass(10 * time.Second)
		keys, err = s.Keys(ctx)
		if !slices.Equal(keys, []string{"secret-new"}) || err == nil {
			t.Errorf("%s, for the previous version: %q, %v, want the current one and an error", name, keys, err)
		}
		f.previous = genuine
		f.pass(10 * time.Second)
		keys, err = s.Keys(ctx)
		expect(t, name+", then the genuine one", keys, err, []string{"secret-new", "secret-old"}, nil)
	}
}

// A value that was stored with quotes may be right all the same, so it is tried; what is
// odd about it is said, and the value is not.
func TestValueOfAnOddForm(t *testing.T) {
	f, s := start()
	f.put(`"41dD3-nXTUfebYuk81Gr"`)
	for range 2 { // from the cache, too
		keys, err := s.Keys(ctx)
		if !slices.Equal(keys, []string{`"41dD3-nXTUfebYuk81Gr"`}) || !errors.Is(err, notification.ErrNotASecret) || strings.Contains(err.Error(), "41dD3") {
			t.Errorf("Keys = %q, %v", keys, err)
		}
	}
	f.put("41dD3-nXTUfebYuk81Gr")
	f.pass(10 * time.Second)
	keys, err := s.Refresh(ctx)
	expect(t, "corrected", keys, err, []string{"41dD3-nXTUfebYuk81Gr", `"41dD3-nXTUfebYuk81Gr"`}, nil)
}

// A previous version that could not be read does not verify longer for that.
func TestPreviousOfAFailedReadEnds(t *testing.T) {
	f, s := start()
	f.put("secret-one")
	f.pass(24 * time.Hour)
	_ = s.Warm(ctx)
	f.put("secret-two")
	f.previousErr = errDown
	keys, err := s.Refresh(ctx)
	expect(t, "rotated", keys, err, []string{"secret-two", "secret-one"}, errDown)
	f.err = errDown
	f.pass(60*time.Minute - time.Second)
	keys, err = s.Keys(ctx)
	expect(t, "before 60 minutes", keys, err, []string{"secret-two", "secret-one"}, errDown)
	f.pass(time.Second)
	keys, err = s.Keys(ctx)
	expect(t, "at 60 minutes", keys, err, []string{"secret-two"}, errDown)
}

// The current version is read again and the same; what came before it goes on to verify.
func TestPreviousStaysWhenItCannotBeReadAgain(t *testing.T) {
	f, s := start()
	f.put("one-secret")
	f.pass(24 * time.Hour)
	f.put("two-secret")
	keys, err := s.Keys(ctx)
	expect(t, "both are read", keys, err, []string{"two-secret", "one-secret"}, nil)
	f.pass(6 * time.Minute)
	f.previousErr = errDown
	keys, err = s.Keys(ctx)
	expect(t, "the previous one cannot be read again", keys, err, []string{"two-secret", "one-secret"}, errDown)
}

// A clock that was set back must not keep a value for the hours until it catches up.
func TestClockSetBack(t *testing.T) {
	f, s := start()
	f.put("secret-one")
	f.pass(2 * time.Hour)
	_, _ = s.Refresh(ctx)
	f.put("secret-two")
	f.pass(-3 * time.Hour)
	keys, err := s.Keys(ctx)
	if len(keys) == 0 || keys[0] != "secret-two" || err != nil {
		t.Errorf("Keys = %q, %v, want what is stored now", keys, err)
	}
}

// The age of a value is the world's: the monotonic clock may stand still while Lambda
// has frozen the process.
// equivalent mutant: wallClock: 0 -> 1
// Rounding to a nanosecond strips the monotonic reading, too.
func TestWallClock(t *testing.T) {
	if now := wallClock(); strings.Contains(now.String(), "m=") || time.Since(now).Abs() > time.Minute {
		t.Errorf("wallClock = %v, want the wall's time alone", now)
	}
}

func TestWarmDoesNotCountForTheInterval(t *testing.T) {
	f, s := start()
	f.err = errDown
	if err := s.Warm(ctx); !errors.Is(err, errDown) {
		t.Errorf("Warm = %v, want %v", err, errDown)
	}
	f.err = nil
	f.put("secret-one")
	keys, err := s.Keys(ctx)
	expect(t, "the first request", keys, err, []string{"secret-one"}, nil)
}

func TestRotationIsSeenByRefresh(t *testing.T) {
	f, s := start()
	f.put("secret-one")
	_ = s.Warm(ctx)
	f.put("secret-two")
	keys, err := s.Refresh(ctx)
	expect(t, "Refresh", keys, err, []string{"secret-two", "secret-one"}, nil)
}

// The current value is used even when the previous one cannot be read, and what was
// current until then goes on to verify.
func TestPreviousCannotBeRead(t *testing.T) {
	f, s := start()
	f.put("secret-old")
	f.put("secret-one")
	f.previousErr = errDown
	keys, err := s.Keys(ctx)
	expect(t, "cold", keys, err, []string{"secret-one"}, errDown)
	f.previousErr = nil
	f.pass(10 * time.Second)
	keys, err = s.Keys(ctx)
	expect(t, "read again", keys, err, []string{"secret-one", "secret-old"}, nil)

	f.put("secret-two")
	f.previousErr = errDown
	f.pass(10 * time.Second)
	keys, err = s.Refresh(ctx)
	expect(t, "warm", keys, err, []string{"secret-two", "secret-one"}, errDown)
}

// A failed read must not cost the keys that were known to work.
func TestKeptWhenSecretsManagerFails(t *testing.T) {
	for name, breakIt := range map[string]func(*fakeClient){
		"down":            func(f *fakeClient) { f.err = errDown },
		"secret deleted":  func(f *fakeClient) { f.current = nil },
		"secret emptied":  func(f *fakeClient) { f.put("") },
		"mock was stored": func(f *fakeClient) { f.put("mock-webhook-secret") },
	} {
		t.Run(name, func(t *testing.T) {
			f, s := start()
			f.put("secret-one")
			_ = s.Warm(ctx)
			breakIt(f)
			for range 3 {
				f.pass(5 * time.Minute)
				keys, err := s.Keys(ctx)
				if !slices.Equal(keys, []string{"secret-one"}) || err == nil {
					t.Errorf("keys %q, error %v, want the one that worked and why it is old", keys, err)
				}
			}
		})
	}
}
