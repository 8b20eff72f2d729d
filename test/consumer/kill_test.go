package consumer

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

const (
	killMessages   = 3_000
	killDuplicates = 500 // of the messages are second deliveries
	killed         = 3   // times
	poison         = 5   // notifications that always fail
)

// TestWorkersAreKilled has two workers on one queue, with handlers that misbehave,
// and kills one of them with SIGKILL three times. Every notification is handled, and
// none twice, but for those that a kill caught between the handler's return and the
// record of it.
func TestWorkersAreKilled(t *testing.T) {
	q, table := newQueues(t), newTable(t)
	const ids = killMessages - killDuplicates
	var notes []notification.Notification
	for i := range ids {
		notes = append(notes, note(fmt.Sprint(i)))
		if i < killDuplicates { // right behind, so that both are in flight at once
			notes = append(notes, note(fmt.Sprint(i)))
		}
	}
	send(t, q.url, notes...)

	dir := t.TempDir()
	path := filepath.Join(dir, "journal")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	start := func() *exec.Cmd {
		process := exec.Command(os.Args[0]) //nolint:gosec // this binary
		process.Env = append(worker(t).Environ(), workerEnv+"=1", workerQueue+"="+q.url, workerTable+"="+table, workerJournal+"="+path, workerMarks+"="+dir)
		process.Stderr = os.Stderr
		if err := process.Start(); err != nil {
			t.Fatal(err)
		}
		return process
	}
	dead := map[int]bool{} // by process id
	workers := []*exec.Cmd{start(), start()}
	defer func() {
		for _, w := range workers {
			_ = w.Process.Kill() // where the test has failed; else it has ended
		}
	}()

	for kill := range killed {
		want := ids * (kill + 1) / (killed + 1)
		await(t, fmt.Sprintf("%d are recorded", want), 5*time.Minute, func() bool { return count(t, path, recorded) >= want })
		victim := &workers[kill%2]
		if err := (*victim).Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = (*victim).Wait() // killed is an error
		dead[(*victim).Process.Pid] = true
		*victim = start()
	}
	await(t, "the queue is empty", 5*time.Minute, func() bool { return depth(t, q.url) == 0 })
	for _, w := range workers {
		if err := w.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := w.Wait(); err != nil {
			t.Errorf("worker: %v", err)
		}
	}

	// Those that can never be handled were delivered twice, like the first 500 all.
	if n := depth(t, q.dead); n != 2*poison {
		t.Errorf("%d dead letters, %d can never be handled", n, 2*poison)
	}
	again := 0
	for id, steps := range byID(t, path) {
		problem, repeated := judge(steps, dead)
		if problem != "" {
			t.Errorf("%s: %s: %+v", id, problem, steps)
		}
		if repeated {
			t.Logf("%s ran again: a kill caught it between the handler's return and the record", id)
			again++
		}
	}
	// Each kill can catch what one worker runs at once, and what waits to be recorded.
	if again > killed*workerConcurrency {
		t.Errorf("%d ran again", again)
	}
	completed := completions(t, table)
	for i := range ids {
		id := fmt.Sprint(i)
		if handled := completed[id] == "completed"; handled != (i >= poison) {
			t.Errorf("%s is %q in the table", id, completed[id])
		}
	}
	t.Logf("%d messages of %d notifications, %d kills, %d ran again, %d dead letters", killMessages, ids, killed, again, depth(t, q.dead))
}

// judge reads the steps of one notification, over all workers: what is wrong with
// them, and whether it was handled again after a kill caught its first handling.
func judge(steps []step, dead map[int]bool) (problem string, again bool) {
	var alive step // the claim or extension of the lease that has not been ended
	var unrecorded []step
	records := 0
	for _, s := range steps {
		switch s.What {
		case claimed:
			if records > 0 {
				return "a handling began after completion", false
			}
			if s.At.Before(alive.Until) {
				return "a handling began while a lease was alive", false
			}
			alive = s
		case extended:
			if s.Owner == alive.Owner {
				alive = s
			}
		case releasing:
			if s.Owner == alive.Owner {
				alive = step{}
			}
		case succeeded:
			again = again || len(unrecorded) > 0
			unrecorded = append(unrecorded, s)
		case recorded:
			if records++; records > 1 {
				return "it has two completion records", false
			}
			alive = step{}
			unrecorded = slices.DeleteFunc(unrecorded, func(u step) bool { return u.Process == s.Process })
		}
	}
	for _, s := range unrecorded {
		if !dead[s.Process] {
			return "a worker that lived did not record its success", again
		}
	}
	return "", again
}

func read(t *testing.T, path string) []step {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	var steps []step
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var s step
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			t.Fatalf("journal: %v: %s", err, lines.Text())
		}
		steps = append(steps, s)
	}
	return steps
}

// count counts the steps of one kind without parsing: it is called often.
func count(t *testing.T, path, what string) int {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Count(text, fmt.Appendf(nil, `"What":%q`, what))
}

// byID sorts by time: two processes may have written in another order.
func byID(t *testing.T, path string) map[string][]step {
	t.Helper()
	all := map[string][]step{}
	for _, s := range read(t, path) {
		all[s.ID] = append(all[s.ID], s)
	}
	for _, steps := range all {
		slices.SortStableFunc(steps, func(a, b step) int { return a.At.Compare(b.At) })
	}
	return all
}

// completions reads the state of every notification in the table.
func completions(t *testing.T, table string) map[string]string {
	t.Helper()
	states := map[string]string{}
	pages := dynamodb.NewScanPaginator(tables, &dynamodb.ScanInput{TableName: &table})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range page.Items {
			states[item["id"].(*types.AttributeValueMemberS).Value] = item["state"].(*types.AttributeValueMemberS).Value
		}
	}
	return states
}
