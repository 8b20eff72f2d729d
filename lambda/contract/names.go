package contract

import "slices"

// MetricNamespace is the CloudWatch namespace of the receiver's own metrics. The
// only dimension is [DimensionStage].
const (
	MetricNamespace = "NylasWebhooks"
	DimensionStage  = "Stage"
)

// Metric is the name of a metric in [MetricNamespace]. Each request adds 1 to
// exactly one of the outcome metrics; the unit is Count. CloudWatch bills per
// metric, hence few of them: type, grant and reason are fields of the log line.
type Metric string

// One metric per outcome of a request.
const (
	// Accepted: the signature is good and SQS has the notification. Answer 200.
	Accepted Metric = "Accepted"
	// Spilled: the signature is good, SQS did not take the notification in its time, and
	// S3 has it to be replayed. Answer 200.
	Spilled Metric = "Spilled"
	// Challenged: a GET whose challenge was echoed. Answer 200.
	Challenged Metric = "Challenged"
	// Refused: a request that cannot be from Nylas (no challenge, no or malformed
	// signature). Answer 400 or 401. Anyone on the internet can raise it.
	Refused Metric = "Refused"
	// TestEvent: signed with the public constant of Nylas's test button. Answer 401.
	TestEvent Metric = "TestEvent"
	// Mismatch: a well-formed signature that matches no valid secret. Answer 503.
	// Anyone on the internet can raise it.
	Mismatch Metric = "Mismatch"
	// CompressedDelivery: gzip was announced and unpacked on the way, so the bytes
	// that were signed are gone. Answer 503.
	CompressedDelivery Metric = "CompressedDelivery"
	// NoSecret: no secret is stored yet. Answer 503.
	NoSecret Metric = "NoSecret"
	// SecretUnavailable: Secrets Manager failed and nothing is cached. Answer 503.
	SecretUnavailable Metric = "SecretUnavailable"
	// SendFailed: a signed notification that neither SQS nor S3 accepted. Answer 503.
	SendFailed Metric = "SendFailed"
	// Faulted: our own fault (a panic, an event that could not be read). Answer 503.
	Faulted Metric = "Faulted"
)

// Verified tells whether the secret works. It is 1 for a POST whose signature
// matched a valid secret and 0 for one whose well-formed signature matched none;
// other requests do not add to it. Its Maximum over a minute is therefore 0 only
// when somebody signs with a secret that we do not have and nobody with ours.
const Verified Metric = "Verified"

// ArchiveFailed counts the signed notifications of which the archive has no copy, where
// the stage has an archive. It says nothing of the answer.
const ArchiveFailed Metric = "ArchiveFailed"

// Outcomes lists the metrics of which each request adds to exactly one.
var Outcomes = []Metric{
	Accepted, Spilled, Challenged, Refused, TestEvent, Mismatch, CompressedDelivery,
	NoSecret, SecretUnavailable, SendFailed, Faulted,
}

// Metrics lists every metric the receiver can emit.
var Metrics = append(slices.Clone(Outcomes), Verified, ArchiveFailed)

// Paging lists the metrics that page alarms may read: only a signed request or our own
// fault moves them. [Verified] is the one exception, see docs/adr/0006.
var Paging = []Metric{Accepted, Spilled, SecretUnavailable, SendFailed, Faulted}

// Reason says in one word why a request ended as it did. It is the value of the
// log field [FieldReason]; docs/architecture.md has the table.
type Reason string

// The reasons, by the outcome they belong to.
const (
	ReasonNone Reason = "" // Accepted and Challenged need none

	ReasonNoChallenge        Reason = "no_challenge"        // Refused, 400: GET without a challenge
	ReasonBadChallenge       Reason = "bad_challenge"       // Refused, 400: longer than 1,024 characters, or two different ones
	ReasonBadMethod          Reason = "bad_method"          // Refused, 400: neither GET nor POST
	ReasonNoSignature        Reason = "no_signature"        // Refused, 401
	ReasonMalformedSignature Reason = "malformed_signature" // Refused, 401: not 64 hex digits
	ReasonTestEvent          Reason = "test_event"          // TestEvent, 401
	ReasonMismatch           Reason = "mismatch"            // Mismatch, 503
	ReasonCompressedDelivery Reason = "compressed_delivery" // CompressedDelivery, 503
	ReasonNoSecret           Reason = "no_secret"           // NoSecret, 503
	ReasonSecretUnavailable  Reason = "secret_unavailable"  // SecretUnavailable, 503
	ReasonSpilled            Reason = "spilled"             // Spilled, 200
	ReasonTooLarge           Reason = "too_large"           // SendFailed, 503: fits into no SQS message, and S3 did not take its body
	ReasonSendFailed         Reason = "send_failed"         // SendFailed, 503
	ReasonBadEvent           Reason = "bad_event"           // Faulted, 503: the event is not API Gateway's
	ReasonPanic              Reason = "panic"               // Faulted, 503
)

// The keys of the receiver's log line, one line per request. Dashboards, queries
// and tools use these names.
const (
	FieldTimestamp      = "timestamp"
	FieldLevel          = "level"
	FieldMessage        = "msg"
	FieldVersion        = "version"         // the release that wrote the line
	FieldRequestID      = "request_id"      // API Gateway's extendedRequestId, as in the access log and in the SQS attribute
	FieldNotificationID = "notification_id" // only after the signature was verified, like the three below
	FieldType           = "type"
	FieldGrantID        = "grant_id"
	FieldAttempt        = "attempt"
	FieldBytes          = "bytes"    // size of the request body
	FieldEncoding       = "encoding" // how the body travels, where not as it is
	FieldOutcome        = "outcome"  // the metric's name
	FieldReason         = "reason"
	FieldStatus         = "status" // the HTTP status that was answered
	FieldMilliseconds   = "milliseconds"
	FieldError          = "error"
	FieldArchiveError   = "archive_error" // why the archive has no copy
)

// Where the receiver writes in the bucket; its policy allows nothing else. An object's
// name is the request's id, a dot, and 16 digits of the signature; under spill/ the hour
// stands before it and the suffix behind it.
const (
	SpillPrefix    = "spill/" // messages that SQS did not take in time, to be replayed
	SpillSuffix    = ".json.gz"
	OverflowPrefix = "overflow/" // bodies that are too large for a message
)
