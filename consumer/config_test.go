package consumer

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/onepagecrm/nylas-webhooks/consumer/consumertest"
	"github.com/onepagecrm/nylas-webhooks/notification"
)

func nothing(context.Context, notification.Notification) error { return nil }

// The borders are those of SQS's documents, and what the comments of config.go say.
func TestConfigIsChecked(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Config)
		says   string // "" where it is fine
	}{
		"as it is":                              {func(*Config) {}, ""},
		"no handler":                            {func(c *Config) { c.Handler = nil }, "Handler is missing"},
		"1 handler":                             {func(c *Config) { c.Concurrency = 1 }, ""},
		"a negative number of handlers":         {func(c *Config) { c.Concurrency = -1 }, "Concurrency is -1, it must be between 1 and 1000"},
		"1,000 handlers":                        {func(c *Config) { c.Concurrency = 1000 }, ""},
		"1,001 handlers":                        {func(c *Config) { c.Concurrency = 1001 }, "Concurrency is 1001"},
		"S3 without its bucket":                 {func(c *Config) { c.S3 = &s3.Client{} }, "S3 and Bucket belong together"},
		"a bucket without S3":                   {func(c *Config) { c.Bucket = "b" }, "S3 and Bucket belong together"},
		"a nil client of S3 and a bucket":       {func(c *Config) { c.S3, c.Bucket = (*s3.Client)(nil), "b" }, "S3 and Bucket belong together"},
		"S3 and a bucket":                       {func(c *Config) { c.S3, c.Bucket = &s3.Client{}, "b" }, ""},
		"no client":                             {func(c *Config) { c.SQS = nil }, "SQS, the client, is missing"},
		"a nil client":                          {func(c *Config) { c.SQS = (*sqs.Client)(nil) }, "SQS, the client, is missing"},
		"no queue":                              {func(c *Config) { c.QueueURL = "" }, "QueueURL is missing"},
		"a name":                                {func(c *Config) { c.QueueURL = "notifications" }, "QueueURL is no URL"},
		"a URL without a host":                  {func(c *Config) { c.QueueURL = "https:///x" }, "QueueURL is no URL"},
		"a URL without a scheme":                {func(c *Config) { c.QueueURL = "//sqs.eu-west-1.amazonaws.com/1/x" }, "QueueURL is no URL"},
		"no URL at all":                         {func(c *Config) { c.QueueURL = "https://a b/" }, "QueueURL is no URL"},
		"FIFO":                                  {func(c *Config) { c.QueueURL += ".fifo" }, "QueueURL is a FIFO queue"},
		"a name for the dead letters":           {func(c *Config) { c.DeadLetterQueueURL = "dead" }, "DeadLetterQueueURL is no URL"},
		"the queue for the dead letters":        {func(c *Config) { c.DeadLetterQueueURL = c.QueueURL }, "DeadLetterQueueURL is the queue itself"},
		"a queue for the dead letters":          {func(c *Config) { c.DeadLetterQueueURL = consumertest.DeadLetterURL }, ""},
		"6 hours a handler":                     {func(c *Config) { c.HandlerTimeout = 6 * time.Hour }, ""},
		"longer":                                {func(c *Config) { c.HandlerTimeout = 6*time.Hour + 1 }, "HandlerTimeout is 6h0m0.000000001s, it must be 6h0m0s at most"},
		"a handler that has no time":            {func(c *Config) { c.HandlerTimeout = -1 }, "HandlerTimeout is -1ns, it must be positive"},
		"a nanosecond":                          {func(c *Config) { c.HandlerTimeout = 1 }, ""},
		"hidden for 4 s":                        {func(c *Config) { c.Visibility = 4 * time.Second }, ""},
		"hidden for 3 s":                        {func(c *Config) { c.Visibility = 3 * time.Second }, "Visibility is 3s"},
		"hidden for 12 h":                       {func(c *Config) { c.Visibility = 12 * time.Hour }, ""},
		"hidden for longer":                     {func(c *Config) { c.Visibility = 12*time.Hour + time.Second }, "Visibility is 12h0m1s, it must be whole seconds between 4s and 12h0m0s"},
		"hidden for half a second more":         {func(c *Config) { c.Visibility = 4500 * time.Millisecond }, "Visibility is 4.5s"},
		"a retry after 12 h":                    {func(c *Config) { c.RetryMax = 12 * time.Hour }, ""},
		"a retry later":                         {func(c *Config) { c.RetryMax = 12*time.Hour + 1 }, "RetryMax is 12h0m0.000000001s, SQS hides a message for 12h0m0s at most"},
		"a retry before the first":              {func(c *Config) { c.RetryMin, c.RetryMax = 2, 1 }, "RetryMax is 1ns, less than RetryMin, which is 2ns"},
		"one kind of retry":                     {func(c *Config) { c.RetryMin, c.RetryMax = 2, 2 }, ""},
		"no retry":                              {func(c *Config) { c.RetryMin = -1 }, "RetryMin is -1ns"},
		"a pause shorter than the first":        {func(c *Config) { c.PauseMin, c.PauseMax = 2, 1 }, "PauseMax is 1ns, less than PauseMin"},
		"no time to stop":                       {func(c *Config) { c.StopTimeout = -1 }, "StopTimeout is -1ns"},
		"a longest retry, not named, is longer": {func(c *Config) { c.RetryMin = time.Hour }, ""},
		"so is a longest pause":                 {func(c *Config) { c.PauseMin = time.Hour }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			config := Config{Handler: nothing, SQS: consumertest.NewQueue(), QueueURL: consumertest.URL}
			c.change(&config)
			made, err := New(config)
			switch {
			case c.says == "" && (err != nil || made == nil):
				t.Error(err)
			case c.says != "" && (err == nil || made != nil || !strings.Contains(err.Error(), c.says)):
				t.Errorf("%v, want %q", err, c.says)
			}
		})
	}
	_, err := New(Config{Concurrency: -1})
	if err == nil || !strings.Contains(err.Error(), "Handler is missing") || !strings.Contains(err.Error(), "QueueURL is missing") || !strings.Contains(err.Error(), "Concurrency") {
		t.Errorf("not every problem is named: %v", err)
	}
}

func TestDefaults(t *testing.T) {
	c := Config{}.withDefaults()
	for name, is := range map[string]bool{
		"HandlerTimeout": c.HandlerTimeout == 30*time.Second,
		"Concurrency":    c.Concurrency == 10,
		"Visibility":     c.Visibility == time.Minute,
		"Retry":          c.RetryMin == 10*time.Second && c.RetryMax == 15*time.Minute,
		"Pause":          c.PauseMin == time.Second && c.PauseMax == time.Minute,
		"StopTimeout":    c.StopTimeout == 25*time.Second,
		"MaxReceives":    c.MaxReceives == 5,
		"grace":          c.grace == 5*time.Second,
		"Logger":         c.Logger == slog.Default(),
	} {
		if !is {
			t.Errorf("%s is not what its comment says: %+v", name, c)
		}
	}
	if _, guards := (Config{Store: NewMemoryStore()}).withDefaults().Store.(guarded); !guards {
		t.Error("a store's panic is not survived")
	}
}

// equivalent mutant: positive: d > 0 -> d >= 0
// 0 is the default's by then.

// tuned numbers: mostHides, deleteLinger, mostDeletes, maxHeldBytes, fetchTimeout, lastPoll, noAnswerAfter, mostReceives, quick
// tuned numbers: fullMax, maxDecodedBytes, recordTimeout
// How many at once, how long between: each says its reason where it is. The scenarios
// (docs/consumer.md) decide, and none is a border of SQS.
