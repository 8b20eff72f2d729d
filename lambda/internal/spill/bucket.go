// Package spill is the second durable place: it keeps in Amazon S3 what SQS did not
// take in time (spill) and the bodies that are too large for an SQS message
// (overflow). Where the stage has an archive, it keeps a copy of every other
// notification, too. The receiver is its only user.
//
// It only writes. Replaying what was spilled is the operator's, reading an overflow
// the consumer's; what the objects hold is package notification's.
package spill

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/smithy-go"

	"github.com/onepagecrm/nylas-webhooks/internal/sdkhttp"
	"github.com/onepagecrm/nylas-webhooks/lambda/contract"
	"github.com/onepagecrm/nylas-webhooks/notification"
)

const (
	// budget and tries of one object, of the handler's 7.5 s: what is left of it when
	// the secret (1.5 s) and SQS (3 s) took all of theirs, and half a second to answer.
	budget     = 2 * time.Second
	tries      = 2
	tryTimeout = 950 * time.Millisecond
	maxBackoff = 50 * time.Millisecond
)

// Bucket is one S3 bucket. It is safe for concurrent use.
type Bucket struct {
	s3     *s3
	http   *http.Client
	name   string
	rested atomic.Int64 // until when the archive rests, in nanoseconds; see Archive
}

// New returns the Bucket of that name. Region, credentials and endpoint come from cfg.
func New(cfg aws.Config, name string) *Bucket {
	client := sdkhttp.Own(tryTimeout)
	return &Bucket{name: name, http: client, s3: &s3{
		cfg: cfg, bucket: name, client: sdkhttp.Within(client), signer: v4.NewSigner(), retryer: sdkhttp.Tries(tries, maxBackoff),
	}}
}

// Spill keeps a message that SQS did not take, by the hour in which it was received.
// It returns nil only when S3 has confirmed that it keeps the object.
func (b *Bucket) Spill(ctx context.Context, w notification.Wire, receivedAt time.Time, requestID string) error {
	object, err := w.Spill()
	if err != nil {
		return err
	}
	key := contract.SpillPrefix + receivedAt.UTC().Format("2006/01/02/15/") + objectID(w, requestID) + contract.SpillSuffix
	if err := b.put(ctx, key, "application/gzip", object); err != nil {
		return fmt.Errorf("spill to bucket: %w", err)
	}
	return nil
}

// Overflow keeps the body of a message that is too large for SQS, and returns the
// message that points to it.
func (b *Bucket) Overflow(ctx context.Context, w notification.Wire, requestID string) (notification.Wire, error) {
	key := contract.OverflowPrefix + objectID(w, requestID)
	if err := b.put(ctx, key, "text/plain; charset=utf-8", []byte(w.Body)); err != nil {
		return notification.Wire{}, fmt.Errorf("put overflow into bucket: %w", err)
	}
	return w.Overflow(notification.Pointer{Bucket: b.name, Key: key})
}

func (b *Bucket) put(ctx context.Context, key, contentType string, object []byte) error {
	ctx, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	answer, err := b.s3.put(ctx, key, contentType, object)
	if isThere(err) {
		return nil
	}
	if err != nil {
		b.http.CloseIdleConnections() // the next object must not meet a dead one
		return err
	}
	// A 200 may be some proxy's. S3 names the ETag of what it keeps.
	// https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
	if answer.Get("ETag") == "" {
		return errors.New("the answer has no ETag")
	}
	return nil
}

// isThere tells whether S3 has answered that there is an object of that name. The name
// has the request's id and a part of the body's signature, so it is the same body, written
// by the first try before its answer got lost. A 412 may be some proxy's; S3's has a code and
// a request id.
func isThere(err error) bool {
	var api smithy.APIError
	var answer interface{ ServiceRequestID() string }
	return errors.As(err, &api) && api.ErrorCode() == "PreconditionFailed" && errors.As(err, &answer) && answer.ServiceRequestID() != ""
}

// requestIDs are what API Gateway's ids are made of: base64.
var requestIDs = regexp.MustCompile(`^[A-Za-z0-9+/=_-]{8,64}$`)

// forKey makes the base64 of an id fit into a key, as its URL variant does.
var forKey = strings.NewReplacer("+", "-", "/", "_", "=", "")

// signatureDigits of the signature stand in a key. 64 bits tell two bodies apart; the
// other 192 stay unknown to whoever sees the key, so it helps nobody to forge.
const signatureDigits = 16

// objectID returns the name of a request's object: the request's id, so that object and
// log line find each other, and the beginning of the verified signature, so that another
// body never has the same name. A request without an id that can stand in a key gets a
// random one.
func objectID(w notification.Wire, requestID string) string {
	id := rand.Text()
	if requestIDs.MatchString(requestID) {
		id = forKey.Replace(requestID)
	}
	return id + "." + signaturePart(w)
}

// signaturePart is the beginning of the message's signature.
func signaturePart(w notification.Wire) string {
	signature := w.Attributes[notification.AttrSignature].Value
	return signature[:min(signatureDigits, len(signature))]
}
