package transcripts

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
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
	"archived":         archived,
	"a program":        program,
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

// archived makes an archive of three copies, of two grants.
func archived(ctx context.Context) error {
	names, err := stage.Archived(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, err := stage.S3().DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: aws.String(stage.Outputs["BucketName"]), Key: &name}); err != nil {
			return err
		}
	}
	for i, name := range []string{"message_created", "message_created_truncated", "grant_expired"} {
		grant := []string{"3f1e6a52-0d0a-4c1f-9a47-2b8f5f6f1c11", "9c2d1b7e-4f8a-4b62-8f0e-7d5a3c9e2b22"}[i/2]
		if err := stage.Archive(ctx, name, grant, time.Now().Add(time.Duration(i-3)*time.Minute)); err != nil {
			return err
		}
	}
	return nil
}

// program is a developer's, which takes whatever comes.
func program(context.Context) error {
	listener, err := net.Listen("tcp", "127.0.0.1:43117")
	if err != nil {
		return err
	}
	go func() {
		// It ends with the tests.
		_ = http.Serve(listener, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})) //nolint:gosec // it answers this machine only
	}()
	return nil
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
