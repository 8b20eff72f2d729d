package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/deployment"
	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/suspects"
	"github.com/onepagecrm/nylas-webhooks/lambda/contract"
	"github.com/onepagecrm/nylas-webhooks/notification"
)

type verifyOptions struct {
	target
	signature   string
	secretStdin bool
}

func newVerify(s streams) *cobra.Command {
	var o verifyOptions
	cmd := &cobra.Command{
		Use:   "verify <file>",
		Short: "Check a saved body and its signature, and say why it fails",
		Long: `verify checks whether a signature (the X-Nylas-Signature header, or the queue's
attribute signature) belongs to a saved request body, under the secret that the stage
has stored, or under one from standard input.

When it does not, verify says why, as far as it can be seen: a signature that was cut
or doubled, Nylas's test button, a body that was changed on its way (a newline at its
end, other line ends, quotes around it, JSON that was parsed and written again by
json.dumps, json_encode and others, the queue's gzip+base64).

The exit code is 0 when the signature is good, else 1.`,
		Example: `  hookctl verify body.json --signature 6f0c... --stage prod
  hookctl verify - --signature "$signature" --stage prod < body.json
  pass nylas/webhook | hookctl verify body.json --signature 6f0c... --secret-stdin`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return runVerify(cmd.Context(), s, o, args[0]) },
	}
	o.flags(cmd)
	stageGiven := cmd.PreRunE
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		if o.secretStdin && o.stage == "" {
			return nil
		}
		return stageGiven(cmd, args)
	}
	cmd.Flags().StringVar(&o.signature, "signature", "", "the signature that came with the body (required)")
	cmd.Flags().BoolVar(&o.secretStdin, "secret-stdin", false, "read the secret from standard input instead of the stage's")
	return cmd
}

// verdictResult is what --json prints.
type verdictResult struct {
	Verified bool `json:"verified"`
	// With is the secret that it verifies under: current, previous or given.
	With   string `json:"with,omitempty"`
	Bytes  int    `json:"bytes"`
	Reason string `json:"reason,omitempty"`
	// Hint says what was done to the body, where that can be told.
	Hint string `json:"hint,omitempty"`
}

func runVerify(ctx context.Context, s streams, o verifyOptions, file string) error {
	switch {
	case o.signature == "":
		return usagef("--signature is missing. It is the value of the header %s, or of the message's attribute %s", notification.SignatureHeader, notification.AttrSignature)
	case o.secretStdin && o.stage != "":
		return usagef("give --stage or --secret-stdin, not both")
	case file == "-" && o.secretStdin:
		return usagef("standard input can be the body or the secret, not both")
	}
	body, err := readFile(s, file)
	if err != nil {
		return err
	}
	keys, err := o.keys(ctx, s)
	if err != nil {
		return err
	}
	r := judge(body, o.signature, keys)
	if o.json {
		if err := s.json(r); err != nil {
			return fmt.Errorf("print the result: %w", err)
		}
	} else {
		r.print(s)
	}
	if !r.Verified {
		return errNotSo
	}
	return nil
}

// readFile returns the file's bytes, standard input's for "-".
func readFile(s streams, file string) ([]byte, error) {
	if file == "-" {
		body, err := io.ReadAll(s.in)
		if err != nil {
			return nil, fmt.Errorf("read standard input: %w", err)
		}
		return body, nil
	}
	body, err := os.ReadFile(file)
	if err != nil {
		return nil, usagef("%w", err)
	}
	return body, nil
}

// key is a secret and its name.
type key struct {
	name, value string
	expired     bool // previous, and the receiver does not take it any more
}

func (o verifyOptions) keys(ctx context.Context, s streams) ([]key, error) {
	if o.secretStdin {
		value, err := askSecret(ctx, s, "the webhook secret")
		if err != nil {
			return nil, err
		}
		if err := notification.CheckSecret(value); err != nil {
			return nil, usagef("what was given is %w", err)
		}
		return []key{{name: "given", value: value}}, nil
	}
	f, err := o.find(ctx)
	if err != nil {
		return nil, err
	}
	stored, err := f.secrets().Read(ctx)
	if err != nil {
		return nil, deployment.Explain(err)
	}
	if stored.Current.Value == "" {
		return nil, fmt.Errorf("stage %s has no webhook secret stored. Store the one that Nylas gave (hookctl secret set --stage %s), or give one: --secret-stdin", o.stage, o.stage)
	}
	if err := notification.CheckSecret(stored.Current.Value); err != nil {
		s.stderrf("The current stored value is %v. To replace it: hookctl secret set --correct --stage %s", err, o.stage)
	}
	return []key{
		{name: "current", value: stored.Current.Value},
		{name: "previous", value: stored.Previous.Value, expired: time.Since(stored.Current.Created) > contract.PreviousSecretLifetime},
	}, nil
}

// judge says whether signature is body's, and if not, why.
func judge(body []byte, signature string, keys []key) verdictResult {
	r := verdictResult{Bytes: len(body)}
	parsed, err := notification.ParseSignature(signature)
	if err != nil {
		r.Reason = "the signature is not 64 hex digits, so it is not from Nylas"
		r.Hint = suspects.Signature(signature)
		return r
	}
	var values []string
	for _, k := range keys {
		values = append(values, k.value)
		if parsed.Verify(body, k.value) != nil {
			continue
		}
		r.With, r.Verified = k.name, !k.expired
		if k.expired {
			r.Reason = "it is signed with the previous secret. The receiver accepts that for 60 minutes after a rotation, and they are over"
		}
		return r
	}
	if notification.IsTestEvent(body, parsed) {
		r.Reason = "it is signed with the public constant of Nylas's test button, which anybody can use; the receiver answers 401"
		return r
	}
	r.Reason = "the signature matches none of the secrets: it was made with another secret, or of another body"
	r.Hint = suspects.Body(body, func(candidate []byte) bool { return parsed.Verify(candidate, values...) == nil })
	if r.Hint == "" && errors.Is(parsed.Verify(body, values...), notification.ErrNoSecret) {
		r.Reason = "there is no secret to verify with"
	}
	return r
}

func (r verdictResult) print(s streams) {
	if r.Verified {
		fmt.Fprintf(s.out, "verified: it is the signature of these %d bytes, under the %s secret\n", r.Bytes, r.With)
		return
	}
	fmt.Fprintf(s.out, "not verified (%d bytes): %s\n", r.Bytes, r.Reason)
	if r.Hint != "" {
		fmt.Fprintln(s.out, r.Hint)
	}
}
