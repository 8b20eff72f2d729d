package consumer

import (
	"errors"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
)

// stale tells whether SQS says that a receipt handle is no longer good: the message was
// received again since, or is deleted. It says so in three ways, in batch entries with
// the same codes.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html
func stale(code, text string) bool {
	switch code[strings.LastIndexByte(code, '.')+1:] { // AWS.SimpleQueueService.MessageNotInflight in the query protocol
	case "ReceiptHandleIsInvalid", "MessageNotInflight":
		return true
	case "InvalidParameterValue":
		// The same code says that a message cannot be hidden beyond 12 hours.
		return !strings.Contains(text, "VisibilityTimeout")
	}
	return false
}

// staleError is stale for the error of a request.
func staleError(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && stale(api.ErrorCode(), api.ErrorMessage())
}

// failures assigns a batch's failed entries, whose ids are indexes, to the messages.
func failures(batch []*message, failed []types.BatchResultErrorEntry) map[*message]types.BatchResultErrorEntry {
	byMessage := make(map[*message]types.BatchResultErrorEntry, len(failed))
	for _, f := range failed {
		if i, err := strconv.Atoi(aws.ToString(f.Id)); err == nil && i >= 0 && i < len(batch) {
			byMessage[batch[i]] = f
		}
	}
	return byMessage
}
