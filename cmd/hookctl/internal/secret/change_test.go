package secret_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/secret"
	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/standin"
	"github.com/onepagecrm/nylas-webhooks/internal/awsconfig"
	"github.com/onepagecrm/nylas-webhooks/notification"
)

func start(t *testing.T, values ...string) (*standin.Stage, secret.Store) {
	stage := standin.New(t)
	for _, value := range values {
		stage.Store(value)
	}
	cfg, err := awsconfig.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return stage, secret.Store{API: secretsmanager.NewFromConfig(cfg), Name: "secret"}
}

// TestChanges: what is stored (oldest first), what is done, what is current and
// previous afterwards.
func TestChanges(t *testing.T) {
	for _, test := range []struct {
		name    string
		stored  []string
		correct bool
		value   string
		result  secret.Result
		want    []string
		puts    int
	}{
		{"the first", nil, false, "secret-A", secret.Saved, []string{"secret-A"}, 1},
		{"the first, where an empty one is stored", []string{""}, false, "secret-A", secret.Saved, []string{"secret-A", ""}, 1},
		{"the next", []string{"secret-A"}, false, "secret-B", secret.Saved, []string{"secret-B", "secret-A"}, 1},
		{"the same twice", []string{"secret-A", "secret-B"}, false, "secret-B", secret.Unchanged, []string{"secret-B", "secret-A"}, 0},
		{"the same, stored with a line feed", []string{"secret-A", "secret-B\n"}, false, "secret-B", secret.Unchanged, []string{"secret-B\n", "secret-A"}, 0},
		{"the previous one again", []string{"secret-A", "secret-B"}, false, "secret-A", secret.Saved, []string{"secret-A", "secret-B"}, 1},
		{"a typo corrected", []string{"secret-A", "secret-typo"}, true, "secret-B", secret.Corrected, []string{"secret-B", "secret-A"}, 1},
		{"a typo corrected, older versions about", []string{"secret-0", "secret-A", "secret-typo"}, true, "secret-B", secret.Corrected, []string{"secret-B", "secret-A"}, 1},
		{"a typo in the first", []string{"secret-typo"}, true, "secret-A", secret.Corrected, []string{"secret-A"}, 1},
		{"a typo in the first, after an empty one", []string{"", "secret-typo"}, true, "secret-A", secret.Corrected, []string{"secret-A"}, 1},
		{"nothing new was needed at all", []string{"secret-A", "secret-typo"}, true, "secret-A", secret.Corrected, []string{"secret-A"}, 0},
		{"nothing to correct", []string{"secret-A", "secret-B"}, true, "secret-B", secret.Unchanged, []string{"secret-B", "secret-A"}, 0},
		{"correct where nothing is stored", nil, true, "secret-A", secret.Saved, []string{"secret-A"}, 1},
		{"the mock key was stored", []string{"secret-A", notification.MockSecret}, true, "secret-B", secret.Corrected, []string{"secret-B", "secret-A"}, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			stage, store := start(t, test.stored...)
			change := store.Set
			if test.correct {
				change = store.Correct
			}
			for i, want := range []secret.Result{test.result, secret.Unchanged} { // a second time: nothing
				if result, err := change(t.Context(), test.value); err != nil || result != want {
					t.Fatalf("run %d: %q, %v; want %q", i+1, result, err, want)
				}
				if got := stage.Secrets(); !slices.Equal(got, test.want) {
					t.Errorf("run %d: stored %q, want %q", i+1, got, test.want)
				}
				if stage.Puts != test.puts {
					t.Errorf("run %d: %d versions written, want %d", i+1, stage.Puts, test.puts)
				}
			}
		})
	}
}

// TestCorrectInterrupted breaks the second step, which a crash would leave out, and
// looks at what each next command makes of it.
func TestCorrectInterrupted(t *testing.T) {
	for _, test := range []struct {
		name string
		next func(secret.Store, context.Context, string) (secret.Result, error)
		give string
		want []string
	}{
		{"the same again", secret.Store.Correct, "secret-B", []string{"secret-B", "secret-A"}},
		{"set instead", secret.Store.Set, "secret-B", []string{"secret-B", "secret-A"}},
		{"another value", secret.Store.Correct, "secret-C", []string{"secret-C", "secret-A"}},
		{"the older one was right", secret.Store.Correct, "secret-A", []string{"secret-A"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			stage, store := start(t, "secret-A", "secret-typo")
			stage.Refuse["PutSecretValue"] = "InternalServiceError"
			_, err := store.Correct(t.Context(), "secret-B")
			if err == nil || !strings.Contains(err.Error(), "Run the same command again") {
				t.Fatalf("error %v", err)
			}
			stored, err := store.Read(t.Context())
			if err != nil || !stored.Interrupted() || stored.Current.Value != "secret-A" {
				t.Fatalf("in between: interrupted %t, %v; the older secret must be current", stored.Interrupted(), err)
			}
			delete(stage.Refuse, "PutSecretValue")
			if _, err := test.next(store, t.Context(), test.give); err != nil {
				t.Fatal(err)
			}
			if got := stage.Secrets(); !slices.Equal(got, test.want) {
				t.Errorf("stored %q, want %q", got, test.want)
			}
		})
	}
}

