//go:build !race

// The race detector allocates, too, so make unit runs this without it.
package main

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // it is SQS's checksum
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/onepagecrm/nylas-webhooks/lambda/internal/receive"
	"github.com/onepagecrm/nylas-webhooks/lambda/internal/sqsqueue"
	"github.com/onepagecrm/nylas-webhooks/notification"
)

const budgetSecret = "bench-secret-of-no-webhook"

type oneSecret struct{}

func (oneSecret) Keys(context.Context) ([]string, error)    { return []string{budgetSecret}, nil }
func (oneSecret) Refresh(context.Context) ([]string, error) { return []string{budgetSecret}, nil }

// serveSQS answers every request on the listener with one answer, and allocates nothing for
// it, so that what is counted is the receiver's.
func serveSQS(listener net.Listener, answer []byte) {
	connection, err := listener.Accept()
	if err != nil {
		return // the test has ended
	}
	buffer := make([]byte, 4<<20)
	for used := 0; ; {
		n, err := connection.Read(buffer[used:])
		if err != nil {
			return
		}
		used += n
		head := bytes.Index(buffer[:used], []byte("\r\n\r\n"))
		if head < 0 {
			continue
		}
		const name = "Content-Length: "
		at := bytes.Index(buffer[:head], []byte(name)) + len(name)
		length, _, _ := strings.Cut(string(buffer[at:at+10]), "\r")
		if size, err := strconv.Atoi(length); err != nil || used < head+4+size {
			continue
		}
		used = 0
		if _, err := connection.Write(answer); err != nil {
			return
		}
	}
}

// A notification allocates no more than this, in pieces and bytes. They are what was counted
// when this was written, and a tenth more.
func TestAllocationBudget(t *testing.T) {
	for _, budget := range []struct {
		size          int
		pieces, bytes uint64
	}{
		{2_000, 490, 58_000},
		{64_000, 490, 376_000},
		{900_000, 500, 4_150_000},
	} {
		pieces, size := allocated(t, budget.size)
		if pieces > budget.pieces || size > budget.bytes {
			t.Errorf("a notification of %d bytes allocates %d pieces and %d bytes, allowed are %d and %d. Is it worth it? Then write the new figures here, and measure (make bench)",
				budget.size, pieces, size, budget.pieces, budget.bytes)
		}
	}
}

// allocated is what a notification allocates once everything is warm.
func allocated(t *testing.T, size int) (pieces, bytes uint64) {
	t.Helper()
	line := `<p class=\"text\">Dear Ms M\u00fcller, the offer is “attached”.\u003c/p>\r\n`
	body := []byte(`{"type":"message.created","id":"n1","webhook_delivery_attempt":1,"data":{"object":{"grant_id":"g1","body":"` + strings.Repeat(line, size/len(line)) + `"}}}`)
	payload, err := json.Marshal(events.APIGatewayProxyRequest{
		HTTPMethod: "POST", Headers: map[string]string{"x-nylas-signature": notification.Sign(budgetSecret, body).String()},
		Body: base64.StdEncoding.EncodeToString(body), IsBase64Encoded: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }() // it ends the server
	sum := md5.Sum(body)                    //nolint:gosec // it is SQS's checksum
	text := `{"MessageId":"m","MD5OfMessageBody":"` + hex.EncodeToString(sum[:]) + `"}`
	go serveSQS(listener, fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: %d\r\n\r\n%s", len(text), text))
	address := "http://" + listener.Addr().String()
	queue := sqsqueue.New(aws.Config{
		Region: "us-east-1", BaseEndpoint: &address,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "id", SecretAccessKey: "key"}, nil
		}),
	}, address+"/123456789012/q")
	handler := receive.New(oneSecret{}, queue, nil, "prod", io.Discard, time.Now)
	invoke := func(times int) {
		for range times {
			answer, err := handler.Invoke(t.Context(), payload)
			if err != nil || !strings.Contains(string(answer), `"statusCode":200`) {
				t.Fatalf("answered %s, %v", answer, err)
			}
		}
	}
	const times = 50
	invoke(5)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	invoke(times)
	runtime.ReadMemStats(&after)
	return (after.Mallocs - before.Mallocs) / times, (after.TotalAlloc - before.TotalAlloc) / times
}
