package receive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/onepagecrm/nylas-webhooks/lambda/internal/secretstore"
	"github.com/onepagecrm/nylas-webhooks/lambda/internal/sqsqueue"
	"github.com/onepagecrm/nylas-webhooks/notification"
)

const (
	// deadline of one request: the function is stopped after 8 s, API Gateway gives up
	// after 9, Nylas after 10. Within it: secret 1.5 s, SQS 3 s, S3 2 s (once more for a
	// body that overflows; then the last of them gets what is left).
	deadline = 7500 * time.Millisecond
	// archiveTime is how long the archive may take for a copy, of the time that SQS has
	// beside it: an S3 that hangs makes an answer that much late, not wrong.
	archiveTime = time.Second
	// maxChallenge, in characters: Nylas's are under 100, and what is echoed to
	// strangers should be short.
	maxChallenge = 1024
)

// Secrets gives the values that may verify a signature; *secretstore.Store.
type Secrets interface {
	Keys(context.Context) ([]string, error)
	Refresh(context.Context) ([]string, error)
}

// Queue keeps a message for the consumer; *sqsqueue.Queue. Send returns nil only
// when it is safe.
type Queue interface {
	Send(context.Context, notification.Wire) error
}

// Bucket keeps what the queue does not; *spill.Bucket. An error means that it is not
// safe.
type Bucket interface {
	Spill(ctx context.Context, w notification.Wire, receivedAt time.Time, requestID string) error
	// Overflow keeps the body of a message that is too large for the queue, and returns
	// the message that points to it.
	Overflow(ctx context.Context, w notification.Wire, requestID string) (notification.Wire, error)
}

// Archive keeps a copy of what is accepted; *spill.Bucket.
type Archive interface {
	Archive(ctx context.Context, w notification.Wire, receivedAt time.Time) error
}

// Handler answers the requests. Its Invoke is a lambda.Handler.
type Handler struct {
	secrets Secrets
	queue   Queue
	bucket  Bucket
	archive Archive // nil where the stage has none
	record  recorder
	now     func() time.Time
}

// New returns a Handler for the stage of that name. It writes one line of JSON per
// request to log.
func New(secrets Secrets, queue Queue, bucket Bucket, stage string, log io.Writer, now func() time.Time) *Handler {
	return &Handler{secrets: secrets, queue: queue, bucket: bucket, record: newRecorder(log, stage), now: now}
}

// ArchiveIn lets the handler keep a copy of every notification there.
func (h *Handler) ArchiveIn(a Archive) { h.archive = a }

// Invoke answers one event of API Gateway. It never returns an error and never
// panics: API Gateway would answer 503 for us, but Lambda would start a new
// environment, and the log would not say what happened.
func (h *Handler) Invoke(ctx context.Context, payload []byte) (answer []byte, _ error) {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	r := request{start: h.now()}
	defer func() {
		if p := recover(); p != nil {
			r.end(panicked, panicError(p))
			answer = h.finish(&r)
		}
	}()
	h.handle(ctx, payload, &r)
	return h.finish(&r), nil
}

// request is what is known of one request; at its end it is the log line.
type request struct {
	start      time.Time
	id         string // API Gateway's
	bytes      int
	envelope   envelope // only after the signature was verified
	encoding   string
	challenge  string
	outcome    outcome
	err        error // says more than the outcome's reason, where there is more to say
	archiveErr error // why the archive has no copy; it changes nothing else
	checked    bool  // a well-formed signature was compared with at least one secret
	isVerified bool
}

func (r *request) end(o outcome, err error) { r.outcome, r.err = o, err }

func (h *Handler) handle(ctx context.Context, payload []byte, r *request) {
	e, err := decodeEvent(payload)
	if err != nil {
		r.end(badEvent, err)
		return
	}
	r.id, r.bytes = e.RequestContext.RequestID, len(e.body)
	switch e.HTTPMethod {
	case "GET":
		handleChallenge(e, r)
	case "POST":
		h.handleNotification(ctx, e, r)
	default:
		r.end(badMethod, nil)
	}
}

// handleChallenge answers Nylas's check of a new webhook. It needs no secret and no
// queue: when Nylas calls, the secret does not exist yet.
func handleChallenge(e *event, r *request) {
	challenges := e.query("challenge")
	switch {
	case len(challenges) == 0 || challenges[0] == "":
		r.end(noChallenge, nil)
	case len(challenges) > 1 || utf8.RuneCountInString(challenges[0]) > maxChallenge:
		r.end(badChallenge, nil)
	default:
		r.challenge = challenges[0]
		r.end(challenged, nil)
	}
}

// handleNotification verifies a notification and puts it where it is safe.
func (h *Handler) handleNotification(ctx context.Context, e *event, r *request) {
	signatures, refusal := parseSignatures(e)
	if len(signatures) == 0 {
		r.end(refusal, nil)
		return
	}
	v := h.verify(ctx, e, signatures)
	r.checked = v.outcome == accepted || v.outcome == mismatch || v.outcome == compressedDelivery
	if v.outcome != accepted {
		r.end(v.outcome, v.note)
		return
	}
	r.isVerified = true
	r.envelope = readEnvelope(e.body)
	k := h.keep(ctx, r, notification.Notification{
		Body:       e.body,
		ID:         r.envelope.id,
		Type:       r.envelope.typ,
		GrantID:    r.envelope.grantID,
		Attempt:    r.envelope.attempt,
		ReceivedAt: r.start,
		Signature:  v.signature,
		RequestID:  r.id,
	})
	r.end(k.outcome, errors.Join(k.note, v.note))
}

// kept is how keeping a notification ended. The note is for the log, beside a success
// too.
type kept struct {
	outcome outcome
	note    error
}

