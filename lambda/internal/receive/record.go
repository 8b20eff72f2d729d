package receive

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/onepagecrm/nylas-webhooks/internal/awserror"
	"github.com/onepagecrm/nylas-webhooks/internal/release"
	"github.com/onepagecrm/nylas-webhooks/lambda/contract"
	"github.com/onepagecrm/nylas-webhooks/notification"
)

// recorder writes the one line per request that is log and metrics at once, in
// CloudWatch's embedded metric format: the member _aws says which of the line's
// other members are metrics.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
type recorder struct {
	log   *slog.Logger
	stage string
}

func newRecorder(w io.Writer, stage string) recorder {
	return recorder{stage: stage, log: slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey && len(groups) == 0 {
				// The name and form that Lambda's own JSON lines have.
				return slog.String(contract.FieldTimestamp, a.Value.Time().UTC().Format("2006-01-02T15:04:05.000Z"))
			}
			return a
		},
	})).With(slog.String(contract.FieldVersion, release.Version))}
}

// maxLogged bounds an identifier in the log, in bytes; Nylas's are under 100.
const maxLogged = 256

func (l recorder) write(r *request, now time.Time) {
	metrics := []metric{{r.outcome.metric, 1}}
	if r.checked {
		verified := metric{contract.Verified, 0}
		if r.isVerified {
			verified.value = 1
		}
		metrics = append(metrics, verified)
	}
	if r.archiveErr != nil {
		metrics = append(metrics, metric{contract.ArchiveFailed, 1})
	}
	attributes := []slog.Attr{
		slog.String(contract.FieldOutcome, string(r.outcome.metric)),
		slog.String(contract.FieldReason, string(r.outcome.reason)),
		slog.Int(contract.FieldStatus, r.outcome.status),
		slog.String(contract.FieldRequestID, r.id),
		slog.String(contract.FieldNotificationID, shortened(r.envelope.id)),
		slog.String(contract.FieldType, shortened(r.envelope.typ)),
		slog.String(contract.FieldGrantID, shortened(r.envelope.grantID)),
		slog.Int(contract.FieldAttempt, r.envelope.attempt),
		slog.Int(contract.FieldBytes, r.bytes),
		slog.String(contract.FieldEncoding, r.encoding),
		slog.Int64(contract.FieldMilliseconds, now.Sub(r.start).Milliseconds()),
	}
	if r.err != nil {
		attributes = append(attributes, slog.String(contract.FieldError, awserror.Text(r.err)))
	}
	if r.archiveErr != nil {
		attributes = append(attributes, slog.String(contract.FieldArchiveError, awserror.Text(r.archiveErr)))
	}
	if !(r.outcome == accepted && r.envelope.typ == notification.SmokeTestType) { // it is no traffic
		attributes = append(attributes, slog.String(contract.DimensionStage, l.stage))
		for _, m := range metrics {
			attributes = append(attributes, slog.Int(string(m.name), m.value))
		}
		attributes = append(attributes, embedded(metrics, now))
	}
	l.log.LogAttrs(context.Background(), r.level(), "request", attributes...)
}

type metric struct {
	name  contract.Metric
	value int
}

// embedded is the member _aws: where the metrics go, and which they are.
func embedded(metrics []metric, now time.Time) slog.Attr {
	type definition struct {
		Name contract.Metric
		Unit string
	}
	type directive struct {
		Namespace  string
		Dimensions [][]string
		Metrics    []definition
	}
	d := directive{Namespace: contract.MetricNamespace, Dimensions: [][]string{{contract.DimensionStage}}}
	for _, m := range metrics {
		d.Metrics = append(d.Metrics, definition{m.name, "Count"})
	}
	return slog.Group("_aws",
		slog.Int64("Timestamp", now.UnixMilli()),
		slog.Any("CloudWatchMetrics", []directive{d}))
}

// level: ERROR where the request may have been genuine and could not be kept,
// WARN where it was refused or where something needs a look, as after a spill, or where the
// archive has no copy.
func (r *request) level() slog.Level {
	switch {
	case r.outcome.status >= 500:
		return slog.LevelError
	case r.outcome.status >= 400 || r.err != nil || r.archiveErr != nil:
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

func shortened(id string) string {
	if len(id) > maxLogged {
		return strings.ToValidUTF8(id[:maxLogged], "") + "…"
	}
	return id
}
