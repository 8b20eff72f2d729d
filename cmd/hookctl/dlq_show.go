package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/deadletters"
	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/deployment"
	"github.com/onepagecrm/nylas-webhooks/internal/awserror"
	"github.com/onepagecrm/nylas-webhooks/notification"
)

func newDLQShow(s streams) *cobra.Command {
	var t target
	var body bool
	cmd := &cobra.Command{
		Use:   "show <id>",
		Short: "Show one dead letter's metadata, and its body when asked",
		Long: `show finds a dead letter by its notification id or its SQS message id and shows what
is known of it. Its body is people's mail, so it is shown with --body only: then
standard output is the body alone, byte for byte what Nylas signed.

` + lookingSays,
		Example: `  hookctl dlq show Rc8uI4oFs7TnB1PU5JJ2RQY3T4 --stage prod
  hookctl dlq show Rc8uI4oFs7TnB1PU5JJ2RQY3T4 --stage prod --body > body.json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return runDLQShow(cmd.Context(), s, t, args[0], body) },
	}
	t.flags(cmd)
	cmd.Flags().BoolVar(&body, "body", false, "print the body: it is people's mail")
	return cmd
}

func runDLQShow(ctx context.Context, s streams, t target, id string, body bool) error {
	f, err := t.find(ctx)
	if err != nil {
		return err
	}
	q, state, err := f.deadLetters(ctx)
	if err != nil {
		return err
	}
	told, looked := newProgress(s), 0
	var letter *deadletters.Letter
	_, err = q.Look(ctx, state, func(l deadletters.Letter) bool {
		looked++
		told.tellf("looked at %d of about %d", looked, state.Visible)
		if l.MessageID == id || l.ID() == id {
			letter = &l
		}
		return letter == nil
	})
	if err != nil {
		return deployment.Explain(err)
	}
	if letter == nil {
		s.stderrf("%s is none of the %d dead letters that SQS showed. About %d are in flight (received by somebody else), and it may be one of them. Try again, or list them: hookctl dlq ls --stage %s", id, looked, state.Held, t.stage)
		return errNotSo
	}
	record := newRecord(*letter, state)
	if body || record.Object == "" { // what is in S3 is fetched only when it is to be shown
		if err := record.read(ctx, f.bucket(), *letter); err != nil {
			return err
		}
	}
	if !body {
		record.Body, record.BodyBase64 = nil, nil
		if t.json {
			return s.json(record)
		}
		return record.print(s)
	}
	if record.missing {
		s.stderrf("%s", record.Problem)
	}
	switch {
	case t.json:
		err = s.json(record)
	case !record.missing:
		s.stderrf("%s, %d bytes", printable(record.Type), len(record.bytes))
		if record.Problem != "" {
			s.stderrf("Shown as it is on the queue: %s", record.Problem)
		}
		_, err = s.out.Write(record.bytes)
	}
	if err != nil {
		return fmt.Errorf("print the body: %w", err)
	}
	if record.missing {
		return errNotSo
	}
	return nil
}

// letterRecord is all that is known of a dead letter: what show prints, and a line of
// an export. With what is in it the message can be made again.
type letterRecord struct {
	listEntry
	GroupID    string    `json:"group_id"`
	Attempt    int       `json:"delivery_attempt"`
	ReceivedAt time.Time `json:"received_at,omitzero"`
	RequestID  string    `json:"request_id"`
	Signature  string    `json:"signature"`
	// Body is what Nylas signed; in base64 where it is not UTF-8.
	Body       *string `json:"body,omitempty"`
	BodyBase64 []byte  `json:"body_base64,omitempty"`
	// Object is where the body is in S3, where it was too large for a message.
	Object string `json:"body_object,omitempty"`
	// Problem says why there is no body, or why the message could not be decoded; then
	// Body is its text.
	Problem string `json:"problem,omitempty"`
	// Attributes are all of the message's.
	Attributes map[string]deadletters.Attribute `json:"attributes"`

	bytes   []byte
	missing bool // the body could not be had
}

// newRecord is the record without the body.
func newRecord(l deadletters.Letter, state deadletters.State) letterRecord {
	r := letterRecord{
		listEntry: newEntry(l, state), GroupID: l.GroupID, Attempt: l.Attempt(), ReceivedAt: l.ReceivedAt(), RequestID: l.RequestID(),
		Signature: l.Attributes[notification.AttrSignature], Attributes: l.All(),
	}
	if p, inS3, err := notification.ParsePointer(l.Body, l.Attributes); inS3 && err == nil {
		r.Object = "s3://" + p.Bucket + "/" + p.Key
	}
	return r
}

// read adds the body, from S3 where it is there. The error is that of ctx.
func (r *letterRecord) read(ctx context.Context, bucket deadletters.Bucket, l deadletters.Letter) error {
	body, _, err := bucket.Body(ctx, l)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		r.Problem, body = awserror.Text(err), []byte(l.Body)
	}
	if r.missing = errors.Is(err, deadletters.ErrNoBody); r.missing {
		return nil
	}
	r.bytes = body
	if utf8.Valid(r.bytes) {
		text := string(r.bytes)
		r.Body = &text
	} else {
		r.BodyBase64 = r.bytes
	}
	return nil
}

// line is the record as a line of JSON.
func (r letterRecord) line() ([]byte, error) {
	text, err := json.Marshal(r)
	return append(text, '\n'), err
}

func (r letterRecord) print(s streams) error {
	received, body := "", fmt.Sprintf("%d bytes, shown with --body", len(r.bytes))
	if !r.ReceivedAt.IsZero() {
		received = r.ReceivedAt.Format(time.RFC3339)
	}
	if r.Object != "" {
		body = "in S3, fetched and shown with --body: " + r.Object
	}
	table := newTable(s.out)
	table.row("message", r.MessageID)
	table.row("notification", r.NotificationID)
	table.row("type", r.Type)
	table.row("grant", r.GrantID)
	table.row("delivery attempt", strconv.Itoa(r.Attempt))
	table.row("received at", received)
	table.row("request", r.RequestID)
	table.row("sent at", r.SentAt.Format(time.RFC3339))
	table.row("expires at", r.ExpiresAt.Format(time.RFC3339))
	table.row("received", times(r.Receives))
	table.row("group", r.GroupID)
	table.row("signature", r.Signature)
	table.row("body", body)
	if r.Problem != "" {
		table.row("problem", r.Problem)
	}
	return table.end()
}
