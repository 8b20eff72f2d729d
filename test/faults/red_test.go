package faults

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/onepagecrm/nylas-webhooks/test/faults/standin"
)

// The ledger can fail. A receiver that answers without waiting for SQS loses what SQS
// does not take, and this has to see it: otherwise every other test here is worth
// nothing.
func TestReceiverThatDoesNotWaitLosesNotifications(t *testing.T) {
	root, err := Root(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	hasty, err := Build(t.Context(), root, t.TempDir(), withoutWaiting(t, root))
	if err != nil {
		t.Fatal(err)
	}
	_, stack := receiver(t)
	for _, f := range []Fault{
		sqs("throttles", standin.Refuse(standin.SQSThrottled)),
		sqs("is a black hole", standin.BlackHole()),
		killedAtSQS("killed while SQS is asked", standin.Before),
	} {
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			r, err := Run(t.Context(), hasty, stack, withFaults(f))
			if err != nil {
				t.Fatal(err)
			}
			if r.Account.Lost == 0 || !slices.ContainsFunc(r.Wrong, func(w string) bool { return strings.Contains(w, "were lost") }) {
				t.Errorf("the account is %+v, want losses", r.Account)
			}
		})
	}
}

// withoutWaiting changes the receiver's source: (*sqsqueue.Queue).Send returns at once
// and sends afterwards.
func withoutWaiting(t *testing.T, root string) map[string][]byte {
	t.Helper()
	const dir = "lambda/internal/sqsqueue/"
	source, err := os.ReadFile(filepath.Join(root, dir, "queue.go"))
	if err != nil {
		t.Fatal(err)
	}
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "queue.go", source, 0)
	if err != nil {
		t.Fatal(err)
	}
	at := -1
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Recv != nil && f.Name.Name == "Send" {
			at = files.Position(f.Name.Pos()).Offset
		}
	}
	if at < 0 {
		t.Fatal("queue.go has no method Send; say here how the receiver waits for SQS now")
	}
	return map[string][]byte{
		dir + "queue.go": slices.Concat(source[:at], []byte("sendAndWait"), source[at+len("Send"):]),
		dir + "hasty.go": []byte(`package sqsqueue

import (
	"context"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

func (q *Queue) Send(ctx context.Context, w notification.Wire) error {
	go func() { _ = q.sendAndWait(context.WithoutCancel(ctx), w) }()
	return nil
}
`),
	}
}

// Go's test cache is told of all that the receiver is made of: else "go test" would say
// "ok (cached)" of a receiver that it has not run.
func TestSources(t *testing.T) {
	root, err := Root(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	files, err := sources(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"lambda/receiver/main.go", "lambda/internal/receive", "lambda/internal/receive/handler.go", "lambda/contract/names.go",
		"notification/signature.go", "internal/sdkhttp/sdkhttp.go", "go.mod", "go.sum",
	} {
		if !slices.Contains(files, filepath.Join(root, want)) {
			t.Errorf("%s is not among the sources", want)
		}
	}
}

// What is run here is built as it is deployed.
func TestBuildFlagsAreTheDeployments(t *testing.T) {
	root, err := Root(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, "infra/webhooks/build.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var flags []string
	ast.Inspect(file, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok || v.Names[0].Name != "buildFlags" {
			return true
		}
		for _, e := range v.Values[0].(*ast.CompositeLit).Elts {
			flag, err := strconv.Unquote(e.(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			flags = append(flags, flag)
		}
		return false
	})
	if !slices.Equal(flags, buildFlags) {
		t.Errorf("the stack builds with %q, this package with %q", flags, buildFlags)
	}
}

// What the runs take from the template is there.
func TestReadStack(t *testing.T) {
	_, stack := receiver(t)
	if stack.Responses["THROTTLED"].Status != 429 || stack.Responses["THROTTLED"].Headers["Retry-After"] == "" {
		t.Errorf("the throttle answers %+v", stack.Responses["THROTTLED"])
	}
	for _, kind := range []string{"DEFAULT_5XX", "INTEGRATION_FAILURE", "INTEGRATION_TIMEOUT"} {
		if stack.Responses[kind].Status != 503 {
			t.Errorf("%s answers %d", kind, stack.Responses[kind].Status)
		}
	}
	if !slices.Contains(stack.Pages, "SendFailed") {
		t.Errorf("pages read %v", stack.Pages)
	}
	if _, err := ReadStack(t.TempDir()); err == nil {
		t.Error("no error without a template")
	}
}

// A receiver that logs mail is found out.
func TestLeakIsSeen(t *testing.T) {
	root, err := Root(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const main = "lambda/receiver/main.go"
	source, err := os.ReadFile(filepath.Join(root, main))
	if err != nil {
		t.Fatal(err)
	}
	// It prints a secret when it starts.
	chatty := bytes.Replace(source, []byte("lambda.Start("), []byte(`fmt.Fprintln(os.Stderr, os.Getenv("CANARY")); lambda.Start(`), 1)
	program, err := Build(t.Context(), root, t.TempDir(), map[string][]byte{main: chatty})
	if err != nil {
		t.Fatal(err)
	}
	sc := Scenario{Notifications: 1, Start: func(s *System) {
		s.Function.SetVariable("CANARY", s.rotate())
		s.registered()
	}}
	_, stack := receiver(t)
	r, err := Run(t.Context(), program, stack, sc)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Wrong) == 0 || !strings.Contains(r.Wrong[0], "wrote [secret] into its log") {
		t.Errorf("wrong: %v", r.Wrong)
	}
	for _, line := range r.Log {
		if strings.Contains(line, "canary") {
			t.Error("the report would hold it")
		}
	}
}
