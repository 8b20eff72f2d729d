package standin

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"github.com/onepagecrm/nylas-webhooks/internal/sdkhttp"
)

// The real SDK is what has to take these answers for AWS's.

func start(t *testing.T) (*Server, aws.Config) {
	t.Helper()
	s := New()
	t.Cleanup(s.Close)
	return s, aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String(s.URL), RetryMaxAttempts: 1,
		HTTPClient: sdkhttp.Client(client(t, s)),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "ENV7", SecretAccessKey: "secret"}, nil
		}),
	}
}

// client trusts the server as the receiver does: by the authority's file.
func client(t *testing.T, s *Server) *http.Client {
	t.Helper()
	authority, err := os.ReadFile(s.AuthorityFile)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}}
	if !transport.TLSClientConfig.RootCAs.AppendCertsFromPEM(authority) {
		t.Fatal("the authority's file holds no certificate")
	}
	return &http.Client{Transport: transport, Timeout: 500 * time.Millisecond} // what is late is late
}

func send(t *testing.T, s *Server, cfg aws.Config, body string) (*sqs.SendMessageOutput, error) {
	t.Helper()
	return sqs.NewFromConfig(cfg).SendMessage(t.Context(), &sqs.SendMessageInput{
		QueueUrl: aws.String(s.QueueURL()), MessageBody: &body,
		MessageAttributes: map[string]types.MessageAttributeValue{"a": {DataType: aws.String("String"), StringValue: aws.String("1")}},
	})
}

func TestSendMessage(t *testing.T) {
	s, cfg := start(t)
	out, err := send(t, s, cfg, "hello")
	if err != nil {
		t.Fatal(err)
	}
	// Computed as AWS's page on message metadata says, by hand.
	if got := aws.ToString(out.MD5OfMessageAttributes); got != sum([]byte("\x00\x00\x00\x01a\x00\x00\x00\x06String\x01\x00\x00\x00\x011")) {
		t.Errorf("MD5 of the attributes is %s", got)
	}
	messages := s.SQS.Messages()
	if len(messages) != 1 || messages[0].Body != "hello" || messages[0].Attributes["a"] != "1" {
		t.Errorf("the queue has %+v", messages)
	}
}

func TestFaultsOfSQS(t *testing.T) {
	var hooked string
	hook := func(environment string) { hooked = environment }
	for _, test := range []struct {
		fault Fault
		want  string // in the SDK's error
		kept  bool   // the message is on the queue all the same
	}{
		{Refuse(SQSThrottled), "RequestThrottled", false},
		{Refuse(SQSUnavailable), "ServiceUnavailable", false},
		{Refuse(SQSInternal), "InternalError", false},
		{Refuse(SQSNoQueue), "NonExistentQueue", false},
		{Refuse(SQSDenied), "AccessDenied", false},
		{Refuse(SQSKeyDisabled), "KMS.DisabledException", false},
		{Refuse(SQSKeyThrottled), "KMS.ThrottlingException", false},
		{Refuse(SQSKeyNotFound), "KMS.NotFoundException", false},
		{Refuse(SQSKeyInvalid), "KMS.InvalidStateException", false},
		{Refuse(SQSKeyDenied), "KMS.AccessDeniedException", false},
		{Refuse(SQSExpiredTokens), "ExpiredToken", false},
		{BlackHole(), "Client.Timeout", false},
		{DoneLate(2 * time.Second), "Client.Timeout", true},
		{Cut(), "EOF", true},
		{ResetBefore(), "connection reset", false},
		{ResetAfter(), "connection reset", true},
		{NotAWS(http.StatusOK), "deserialization failed", false},
		{Empty(), "", false},
		{WrongSum(), "checksum", true},
		{Garble(), "checksum", true},
		{Before("before", hook), "Client.Timeout", false},
		{After("after", hook), "Client.Timeout", true},
	} {
		t.Run(test.fault.Name, func(t *testing.T) {
			s, cfg := start(t)
			s.SQS.Faults.Set(1, 1, test.fault)
			out, err := send(t, s, cfg, "hello")
			if test.want == "" {
				if err != nil || out.MessageId != nil {
					t.Errorf("the SDK returned %+v, %v, want no message id and no error", out, err)
				}
			} else if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("the SDK's error is %v, want one with %q", err, test.want)
			}
			if kept := len(s.SQS.Messages()) == 1; kept != test.kept {
				t.Errorf("on the queue: %v, want %v", kept, test.kept)
			}
			if _, met := s.SQS.Faults.Calls(); met[test.fault.Name] != 1 {
				t.Errorf("counted %v", met)
			}
			s.SQS.Faults.Heal()
			if _, err := send(t, s, cfg, "again"); err != nil {
				t.Errorf("after healing: %v", err)
			}
		})
	}
	if hooked != "ENV7" {
		t.Errorf("the hook was told environment %q", hooked)
	}
}

