package registration

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/nylasapi"
	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/secret"
)

// Stage is a deployed stage and the Nylas application that sends to it.
type Stage struct {
	Name    string
	URL     string // where Nylas is to send to
	Secrets secret.Store
	Nylas   *nylasapi.Client
	// Tell is given sentences about what takes time or is good to know.
	Tell func(sentence string)
}

// ErrNone: no webhook is registered for the stage's URL.
var ErrNone = errors.New("no webhook is registered")

// Webhook returns the webhook with that id, or, without an id, the one that is
// registered for the stage's URL; [ErrNone] where there is none.
func (s Stage) Webhook(ctx context.Context, id string) (nylasapi.Webhook, error) {
	if id != "" {
		return s.Nylas.Find(ctx, id)
	}
	all, err := s.Nylas.List(ctx)
	if err != nil {
		return nylasapi.Webhook{}, err
	}
	var ours []nylasapi.Webhook
	var ids []string
	for _, hook := range all {
		if SameURL(hook.URL, s.URL) {
			ours = append(ours, hook)
			ids = append(ids, hook.ID)
		}
	}
	switch {
	case len(ours) == 0:
		return nylasapi.Webhook{}, fmt.Errorf("%w for %s in the Nylas application of this key (%d for other URLs). Register it: hookctl webhook create --stage %s; or name another by --id, see hookctl webhook list", ErrNone, s.URL, len(all), s.Name)
	case len(ours) > 1:
		return nylasapi.Webhook{}, fmt.Errorf("several webhooks are registered for %s, and each signs with a secret of its own, so that only one of them can be verified: %s. Keep one: hookctl webhook delete --stage %s --id <id>", s.URL, strings.Join(ids, ", "), s.Name)
	case ours[0].CreatedAt == 0: // a list may leave the times out
		return s.Nylas.Find(ctx, ours[0].ID)
	}
	return ours[0], nil
}

// SameURL tells whether two URLs are the same address. Nylas may give back what it was
// given with or without a slash at the end.
func SameURL(a, b string) bool {
	return plain(a) == plain(b)
}

func plain(address string) string {
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil {
		return address
	}
	u.Scheme, u.Host = strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	if u.Scheme == "https" {
		u.Host = strings.TrimSuffix(u.Host, ":443")
	}
	return strings.TrimSuffix(u.String(), "/")
}

// reachable says why Nylas cannot send to the stage's URL, where that is plain.
func (s Stage) reachable() error {
	real := false
	for _, base := range nylasapi.Regions {
		real = real || s.Nylas.Base() == base
	}
	u, err := url.Parse(s.URL)
	if !real || err != nil {
		return err
	}
	ip := net.ParseIP(u.Hostname())
	if u.Scheme != "https" || u.Hostname() == "localhost" || ip != nil && (ip.IsLoopback() || ip.IsPrivate()) {
		return fmt.Errorf("%s cannot reach %s: it sends to https addresses on the internet only. Register a stage that is deployed on AWS", s.Nylas.Base(), s.URL)
	}
	return nil
}

// storeTime bounds the storing of a secret that Nylas has shown; it is not cut short
// by Ctrl-C, because the secret is shown once.
const storeTime = 30 * time.Second

// store makes value the stage's current secret. again is the command that repairs it
// when that fails.
func (s Stage) store(ctx context.Context, value, again string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTime)
	defer cancel()
	if _, err := s.Secrets.Set(ctx, value); err != nil {
		return fmt.Errorf("Nylas signs with a new secret, which is not stored. Until one is, its deliveries are answered 503, and it repeats them for 10 to 20 minutes. Run this now, it gets another secret: %s. %w", again, err)
	}
	return nil
}

// open tells whether err leaves open whether Nylas did what it was asked: it gave no
// answer, or failed on the way.
func open(err error) bool {
	var refused *nylasapi.Error
	return !errors.As(err, &refused) || refused.Status >= 500
}
