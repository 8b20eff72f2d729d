// Command mutation asks of the unit tests what coverage cannot tell: whether they
// notice when the code is wrong. It changes one thing at a time (an operator, a number,
// a statement left out, an error swallowed) and runs the package's tests; a mutant that
// lets all of them pass has survived.
//
//	go run ./test/mutation ./lambda/... ./notification/...
//
// A survivor is killed by a test, or it is no fault. Then a comment in a test file of
// the package says why, with the mutant's name as it is printed:
//
//	// equivalent mutant: ParseSignature: len(text) >= len(prefix) -> len(text) > len(prefix)
//	// A text as long as the prefix has no digits, and is refused either way.
//
// A number that was tuned, as how long something lingers, is no fault when it is twice as
// large. It is named, with what decides about it:
//
//	// tuned numbers: deleteLinger, deleteRetry
//	// The scenarios decide about them, within a factor of two.
//
// The files in the checkout are not touched: the compiler reads the mutant by its
// -overlay. gremlins, the known tool for Go, was tried first (0.6.0): it neither changes
// numbers nor leaves out statements, and most of what the tests missed was of these two
// kinds.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"strings"
	"sync"
)

func main() {
	only := flag.String("only", "", "try only mutants whose name contains this `text`")
	files := flag.String("files", "", "try only mutants of files whose name matches this `expression`, as ^gate")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *only, *files, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "mutation:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, only, files string, patterns []string) error {
	match, err := regexp.Compile(files)
	if err != nil {
		return fmt.Errorf("-files: %w", err)
	}
	packages, err := list(ctx, patterns)
	if err != nil {
		return err
	}
	scratch, err := os.MkdirTemp("", "mutation-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch) //nolint:errcheck // what is left of a temporary folder harms nobody

	var total score
	var survivors, stale []string
	for _, p := range packages {
		result, err := p.try(ctx, scratch, only, match)
		if err != nil {
			return err
		}
		fmt.Printf("%-34s %s\n", p.name(), result.score)
		for _, m := range result.survivors {
			survivors = append(survivors, fmt.Sprintf("%s:%d %s", relative(m.file), m.line, m.id))
		}
		stale = append(stale, result.stale...)
		total.add(result.score)
	}
	fmt.Printf("%-34s %s\n", "all", total)
	if only == "" && files == "" && len(stale) > 0 {
		survivors = append(survivors, stale...)
	}
	if len(survivors) > 0 {
		return fmt.Errorf("%d to look at: kill each by a test, or say in a test file of its package why it is no fault (see go doc ./test/mutation)\n  %s",
			len(survivors), strings.Join(survivors, "\n  "))
	}
	return nil
}

// score counts what became of the mutants.
type score struct{ killed, equivalent, tuned, survived, broken int }

func (s *score) add(o score) {
	s.killed += o.killed
	s.equivalent += o.equivalent
	s.tuned += o.tuned
	s.survived += o.survived
	s.broken += o.broken
}

func (s score) String() string {
	share := 100.0
	if counted := s.killed + s.survived; counted > 0 {
		share = 100 * float64(s.killed) / float64(counted)
	}
	return fmt.Sprintf("%4d mutants: %4d killed (%.1f %%), %d survived, %d equivalent, %d of tuned numbers; %d more did not compile",
		s.killed+s.survived+s.equivalent+s.tuned, s.killed, share, s.survived, s.equivalent, s.tuned, s.broken)
}

// each calls work for every item, as many at once as there are processors.
func each[T any](items []T, work func(T)) {
	queue := make(chan T)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for item := range queue {
				work(item)
			}
		})
	}
	for _, item := range items {
		queue <- item
	}
	close(queue)
	workers.Wait()
}
