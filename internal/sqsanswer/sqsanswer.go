// Package sqsanswer reads what Amazon SQS answered to a SendMessage, for the programs
// that let go of a notification once the queue has it.
package sqsanswer

import (
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"
)

// ErrRefused: SQS will not take this message, however often it is asked: for a
// character in it, an attribute or its size. Other messages are not concerned, and the
// same one may be taken when its body is encoded ([notification.Wire.Compress]).
var ErrRefused = errors.New("SQS refuses the message")

// refusals are the codes by which SQS says so.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
var refusals = []string{"InvalidMessageContents", "InvalidParameterValue", "InvalidAttributeValue", "InvalidAttributeName", "MissingParameter"}

// KeyThrottled are the codes for the queue's KMS key having been asked too often, as SQS
// names it in either of its protocols. The SDK does not count them among the throttles.
// The other codes about keys (disabled, denied, not found, …) do not pass by themselves.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
var KeyThrottled = []string{"KMS.ThrottlingException", "KmsThrottled"}

// Kept takes what SendMessage returned and returns nil only if SQS has confirmed that
// it keeps the message. The SDK takes any 200 for that, some proxy's, too; SQS's has a
// message id.
func Kept(out *sqs.SendMessageOutput, err error) error {
	if api := smithy.APIError(nil); errors.As(err, &api) && slices.Contains(refusals, api.ErrorCode()) {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	// The request was too long for SQS's front end, which answers in plain text.
	// https://github.com/aws/aws-sdk-go-v2/issues/3026
	if answer := (*awshttp.ResponseError)(nil); errors.As(err, &answer) && answer.HTTPStatusCode() == http.StatusRequestEntityTooLarge {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if err == nil && (out == nil || aws.ToString(out.MessageId) == "") {
		return errors.New("the answer has no message id")
	}
	return err
}
