package contract

import (
	"fmt"
	"slices"
	"strings"
)

// The names are unexported, so that other packages can only write them by [Config.Vars]
// and read them by [Load].
const (
	stageVar     = "WEBHOOK_STAGE"
	queueURLVar  = "WEBHOOK_QUEUE_URL"
	bucketVar    = "WEBHOOK_BUCKET"
	secretARNVar = "WEBHOOK_SECRET_ARN"
	archiveVar   = "WEBHOOK_ARCHIVE"
)

// Lambda shows two CPUs and gives a function of 256 MB a seventh of one. Go would wake a
// second thread for work that the first does before the other has woken: 40 % more CPU for
// a notification of 2 kB (docs/performance.md).
const (
	threadsVar = "GOMAXPROCS"
	threads    = "1"
)

// ArchiveOn is [Config.Archive] of a stage that has an archive.
const ArchiveOn = "on"

// Config is everything the stack tells the function. Values may be CloudFormation
// tokens while the stack is synthesized.
type Config struct {
	// Stage is the stage's name ("prod"); it is the one dimension of every metric.
	Stage string
	// QueueURL is the https URL of the SQS queue that receives the notifications.
	QueueURL string
	// SecretARN is the ARN of the Secrets Manager secret whose value is the Nylas
	// webhook secret. The function gets the ARN, never the value.
	SecretARN string
	// Bucket is the name of the S3 bucket for what SQS does not take.
	Bucket string
	// Archive is [ArchiveOn] where the stage keeps a copy of what it accepts in the bucket,
	// else empty. It is the one that may be missing.
	Archive string
}

// fields lists every field beside its variable, so that Vars and Load cannot
// disagree.
func (c *Config) fields() map[string]*string {
	return map[string]*string{
		stageVar:     &c.Stage,
		queueURLVar:  &c.QueueURL,
		secretARNVar: &c.SecretARN,
		bucketVar:    &c.Bucket,
		archiveVar:   &c.Archive,
	}
}

// Vars returns the environment variables that make [Load] return c, none for an empty
// Archive, and the one that Go's runtime reads.
func (c Config) Vars() map[string]string {
	vars := map[string]string{threadsVar: threads}
	for name, value := range c.fields() {
		if name == archiveVar && *value == "" {
			continue
		}
		vars[name] = *value
	}
	return vars
}

// Load reads the Config from the environment (pass [os.LookupEnv]). Every variable but
// that of Archive is required; all that are missing or empty are reported in one error.
func Load(lookup func(name string) (string, bool)) (Config, error) {
	var c Config
	var missing []string
	for name, field := range c.fields() {
		value, _ := lookup(name)
		if strings.TrimSpace(value) == "" && name != archiveVar {
			missing = append(missing, name)
			continue
		}
		*field = value
	}
	if len(missing) > 0 {
		slices.Sort(missing) // the same message for the same mistake
		return Config{}, fmt.Errorf("environment variables missing or empty: %s; the stack sets them, so deploy it again", strings.Join(missing, ", "))
	}
	return c, nil
}
