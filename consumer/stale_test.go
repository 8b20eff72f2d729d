package consumer

import (
	"errors"
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
)

func TestStale(t *testing.T) {
	for _, c := range []struct {
		code, text string
		want       bool
	}{
		{"ReceiptHandleIsInvalid", "", true},
		{"MessageNotInflight", "", true},
		{"AWS.SimpleQueueService.MessageNotInflight", "", true},
		{"InvalidParameterValue", "Value for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired.", true},
		{"InvalidParameterValue", "Value for parameter VisibilityTimeout is invalid. Reason: Total VisibilityTimeout for the message is beyond the limit", false},
		{"InternalError", "", false},
		{"", "", false},
	} {
		if stale(c.code, c.text) != c.want {
			t.Errorf("%s, %q: %v", c.code, c.text, !c.want)
		}
		if staleError(fmt.Errorf("operation error: %w", &smithy.GenericAPIError{Code: c.code, Message: c.text})) != c.want {
			t.Errorf("an error of %s, %q: %v", c.code, c.text, !c.want)
		}
	}
	if staleError(errors.New("ReceiptHandleIsInvalid")) {
		t.Error("another error that has the words")
	}
}

func TestFailuresAreOfTheirMessages(t *testing.T) {
	a, b := &message{}, &message{}
	var failed []types.BatchResultErrorEntry
	for _, id := range []*string{aws.String("1"), aws.String("2"), aws.String("-1"), aws.String("x"), nil} {
		failed = append(failed, types.BatchResultErrorEntry{Id: id, Code: id})
	}
	got := failures([]*message{a, b}, failed)
	if len(got) != 1 || aws.ToString(got[b].Code) != "1" {
		t.Errorf("%v", got)
	}
	if got := failures([]*message{a}, []types.BatchResultErrorEntry{{Id: aws.String("0")}}); len(got) != 1 {
		t.Errorf("%v", got)
	}
}
