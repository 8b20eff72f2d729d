// Command gonosdk is the bound for a receiver in Go: the same message without the SDK's
// client, its retries, its checks of parameters and what the receiver does beside. Only the
// signature is the SDK's. See ../../doc.go.
package main

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // it is SQS's checksum
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

type event struct {
	Headers        map[string]string `json:"headers"`
	RequestContext struct {
		RequestID string `json:"extendedRequestId"`
	} `json:"requestContext"`
	RawBody         jsontext.Value `json:"body"`
	IsBase64Encoded bool           `json:"isBase64Encoded"`
}

type envelope struct {
	ID      string `json:"id"`
	Type    string `json:"type"`
	Attempt int    `json:"webhook_delivery_attempt"`
	Data    struct {
		Object struct {
			GrantID string `json:"grant_id"`
		} `json:"object"`
	} `json:"data"`
}

type handler struct {
	queue, secret, region string
	credentials           aws.Credentials
	signer                *v4.Signer
	client                *http.Client
	endpoint              string
}

func main() {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.WriteBufferSize = 64 << 10 // a large body in fewer writes
	lambda.Start(&handler{
		queue: os.Getenv("WEBHOOK_QUEUE_URL"), secret: os.Getenv("BENCH_SECRET"), region: os.Getenv("AWS_REGION"),
		credentials: aws.Credentials{
			AccessKeyID: os.Getenv("AWS_ACCESS_KEY_ID"), SecretAccessKey: os.Getenv("AWS_SECRET_ACCESS_KEY"), SessionToken: os.Getenv("AWS_SESSION_TOKEN"),
		},
		signer: v4.NewSigner(), client: &http.Client{Transport: transport}, endpoint: os.Getenv("AWS_ENDPOINT_URL"),
	})
}

// Invoke implements [lambda.Handler].
func (h *handler) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	received := time.Now().UTC()
	var e event
	if err := json.Unmarshal(payload, &e); err != nil {
		return nil, err
	}
	body, err := e.body()
	if err != nil {
		return nil, err
	}
	signature := e.Headers["x-nylas-signature"]
	if err := notification.Verify(body, signature, h.secret); err != nil {
		return []byte(`{"statusCode":503,"body":""}`), nil
	}
	var n envelope
	if err := json.Unmarshal(body, &n); err != nil {
		return nil, err
	}
	grant := n.Data.Object.GrantID
	request, err := h.message(body, grant, map[string]string{
		"contract_version": "1", "received_at": received.Format(time.RFC3339Nano), "signature": signature,
		"delivery_attempt": strconv.Itoa(n.Attempt), "notification_id": n.ID, "trigger_type": n.Type, "grant_id": grant,
		"request_id": e.RequestContext.RequestID,
	})
	if err != nil {
		return nil, err
	}
	if err := h.send(ctx, request, body); err != nil {
		return nil, err
	}
	fmt.Printf(`{"timestamp":%q,"level":"INFO","msg":"request","outcome":"Accepted","status":200,"request_id":%q,"notification_id":%q,"type":%q,"grant_id":%q,"attempt":%d,"bytes":%d}`+"\n",
		received.Format(time.RFC3339Nano), e.RequestContext.RequestID, n.ID, n.Type, grant, n.Attempt, len(body))
	return []byte(`{"statusCode":200,"body":""}`), nil
}

func (e *event) body() ([]byte, error) {
	if !e.IsBase64Encoded {
		return jsontext.AppendUnquote(nil, e.RawBody)
	}
	text := e.RawBody[1 : len(e.RawBody)-1]
	body := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Decode(body, text)
	return body[:n], err
}

// message returns the JSON of a SendMessage, in one buffer.
func (h *handler) message(body []byte, grant string, attributes map[string]string) ([]byte, error) {
	b := make([]byte, 0, len(body)*5/4+4096) // quotes and backslashes double
	b = append(b, `{"QueueUrl":"`+h.queue+`","MessageGroupId":"`+grant+`","MessageAttributes":{`...)
	for name, value := range attributes {
		kind := "String"
		if name == "delivery_attempt" {
			kind = "Number"
		}
		b = append(b, `"`+name+`":{"DataType":"`+kind+`","StringValue":"`+value+`"},`...)
	}
	b[len(b)-1] = '}'
	b = append(b, `,"MessageBody":`...)
	b, err := jsontext.AppendQuote(b, body)
	return append(b, '}'), err
}

func (h *handler) send(ctx context.Context, message, body []byte) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, h.endpoint, bytes.NewReader(message))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/x-amz-json-1.0")
	request.Header.Set("X-Amz-Target", "AmazonSQS.SendMessage")
	hash := sha256.Sum256(message)
	if err := h.signer.SignHTTP(ctx, h.credentials, request, hex.EncodeToString(hash[:]), "sqs", h.region, time.Now()); err != nil {
		return err
	}
	response, err := h.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	var answer struct{ MD5OfMessageBody string }
	if err := json.Unmarshal(text, &answer); err != nil {
		return err
	}
	if sum := md5.Sum(body); answer.MD5OfMessageBody != hex.EncodeToString(sum[:]) { //nolint:gosec // it is SQS's checksum
		return errors.New("SQS has another message")
	}
	return nil
}