// keep puts a notification onto the queue, or into the bucket when SQS does not take it.
func (h *Handler) keep(ctx context.Context, r *request, n notification.Notification) kept {
	wire, err := n.Encode()
	if err == nil && !wire.Fits() {
		r.encoding = wire.Attributes[notification.AttrEncoding].Value
		wire, err = h.bucket.Overflow(ctx, wire, r.id)
	}
	if err != nil {
		return kept{tooLarge, err}
	}
	copied := h.beginCopy(ctx, wire, n.ReceivedAt)
	defer func() { r.archiveErr = copied() }()
	err = h.queue.Send(ctx, wire)
	if errors.Is(err, sqsqueue.ErrRefused) {
		// It knows of something in the text, or in its size, that Encode does not; base64
		// has none of it. What is spilled then is the compressed message, too, so that a
		// replay is not refused for the same.
		if compressed, compressErr := wire.Compress(); compressErr == nil {
			wire = compressed
			err = h.queue.Send(ctx, wire)
		}
	}
	r.encoding = wire.Attributes[notification.AttrEncoding].Value
	if err == nil {
		return kept{outcome: accepted}
	}
	if spillErr := h.bucket.Spill(ctx, wire, n.ReceivedAt, r.id); spillErr != nil {
		return kept{sendFailed, errors.Join(err, spillErr)}
	}
	return kept{spilled, err}
}

// beginCopy archives a message beside what else is done with it, where the stage has an
// archive. What it returns waits for the end of that: Lambda freezes what goes on after
// the answer.
func (h *Handler) beginCopy(ctx context.Context, w notification.Wire, receivedAt time.Time) (wait func() error) {
	archive := h.archive
	if archive == nil {
		return func() error { return nil }
	}
	ctx, cancel := context.WithTimeout(ctx, archiveTime)
	done := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				done <- panicError(p)
			}
		}()
		done <- archive.Archive(ctx, w, receivedAt)
	}()
	return func() error {
		defer cancel()
		select {
		case err := <-done:
			return err
		case <-ctx.Done(): // whatever the archive makes of it
			return fmt.Errorf("archive: %w", ctx.Err())
		}
	}
}

// parseSignatures returns the well-formed signatures of a request, or why there is
// none. More than one can only be a mistake on the way; any that verifies will do.
func parseSignatures(e *event) ([]notification.Signature, outcome) {
	values := e.header(notification.SignatureHeader)
	if len(values) == 0 {
		return nil, noSignature
	}
	var signatures []notification.Signature
	for _, value := range values {
		if s, err := notification.ParseSignature(value); err == nil {
			signatures = append(signatures, s)
		}
	}
	return signatures, malformedSignature
}

// verified is what the signatures of a request say of it. The outcome is accepted where
// one is good, and then signature is that one; else it is how the request ends. The note
// is for the log, beside accepted too.
type verified struct {
	signature notification.Signature
	outcome   outcome
	note      error
}

func (h *Handler) verify(ctx context.Context, e *event, signatures []notification.Signature) verified {
	keys, err := h.secrets.Keys(ctx)
	if s, matchErr := notification.Match(e.body, signatures, keys...); matchErr == nil {
		return verified{s, accepted, err} // err: they are old, or of an odd form
	}
	if notification.IsTestEvent(e.body, signatures...) {
		return verified{outcome: testEvent}
	}
	if len(keys) > 0 { // else they were read just now, or must not be yet
		if keys, err = h.secrets.Refresh(ctx); err != nil {
			err = fmt.Errorf("look for a rotated secret: %w", err)
		}
		if s, matchErr := notification.Match(e.body, signatures, keys...); matchErr == nil {
			return verified{s, accepted, err}
		}
	}
	switch {
	case len(keys) > 0 && unpacked(e):
		return verified{outcome: compressedDelivery, note: errUnpacked}
	case len(keys) > 0:
		return verified{outcome: mismatch, note: err}
	case errors.Is(err, secretstore.ErrNotStored):
		return verified{outcome: noSecret, note: err}
	default:
		return verified{outcome: secretUnavailable, note: err}
	}
}

var errUnpacked = errors.New("the body was announced as gzip and is not: API Gateway unpacked it, so what Nylas signed is gone; set compressed_delivery to false on the webhook")

// unpacked tells whether a gzip body was unpacked on the way, as a REST API does.
// https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-make-request-with-compressed-payload.html
func unpacked(e *event) bool {
	for _, encoding := range e.header("Content-Encoding") {
		if strings.EqualFold(encoding, "gzip") {
			return !(len(e.body) >= 2 && e.body[0] == 0x1f && e.body[1] == 0x8b) // gzip's magic, RFC 1952
		}
	}
	return false
}

// finish writes the log line and returns the answer.
func (h *Handler) finish(r *request) []byte {
	h.record.write(r, h.now())
	answer := response{StatusCode: r.outcome.status}
	if r.outcome == challenged {
		answer.Body = r.challenge
		answer.Headers = map[string]string{
			"Content-Type":           "text/plain; charset=utf-8",
			"X-Content-Type-Options": "nosniff", // it is a stranger's text: nobody may take it for HTML
			"Cache-Control":          "no-store",
		}
	}
	return answer.encode()
}

// panicError tells where the code panicked. The value is shown only if it is the Go
// runtime's: any other could hold what was being worked on.
func panicError(p any) error {
	what := fmt.Sprintf("%T", p)
	if e, ok := p.(interface{ RuntimeError() }); ok {
		what = fmt.Sprint(e)
	}
	return fmt.Errorf("panic: %s\n%s", what, debug.Stack())
}
