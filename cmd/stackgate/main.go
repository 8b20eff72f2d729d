// Command stackgate says what a change of CloudFormation templates means: what is replaced and what
// that loses, who may do more, which protection does less, what behaves differently. cdk diff
// says what changes; a retention of an hour instead of seven days looks there like any update.
//
//	stackgate [-format text|markdown|json] [-accept file] [-fail-at class] [-artifact folder] base head
//	stackgate -since main head
//	stackgate -deployed NylasWebhooks-prod head
//
// base and head are cloud assemblies, which cdk synth writes. With -since the base is made of the
// commit at which this one left a branch. Neither needs credentials. With -deployed the base is
// what CloudFormation has of one stack, for which it needs cloudformation:DescribeStacks and
// GetTemplate. What differs and what CloudFormation replaces is said by the CDK's own diff engine; the judgement
// is the table in internal/review/rules.go. It works for any stack, as far as general rules go, and calls
// nothing harmless that no rule knows.
//
// The exit code is 0 below -fail-at, 10 for it and above; 1 where it could not compare, 2 where it
// was called wrongly.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/onepagecrm/nylas-webhooks/internal/awserror"
	"github.com/onepagecrm/nylas-webhooks/internal/review"
)

func main() {
	code, err := run(context.Background(), os.Args[1:], os.Stdout, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "stackgate:", awserror.Text(err))
	}
	os.Exit(code)
}

const (
	exitBelow, exitFailed, exitUsage = 0, 1, 2
	// exitReached: the verdict is the class of -fail-at, or a graver one.
	exitReached = 10
)

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (int, error) {
	flags := flag.NewFlagSet("stackgate", flag.ContinueOnError)
	flags.SetOutput(stderr)
	format := flags.String("format", "text", "text, markdown or json")
	accepted := flags.String("accept", "review-accepted.json", "the `file` with findings that are accepted")
	failAt := flags.String("fail-at", "loosened", "from which `class` on the exit code is 10: "+fmt.Sprint(review.ClassNames))
	artifact := flags.String("artifact", "", "write all findings into this `folder`, too: verdict.md and verdict.json")
	ref := flags.String("since", "", "compare with the commit at which this one left the `branch`, in place of a base")
	stack := flags.String("deployed", "", "compare with what is deployed of this `stack` of the head, in place of a base")
	tools := flags.String("tools", ".", "the `folder` in whose node_modules, or tools/node_modules, the CDK's diff engine is")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return exitBelow, nil
	case err != nil:
		return exitUsage, nil // it was said
	case *stack != "" && *ref != "":
		return exitUsage, errors.New("-deployed and -since each name a base; give one")
	case (*stack != "" || *ref != "") && flags.NArg() != 1:
		return exitUsage, errors.New("-deployed and -since take the place of the base: stackgate -since main cdk.out")
	case *stack == "" && *ref == "" && flags.NArg() != 2:
		return exitUsage, errors.New("two cloud assemblies are needed, the base and the head: stackgate base/cdk.out cdk.out")
	}
	limit, err := review.ClassOf(*failAt)
	if err != nil {
		return exitUsage, err
	}
	head, err := review.ReadAssembly(flags.Arg(flags.NArg() - 1))
	if err != nil {
		return exitFailed, err
	}
	var base map[string]review.Stack
	switch {
	case *stack != "":
		base, head, err = one(ctx, *stack, head)
	case *ref != "":
		base, err = since(ctx, *ref, stderr)
	default:
		base, err = review.ReadAssembly(flags.Arg(0))
	}
	if err != nil {
		return exitFailed, err
	}
	r, err := compare(base, head, *accepted, *tools)
	if err != nil {
		return exitFailed, err
	}
	text, err := render(r, *format)
	if err != nil {
		return exitUsage, err
	}
	if _, err := stdout.Write(text); err != nil {
		return exitFailed, err
	}
	if *artifact != "" {
		if err := keep(r, *artifact); err != nil {
			return exitFailed, err
		}
	}
	if r.Verdict >= limit && r.Verdict > review.Nothing {
		return exitReached, nil
	}
	return exitBelow, nil
}

// one is a stack as it is deployed, and as it is in the head.
func one(ctx context.Context, name string, head map[string]review.Stack) (was, is map[string]review.Stack, err error) {
	s, ok := head[name]
	if !ok {
		return nil, nil, fmt.Errorf("there is no stack %s in the assembly. cdk synth writes it", name)
	}
	was, is = map[string]review.Stack{}, map[string]review.Stack{name: s}
	there, ok, err := onAWS(ctx, s)
	if err != nil || !ok {
		return was, is, err
	}
	was[name] = there
	s.Template, err = asGiven(s.Template)
	is[name] = s
	return was, is, err
}

func compare(base, head map[string]review.Stack, accepted, tools string) (review.Report, error) {
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

func render(r review.Report, format string) ([]byte, error) {
	var text bytes.Buffer
	switch format {
	case "text":
		r.Text(&text)
	case "markdown":
		r.Markdown(&text)
	case "json":
		if err := r.JSON(&text); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("-format is %q, not text, markdown or json", format)
	}
	return text.Bytes(), nil
}

// keep writes the report into a folder, as the comment and in full.
func keep(r review.Report, dir string) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	for name, format := range map[string]string{"verdict.md": "markdown", "verdict.json": "json"} {
		text, err := render(r, format)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}