func TestStrictAsSQS(t *testing.T) {
	s, cfg := start(t)
	text := func(value string) types.MessageAttributeValue {
		return types.MessageAttributeValue{DataType: aws.String("String"), StringValue: &value}
	}
	attributes := func(n int) map[string]types.MessageAttributeValue {
		all := make(map[string]types.MessageAttributeValue)
		for i := range n {
			all[fmt.Sprint("a", i)] = text("1")
		}
		return all
	}
	full := strings.Repeat("x", 1_048_576-len("a"+"String"+"1"))
	for name, test := range map[string]struct {
		change func(*sqs.SendMessageInput)
		want   string
	}{
		"fits exactly":        {func(m *sqs.SendMessageInput) { m.MessageBody = &full }, ""},
		"a byte too much":     {func(m *sqs.SendMessageInput) { m.MessageBody = aws.String(full + "x") }, "shorter than 1048576"},
		"empty":               {func(m *sqs.SendMessageInput) { m.MessageBody = aws.String("") }, "MissingParameter"},
		"U+FFFE":              {func(m *sqs.SendMessageInput) { m.MessageBody = aws.String("\ufffe") }, "InvalidMessageContents"},
		"control character":   {func(m *sqs.SendMessageInput) { m.MessageBody = aws.String("\x01") }, "InvalidMessageContents"},
		"ten attributes":      {func(m *sqs.SendMessageInput) { m.MessageAttributes = attributes(10) }, ""},
		"eleven attributes":   {func(m *sqs.SendMessageInput) { m.MessageAttributes = attributes(11) }, "exceeds the allowed maximum"},
		"empty attribute":     {func(m *sqs.SendMessageInput) { m.MessageAttributes["a"] = text("") }, "empty"},
		"U+0000 in attribute": {func(m *sqs.SendMessageInput) { m.MessageAttributes["a"] = text("\x00") }, "characters"},
		"attribute's type": {func(m *sqs.SendMessageInput) {
			a := text("1")
			a.DataType = aws.String("Text")
			m.MessageAttributes["a"] = a
		}, "data type"},
		"number": {func(m *sqs.SendMessageInput) {
			a := text("x")
			a.DataType = aws.String("Number")
			m.MessageAttributes["a"] = a
		}, "no number"},
		"reserved name":        {func(m *sqs.SendMessageInput) { m.MessageAttributes["AWS.x"] = text("1") }, "reserved"},
		"group of 128":         {func(m *sqs.SendMessageInput) { m.MessageGroupId = aws.String(strings.Repeat("g", 128)) }, ""},
		"group of 129":         {func(m *sqs.SendMessageInput) { m.MessageGroupId = aws.String(strings.Repeat("g", 129)) }, "MessageGroupId"},
		"group with a blank":   {func(m *sqs.SendMessageInput) { m.MessageGroupId = aws.String("a b") }, "MessageGroupId"},
		"another queue's URL":  {func(m *sqs.SendMessageInput) { m.QueueUrl = aws.String(s.QueueURL() + "2") }, "NonExistentQueue"},
		"line feed and astral": {func(m *sqs.SendMessageInput) { m.MessageBody = aws.String("\n\U0001F600") }, ""},
		"attribute of a string": {func(m *sqs.SendMessageInput) {
			a := text("1")
			a.DataType = aws.String("String.uuid")
			m.MessageAttributes["a"] = a
		}, ""},
	} {
		input := &sqs.SendMessageInput{
			QueueUrl: aws.String(s.QueueURL()), MessageBody: aws.String("hello"),
			MessageAttributes: map[string]types.MessageAttributeValue{"a": text("1")},
		}
		test.change(input)
		_, err := sqs.NewFromConfig(cfg).SendMessage(t.Context(), input)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

func TestSecrets(t *testing.T) {
	s, cfg := start(t)
	read := func(stage string) (string, time.Time, string) {
		out, err := secretsmanager.NewFromConfig(cfg).GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{
			SecretId: aws.String(SecretARN), VersionStage: &stage,
		})
		if api := smithy.APIError(nil); errors.As(err, &api) {
			return "", time.Time{}, api.ErrorCode()
		} else if err != nil {
			t.Fatal(err)
		}
		return *out.SecretString, *out.CreatedDate, ""
	}
	want := func(stage, value, code string) {
		t.Helper()
		if v, _, c := read(stage); v != value || c != code {
			t.Errorf("%s is %q, %q, want %q, %q", stage, v, c, value, code)
		}
	}
	want("AWSCURRENT", "", "ResourceNotFoundException")
	s.Secrets.Put("one")
	want("AWSCURRENT", "one", "")
	want("AWSPREVIOUS", "", "ResourceNotFoundException")
	s.Secrets.Put("two")
	want("AWSCURRENT", "two", "")
	want("AWSPREVIOUS", "one", "")
	s.Secrets.ShiftCreated(-2 * time.Hour)
	if _, created, _ := read("AWSCURRENT"); time.Since(created).Round(time.Minute) != 2*time.Hour {
		t.Errorf("created %v", created)
	}
	s.Secrets.SetDeleted(true)
	want("AWSCURRENT", "", "InvalidRequestException")
	s.Secrets.SetDeleted(false)
	for code, r := range map[string]Refusal{
		"InternalServiceError": SecretsInternal, "ThrottlingException": SecretsThrottled,
		"AccessDeniedException": SecretsDenied, "DecryptionFailure": SecretsKey,
	} {
		s.Secrets.Faults.Set(1, 1, Refuse(r))
		want("AWSCURRENT", "", code)
	}
	reads := s.Secrets.Reads()
	if len(reads) == 0 || reads[0].Environment != "ENV7" || reads[0].Stage != "AWSCURRENT" {
		t.Errorf("reads were counted as %+v", reads)
	}
}

func TestPutObject(t *testing.T) {
	s, cfg := start(t)
	put := func(bucket, key, content string) error {
		client := s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true })
		_, err := client.PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: &bucket, Key: &key, Body: strings.NewReader(content), IfNoneMatch: aws.String("*"),
		})
		return err
	}
	code := func(err error) string {
		if api := smithy.APIError(nil); errors.As(err, &api) {
			return api.ErrorCode()
		}
		return fmt.Sprint(err)
	}
	for _, test := range []struct{ bucket, key, want string }{
		{BucketName, "spill/2026/01/02/03/id.json.gz", "<nil>"},
		{BucketName, "spill/2026/01/02/03/id.json.gz", "PreconditionFailed"},
		{BucketName, "overflow/id", "<nil>"},
		{BucketName, "elsewhere/id", "AccessDenied"},
		{"another", "spill/id", "NoSuchBucket"},
	} {
		if got := code(put(test.bucket, test.key, "content")); got != test.want {
			t.Errorf("%s/%s: %s, want %s", test.bucket, test.key, got, test.want)
		}
	}
	if keys := slices.Sorted(maps.Keys(s.S3.Objects())); len(keys) != 2 || string(s.S3.Objects()["overflow/id"].Content) != "content" {
		t.Errorf("the bucket has %v", keys)
	}
	for i, r := range []Refusal{S3SlowDown, S3Internal, S3Denied, S3NoBucket, S3Conflict} {
		s.S3.Faults.Set(1, 1, Refuse(r))
		if got := code(put(BucketName, fmt.Sprint("overflow/", i), "content")); got != r.Code {
			t.Errorf("%s arrived as %s", r.Code, got)
		}
	}
	s.S3.Faults.Set(1, 1, ResetAfter())
	if err := put(BucketName, "overflow/reset", "content"); err == nil || s.S3.Objects()["overflow/reset"].At.IsZero() {
		t.Errorf("done, then reset: %v", err)
	}
}

