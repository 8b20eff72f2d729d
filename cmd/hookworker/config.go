package main

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"slices"
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
	secretsFileVar = "HOOKWORKER_SIGNING_SECRETS_FILE"  // instead of the variable: a file that holds them, as a mounted secret is
	secretARNVar   = "HOOKWORKER_SIGNING_SECRETS_ARN"   // instead of both: a secret of Secrets Manager that holds them
	webhookVar     = "HOOKWORKER_WEBHOOK_SECRET_ARN"    // the stack's output SecretName: verify once more what Nylas signed, with its webhook secret
	headersVar     = "HOOKWORKER_HEADERS_FILE"          // a file with headers for every delivery
	rejectVar      = "HOOKWORKER_REJECT_STATUSES"       // which answers reject, separated by commas
	stopVar        = "HOOKWORKER_STOP_TIMEOUT"          // of the whole stop
	retryMinVar    = "HOOKWORKER_RETRY_MIN"             // for how long what failed is hidden, first and at most
	retryMaxVar    = "HOOKWORKER_RETRY_MAX"
	pauseMinVar    = "HOOKWORKER_PAUSE_MIN" // between two deliveries while the CRM takes nothing, first and at most
	pauseMaxVar    = "HOOKWORKER_PAUSE_MAX"
	logLevelVar    = "HOOKWORKER_LOG_LEVEL" // debug, info, warn or error
	caVar          = "HOOKWORKER_CA_FILE"   // PEM: the authorities that the CRM's certificate may be of, beside the system's
	certVar        = "HOOKWORKER_CLIENT_CERT_FILE"
	keyVar         = "HOOKWORKER_CLIENT_KEY_FILE" // PEM: what the worker shows the CRM
)

// prefix begins every variable of ours. One that begins so and is none of them is
// misspelt.
const prefix = "HOOKWORKER_"

// variables are all of them, in the order of the help.
var variables = []struct{ name, help string }{
	{queueVar, "required: the stack's output QueueUrl"},
	{deadVar, "required: the stack's output DeadLetterQueueUrl"},
	{crmVar, "required: where to POST, http or https"},
	{secretsVar, "required, or one of the next two: one or more whsec_..., separated by blanks"},
	{secretsFileVar, "a file that holds them"},
	{secretARNVar, "a secret of AWS Secrets Manager that holds them, read at the start"},
	{webhookVar, "the stack's output SecretName: verify each signature of Nylas once more"},
	{headersVar, "a file with headers for every delivery, a line \"Name: value\" each"},
	{tableVar, "DynamoDB table that keeps duplicates away; the stack's output CompletedTableName"},
	{bucketVar, "the stack's output BucketName, for notifications too large for SQS"},
	{concurrencyVar, "deliveries at once (10)"},
	{timeoutVar, "of one delivery (20s)"},
	{rejectVar, "answers that reject a notification (400,410,413,415,422)"},
	{retryMinVar, "for how long a notification that failed is hidden at first (10s)"},
	{retryMaxVar, "and at most (15m)"},
	{pauseMinVar, "between two deliveries while the CRM takes nothing, at first (1s)"},
	{pauseMaxVar, "and at most (1m)"},
	{stopVar, "how long a stop may take (25s)"},
	{listenVar, "address of the health checks and metrics (:8080)"},
	{logLevelVar, "debug, info, warn or error (info)"},
	{caVar, "PEM file with the authorities that the CRM's certificate may be of, beside the system's"},
	{certVar, "PEM file with the certificate that is shown to the CRM"},
	{keyVar, "PEM file with its key"},
}

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
	secretARN                                           string // has the signing secrets; then there are no signers yet
	webhookSecretARN                                    string // has Nylas's webhook secret; "": no second verification
	headers                                             http.Header
	concurrency                                         int
	timeout, stop, retryMin, retryMax                   time.Duration // 0: the consumer's default
	pauseMin, pauseMax                                  time.Duration
	rejects                                             map[int]bool
	logLevel                                            slog.Level
	tls                                                 *tls.Config
}

