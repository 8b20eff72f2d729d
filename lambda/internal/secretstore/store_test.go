package secretstore

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
)

var _ client = (*secretsmanager.Client)(nil)

// fakeClient is Secrets Manager with one secret, and a clock.
type fakeClient struct {
	current, previous *version
	err               error // of every call
	previousErr       error
	calls             int
	now               time.Time
}

type version struct {
	value   string
	created time.Time
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
	return &secretsmanager.GetSecretValueOutput{SecretString: aws.String(v.value), CreatedDate: aws.Time(v.created)}, nil
}

// put stores a value as PutSecretValue does.
func (f *fakeClient) put(value string) {
	f.previous, f.current = f.current, &version{value, f.now}
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
	for name, v := range map[string]*version{
		"no version":     nil,
		"empty":          {value: ""},
		"blanks":         {value: " \n"},
		"the mock value": {value: "mock-webhook-secret\n"},
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
	f.put("one")
	f.pass(2 * time.Hour) // too old for AWSPREVIOUS to matter: one call a read
	if err := s.Warm(ctx); err != nil {
		t.Fatal(err)
	}
	f.put("two")
	f.pass(5*time.Minute - time.Second)
	keys, err := s.Keys(ctx)
	expect(t, "before", keys, err, []string{"one"}, nil)
	if f.calls != 1 {
		t.Errorf("%d calls, want 1", f.calls)
	}
	f.pass(time.Second)
	keys, err = s.Keys(ctx)
	expect(t, "after", keys, err, []string{"two", "one"}, nil)
}

func TestPreviousVerifiesForSixtyMinutes(t *testing.T) {
	f, s := start()
	f.put("old")
	f.pass(24 * time.Hour)
	f.put("new")
	keys, err := s.Keys(ctx)
	expect(t, "at once", keys, err, []string{"new", "old"}, nil)

	// Without another read: the cache alone must drop it. It is read at 58 minutes.
	f.pass(58 * time.Minute)
	_, _ = s.Keys(ctx)
	calls := f.calls
	f.pass(2*time.Minute - time.Second)
	keys, err = s.Keys(ctx)
	expect(t, "before 60 minutes", keys, err, []string{"new", "old"}, nil)
	f.pass(time.Second)
	keys, err = s.Keys(ctx)
	expect(t, "at 60 minutes", keys, err, []string{"new"}, nil)
	if f.calls != calls {
		t.Errorf("%d calls, want none", f.calls-calls)
	}
}

func TestUnusablePreviousIsNoKey(t *testing.T) {
	for _, value := range []string{"", "mock-webhook-secret"} {
		f, s := start()
		f.put(value)
		f.put("new")
		keys, err := s.Keys(ctx)
		expect(t, "Keys", keys, err, []string{"new"}, nil)
	}
}

// What a stranger can cause by forged requests: one read per ten seconds.
func TestForgedRequestsBuyOneReadPerTenSeconds(t *testing.T) {
	f, s := start()
	f.put("one")
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
			f.put("one")
			f.pass(100 * time.Millisecond)
			keys, err := s.Keys(ctx)
			expect(t, "after ten seconds", keys, err, []string{"one"}, nil)
		})
	}
}

func TestWarmDoesNotCountForTheInterval(t *testing.T) {
	f, s := start()
	f.err = errDown
	if err := s.Warm(ctx); !errors.Is(err, errDown) {
		t.Errorf("Warm = %v, want %v", err, errDown)
	}
	f.err = nil
	f.put("one")
	keys, err := s.Keys(ctx)
	expect(t, "the first request", keys, err, []string{"one"}, nil)
}

func TestRotationIsSeenByRefresh(t *testing.T) {
	f, s := start()
	f.put("one")
	_ = s.Warm(ctx)
	f.put("two")
	keys, err := s.Refresh(ctx)
	expect(t, "Refresh", keys, err, []string{"two", "one"}, nil)
}

// The current value is used even when the previous one cannot be read, and what was
// current until then goes on to verify.
func TestPreviousCannotBeRead(t *testing.T) {
	f, s := start()
	f.put("old")
	f.put("one")
	f.previousErr = errDown
	keys, err := s.Keys(ctx)
	expect(t, "cold", keys, err, []string{"one"}, errDown)
	f.previousErr = nil
	f.pass(minInterval)
	keys, err = s.Keys(ctx)
	expect(t, "read again", keys, err, []string{"one", "old"}, nil)

	f.put("two")
	f.previousErr = errDown
	f.pass(minInterval)
	keys, err = s.Refresh(ctx)
	expect(t, "warm", keys, err, []string{"two", "one"}, errDown)
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
			f.put("one")
			_ = s.Warm(ctx)
			breakIt(f)
			for range 3 {
				f.pass(maxAge)
				keys, err := s.Keys(ctx)
				if !slices.Equal(keys, []string{"one"}) || err == nil {
					t.Errorf("keys %q, error %v, want the one that worked and why it is old", keys, err)
				}
			}
		})
	}
}
