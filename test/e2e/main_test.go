package e2e

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/onepagecrm/nylas-webhooks/test/engine"
)

// sys is the deployed system that every test uses.
var sys *system

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) (code int) {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute) // half a minute; several on an empty build cache
	defer cancel()
	e, err := engine.Start(ctx, "e2e")
	defer func() {
		if err := e.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "e2e:", err)
			code = 1
		}
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	if sys, err = deploy(ctx, e); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	code = m.Run()
	// After the last test, so that it covers what all of them have sent.
	look, cancel := context.WithTimeout(context.Background(), 2*time.Minute) // whatever the tests have left of ctx
	defer cancel()
	problems := append(sys.settle(look), sys.leaks(look)...)
	if len(problems) > 0 {
		fmt.Println("--- FAIL: over the whole suite")
		for _, problem := range problems {
			fmt.Println("   ", problem)
		}
		return 1
	}
	return code
}