func TestDamagedObjectIsRefused(t *testing.T) {
	s, _ := start(t)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, s.URL+"/"+BucketName+"/overflow/x", strings.NewReader("damaged"))
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte("whole"))
	request.Header.Set("X-Amz-Checksum-Crc32", fmt.Sprintf("%x", digest[:4]))
	response, err := client(t, s).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != 400 || len(s.S3.Objects()) != 0 {
		t.Errorf("answered %d and kept %d", response.StatusCode, len(s.S3.Objects()))
	}
}

// A clock that is an hour off costs a try: the SDK corrects it by the answer's Date.
func TestClock(t *testing.T) {
	s, cfg := start(t)
	s.SetClock(time.Hour)
	if _, err := send(t, s, cfg, "hello"); err == nil || !strings.Contains(err.Error(), "RequestTimeTooSkewed") {
		t.Errorf("one try: %v", err)
	}
	cfg.RetryMaxAttempts = 2
	if _, err := send(t, s, cfg, "hello"); err != nil {
		t.Errorf("two tries: %v", err)
	}
}

func TestShareOfFaults(t *testing.T) {
	var f Faults
	f.Set(7, 0.05, Cut())
	n := 0
	for range 10_000 {
		if _, ok := f.choose(); ok {
			n++
		}
	}
	if n < 400 || n > 600 {
		t.Errorf("%d of 10,000 calls met a fault, want about 500", n)
	}
}
