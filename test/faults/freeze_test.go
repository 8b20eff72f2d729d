package faults

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/onepagecrm/nylas-webhooks/test/canary"
	"github.com/onepagecrm/nylas-webhooks/test/faults/ledger"
	"github.com/onepagecrm/nylas-webhooks/test/faults/nylas"
)

// A secret that was revoked while an environment was frozen for hours verifies nothing
// after the thaw, although little of its cache's age has passed for the process: the
// monotonic clock stands still meanwhile, the wall clock does not.
func TestSecretRevokedDuringFreeze(t *testing.T) {
	t.Parallel()
	root, err := Root(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	program, err := Build(t.Context(), root, t.TempDir(), withFrozenClock(t, root))
	if err != nil {
		t.Fatal(err)
	}
	_, stack := receiver(t)
	s := newSystem(program, stack, Scenario{}.withDefaults())
	defer s.close()
	frozenFor := filepath.Join(t.TempDir(), "frozen-for")
	s.Function.SetVariable("FROZEN_FOR", frozenFor)
	s.Function.SetFreezing(true)
	s.end() // third attempts need not wait

	revoked := s.rotate()
	s.AWS.Secrets.Put(revoked)
	s.Nylas.Deliver(t.Context(), nylas.New(nylas.MessageCreated, "grant"), nil)
	s.AWS.Secrets.Put(canary.New("secret"))
	s.AWS.Secrets.RemovePrevious()
	if err := os.WriteFile(frozenFor, []byte("2h"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Nylas.Deliver(t.Context(), nylas.New(nylas.MessageCreated, "grant"), nil) // signed by whoever has the revoked one

	account := s.ledger.Balance(ledger.Copies(s.AWS.SQS.Messages(), s.AWS.S3.Objects()))
	if account.Delivered != 1 || account.GivenUp != 1 || s.Function.Stats().Started != 1 {
		t.Errorf("delivered %d with the secret and the revoked one, want 1; refused %d, started %d environments",
			account.Delivered, account.GivenUp, s.Function.Stats().Started)
	}
}

// withFrozenClock changes the receiver's source: the clock of the secret's cache jumps,
// by what the file FROZEN_FOR says, as Lambda's does over a freeze.
func withFrozenClock(t *testing.T, root string) map[string][]byte {
	t.Helper()
	const dir = "lambda/internal/secretstore/"
	source, err := os.ReadFile(filepath.Join(root, dir, "store.go"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(source, []byte("time.Now")) {
		t.Fatal("store.go does not ask time.Now; say here by which clock the cache ages now")
	}
	return map[string][]byte{
		dir + "store.go": bytes.ReplaceAll(source, []byte("time.Now"), []byte("frozenNow")),
		dir + "frozen.go": []byte(`package secretstore

import (
	"os"
	"time"
	"unsafe"
)

// frozenNow moves the wall clock alone. A Time with both readings has the seconds of its
// wall clock from bit 30 on in its first word.
func frozenNow() time.Time {
	now := time.Now()
	if text, err := os.ReadFile(os.Getenv("FROZEN_FOR")); err == nil {
		d, err := time.ParseDuration(string(text))
		if err != nil {
			panic(err)
		}
		*(*uint64)(unsafe.Pointer(&now)) += uint64(d/time.Second) << 30
	}
	return now
}
`),
	}
}
