// Command goempty does nothing: what it costs is Lambda's runtime interface.
package main

import (
	"context"

	"github.com/aws/aws-lambda-go/lambda"
)

type handler struct{}

// Invoke implements [lambda.Handler].
func (handler) Invoke(context.Context, []byte) ([]byte, error) {
	return []byte(`{"statusCode":200,"body":""}`), nil
}

func main() { lambda.Start(handler{}) }