func TestCorrectFinishesAfterCtrlC(t *testing.T) {
	stage, store := start(t, "secret-A", "secret-typo")
	ctx, cancel := context.WithCancel(t.Context())
	store.API = cancelling{store.API, cancel}
	if _, err := store.Correct(ctx, "secret-B"); err != nil {
		t.Errorf("error %v", err)
	}
	if got := stage.Secrets(); !slices.Equal(got, []string{"secret-B", "secret-A"}) {
		t.Errorf("stored %q", got)
	}
}

// cancelling is Ctrl-C at the moment of the first step.
type cancelling struct {
	secret.API
	cancel func()
}

func (c cancelling) UpdateSecretVersionStage(ctx context.Context, in *secretsmanager.UpdateSecretVersionStageInput, o ...func(*secretsmanager.Options)) (*secretsmanager.UpdateSecretVersionStageOutput, error) {
	out, err := c.API.UpdateSecretVersionStage(ctx, in, o...)
	c.cancel()
	return out, err
}

func TestRefusedValuesAreNotInErrors(t *testing.T) {
	stage, store := start(t, "secret-A")
	for _, value := range []string{"", notification.MockSecret, "two words", "two-lines\nof-it", "control\x00character", `{"webhook_secret":"41dD3-nXTUfebYuk81Gr"}`, `"41dD3-nXTUfebYuk81Gr"`, "'41dD3-nXTUfebYuk81Gr'", "x", "41dD3-n"} {
		for _, change := range []func(context.Context, string) (secret.Result, error){store.Set, store.Correct} {
			_, err := change(t.Context(), value)
			if err == nil || value != "" && strings.Contains(err.Error(), value) {
				t.Errorf("%q: %v", value, err)
			}
		}
	}
	if stage.Puts != 0 {
		t.Errorf("%d versions written", stage.Puts)
	}
}

// emptyAnswers is a 200 of something that is not Secrets Manager.
type emptyAnswers struct{ secret.API }

func (emptyAnswers) GetSecretValue(context.Context, *secretsmanager.GetSecretValueInput, ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error) {
	return &secretsmanager.GetSecretValueOutput{}, nil
}

func (emptyAnswers) PutSecretValue(context.Context, *secretsmanager.PutSecretValueInput, ...func(*secretsmanager.Options)) (*secretsmanager.PutSecretValueOutput, error) {
	return &secretsmanager.PutSecretValueOutput{}, nil
}

func (emptyAnswers) UpdateSecretVersionStage(context.Context, *secretsmanager.UpdateSecretVersionStageInput, ...func(*secretsmanager.Options)) (*secretsmanager.UpdateSecretVersionStageOutput, error) {
	return &secretsmanager.UpdateSecretVersionStageOutput{}, nil
}

// readable has the stand-in's values, and answers changes with nothing.
type readable struct {
	emptyAnswers
	values secret.API
}

func (r readable) GetSecretValue(ctx context.Context, in *secretsmanager.GetSecretValueInput, o ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error) {
	return r.values.GetSecretValue(ctx, in, o...)
}

// A value that was not revoked still verifies.
func TestRevokedOnlyWhenSecretsManagerSaysSo(t *testing.T) {
	_, store := start(t, "secret-A", "secret-B")
	store.API = readable{values: store.API}
	if id, err := store.RevokePrevious(t.Context()); err == nil {
		t.Errorf("revoked %s", id)
	}
}

// It is neither "no secret is stored" nor "stored".
func TestAnswersThatAreNotSecretsManagers(t *testing.T) {
	store := secret.Store{API: emptyAnswers{}, Name: "secret"}
	if stored, err := store.Read(t.Context()); err == nil {
		t.Errorf("read as %+v", stored)
	}
	if err := store.Put(t.Context(), "41dD3-nXTUfebYuk81Gr"); err == nil {
		t.Error("put: no error")
	}
	if err := store.CanPut(t.Context(), secret.Stored{Current: secret.Version{ID: "1", Value: "v"}}); err == nil {
		t.Error("can put: no error")
	}
}

func TestRevokePrevious(t *testing.T) {
	stage, store := start(t, "secret-A", "secret-B")
	if id, err := store.RevokePrevious(t.Context()); err != nil || id != "version-1" {
		t.Errorf("%q, %v", id, err)
	}
	if got := stage.Secrets(); !slices.Equal(got, []string{"secret-B"}) {
		t.Errorf("stored %q", got)
	}
	if _, err := store.RevokePrevious(t.Context()); !errors.Is(err, secret.ErrNoPrevious) {
		t.Errorf("a second time: %v", err)
	}
}

func TestCanPutWritesNothing(t *testing.T) {
	stage, store := start(t, "secret-A", "secret-B\n") // with a blank at its end, as an editor leaves it
	stored, err := store.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := store.CanPut(t.Context(), stored); err != nil {
		t.Error(err)
	}
	if got := stage.Secrets(); stage.Puts != 0 || !slices.Equal(got, []string{"secret-B\n", "secret-A"}) {
		t.Errorf("%d written, stored %q", stage.Puts, got)
	}
	stage.Refuse["PutSecretValue"] = "AccessDeniedException"
	if err := store.CanPut(t.Context(), stored); err == nil {
		t.Error("no error without the permission")
	}
}
