package receive

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onepagecrm/nylas-webhooks/lambda/contract"
	"github.com/onepagecrm/nylas-webhooks/notification"
)

// fakeArchive keeps the copies.
type fakeArchive struct {
	mu     sync.Mutex
	copies []notification.Wire
	keep   func(ctx context.Context) error
}

func (f *fakeArchive) Archive(ctx context.Context, w notification.Wire, receivedAt time.Time) error {
	if f.keep != nil {
		if err := f.keep(ctx); err != nil {
			return err
		}
	}
	if !receivedAt.Equal(clock) {
		return errors.New("another time than that of arrival")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.copies = append(f.copies, w)
	return nil
}

func (f *fakeArchive) kept() []notification.Wire {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.copies
}

// archives are all that an archive can do.
func archives() map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"keeps it": nil,
		"refuses":  func(context.Context) error { return errors.New("archive: 503") },
		"hangs":    func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
		"hears of no deadline": func(ctx context.Context) error {
			time.Sleep(time.Minute)
			return errors.New("too late")
		},
		"panics": func(context.Context) error { panic("a body with an address") },
	}
}

// Whatever the archive does, the answer, its outcome and what is sent are those of a stage
// without one, and not later than the archive's time.
func TestArchiveChangesNoAnswer(t *testing.T) {
	for does, keep := range archives() {
		for _, tt := range statusContract() {
			if tt.setup != nil && tt.name == "challenge without secret and queue" {
				continue // it is about what is not there
			}
			t.Run(does+"/"+tt.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := newBench(t)
					a := &fakeArchive{keep: keep}
					b.handler.ArchiveIn(a)
					if tt.setup != nil {
						tt.setup(b)
					}
					start := time.Now()
					r := b.do(tt.event)
					took, line := time.Since(start), b.line()
					if r.StatusCode != tt.status || line["outcome"] != string(tt.metric) || line["reason"] != string(tt.reason) || len(b.queue.sent) != tt.sent {
						t.Errorf("answered %d, logged %v %v, %d sent; want %d, %v %v, %d", r.StatusCode, line["outcome"], line["reason"], len(b.queue.sent), tt.status, tt.metric, tt.reason, tt.sent)
					}
					if took > time.Second {
						t.Errorf("the answer took %v, want at most 1 s", took)
					}
					// What was verified and has a form that can be sent is tried, nothing else.
					tried := tt.metric == contract.Accepted || tt.metric == contract.Spilled || tt.reason == contract.ReasonSendFailed || tt.metric == contract.Faulted
					failed := tried && keep != nil
					if metrics := b.metricsOf(); (metrics["ArchiveFailed"] == 1) != failed || (line["archive_error"] != nil) != failed {
						t.Errorf("ArchiveFailed %v, archive_error %v", metrics["ArchiveFailed"], line["archive_error"])
					}
					if said := fmt.Sprint(line["archive_error"]); failed && does == "panics" && (!strings.HasPrefix(said, "panic: string") || strings.Contains(said, "address")) {
						t.Errorf("archive_error is %q", said)
					}
					if failed && line["level"] == "INFO" {
						t.Error("a copy that is missing is logged as if all were well")
					}
					time.Sleep(time.Minute) // what hears of no deadline has ended
					if want := tried && keep == nil; (len(a.kept()) == 1) != want {
						t.Errorf("%d copies", len(a.kept()))
					}
				})
			})
		}
	}
}

// The copy is the message as the queue gets it first, a pointer where the body is in the
// bucket already.
func TestArchiveKeepsWhatTheQueueGets(t *testing.T) {
	for name, body := range map[string][]byte{"small": body, "too large": noise()} {
		b := newBench(t)
		a := &fakeArchive{}
		b.handler.ArchiveIn(a)
		b.do(post(body, secret))
		if copies := a.kept(); len(copies) != 1 || !reflect.DeepEqual(copies[0], b.queue.sent[0]) {
			t.Errorf("%s: %d copies, or another message than was sent", name, len(copies))
		}
	}
}

// equivalent mutant: beginCopy: 1 -> 2
// One answer comes; the room is for when nobody waits for it any more.

// What S3 has is one second, and no copy goes on after the answer.
func TestArchiveHasASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		var given context.Context
		b.handler.ArchiveIn(&fakeArchive{keep: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }})
		start := time.Now()
		if r := b.do(post(body, secret)); r.StatusCode != 200 || time.Since(start) != time.Second {
			t.Errorf("answered %d after %v", r.StatusCode, time.Since(start))
		}
		b.handler.ArchiveIn(&fakeArchive{keep: func(ctx context.Context) error { given = ctx; return nil }})
		b.do(post(body, secret))
		if given.Err() == nil {
			t.Error("after the answer a copy may go on")
		}
	})
}

// It is written while SQS is asked, not after.
func TestArchiveIsBesideTheSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		wait := func(context.Context) error { time.Sleep(300 * time.Millisecond); return nil }
		b.queue.send = wait
		b.handler.ArchiveIn(&fakeArchive{keep: wait})
		start := time.Now()
		if r := b.do(post(body, secret)); r.StatusCode != 200 || time.Since(start) != 300*time.Millisecond {
			t.Errorf("answered %d after %v", r.StatusCode, time.Since(start))
		}
	})
}
