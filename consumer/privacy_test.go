package consumer

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/aws/smithy-go"
)

// What AWS says may repeat the request; the log has the operation and the code.
func TestErrorOfAWSInTheLog(t *testing.T) {
	var log bytes.Buffer
	c := Config{Logger: slog.New(slog.NewJSONHandler(&log, nil))}
	c.emit(Event{Kind: QueueFailed, Err: fmt.Errorf("hide message: %w", &smithy.OperationError{ServiceID: "SQS", OperationName: "ChangeMessageVisibility",
		Err: &smithy.GenericAPIError{Code: "InternalError", Message: strings.Repeat("the mail's subject ", 10_000)}})})
	if !strings.Contains(log.String(), `"error":"hide message: SQS ChangeMessageVisibility: InternalError"`) || log.Len() > 1000 {
		t.Errorf("logged %.300s", log.String())
	}
}
