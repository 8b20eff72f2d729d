package sqsanswer

import (
	"errors"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// status is the SDK's error for an answer that is no JSON.
func status(code int) error {
	return &awshttp.ResponseError{ResponseError: &smithyhttp.ResponseError{
		Response: &smithyhttp.Response{Response: &http.Response{StatusCode: code}}, Err: errors.New("not JSON"),
	}}
}

func TestKept(t *testing.T) {
	down := errors.New("no answer")
	for name, test := range map[string]struct {
		out     *sqs.SendMessageOutput
		err     error
		kept    bool
		refused bool
	}{
		"confirmed":     {out: &sqs.SendMessageOutput{MessageId: aws.String("m")}, kept: true},
		"a proxy's 200": {out: &sqs.SendMessageOutput{}},
		"an empty id":   {out: &sqs.SendMessageOutput{MessageId: aws.String("")}},
		"nothing":       {},
		"no answer":     {err: down},
		"refused":       {err: &smithy.GenericAPIError{Code: "InvalidAttributeValue"}, refused: true},
		"too long":      {err: status(413), refused: true},
		"another 4xx":   {err: status(429)},
		"throttled":     {err: &smithy.GenericAPIError{Code: "RequestThrottled"}},
	} {
		err := Kept(test.out, test.err)
		if (err == nil) != test.kept || errors.Is(err, ErrRefused) != test.refused {
			t.Errorf("%s: %v", name, err)
		}
		if test.err != nil && !errors.Is(err, test.err) {
			t.Errorf("%s: %v hides why", name, err)
		}
	}
}
