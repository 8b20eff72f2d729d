package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/archived"
	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/deployment"
	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/objects"
	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/sender"
	"github.com/onepagecrm/nylas-webhooks/internal/awserror"
	"github.com/onepagecrm/nylas-webhooks/notification"
)

type forwardOptions struct {
	target
	copies
	consent
	to          string
	since       sinceFlag
	noFollow    bool
	allowRemote bool
}

func newForward(s streams) *cobra.Command {
	var o forwardOptions
	cmd := &cobra.Command{
		Use:   "forward",
		Short: "Bring copies of what arrives to a program on your machine",
		Long: `forward reads the stage's archive as it grows and POSTs each notification to your
program as Nylas does: the bytes that were signed, X-Nylas-Signature and Content-Type.
So your program verifies it with the stage's webhook secret. It takes nothing from the
queue, and the CRM does not notice.

It needs a stage that keeps an archive (the stage's ArchiveDays). A notification
comes a second or two after it arrived. Each is sent once, one after the other, whatever
the program answers; hookctl prints the answer's status, or why there was none.

This is people's mail. forward sends it to this machine only, unless --allow-remote is
given, and then over https only. At a protected stage it asks first.

It runs until Ctrl-C.`,
		Example: `  hookctl forward --stage dev --to http://localhost:3000/nylas
  hookctl forward --stage staging --grant 3f1e… --since 10m --to http://localhost:3000/nylas`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runForward(cmd.Context(), s, o) },
	}
	o.target.flags(cmd)
	o.copies.flags(cmd)
	o.consent.flag(cmd)
	cmd.Flags().StringVar(&o.to, "to", "", "your program's address, as in http://localhost:3000/nylas")
	cmd.Flags().Var(&o.since, "since", "begin with what arrived since then (default: now)")
	cmd.Flags().BoolVar(&o.noFollow, "no-follow", false, "send what there is and end; 1 where one was not answered 2xx")
	cmd.Flags().BoolVar(&o.allowRemote, "allow-remote", false, "let --to be another machine, by https")
	return cmd
}

// checkTo tells what is wrong with the address.
func (o *forwardOptions) checkTo() error {
	to, err := url.Parse(o.to)
	switch {
	case o.to == "":
		return usagef("--to is missing. Give your program's address, as in --to http://localhost:3000/nylas")
	case err != nil || to.Host == "" || to.Scheme != "http" && to.Scheme != "https":
		return usagef("--to is no address of a web server; it looks like http://localhost:3000/nylas")
	case onThisMachine(to.Hostname()):
		return nil
	case !o.allowRemote:
		return usagef("--to is another machine than this one, and people's mail would go there. If that is meant, give --allow-remote")
	case to.Scheme != "https":
		return usagef("--to is another machine, and http would show people's mail on the way. Give an https address")
	}
	return nil
}

func onThisMachine(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func runForward(ctx context.Context, s streams, o forwardOptions) error {
	if err := o.checkTo(); err != nil {
		return err
	}
	filter, err := o.filter()
	if err != nil {
		return err
	}
	filter.Since = o.since.Time
	if filter.Since.IsZero() {
		if o.noFollow {
			return usagef("--no-follow without --since sends nothing; give both")
		}
		filter.Since = time.Now()
	}
	f, err := o.find(ctx)
	if err != nil {
		return err
	}
	archive, err := f.archive()
	if err != nil {
		return err
	}
	if err := o.ask(ctx, s, f, fmt.Sprintf("This sends people's mail of stage %s out of its AWS account, to %s.", o.stage, o.to)); err != nil {
		return err
	}
	forwarder := forwarder{s: s, archive: archive, to: sender.New(o.to, 1), json: o.json}
	if !o.noFollow {
		s.stderrf("Forwarding to %s. Ctrl-C ends it.", o.to)
		return deployment.Explain(archive.Follow(ctx, filter, func(c archived.Copy) error { return forwarder.forward(ctx, c) }))
	}
	var failed error
	err = archive.List(ctx, filter, func(c archived.Copy) bool {
		failed = forwarder.forward(ctx, c)
		return failed == nil
	})
	if err = errors.Join(failed, err); err != nil {
		return deployment.Explain(err)
	}
	s.stderrf("%d sent, %d answered 2xx.", forwarder.sent, forwarder.taken)
	if forwarder.taken != forwarder.sent {
		return errNotSo
	}
	return nil
}

// forwarder sends copies to a program and prints what it answered.
type forwarder struct {
	s           streams
	archive     archived.Archive
	to          *sender.Sender
	json        bool
	sent, taken int
}

// forward sends one copy. An error is what fails for all of them: of one it is printed.
func (f *forwarder) forward(ctx context.Context, c archived.Copy) error {
	n, err := f.archive.Read(ctx, c)
	one := errors.Is(err, objects.ErrGone) || errors.Is(err, notification.ErrCorrupt) || errors.Is(err, notification.ErrVersion)
	if err != nil && !one {
		return err
	}
	var answer sender.Answer
	if err == nil {
		answer, err = f.to.Post(ctx, n.Body, n.Signature.String())
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	f.sent++
	if answer.Status >= 200 && answer.Status < 300 {
		f.taken++
	}
	return f.print(c, answer, err)
}

func (f *forwarder) print(c archived.Copy, answer sender.Answer, failed error) error {
	why := ""
	if failed != nil {
		why = awserror.Text(failed)
	}
	if f.json {
		return f.s.jsonLine(map[string]any{
			"received_at": c.ReceivedAt, "type": c.Type, "grant_id": c.GrantID, "notification_id": c.ID,
			"status": answer.Status, "milliseconds": answer.Took.Milliseconds(), "error": why,
		})
	}
	outcome := fmt.Sprintf("%d  %d ms", answer.Status, answer.Took.Milliseconds())
	if failed != nil {
		outcome = printable(why)
	}
	_, err := fmt.Fprintf(f.s.out, "%s  %-24s  %s  %s\n", moment(c.ReceivedAt), dash(printable(c.Type)), dash(printable(c.ID)), outcome)
	return err
}
