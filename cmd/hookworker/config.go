package main

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// The environment variables. The AWS settings are the SDK's own (AWS_REGION,
// AWS_ENDPOINT_URL, a role, ...).
const (
	queueVar       = "HOOKWORKER_QUEUE_URL"             // required: the stack's output QueueUrl
	deadVar        = "HOOKWORKER_DEAD_LETTER_QUEUE_URL" // required: the stack's output DeadLetterQueueUrl
	crmVar         = "HOOKWORKER_CRM_URL"               // required: where to POST, http or https
	secretsVar     = "HOOKWORKER_SIGNING_SECRETS"       // required: one or more whsec_..., separated by blanks
	tableVar       = "HOOKWORKER_TABLE"                 // DynamoDB table that keeps duplicates away; none: they are delivered
	bucketVar      = "HOOKWORKER_BUCKET"                // the stack's output BucketName, for notifications too large for SQS
	concurrencyVar = "HOOKWORKER_CONCURRENCY"           // deliveries at once
	timeoutVar     = "HOOKWORKER_TIMEOUT"               // of one delivery, as in "10s"
	listenVar      = "HOOKWORKER_LISTEN"                // address of the health checks and metrics
)

const (
	defaultConcurrency = 10
	// defaultTimeout is twice what Nylas gives an endpoint: the CRM does the work, not
	// only the accepting.
	defaultTimeout = 20 * time.Second
	defaultListen  = ":8080"
	// maxTimeout and maxConcurrency are within what package consumer takes.
	maxTimeout     = 5 * time.Hour
	maxConcurrency = 1000
	// minSecretBytes is what the specification asks of a secret: 24 to 64 bytes.
	// https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
	minSecretBytes = 24
)

// settings is the configuration, checked.
type settings struct {
	queueURL, deadLetterQueueURL, table, bucket, listen string
	crm                                                 *url.URL
	signers                                             []*standardwebhooks.Webhook
	concurrency                                         int
	timeout                                             time.Duration
}

// load reads the settings from the environment. The error names everything that is
// wrong, and no value that may be secret.
func load(lookup func(string) (string, bool)) (settings, error) {
	var problems []error
	problem := func(name, format string, args ...any) {
		problems = append(problems, fmt.Errorf("%s %s", name, fmt.Sprintf(format, args...)))
	}
	get := func(name string) string {
		value, _ := lookup(name)
		return strings.TrimSpace(value)
	}
	required := func(name, what string) string {
		value := get(name)
		if value == "" {
			problem(name, "is not set: %s", what)
		}
		return value
	}

	s := settings{
		queueURL:           required(queueVar, "the stack's output QueueUrl"),
		deadLetterQueueURL: required(deadVar, "the stack's output DeadLetterQueueUrl"),
		table:              get(tableVar),
		bucket:             get(bucketVar),
		listen:             defaultListen,
		concurrency:        defaultConcurrency,
		timeout:            defaultTimeout,
	}
	if address := required(crmVar, "the URL to which notifications are POSTed"); address != "" {
		var err error
		s.crm, err = url.Parse(address)
		switch {
		case err != nil || s.crm.Host == "" || s.crm.Scheme != "http" && s.crm.Scheme != "https":
			problem(crmVar, "is not an http or https URL")
		case s.crm.User != nil:
			problem(crmVar, "holds a user name; the CRM knows us by the signature")
		}
	}
	for i, secret := range strings.Fields(required(secretsVar, "whsec_ and at least 24 random bytes in base64, for example from: echo whsec_$(openssl rand -base64 32)")) {
		signer, err := newSigner(secret)
		if err != nil {
			problem(secretsVar, "holds an unusable secret, number %d: %v", i+1, err)
			continue
		}
		s.signers = append(s.signers, signer)
	}
	if text := get(concurrencyVar); text != "" {
		var err error
		if s.concurrency, err = strconv.Atoi(text); err != nil || s.concurrency < 1 || s.concurrency > maxConcurrency {
			problem(concurrencyVar, "is %q, not a number from 1 to %d", text, maxConcurrency)
		}
	}
	if text := get(timeoutVar); text != "" {
		var err error
		if s.timeout, err = time.ParseDuration(text); err != nil || s.timeout <= 0 || s.timeout > maxTimeout {
			problem(timeoutVar, `is %q, not a duration such as "20s", of %s at most`, text, maxTimeout)
		}
	}
	if text := get(listenVar); text != "" {
		s.listen = text
	}
	if len(problems) > 0 {
		return settings{}, fmt.Errorf("the environment is not right:\n%w", errors.Join(problems...))
	}
	return s, nil
}

// newSigner checks what the library does not: the prefix, and that there is a key.
func newSigner(secret string) (*standardwebhooks.Webhook, error) {
	const prefix = "whsec_"
	key, ok := strings.CutPrefix(secret, prefix)
	if !ok {
		return nil, fmt.Errorf("it does not begin with %s", prefix)
	}
	signer, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return nil, errors.New("it is not base64")
	}
	if bytes := len(strings.TrimRight(key, "=")) * 3 / 4; bytes < minSecretBytes {
		return nil, fmt.Errorf("it has %d bytes, the specification asks for %d or more", bytes, minSecretBytes)
	}
	return signer, nil
}
