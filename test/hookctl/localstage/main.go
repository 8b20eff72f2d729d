package localstage

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/onepagecrm/nylas-webhooks/test/canary"
)

// patience is for deploying, 20 s, the tests, and compiling on an empty cache.
const patience = 10 * time.Minute

// Main is a package's TestMain: it deploys a stage to an engine whose state is
// .local/<name>, hands it to use, runs the tests, and looks for what the tests sent in
// all that the stage shows. It returns the exit code.
func Main(m *testing.M, name string, use func(*Stage)) (code int) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	fail := func(err error) {
		fmt.Fprintf(os.Stderr, "the stage of .local/%s: %v\n", name, err)
		code = 1
	}
	stage, err := Start(ctx, name)
	defer func() {
		if err := stage.Stop(); err != nil {
			fail(err)
		}
	}()
	if err != nil {
		fail(err)
		return code
	}
	use(stage)
	code = m.Run()
	look, cancel := context.WithTimeout(context.Background(), time.Minute) // whatever the tests have left of ctx
	defer cancel()
	places, err := canary.Deployed(look, stage.AWS, stackName)
	if err != nil {
		fail(err)
	}
	for _, problem := range canary.FindIn(places) {
		fmt.Println("--- FAIL: over the whole suite:", problem)
		code = 1
	}
	return code
}
