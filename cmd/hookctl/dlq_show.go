package main

import (
	"context"
	"encoding/json"
	"fmt"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/deadletters"
	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/deployment"
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
	q, state, err := t.deadLetters(ctx)
	if err != nil {
		return err
	}
	told, looked := newProgress(s), 0
	var letter *deadletters.Letter
	err = q.Look(ctx, func(l deadletters.Letter) bool {
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
		s.stderrf("%s is not among the %d dead letters that SQS handed out. Somebody else may hold it for a moment (%d are held): try again, or list them: hookctl dlq ls --stage %s", id, looked, state.Hidden, t.stage)
		return errNotSo
	}
	record := newRecord(*letter, state)
	switch {
	case t.json:
		if !body {
			record.Body, record.BodyBase64 = nil, nil
		}
		return s.json(record)
	case body:
		s.stderrf("%s, %d bytes", record.Type, len(record.bytes))
		if record.Problem != "" {
			s.stderrf("Shown as it is on the queue: %s", record.Problem)
		}
		if _, err := s.out.Write(record.bytes); err != nil {
			return fmt.Errorf("print the body: %w", err)
		}
		return nil
	default:
		return record.print(s)
	}
}

// letterRecord is all that is known of a dead letter: what show prints, and a line of
// an export.
type letterRecord struct {
	listEntry
	GroupID    string    `json:"group_id"`
	Attempt    int       `json:"delivery_attempt"`
	ReceivedAt time.Time `json:"received_at"`
	RequestID  string    `json:"request_id"`
	Signature  string    `json:"signature"`
	// Body is what Nylas signed; in base64 where it is not UTF-8.
	Body       *string `json:"body,omitempty"`
	BodyBase64 []byte  `json:"body_base64,omitempty"`
	// Problem says why the message could not be decoded; Body is its text then.
	Problem string `json:"problem,omitempty"`
	// Attributes are those of the message that are not the contract's.
	Attributes map[string]string `json:"other_attributes,omitempty"`

	bytes []byte
}

func newRecord(l deadletters.Letter, state deadletters.State) letterRecord {
	r := letterRecord{listEntry: newEntry(l, state), GroupID: l.GroupID, Attributes: map[string]string{}}
	n, err := l.Notification()
	r.bytes = n.Body
	if pointer, is, pointerErr := notification.ParsePointer(l.Body, l.Attributes); is {
		err = pointerErr
		if err == nil {
			err = fmt.Errorf("the body is too large for SQS and is the S3 object %s in bucket %s", pointer.Key, pointer.Bucket)
		}
	}
	if err != nil {
		r.Problem, r.bytes = err.Error(), []byte(l.Body)
	}
	if utf8.Valid(r.bytes) {
		text := string(r.bytes)
		r.Body = &text
	} else {
		r.BodyBase64 = r.bytes
	}
	r.Attempt, r.ReceivedAt, r.RequestID = n.Attempt, n.ReceivedAt, n.RequestID
	r.Signature = l.Attributes[notification.AttrSignature]
	for name, value := range l.Attributes {
		switch name {
		case notification.AttrContractVersion, notification.AttrNotificationID, notification.AttrType, notification.AttrGrantID, notification.AttrAttempt,
			notification.AttrEncoding, notification.AttrReceivedAt, notification.AttrSignature, notification.AttrRequestID:
		default:
			r.Attributes[name] = value
		}
	}
	return r
}

// line is the record as a line of JSON.
func (r letterRecord) line() ([]byte, error) {
	text, err := json.Marshal(r)
	return append(text, '\n'), err
}

func (r letterRecord) print(s streams) error {
	table := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	for _, row := range [][2]string{
		{"message", r.MessageID},
		{"notification", dash(r.NotificationID)},
		{"type", dash(r.Type)},
		{"grant", dash(r.GrantID)},
		{"delivery attempt", fmt.Sprint(r.Attempt)},
		{"received at", r.ReceivedAt.Format(time.RFC3339)},
		{"request", dash(r.RequestID)},
		{"sent at", r.SentAt.Format(time.RFC3339)},
		{"expires at", r.ExpiresAt.Format(time.RFC3339)},
		{"received", fmt.Sprintf("%d times", r.Receives)},
		{"group", dash(r.GroupID)},
		{"signature", dash(r.Signature)},
		{"body", fmt.Sprintf("%d bytes, shown with --body", len(r.bytes))},
		{"problem", dash(r.Problem)},
	} {
		if row[0] != "problem" || r.Problem != "" {
			fmt.Fprintf(table, "%s\t%s\n", row[0], row[1])
		}
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("print the letter: %w", err)
	}
	return nil
}
