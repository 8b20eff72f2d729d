package deployment

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"

	"github.com/onepagecrm/nylas-webhooks/internal/awsconfig"
)

// Connect reads the usual AWS settings (environment, profile, role) and makes sure
// that there are a region and credentials, so that their absence is told once and
// before anything is done. stage may be "" for what belongs to none. For [Local] the
// settings must lead to the local engine. Its errors are sentences.
func Connect(ctx context.Context, stage string) (aws.Config, error) {
	if stage == Local {
		if err := leadsToEngine(os.Environ()); err != nil {
			return aws.Config{}, err
		}
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
		return aws.Config{}, fmt.Errorf("no AWS credentials that work. Set AWS_PROFILE or sign in (aws sso login); for the local engine: eval \"$(make -s env)\". The SDK says: %w", err)
	}
	return cfg, nil
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
	var refused smithy.APIError
	if errors.As(err, &refused) {
		switch refused.ErrorCode() {
		case "AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError", "KmsAccessDenied", "KMS.AccessDeniedException":
			return fmt.Errorf("these AWS credentials lack a permission. Use a profile that has it (AWS_PROFILE), or ask for it. AWS says: %w", err)
		case "QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue", "ResourceNotFoundException":
			return fmt.Errorf("something that the stack names is gone: it was deleted by hand, or a deployment is under way. Run the command again; if it stays so, deploy the stage again. AWS says: %w", err)
		case "ExpiredToken", "ExpiredTokenException", "RequestExpired":
			return fmt.Errorf("the AWS credentials have expired. Sign in again (aws sso login). AWS says: %w", err)
		case "InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch", "InvalidSignatureException", "IncompleteSignature":
			return fmt.Errorf("AWS does not know these credentials. Check AWS_PROFILE, AWS_ACCESS_KEY_ID and AWS_ENDPOINT_URL. AWS says: %w", err)
		}
		return err
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
