// Command hookworker takes notifications from the queue and delivers each to the
// CRM's own HTTP endpoint: the exact bytes that Nylas signed, in a POST that the CRM
// can verify by the Standard Webhooks specification.
//
// It runs beside the CRM, one or more of it, for as long as the CRM does. Settings
// come from the environment (config.go). deliver.go says what the CRM's answer means;
// how a message is received, kept, repeated and deleted is package consumer's.
//
// It looks into no notification, and starts no second attempt while the CRM is down:
// what the CRM cannot take now waits in the queue.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/onepagecrm/nylas-webhooks/consumer"
	"github.com/onepagecrm/nylas-webhooks/internal/awsconfig"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.LookupEnv, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "hookworker:", err)
		os.Exit(1)
	}
}

// deliverGrace is what a handler gets beyond the CRM's own time limit: reading the
// answer, and turning it into an outcome.
const deliverGrace = 5 * time.Second

// run is the whole program but for the process around it. It returns nil after a
// graceful stop.
func run(ctx context.Context, lookup func(string) (string, bool), logs io.Writer) error {
	s, err := load(lookup)
	if err != nil {
		return err
	}
	cfg, err := awsconfig.Load(ctx)
	if err != nil {
		return err
	}
	registry := prometheus.NewRegistry()
	m := newMetrics(registry, s.timeout)
	d, err := newDeliverer(s, m)
	if err != nil {
		return err
	}
	c := consumer.Config{
		SQS:                sqs.NewFromConfig(cfg),
		QueueURL:           s.queueURL,
		DeadLetterQueueURL: s.deadLetterQueueURL,
		Handler:            d.deliver,
		HandlerTimeout:     s.timeout + deliverGrace,
		Concurrency:        s.concurrency,
		Logger:             slog.New(slog.NewJSONHandler(logs, nil)),
		Observe:            m.observe,
	}
	if s.bucket != "" {
		c.Bucket = s.bucket
		c.S3 = s3.NewFromConfig(cfg, func(o *s3.Options) {
			o.UsePathStyle = cfg.BaseEndpoint != nil // a local engine's host has no subdomain per bucket
		})
	}
	if s.table != "" {
		if c.Store, err = consumer.NewDynamoDBStore(dynamodb.NewFromConfig(cfg), s.table, 0); err != nil {
			return err
		}
	}
	worker, err := consumer.New(c)
	if err != nil {
		return err
	}
	m.watch(registry, worker.Status)

	// Before anything is received: a port in use ends the program, not the delivery.
	listener, err := net.Listen("tcp", s.listen)
	if err != nil {
		return fmt.Errorf("listen for health checks and metrics: %w (%s sets the address)", err, listenVar)
	}
	server := &http.Server{Handler: pages(registry, worker.Status, s.concurrency), ReadHeaderTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	c.Logger.Info("hookworker: started", "listen", listener.Addr().String(), "crm", s.crm.Host, "concurrency", s.concurrency, "table", s.table)

	err = worker.Run(ctx)
	if closeErr := server.Close(); closeErr != nil {
		err = errors.Join(err, fmt.Errorf("close server: %w", closeErr))
	}
	if serveErr := <-served; !errors.Is(serveErr, http.ErrServerClosed) {
		err = errors.Join(err, fmt.Errorf("serve health checks and metrics: %w", serveErr))
	}
	return err
}
