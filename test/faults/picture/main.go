// Command picture draws docs/pictures/faults.svg: an hour in which AWS fails, played
// in a minute with the real receiver, and what became of the notifications. It exits with 1
// when one was lost.
//
//	go run ./test/faults/picture
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/onepagecrm/nylas-webhooks/test/faults"
	"github.com/onepagecrm/nylas-webhooks/test/faults/standin"
)

const (
	minute = time.Second // the hour is over in a minute
	hour   = 60 * minute
	rate   = 40 // a second: enough to see, and no work for two cores
)

// trouble is what happens in the hour: which of AWS's services are unavailable, and when.
var trouble = []struct {
	faults.Mark
	begin func(aws *standin.Server)
}{
	{faults.Mark{From: 8 * minute, To: 23 * minute, Text: "no SQS"}, func(aws *standin.Server) {
		aws.SQS.Faults.Set(1, 1, standin.Refuse(standin.SQSUnavailable))
	}},
	{faults.Mark{From: 32 * minute, To: 35 * minute, Text: "neither SQS nor S3"}, func(aws *standin.Server) {
		aws.SQS.Faults.Set(1, 1, standin.Refuse(standin.SQSUnavailable))
		aws.S3.Faults.Set(1, 1, standin.Refuse(standin.S3SlowDown))
	}},
	{faults.Mark{From: 45 * minute, To: 52 * minute, Text: "no Secrets Manager"}, func(aws *standin.Server) {
		aws.Secrets.Faults.Set(1, 1, standin.Refuse(standin.SecretsInternal))
	}},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "picture:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	root, err := faults.Root(ctx)
	if err != nil {
		return err
	}
	stack, err := faults.ReadStack(root)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "picture-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	program, err := faults.Build(ctx, root, dir, nil)
	if err != nil {
		return err
	}
	r, err := faults.Run(ctx, program, stack, faults.Scenario{
		Name:          "An hour, played in a minute: notifications",
		Notifications: rate * int(hour/time.Second), Rate: rate, Provisioned: 2 * rate,
		Compression: float64(time.Minute / minute), // Nylas's 10 to 20 minutes are as many seconds
		During:      play, NoOutage: true,
	})
	if err != nil {
		return err
	}
	if len(r.Wrong) > 0 {
		return fmt.Errorf("the run was wrong: %v", r.Wrong)
	}
	var marks []faults.Mark
	for _, t := range trouble {
		marks = append(marks, t.Mark)
	}
	fmt.Printf("sent %d in %d attempts: refused %d, delivered %d, spilled %d, duplicated %d, given up %d, lost %d\n", r.Account.Sent, r.Account.Attempts,
		r.Account.Refused, r.Account.Delivered, r.Account.Spilled, r.Account.Duplicated, r.Account.GivenUp, r.Account.Lost)
	return os.WriteFile(filepath.Join(root, "docs", "pictures", "faults.svg"), []byte(faults.Plot(r, marks...)), 0o600)
}

// play lets each trouble begin and end at its time.
func play(ctx context.Context, s *faults.System) error {
	began := time.Now()
	for _, t := range trouble {
		if err := until(ctx, began.Add(t.From)); err != nil {
			return err
		}
		t.begin(s.AWS)
		if err := until(ctx, began.Add(t.To)); err != nil {
			return err
		}
		s.AWS.SQS.Faults.Heal()
		s.AWS.S3.Faults.Heal()
		s.AWS.Secrets.Faults.Heal()
	}
	return nil
}

func until(ctx context.Context, at time.Time) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Until(at)):
		return nil
	}
}
