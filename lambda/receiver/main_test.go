package main

import (
	"context"
	"errors"
	"io"
	"math"
	"os"
	"runtime/debug"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// 80 % of what Lambda gives; without a size there is no limit.
func TestLimitMemory(t *testing.T) {
	for megabytes, want := range map[string]int64{"256": 214_748_364, "": math.MaxInt64} {
		t.Run(megabytes, func(t *testing.T) {
			before := debug.SetMemoryLimit(math.MaxInt64)
			t.Cleanup(func() { debug.SetMemoryLimit(before) })
			t.Setenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", megabytes)
			limitMemory()
			if got := debug.SetMemoryLimit(-1); got != want {
				t.Errorf("with %q MB the limit is %d bytes, want %d", megabytes, got, want)
			}
		})
	}
}

// What Lambda puts into the environment, and nothing else.
func TestAWSConfig(t *testing.T) {
	t.Setenv("AWS_REGION", "eu-central-1")
	t.Setenv("AWS_ACCESS_KEY_ID", "key")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("AWS_SESSION_TOKEN", "token")
	t.Setenv("AWS_ENDPOINT_URL", "")
	cfg := awsConfig()
	got, err := cfg.Credentials.Retrieve(t.Context())
	if err != nil || cfg.Region != "eu-central-1" || got.AccessKeyID != "key" || got.SecretAccessKey != "secret" || got.SessionToken != "token" {
		t.Errorf("region %q, access key %q, %v", cfg.Region, got.AccessKeyID, err)
	}
	if cfg.BaseEndpoint != nil {
		t.Errorf("AWS is asked at %q, and nobody said so", *cfg.BaseEndpoint)
	}
	t.Setenv("AWS_ENDPOINT_URL", "https://localhost:1")
	if cfg := awsConfig(); cfg.BaseEndpoint == nil || *cfg.BaseEndpoint != "https://localhost:1" {
		t.Errorf("AWS_ENDPOINT_URL is not heeded")
	}
}

// The start waits for the steps, one second at most, and says which have failed.
func TestWarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		said := stderr(t, func() {
			warm(
				func(context.Context) error { return nil },
				func(context.Context) error { return errors.New("no route") },
				func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
			)
		})
		if took := time.Since(began); took != time.Second {
			t.Errorf("the start waited for %v, want 1s", took)
		}
		if lines := strings.Count(said, `"msg":"warm up"`); lines != 2 || !strings.Contains(said, "no route") || !strings.Contains(said, "deadline exceeded") {
			t.Errorf("two steps failed, and it says\n%s", said)
		}
	})
}

// stderr returns what is written to it meanwhile.
func stderr(t *testing.T, meanwhile func()) string {
	t.Helper()
	file, err := os.CreateTemp(t.TempDir(), "stderr")
	if err != nil {
		t.Fatal(err)
	}
	was := os.Stderr
	os.Stderr = file
	meanwhile()
	os.Stderr = was
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	said, err := io.ReadAll(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(said)
}
