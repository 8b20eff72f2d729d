package deployment

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// What means the local engine must not reach an AWS account, whatever settings a shell
// holds: demo stores a secret and takes messages off the queue.

// leadsToEngine returns an error unless environment, of the form of [os.Environ], sends
// what every AWS service is asked to this machine.
func leadsToEngine(environment []string) error {
	const instead = `First: make run, then eval "$(make -s env)" in this shell`
	var endpoint, key string
	for _, setting := range environment {
		name, value, _ := strings.Cut(setting, "=")
		switch {
		case value == "":
		case name == "AWS_ENDPOINT_URL":
			endpoint = value
		case name == "AWS_ACCESS_KEY_ID":
			key = value
		case name == "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS" && strings.EqualFold(value, "true"):
			return fmt.Errorf("stage local is on the local engine, and %s=true sends everything to AWS. %s", name, instead)
		case strings.HasPrefix(name, "AWS_ENDPOINT_URL_") && !loopback(value):
			return fmt.Errorf("stage local is on the local engine, and %s is not on this machine. %s", name, instead)
		}
	}
	if endpoint == "" {
		return fmt.Errorf("stage local is on the local engine, and AWS_ENDPOINT_URL is not set. %s", instead)
	}
	if key == "" { // a profile's may be fetched from an account, which is reaching it
		return fmt.Errorf("no AWS credentials: stage local takes them from AWS_ACCESS_KEY_ID, not from AWS_PROFILE. %s", instead)
	}
	if !loopback(endpoint) {
		return fmt.Errorf("stage local is on the local engine, and AWS_ENDPOINT_URL is not on this machine. %s", instead)
	}
	return nil
}

// loopback tells whether an address is of this machine.
func loopback(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	if u.Hostname() == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return err == nil && ip.IsLoopback()
}

// loopbackOnly sends requests to this machine alone: a profile in ~/.aws/config can say
// that AWS_ENDPOINT_URL is ignored (ignore_configured_endpoint_urls).
// https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html
type loopbackOnly struct{ aws.HTTPClient }

func (l loopbackOnly) Do(request *http.Request) (*http.Response, error) {
	if !loopback(request.URL.String()) {
		return nil, fmt.Errorf("stage local is on the local engine, and the AWS settings lead to %s. Unset AWS_PROFILE, or use another shell: make run, then eval \"$(make -s env)\"", request.URL.Host)
	}
	return l.HTTPClient.Do(request)
}
