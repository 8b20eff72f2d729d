package consumer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/onepagecrm/nylas-webhooks/consumer"
	"github.com/onepagecrm/nylas-webhooks/internal/awsconfig"
	"github.com/onepagecrm/nylas-webhooks/notification"
)

// A worker is this test binary, started again as a process that can be killed. The
// variables tell it what to do.
const (
	workerEnv     = "TEST_WORKER"
	workerQueue   = "TEST_WORKER_QUEUE"
	workerTable   = "TEST_WORKER_TABLE"
	workerJournal = "TEST_WORKER_JOURNAL"
	workerMarks   = "TEST_WORKER_MARKS"
)

const (
	workerConcurrency = 32
	workerVisibility  = 4 * time.Second // what a killed worker was at comes back after this
	workerTimeout     = 7 * time.Second // longer, so that heartbeats are needed
)

// step is one line of the journal that the workers share. It is written before the
// step where the test must not miss one, and after it where it must not invent one.
type step struct {
	At      time.Time
	Process int
	What    string
	ID      string
	Owner   string    // of the lease
	Until   time.Time // of the lease
}

// The steps.
const (
	claimed   = "claimed"   // after the lease was taken
	extended  = "extended"  // after it was extended
	releasing = "releasing" // before it is released
	started   = "started"   // the handler
	succeeded = "succeeded" // the handler, before anybody else knows
	recorded  = "recorded"  // after the record of it was written
)

// journal appends steps to the file. One write of less than a page to a file that is
// opened for appending is not mixed with others, and is kept when the process dies.
type journal struct{ file *os.File }

func (j journal) write(what, id, owner string, until time.Time) {
	line, err := json.Marshal(step{time.Now(), os.Getpid(), what, id, owner, until})
	if err != nil {
		panic(err)
	}
	if _, err := j.file.Write(append(line, '\n')); err != nil {
		panic(err)
	}
}

// journaled is a store that tells the journal.
type journaled struct {
	consumer.Store
	journal journal
}

func (s journaled) Begin(ctx context.Context, id, owner string, until time.Time) (consumer.Claim, error) {
	claim, err := s.Store.Begin(ctx, id, owner, until)
	if err == nil && claim.State == consumer.Claimed {
		s.journal.write(claimed, id, owner, until)
	}
	return claim, err
}

func (s journaled) Extend(ctx context.Context, id, owner string, until time.Time) error {
	err := s.Store.Extend(ctx, id, owner, until)
	if err == nil {
		s.journal.write(extended, id, owner, until)
	}
	return err
}

func (s journaled) Release(ctx context.Context, id, owner string) error {
	s.journal.write(releasing, id, owner, time.Time{})
	return s.Store.Release(ctx, id, owner)
}

func (s journaled) Complete(ctx context.Context, id, owner string) error {
	err := s.Store.Complete(ctx, id, owner)
	if err == nil {
		s.journal.write(recorded, id, owner, time.Time{})
	}
	return err
}

// workerMain is the worker process.
func workerMain() int {
	if err := work(); err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		return 1
	}
	return 0
}

func work() error {
	cfg, err := awsconfig.Load(context.Background())
	if err != nil {
		return err
	}
	file, err := os.OpenFile(os.Getenv(workerJournal), os.O_WRONLY|os.O_APPEND, 0) //nolint:gosec // the test names it
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	j := journal{file}
	table, err := consumer.NewDynamoDBStore(dynamodb.NewFromConfig(cfg), os.Getenv(workerTable), 0)
	if err != nil {
		return err
	}
	c, err := consumer.New(consumer.Config{
		SQS: sqs.NewFromConfig(cfg), QueueURL: os.Getenv(workerQueue), Store: journaled{table, j}, Handler: misbehave(j),
		Concurrency: workerConcurrency, Visibility: workerVisibility, HandlerTimeout: workerTimeout,
		RetryMin: time.Second, RetryMax: time.Second,
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	return c.Run(ctx)
}

// misbehave is the handler. Of every thousand notifications fifty fail, ten panic,
// five hang until they are told to stop, and one does not stop when told, each at its
// first attempt only; two take longer than their message is hidden. Five fail always.
func misbehave(j journal) consumer.Handler {
	marks := os.Getenv(workerMarks)
	return func(ctx context.Context, n notification.Notification) error {
		j.write(started, n.ID, "", time.Time{})
		number, err := strconv.Atoi(n.ID)
		if err != nil {
			return err
		}
		if number < poison {
			return errors.New("never")
		}
		switch number % 1000 {
		case 66, 67:
			time.Sleep(workerVisibility + 2*time.Second)
		default:
			time.Sleep(5 * time.Millisecond)
		}
		if first(marks, n.ID) {
			switch number %= 1000; {
			case number < 50:
				return errors.New("not yet")
			case number < 60:
				panic("not yet")
			case number < 65:
				<-ctx.Done()
				return ctx.Err()
			case number == 65:
				<-ctx.Done()
				time.Sleep(7 * time.Second) // more than the 5 s of grace: abandoned
				return errors.New("too late for anybody to hear")
			}
		}
		j.write(succeeded, n.ID, "", time.Time{})
		return nil
	}
}

// first tells, over all workers, whether nobody has asked for that id before.
func first(marks, id string) bool {
	file, err := os.OpenFile(filepath.Join(marks, id), os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // the test names both
	if err != nil {
		return false
	}
	return file.Close() == nil
}
