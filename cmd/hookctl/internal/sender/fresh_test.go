package sender

import (
	"bytes"
	"strings"
	"testing"

	"github.com/onepagecrm/nylas-webhooks/notification/samples"
)

func TestFreshChangesTheIDAlone(t *testing.T) {
	for _, sample := range samples.All() {
		old := ReadEnvelope(sample.Body)
		body, id, err := Fresh(sample.Body, "")
		if err != nil {
			t.Errorf("%s: %v", sample.Name, err)
			continue
		}
		now := ReadEnvelope(body)
		if now.ID != id || id == old.ID || now.Type != old.Type || now.GrantID != old.GrantID || old.GrantID == "" {
			t.Errorf("%s: was %+v, is %+v", sample.Name, old, now)
		}
		if back := bytes.Replace(body, []byte(id), []byte(old.ID), 1); !bytes.Equal(back, sample.Body) {
			t.Errorf("%s: more than the id has changed", sample.Name)
		}
	}
}

func TestFreshGrant(t *testing.T) {
	sample, err := samples.Get("message_created")
	if err != nil {
		t.Fatal(err)
	}
	body, _, err := Fresh(sample.Body, "grant-7")
	if err != nil {
		t.Fatal(err)
	}
	if got := ReadEnvelope(body).GrantID; got != "grant-7" {
		t.Errorf("grant %q, want grant-7", got)
	}
	if strings.Contains(string(body), ReadEnvelope(sample.Body).GrantID) {
		t.Error("the old grant is still in the body")
	}
}

func TestFreshRefusesWhatItCannotDo(t *testing.T) {
	for _, body := range []string{``, `[]`, `{"id":"short"}`, `{"id":"0123456789abc","x":"0123456789abc"}`, `{"id":"0123456789ab\u0063"}`} {
		if fresh, _, err := Fresh([]byte(body), ""); err == nil {
			t.Errorf("%s became %s", body, fresh)
		}
	}
}
