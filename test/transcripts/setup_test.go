package transcripts

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/onepagecrm/nylas-webhooks/notification/samples"
	"github.com/onepagecrm/nylas-webhooks/test/hookctl/localstage"
)

// setups make the state that a page's commands find, by the name in its comment
// <!-- setup: name -->.
var setups = map[string]func(context.Context) error{
	"dead letters":     deadLetters,
	"outage":           outage,
	"empty queue":      func(ctx context.Context) error { return stage.Empty(ctx) },
	"spilled":          spilled,
	"no secret stored": func(ctx context.Context) error { return store(ctx, "") },
}

// fresh is what every page begins with: empty queues and logs, and the samples' secret
// stored.
func fresh(ctx context.Context) error {
	if err := stage.Empty(ctx); err != nil {
		return err
	}
	if err := stage.Log(ctx, nil); err != nil {
		return err
	}
	return store(ctx, samples.Secret)
}

func store(ctx context.Context, value string) error {
	_, err := secretsmanager.NewFromConfig(stage.AWS).PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{
		SecretId: aws.String(stage.Outputs["SecretName"]), SecretString: &value,
	})
	return err
}

// outage writes logs that end in the minute that runs; near its end it waits for the
// next, so that the page's command sees the same minute.
func outage(ctx context.Context) error {
	if left := time.Until(time.Now().Truncate(time.Minute).Add(time.Minute)); left < 10*time.Second {
		time.Sleep(left)
	}
	return stage.Log(ctx, localstage.Outage())
}

// deadLetters makes three, the way a failing consumer does.
func deadLetters(ctx context.Context) error {
	if err := stage.Empty(ctx); err != nil {
		return err
	}
	for _, name := range []string{"message_created", "message_created_truncated", "grant_expired"} {
		sample, err := samples.Get(name)
		if err != nil {
			return err
		}
		wire, err := localstage.Wire(sample, "")
		if err != nil {
			return err
		}
		if err := stage.SendWire(ctx, wire); err != nil {
			return err
		}
	}
	return stage.Kill(ctx)
}

// spilled puts two notifications where the receiver keeps what SQS does not take.
func spilled(ctx context.Context) error {
	client := s3.NewFromConfig(stage.AWS, func(o *s3.Options) { o.UsePathStyle = true })
	for i, name := range []string{"message_created", "grant_expired"} {
		sample, err := samples.Get(name)
		if err != nil {
			return err
		}
		wire, err := localstage.Wire(sample, "")
		if err != nil {
			return err
		}
		object, err := wire.Spill()
		if err != nil {
			return err
		}
		key := fmt.Sprintf("spill/2026/01/05/10/%08d-0000-4000-8000-000000000000.json.gz", i)
		_, err = client.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String(stage.Outputs["BucketName"]), Key: &key, Body: bytes.NewReader(object)})
		if err != nil {
			return err
		}
	}
	return nil
}