// load reads the settings from the environment, as [os.Environ] has it. The error names
// everything that is wrong, and no value that may be secret.
func load(environ []string) (settings, error) {
	var problems []error
	values := make(map[string]string)
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		values[name] = value
		if strings.HasPrefix(name, prefix) && !slices.ContainsFunc(variables, func(v struct{ name, help string }) bool { return v.name == name }) {
			problems = append(problems, fmt.Errorf("%s is no setting; hookworker --help lists them", name))
		}
	}
	problem := func(name, format string, args ...any) {
		problems = append(problems, fmt.Errorf("%s %s", name, fmt.Sprintf(format, args...)))
	}
	get := func(name string) string {
		return strings.TrimSpace(values[name])
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
	s.signingSecrets(get, problem)
	if s.webhookSecretARN = get(webhookVar); s.webhookSecretARN != "" {
		if err := checkSecretARN(s.webhookSecretARN); err != nil {
			problem(webhookVar, "%v", err)
		}
	}
	if file := get(headersVar); file != "" {
		text, err := os.ReadFile(file)
		if err == nil {
			s.headers, err = parseHeaders(string(text))
		}
		if err != nil {
			problem(headersVar, "cannot be used: %v", err)
		}
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
	for _, d := range []struct {
		name  string
		value *time.Duration
	}{{stopVar, &s.stop}, {retryMinVar, &s.retryMin}, {retryMaxVar, &s.retryMax}, {pauseMinVar, &s.pauseMin}, {pauseMaxVar, &s.pauseMax}} {
		if text := get(d.name); text != "" {
			var err error
			if *d.value, err = time.ParseDuration(text); err != nil || *d.value <= 0 || *d.value > maxTimeout {
				problem(d.name, `is %q, not a duration such as "20s", of %s at most`, text, maxTimeout)
			}
		}
	}
	for _, bounds := range []struct {
		low, high     string
		min, max      time.Duration
		lowIs, highIs time.Duration // where nothing is set
	}{{retryMinVar, retryMaxVar, s.retryMin, s.retryMax, 10 * time.Second, 15 * time.Minute}, {pauseMinVar, pauseMaxVar, s.pauseMin, s.pauseMax, time.Second, time.Minute}} {
		if low, high := cmp.Or(bounds.min, bounds.lowIs), cmp.Or(bounds.max, bounds.highIs); bounds.max != 0 && high < low {
			problem(bounds.high, "is %s, less than %s, which is %s", high, bounds.low, low)
		}
	}
	s.rejects = rejections
	if text := get(rejectVar); text != "" {
		s.rejects = map[int]bool{}
		for part := range strings.SplitSeq(text, ",") {
			status, err := strconv.Atoi(strings.TrimSpace(part))
			if err != nil || status < 300 || status > 599 {
				problem(rejectVar, "is %q, not statuses from 300 to 599, separated by commas", text)
				break
			}
			s.rejects[status] = true
		}
	}
	if text := get(logLevelVar); text != "" {
		if err := s.logLevel.UnmarshalText([]byte(text)); err != nil {
			problem(logLevelVar, "is %q, not debug, info, warn or error", text)
		}
	}
	s.tls = tlsConfig(get, problem)
	if text := get(listenVar); text != "" {
		s.listen = text
	}
	if len(problems) > 0 {
		return settings{}, fmt.Errorf("the environment is not right:\n%w", errors.Join(problems...))
	}
	return s, nil
}

// signingSecrets reads them from where they are, but for Secrets Manager.
func (s *settings) signingSecrets(get func(string) string, problem func(name, format string, args ...any)) {
	s.secretARN = get(secretARNVar)
	secrets, source := get(secretsVar), secretsVar
	file := get(secretsFileVar)
	given := 0
	for _, value := range []string{secrets, file, s.secretARN} {
		if value != "" {
			given++
		}
	}
	if given > 1 {
		problem(secretsVar, "and %s and %s: only one of them can be set", secretsFileVar, secretARNVar)
		return
	}
	if s.secretARN != "" {
		return
	}
	if file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			problem(secretsFileVar, "cannot be read: %v", err)
			return
		}
		secrets, source = string(text), secretsFileVar
	}
	var problems []error
	s.signers, problems = newSigners(secrets)
	for _, err := range problems {
		problem(source, "%v", err)
	}
}

// newSigners takes secrets that are separated by blanks. No error repeats one.
func newSigners(secrets string) (signers []*standardwebhooks.Webhook, problems []error) {
	if strings.TrimSpace(secrets) == "" {
		return nil, []error{errors.New("is not set, or empty: whsec_ and at least 24 random bytes in base64, for example from: echo whsec_$(openssl rand -base64 32)")}
	}
	for i, secret := range strings.Fields(secrets) {
		signer, err := newSigner(secret)
		if err != nil {
			problems = append(problems, fmt.Errorf("holds an unusable secret, number %d: %w", i+1, err))
			continue
		}
		signers = append(signers, signer)
	}
	return signers, problems
}

// tlsConfig is what the worker trusts and shows in TLS with the CRM; nil is Go's own.
func tlsConfig(get func(string) string, problem func(name, format string, args ...any)) *tls.Config {
	ca, cert, key := get(caVar), get(certVar), get(keyVar)
	if ca == "" && cert == "" && key == "" {
		return nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca != "" {
		roots, err := x509.SystemCertPool()
		if err != nil {
			roots = x509.NewCertPool() // there are none on this system
		}
		text, err := os.ReadFile(ca)
		if err != nil {
			problem(caVar, "cannot be read: %v", err)
		} else if !roots.AppendCertsFromPEM(text) {
			problem(caVar, "holds no certificate in PEM")
		}
		config.RootCAs = roots
	}
	switch {
	case (cert == "") != (key == ""):
		problem(certVar, "and %s belong together: set both or none", keyVar)
	case cert != "":
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			problem(certVar, "and %s cannot be used: %v", keyVar, err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config
}

// newSigner checks what the library does not: the prefix, and that there is a key.
func newSigner(secret string) (*standardwebhooks.Webhook, error) {
	const begins = "whsec_"
	key, ok := strings.CutPrefix(secret, begins)
	if !ok {
		return nil, fmt.Errorf("it does not begin with %s", begins)
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
