// Command search looks for what the tests sent, stored and signed with in what they
// left behind: their own output, the engines' logs, templates and outputs.
//
//	go run ./test/canary/search
//
// It exits with 1 when it finds any, or when a suite has left nothing to look at.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/onepagecrm/nylas-webhooks/test/canary"
)

// left is what the suites of make test leave behind.
var left = []struct {
	pattern string
	// checksums tells that assets are named by theirs, which look like signatures.
	checksums bool
	// must are files without which there is too little to look at: a suite has not run.
	must []string
}{
	{".local/test/*.json", false, []string{"unit.json", "stack.json", "policy.json", "faults.json", "nylas.json", "e2e.json"}},
	{".local/*/engine.log", false, []string{"e2e/engine.log", "drill/engine.log", "consumer/engine.log", "test-hookctl/engine.log", "test-transcripts/engine.log"}},
	{".local/*/outputs.json", false, []string{"e2e/outputs.json"}},
	{".local/*/cdk.out/*.json", true, []string{"NylasWebhooks-local.template.json"}},
	{"cdk.out/*.json", true, []string{"NylasWebhooks-prod.template.json"}},
}

func main() {
	if err := run("."); err != nil {
		fmt.Fprintln(os.Stderr, "search:", err)
		os.Exit(1)
	}
}

// run searches the project whose root is dir.
func run(dir string) error {
	var problems []error
	files, size := 0, 0
	for _, place := range left {
		names, err := filepath.Glob(filepath.Join(dir, place.pattern))
		if err != nil {
			return err
		}
		for _, must := range place.must {
			if !slices.ContainsFunc(names, func(name string) bool { return strings.HasSuffix(name, "/"+must) }) {
				problems = append(problems, fmt.Errorf("%s is not among %s: run make test, which ends with this", must, place.pattern))
			}
		}
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			files, size = files+1, size+len(text)
			find := canary.Find
			if place.checksums {
				find = canary.FindMail
			}
			if kinds := find(text); len(kinds) > 0 {
				problems = append(problems, fmt.Errorf("%s holds: %s", name, strings.Join(kinds, ", ")))
			}
		}
	}
	if len(problems) > 0 {
		return errors.Join(problems...)
	}
	fmt.Printf("no mail, secret or signature in %d files, %.1f MB, of test output, engine logs, templates and outputs\n", files, float64(size)/1e6)
	return nil
}
