package deployment

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/processcreds"
	"github.com/aws/smithy-go"

	"github.com/onepagecrm/nylas-webhooks/internal/awsconfig"
	"github.com/onepagecrm/nylas-webhooks/internal/awserror"
)

// Connect reads the usual AWS settings (environment, profile, role) and makes sure
// that there are a region and credentials, so that their absence is told once and
// before anything is done. stage may be "" for what belongs to none; with [Local] the
// settings have passed [CheckLocal], and no request leaves this machine. Its errors are
// sentences.
func Connect(ctx context.Context, stage string) (aws.Config, error) {
	if stage == Local && os.Getenv("AWS_ACCESS_KEY_ID") == "" {
		// A profile's may be fetched from an account, which is reaching it.
		return aws.Config{}, errors.New("no AWS credentials: stage local takes them from AWS_ACCESS_KEY_ID, not from AWS_PROFILE. First: make run, then eval \"$(make -s env)\"")
	}
	cfg, err := awsconfig.Load(ctx)
	if err != nil {
		return aws.Config{}, err
	}
	if stage == Local {
		cfg.HTTPClient = loopbackOnly{cfg.HTTPClient}
	}
	if cfg.Region == "" {
		return aws.Config{}, errNoRegion
	}
	if _, err := cfg.Credentials.Retrieve(ctx); err != nil {
		if ctx.Err() != nil {
			return aws.Config{}, ctx.Err()
		}
		if process := (*processcreds.ProviderError)(nil); errors.As(err, &process) { // its text is what the process printed, secret key and all
			err = errors.New("the profile's credential_process failed, or printed something else than its JSON")
		}
		return aws.Config{}, fmt.Errorf("no AWS credentials that work. Set AWS_PROFILE or sign in (aws sso login); for the local engine: eval \"$(make -s env)\". The SDK says: %w", err)
	}
	return cfg, nil
}

// CheckLocal refuses stage local unless the AWS settings of the environment lead to this
// machine: what is meant for the local engine must not reach the account of whoever runs
// it. The other stages are anywhere.
func CheckLocal(stage string) error {
	if stage != Local {
		return nil
	}
	const first = "First: make run, then eval \"$(make -s env)\""
	if Endpoint() == "" {
		return errors.New("stage local is on the local engine only, and AWS_ENDPOINT_URL is not set. " + first)
	}
	// https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html
	if os.Getenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") != "" {
		return errors.New("stage local is on the local engine only, and AWS_IGNORE_CONFIGURED_ENDPOINT_URLS takes its address away. Unset it. " + first)
	}
	for _, setting := range os.Environ() {
		name, value, _ := strings.Cut(setting, "=")
		if value == "" || name != "AWS_ENDPOINT_URL" && !strings.HasPrefix(name, "AWS_ENDPOINT_URL_") {
			continue
		}
		if address, err := url.Parse(value); err != nil || !loopback(address.Hostname()) {
			return fmt.Errorf("stage local is on the local engine only, and %s does not lead to this machine. %s", name, first)
		}
	}
	return nil
}

// loopbackOnly sends requests to this machine alone: a profile can say that AWS_ENDPOINT_URL
// is to be ignored (ignore_configured_endpoint_urls).
type loopbackOnly struct{ aws.HTTPClient }

func (l loopbackOnly) Do(request *http.Request) (*http.Response, error) {
	if !loopback(request.URL.Hostname()) {
		return nil, fmt.Errorf("stage local is on the local engine only, and the AWS settings lead to %s. Unset AWS_PROFILE. First: make run, then eval \"$(make -s env)\"", request.URL.Host)
	}
	return l.HTTPClient.Do(request)
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Endpoint is the address that stands in for AWS (AWS_ENDPOINT_URL), "" for AWS.
func Endpoint() string { return os.Getenv("AWS_ENDPOINT_URL") }

// notThere tells whether CloudFormation says that a stack does not exist, for which
// it has no code of its own: DescribeStacks answers ValidationError.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStacks.html
func notThere(err error) bool {
	var refused smithy.APIError
	return errors.As(err, &refused) && refused.ErrorCode() == "ValidationError"
}

// Explain puts a sentence with what to do before an error of any AWS call. Errors
// that it does not know come back as they are; nil stays nil.
func Explain(err error) error {
	if err == nil {
		return nil
	}
	if permission, lacked := LackedPermission(err); lacked {
		return fmt.Errorf("these AWS credentials lack a permission%s. Use a profile that has it (AWS_PROFILE), or ask for it. AWS says: %w", brackets(permission), err)
	}
	var refused smithy.APIError
	if errors.As(err, &refused) {
		switch refused.ErrorCode() {
		case "QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue", "ResourceNotFoundException":
			return fmt.Errorf("something that the stack names is gone: it was deleted by hand, or a deployment is under way. Run the command again; if it stays so, deploy the stage again. AWS says: %w", err)
		case "ExpiredToken", "ExpiredTokenException", "RequestExpired":
			return fmt.Errorf("the AWS credentials have expired. Sign in again (aws sso login). AWS says: %w", err)
		case "InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch", "InvalidSignatureException", "IncompleteSignature":
			return fmt.Errorf("AWS does not know these credentials. Check AWS_PROFILE, AWS_ACCESS_KEY_ID and AWS_ENDPOINT_URL. AWS says: %w", err)
		}
		return err
	}
	if awserror.Untrusted(err) {
		return fmt.Errorf("the server's certificate is not trusted here. Where a proxy opens TLS, name the file with the certificate of its authority in AWS_CA_BUNDLE (for the webhook itself in SSL_CERT_FILE); for the local engine: eval \"$(make -s env)\". %w", err)
	}
	var unreachable *net.OpError
	var address *url.Error
	if errors.As(err, &unreachable) || errors.As(err, &address) {
		if endpoint := Endpoint(); endpoint != "" {
			return fmt.Errorf("nothing answers at %s (AWS_ENDPOINT_URL). For the local engine: make run, then eval \"$(make -s env)\". %w", endpoint, err)
		}
		return fmt.Errorf("AWS cannot be reached. Check the network and AWS_REGION. %w", err)
	}
	return err
}

func brackets(text string) string {
	if text == "" {
		return ""
	}
	return " (" + text + ")"
}
