// Command stackgate says what a change of CloudFormation templates means: what is replaced and what
// that loses, who may do more, which protection does less, what behaves differently. cdk diff
// says what changes; a retention of an hour instead of seven days looks there like any update.
//
//	stackgate [-format text|markdown|json] [-accept file] [-fail-at class] base head
//
// base and head are cloud assemblies, which cdk synth writes. It needs no credentials. What
// differs and what CloudFormation replaces is said by the CDK's own diff engine; the judgement
// is the table in internal/review/rules.go. It works for any stack, as far as general rules go, and calls
// nothing harmless that no rule knows.
//
// The exit code is 0 below -fail-at, 10 for it and above; 1 where it could not compare, 2 where it
// was called wrongly.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/onepagecrm/nylas-webhooks/internal/review"
)

func main() {
	code, err := run(os.Args[1:], os.Stdout, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "stackgate:", err)
	}
	os.Exit(code)
}

const (
	exitBelow, exitFailed, exitUsage = 0, 1, 2
	// exitReached: the verdict is the class of -fail-at, or a graver one.
	exitReached = 10
)

func run(args []string, stdout, stderr io.Writer) (int, error) {
	flags := flag.NewFlagSet("stackgate", flag.ContinueOnError)
	flags.SetOutput(stderr)
	format := flags.String("format", "text", "text, markdown or json")
	accepted := flags.String("accept", "review-accepted.json", "the `file` with findings that are accepted")
	failAt := flags.String("fail-at", "loosened", "from which `class` on the exit code is 10: "+fmt.Sprint(review.ClassNames))
	tools := flags.String("tools", ".", "the `folder` in whose node_modules, or tools/node_modules, the CDK's diff engine is")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return exitBelow, nil
	case err != nil:
		return exitUsage, nil // it was said
	case flags.NArg() != 2:
		return exitUsage, errors.New("two cloud assemblies are needed, the base and the head: stackgate base/cdk.out cdk.out")
	}
	limit, err := review.ClassOf(*failAt)
	if err != nil {
		return exitUsage, err
	}
	r, err := compare(flags.Arg(0), flags.Arg(1), *accepted, *tools)
	if err != nil {
		return exitFailed, err
	}
	var out bytes.Buffer
	switch *format {
	case "text":
		r.Text(&out)
	case "markdown":
		r.Markdown(&out)
	case "json":
		if err := r.JSON(&out); err != nil {
			return exitFailed, err
		}
	default:
		return exitUsage, fmt.Errorf("-format is %q, not text, markdown or json", *format)
	}
	if _, err := stdout.Write(out.Bytes()); err != nil {
		return exitFailed, err
	}
	if r.Verdict >= limit && r.Verdict > review.Nothing {
		return exitReached, nil
	}
	return exitBelow, nil
}

func compare(baseDir, headDir, accepted, tools string) (review.Report, error) {
	base, err := review.ReadAssembly(baseDir)
	if err != nil {
		return review.Report{}, err
	}
	head, err := review.ReadAssembly(headDir)
	if err != nil {
		return review.Report{}, err
	}
	list, err := review.ReadAcceptances(accepted)
	if err != nil {
		return review.Report{}, err
	}
	e, err := review.NewEngine(tools)
	if err != nil {
		return review.Report{}, err
	}
	found, err := review.Compare(e, base, head)
	if err = errors.Join(err, e.Close()); err != nil {
		return review.Report{}, err
	}
	notes := review.Accept(found, list, time.Now())
	return review.Report{Verdict: review.Worst(found), Findings: found, Notes: notes}, nil
}
