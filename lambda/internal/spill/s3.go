package spill

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/encoding/httpbinding"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// s3 puts objects into a bucket, which is one request: the SDK's client for S3 would be a
// tenth of the function's bytes for it. Signature, retries and errors are the SDK's.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
type s3 struct {
	cfg     aws.Config
	bucket  string
	client  aws.HTTPClient
	signer  *v4.Signer
	retryer aws.Retryer
	skew    atomic.Int64 // by how much AWS's clock is ahead of this one, in nanoseconds
}

// put returns the headers of S3's answer. An error of a request is a smithy.OperationError,
// as of any of the SDK's clients.
func (s *s3) put(ctx context.Context, key, contentType string, object []byte) (http.Header, error) {
	for try := 1; ; try++ {
		header, err := s.try(ctx, key, contentType, object)
		if err == nil {
			return header, nil
		}
		if s.skewed(err) || s.retryer.IsErrorRetryable(err) {
			if try < s.retryer.MaxAttempts() && s.wait(ctx, try, err) == nil {
				continue
			}
			err = &retry.MaxAttemptsError{Attempt: try, Err: err}
		}
		return nil, &smithy.OperationError{ServiceID: "S3", OperationName: "PutObject", Err: err}
	}
}

func (s *s3) wait(ctx context.Context, try int, cause error) error {
	delay, err := s.retryer.RetryDelay(try, cause)
	if err != nil {
		return err
	}
	select {
	case <-time.After(delay):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *s3) try(ctx context.Context, key, contentType string, object []byte) (http.Header, error) {
	r, err := s.request(ctx, key, contentType, object)
	if err != nil {
		return nil, err
	}
	answer, err := s.client.Do(r)
	if err != nil {
		if ctx.Err() != nil {
			return nil, &aws.RequestCanceledError{Err: err}
		}
		return nil, &smithyhttp.RequestSendError{Err: err}
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(answer.Body, maxAnswer)) // the head says it; so much of an error as has come
	if answer.StatusCode == http.StatusOK {
		return answer.Header, nil
	}
	code := member(text, errorCode)
	if code == "" { // as the SDK names it
		code = strings.ReplaceAll(http.StatusText(answer.StatusCode), " ", "")
	}
	return nil, &awshttp.ResponseError{
		RequestID: answer.Header.Get(requestIDHeader),
		ResponseError: &smithyhttp.ResponseError{
			Response: &smithyhttp.Response{Response: answer},
			Err:      &smithy.GenericAPIError{Code: code, Message: member(text, errorMessage)},
		},
	}
}

const (
	// maxAnswer bounds what is read of an answer, in bytes; S3's errors have under 1,000.
	maxAnswer = 64 << 10
	// requestIDHeader names a request; only S3's answers have it.
	// https://docs.aws.amazon.com/AmazonS3/latest/API/RESTCommonResponseHeaders.html
	requestIDHeader = "X-Amz-Request-Id"
)

// What is read of S3's errors, which are XML.
// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
var (
	errorCode    = regexp.MustCompile(`<Code>([^<]*)</Code>`)
	errorMessage = regexp.MustCompile(`<Message>([^<]*)</Message>`)
)

func member(text []byte, form *regexp.Regexp) string {
	if found := form.FindSubmatch(text); found != nil {
		return string(found[1])
	}
	return ""
}

// request returns the signed request. S3 compares the content with both its sums.
func (s *s3) request(ctx context.Context, key, contentType string, object []byte) (*http.Request, error) {
	address, err := s.address(ctx, key)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPut, address.String(), bytes.NewReader(object))
	if err != nil {
		return nil, fmt.Errorf("write the request to S3: %w", err)
	}
	sum := sha256.Sum256(object)
	digest := hex.EncodeToString(sum[:])
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("If-None-Match", "*") // nothing that is kept is ever overwritten
	r.Header.Set("X-Amz-Content-Sha256", digest)
	r.Header.Set("X-Amz-Checksum-Crc32", base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(object))))
	credentials, err := s.cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return nil, fmt.Errorf("get credentials: %w", err)
	}
	now := time.Now().Add(time.Duration(s.skew.Load()))
	err = s.signer.SignHTTP(ctx, credentials, r, digest, "s3", s.cfg.Region, now, func(o *v4.SignerOptions) {
		o.DisableURIPathEscaping = true // S3 signs the path as it is sent
	})
	if err != nil {
		return nil, fmt.Errorf("sign the request to S3: %w", err)
	}
	return r, nil
}

// address is an object's. S3's endpoint of a region is named as that of SQS, which the
// SDK knows for every partition.
// https://docs.aws.amazon.com/general/latest/gr/s3.html
func (s *s3) address(ctx context.Context, key string) (*url.URL, error) {
	if base := aws.ToString(s.cfg.BaseEndpoint); base != "" { // an engine's host has no subdomain per bucket
		address, err := url.Parse(base)
		if err != nil {
			return nil, fmt.Errorf("find S3: %w", err)
		}
		return at(address, s.bucket+"/"+key), nil
	}
	endpoint, err := sqs.NewDefaultEndpointResolverV2().ResolveEndpoint(ctx, sqs.EndpointParameters{Region: &s.cfg.Region})
	if err != nil {
		return nil, fmt.Errorf("find S3: %w", err)
	}
	return at(&url.URL{Scheme: endpoint.URI.Scheme, Host: s.bucket + ".s3." + strings.TrimPrefix(endpoint.URI.Host, "sqs.")}, key), nil
}

// at writes a path as S3 does when it checks the signature.
func at(address *url.URL, path string) *url.URL {
	address.Path, address.RawPath = "/"+path, "/"+httpbinding.EscapePath(path, false)
	return address
}

// skewed tells whether S3 says that this clock is wrong, and then sets it by S3's.
func (s *s3) skewed(err error) bool {
	var answer *awshttp.ResponseError
	var api smithy.APIError
	if !errors.As(err, &answer) || !errors.As(err, &api) || api.ErrorCode() != "RequestTimeTooSkewed" {
		return false
	}
	date, err := http.ParseTime(answer.Response.Header.Get("Date"))
	if err != nil {
		return false
	}
	s.skew.Store(int64(time.Until(date)))
	return true
}
