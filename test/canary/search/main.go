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
	"strings"

	"github.com/onepagecrm/nylas-webhooks/test/canary"
)

// left is where the suites of make test leave what they print and make.
var left = []struct {
	pattern string
	// checksums tells that assets are named by theirs, which look like signatures.
	checksums bool
}{
	{".local/test/*.json", false},
	{".local/*/engine.log", false},
	{".local/*/outputs.json", false},
	{".local/*/cdk.out/*.json", true},
	{"cdk.out/*.json", true},
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
		if len(names) == 0 {
			problems = append(problems, fmt.Errorf("there is no %s: run make test, which ends with this", place.pattern))
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
