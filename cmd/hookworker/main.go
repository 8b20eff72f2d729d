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
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/prometheus/client_golang/prometheus"
	_ "golang.org/x/crypto/x509roots/fallback" // authorities for an image that has none; a system's own go before

	"github.com/onepagecrm/nylas-webhooks/consumer"
	"github.com/onepagecrm/nylas-webhooks/internal/awsconfig"
	"github.com/onepagecrm/nylas-webhooks/internal/awserror"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
	stop()
	if errors.Is(err, errUsage) {
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "hookworker:", awserror.Text(err))
		os.Exit(1)
	}
}

// deliverGrace is what a handler gets beyond the CRM's own time limit: reading the
// answer, and turning it into an outcome.
const deliverGrace = 5 * time.Second

// errUsage: the command line was not right; what is wrong was printed.
var errUsage = errors.New("wrong usage")

// options handles the command line. Done says that there is nothing to run.
func options(args []string, stdout, stderr io.Writer) (done bool, err error) {
	flags := flag.NewFlagSet("hookworker", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() { help(stderr) }
	version := flags.Bool("version", false, "print the version and end")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return true, nil
	case err != nil:
		return true, errUsage
	case flags.NArg() > 0:
		fmt.Fprintf(stderr, "hookworker takes no arguments, and %q is one. hookworker --help lists its settings\n", flags.Arg(0))
		return true, errUsage
	case *version:
		fmt.Fprintln(stdout, "hookworker", built())
		return true, nil
	}
	return false, nil
}

// built says of what the program was built.
func built() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	version := info.Main.Version
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" && version == "(devel)" {
			version = setting.Value
		}
	}
	return version + " " + info.GoVersion
}

func help(out io.Writer) {
	fmt.Fprint(out, "hookworker delivers the notifications on the queue to an HTTP endpoint, until it gets SIGTERM.\n\nOptions: --help, --version. Its settings are in the environment, AWS's own beside them:\n\n")
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, v := range variables {
		fmt.Fprintf(table, "  %s\t%s\n", v.name, v.help)
	}
	_ = table.Flush() // whoever asked may be gone
}

// run is the whole program but for the process around it. It returns nil after a
// graceful stop.
func run(ctx context.Context, args, environ []string, stdout, logs io.Writer) error {
	if done, err := options(args, stdout, logs); done {
		return err
	}
	s, err := load(environ)
	if err != nil {
		return err
	}
	cfg, err := awsconfig.Load(ctx)
	if err != nil {
		return err
	}
	if s.secretARN != "" {
		if s.signers, err = fetchSigners(ctx, secretsmanager.NewFromConfig(cfg), s.secretARN); err != nil {
			return err
		}
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
		RetryMin:           s.retryMin,
		RetryMax:           s.retryMax,
		PauseMin:           s.pauseMin,
		PauseMax:           s.pauseMax,
		StopTimeout:        s.stop,
		Logger:             slog.New(slog.NewJSONHandler(logs, &slog.HandlerOptions{Level: s.logLevel})),
		Observe:            m.observe,
	}
	if s.webhookSecretARN != "" {
		secret := &webhookSecret{client: secretsmanager.NewFromConfig(cfg), arn: s.webhookSecretARN}
		if _, err := secret.keys(ctx); err != nil { // at once, and not as a worker that waits for ever
			return err
		}
		secret.verify(&c)
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
	c.Logger.Info("hookworker: started", "version", built(), "listen", listener.Addr().String(), "crm", s.crm.Host, "concurrency", s.concurrency, "table", s.table)

	err = worker.Run(ctx)
	if closeErr := server.Close(); closeErr != nil {
		err = errors.Join(err, fmt.Errorf("close server: %w", closeErr))
	}
	if serveErr := <-served; !errors.Is(serveErr, http.ErrServerClosed) {
		err = errors.Join(err, fmt.Errorf("serve health checks and metrics: %w", serveErr))
	}
	return err
}
